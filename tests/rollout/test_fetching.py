"""Files from a web server that is away, silent, slow or full of itself: every wait of the fetcher has an end."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pointsman_agent.sources.fetching import LARGEST_ERROR_BYTES, BoundedFetcher
from support.rollouts import RepositoryServer, dripping, dripping_outside_the_body, not_found, repository_server
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError

AT_ONCE_S = 10.0
"""Generous, and far below what a file may take by itself."""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A listener whose connections come about, and which never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(AT_ONCE_S)
        yield listening


@pytest.fixture
def secure(tmp_path: Path, server_context: ssl.SSLContext) -> Iterator[RepositoryServer]:
    """A web server by HTTPS, over a file `file`."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file").write_bytes(b"content")
    with repository_server(tmp_path / "served", server_context) as running:
        yield running


def fetched(fetcher: BoundedFetcher, url: str) -> bytes:
    with closing(fetcher):
        return b"".join(fetcher.fetch(url))


def outage(fetcher: BoundedFetcher, url: str) -> str:
    """Return how the fetcher says that there is nobody; it may take no long while for it."""
    began = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        fetched(fetcher, url)
    assert time.monotonic() - began < AT_ONCE_S
    assert not isinstance(caught.value, SlowRetrievalError)
    return str(caught.value)


@contextmanager
def beginning(listening: socket.socket, content: bytes) -> Iterator[None]:
    """Answer the first connection with `content`, and no more."""
    taken: list[socket.socket] = []

    def answer() -> None:
        taken.append(listening.accept()[0])
        taken[0].sendall(content)

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    thread.join()
    taken[0].close()


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_takes_a_connection_and_says_nothing_is_away(silent: socket.socket, scheme: str) -> None:
    words = outage(BoundedFetcher(file_within_s=0.3), f"{scheme}://127.0.0.1:{port_of(silent)}/file")

    assert words.endswith("no answer in time" if scheme == "http" else "no connection in time")


def test_silence_ends_long_before_the_time_of_a_file(silent: socket.socket) -> None:
    outage(BoundedFetcher(silent_at_most_s=0.3), f"http://127.0.0.1:{port_of(silent)}/file")


def test_silence_in_the_midst_of_an_answer_is_an_outage_too(silent: socket.socket) -> None:
    fetcher = BoundedFetcher(silent_at_most_s=0.5)
    parts = fetcher.fetch(f"http://127.0.0.1:{port_of(silent)}/file")
    with closing(fetcher), beginning(silent, b"HTTP/1.1 200 OK\r\n\r\nbegin"):
        assert next(parts) == b"begin"
        with pytest.raises(DownloadError, match="no answer in time"):
            next(parts)


def test_a_connection_that_does_not_come_about_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        words = outage(BoundedFetcher(file_within_s=0.3), f"http://127.0.0.1:{port_of(full)}/file")

        for one in waiting:
            one.close()
    assert words.endswith("no connection in time")


def test_a_request_that_nobody_reads_is_given_up(silent: socket.socket) -> None:
    large = "a" * 32 * 1024 * 1024  # more than the buffers of two sockets hold

    outage(BoundedFetcher(large, file_within_s=0.5), f"http://127.0.0.1:{port_of(silent)}/file")


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_drip_by_https_is_slow(secure: RepositoryServer, part: str) -> None:
    secure.answer = dripping if part == "body" else dripping_outside_the_body(b"200 OK\r\nX-A: ", b"a")

    with pytest.raises(SlowRetrievalError, match=r"took more than 0\.5 s"):
        fetched(BoundedFetcher(file_within_s=0.5), f"{secure.url}/file")


def test_what_is_not_there_keeps_the_connection(secure: RepositoryServer) -> None:
    secure.answer = lambda handler: handler.path.endswith("no") and not_found(handler, 1000)
    fetcher = BoundedFetcher()

    for _ in range(3):
        with pytest.raises(DownloadHTTPError, match="HTTP 404"):
            b"".join(fetcher.fetch(f"{secure.url}/no"))
        assert b"".join(fetcher.fetch(f"{secure.url}/file")) == b"content"

    fetcher.close()
    assert secure.connections == 1


@pytest.mark.parametrize("size", [LARGEST_ERROR_BYTES + 1, 10**12])
def test_an_error_with_many_words_is_not_read_to_its_end(secure: RepositoryServer, size: int) -> None:
    secure.answer = lambda handler: not_found(handler, size)

    with pytest.raises(DownloadHTTPError, match="HTTP 404"):
        fetched(BoundedFetcher(), f"{secure.url}/no")


def test_what_comes_by_https_is_the_file(secure: RepositoryServer) -> None:
    assert fetched(BoundedFetcher(), f"{secure.url}/file") == b"content"
