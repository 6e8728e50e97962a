"""Metrics stores that answer as they are told, over real sockets: what a rollout asks for health."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ANSWERED_WITHIN_S = 20.0


class Store:
    """A server; `requests` are what it was sent, head and body."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[bytes] = []
        self.is_over = threading.Event()


Answer = Callable[[socket.socket, Store], None]


@contextmanager
def store(answer: Answer | bytes) -> Iterator[Store]:
    """Serve on the loopback: `answer` is what is sent, or sends it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Store(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def serve() -> None:
            while not made.is_over.is_set():
                connection, _ = listening.accept()
                with connection:
                    try:
                        connection.settimeout(ANSWERED_WITHIN_S)
                        _answer(connection, made, answer)
                    except OSError:
                        pass  # the client has had enough

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield made
        finally:
            made.is_over.set()
            with socket.create_connection(listening.getsockname(), ANSWERED_WITHIN_S):
                pass  # so that it is accepted, and ends
            thread.join()


def series(site: str, value: str, **labels: str) -> dict[str, Any]:
    """A report of `site` in the answer of a store."""
    return {"metric": {"site": site, **labels}, "value": [1, value]}


def answered(*reports: dict[str, Any]) -> bytes:
    """The whole answer with those reports."""
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": reports}}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def dripping(connection: socket.socket, made: Store) -> None:
    """Send a byte now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not made.is_over.wait(0.05):
        connection.sendall(b" ")


def dripping_head(connection: socket.socket, made: Store) -> None:
    """Send a byte of the head now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not made.is_over.wait(0.05):
        connection.sendall(b"x")


def _answer(connection: socket.socket, made: Store, answer: Answer | bytes) -> None:
    received = b""
    while b"\r\n\r\n" not in received or b"query=" not in received:
        part = connection.recv(65536)
        if not part:
            return
        received += part
    made.requests.append(received)
    if callable(answer):
        answer(connection, made)
    else:
        connection.sendall(answer)
