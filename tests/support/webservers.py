"""A real web server on the loopback, for as long as a block lasts."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def web_server(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve by `handler`, by HTTPS with a `context`; yields the origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        listening.daemon_threads = True
        if context is not None:
            listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "http" if context is None else "https"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"{scheme}://127.0.0.1:{listening.server_address[1]}"
        finally:
            listening.shutdown()
            thread.join()
