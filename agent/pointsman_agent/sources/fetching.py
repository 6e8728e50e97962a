"""Files from a web server, for a client that runs in a thread (the only httpcore2): bounded in time.

A server that sends a byte now and then, in headers, between chunks or as one 1xx after the other, never runs into a
time-out of its socket. So the bound is laid under all of that: no wait for the socket lasts longer than what is left of
the file's time, and of the look's, which asks for many files. Only a server that answers, and takes too long, is slow:
silence is an outage, as is a connection that does not come about.

Sizes are bounded by the kind of file, whatever is signed: the thief of one online key would otherwise choose them. A
file is held in memory until it is believed, so that nothing is written beside the state folder.

Nothing of the environment counts (proxies), as for uplinks.
"""

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any, Final

import httpcore2
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from pointsman_agent.version import VERSION

FILE_WITHIN_S: Final = 120.0
"""8 MiB, the largest bundle, at 560 kbit/s."""
LOOK_WITHIN_S: Final = 300.0
"""All files of one look: roots may be many."""
SILENT_AT_MOST_S: Final = 15.0
KEPT_OPEN_S: Final = 5.0

LARGEST_SNAPSHOT_BYTES: Final = 1024 * 1024
LARGEST_TARGETS_BYTES: Final = 4 * 1024 * 1024
"""The top-level role and each bin."""

LARGEST_ERROR_BYTES: Final = 64 * 1024
"""Read away, so that the connection is kept: each look asks for a root that is not there."""

_OK: Final = 200


class BoundedFetcher(FetcherInterface):
    """Fetches over connections that are kept between two files of a look. Of one thread at a time."""

    def __init__(
        self,
        token: str | None = None,
        *,
        file_within_s: float = FILE_WITHIN_S,
        look_within_s: float = LOOK_WITHIN_S,
        silent_at_most_s: float = SILENT_AT_MOST_S,
    ) -> None:
        headers = {"User-Agent": f"pointsman-agent/{VERSION}", "Accept": "*/*", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._file_within_s = file_within_s
        self._look_within_s = look_within_s
        self._look_ends: float | None = None
        self._deadline = _Deadline(silent_at_most_s)
        self._pool: httpcore2.ConnectionPool | None = None

    def begin_look(self) -> None:
        """From now on the time of a look runs: files that are asked for after its end are too slow."""
        self._look_ends = time.monotonic() + self._look_within_s

    def close(self) -> None:
        """Close the connections; the next file opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[io.BytesIO]:
        """Yield the file, which lies in memory alone; raises what `_fetch` does, and DownloadLengthMismatchError above
        `max_length` or what files of its kind may have."""
        most = min(max_length, largest_of(url))
        content = bytearray()
        for part in self.fetch(url):
            if len(content) + len(part) > most:
                raise DownloadLengthMismatchError(f"{url} has more than {most} bytes")
            content += part
        yield io.BytesIO(content)

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Yield the parts of the file; raises DownloadHTTPError, SlowRetrievalError or another DownloadError."""
        pool = self._pool = self._pool or self._new_pool()
        ends = time.monotonic() + self._file_within_s
        self._deadline.begin(ends if self._look_ends is None else min(ends, self._look_ends))
        try:
            with pool.stream("GET", url, headers=self._headers) as answer:
                if answer.status != _OK:
                    _read_away(answer)
                    raise DownloadHTTPError(f"{url}: HTTP {answer.status}", answer.status)
                yield from answer.iter_stream()
        except httpcore2.TimeoutException as error:
            slowness = self._slowness()
            if slowness is not None:
                raise SlowRetrievalError(f"{url} {slowness}") from error
            what = "connection" if isinstance(error, httpcore2.ConnectTimeout) else "answer"
            raise DownloadError(f"{url}: no {what} in time") from error
        except httpcore2.LocalProtocolError:
            raise DownloadError(f"{url}: no such request can be made") from None  # its words may hold the token
        except (
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            httpcore2.UnsupportedProtocol,
            ValueError,  # a host that is no name
        ) as error:
            raise DownloadError(f"{url}: {error}") from error

    def _slowness(self) -> str | None:
        """Say what took too long though it came, None where nothing came."""
        if time.monotonic() < self._deadline.at:
            return None
        if self._deadline.at == self._look_ends:
            return f"came too late: the whole look took more than {self._look_within_s:g} s"
        return f"took more than {self._file_within_s:g} s" if self._deadline.is_answered else None

    def _new_pool(self) -> httpcore2.ConnectionPool:
        return httpcore2.ConnectionPool(keepalive_expiry=KEPT_OPEN_S, network_backend=_BoundedNetwork(self._deadline))


def largest_of(url: str) -> int:
    """Return how many bytes a file may have, by its kind. Roots and timestamps have less: what nobody signed for is
    bounded by tuf's client."""
    if url.endswith(".bundle"):
        return LARGEST_ENVELOPE_BYTES
    return LARGEST_SNAPSHOT_BYTES if url.endswith("snapshot.json") else LARGEST_TARGETS_BYTES


def _read_away(answer: httpcore2.Response) -> None:
    """Read the words of an error. One that has too many costs the connection."""
    size = 0
    for part in answer.iter_stream():
        size += len(part)
        if size > LARGEST_ERROR_BYTES:
            return


class _Deadline:
    """When all that is waited for ends, on the monotonic clock; and whether anything of the answer came."""

    def __init__(self, silent_at_most_s: float) -> None:
        self.at = 0.0
        self.is_answered = False
        self._silent_at_most_s = silent_at_most_s

    def begin(self, at: float) -> None:
        """Wait for another file until `at`."""
        self.at, self.is_answered = at, False

    def left(self) -> float:
        """Return for how many seconds the next wait may last; raises what the library raises for a time-out."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the deadline has passed")
        return min(left, self._silent_at_most_s)


class _BoundedNetwork(httpcore2.SyncBackend):
    """Connections of which no wait goes past the deadline."""

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        stream = super().connect_tcp(host, port, self._deadline.left(), local_address, socket_options)
        return _BoundedStream(stream, self._deadline)


class _BoundedStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        content = self._stream.read(max_bytes, self._deadline.left())
        self._deadline.is_answered = True
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _BoundedStream(
            self._stream.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
