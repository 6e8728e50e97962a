"""Files from a web server, for a client that runs in a thread (the only httpx2 of the sources): bounded in time.

A server that sends a byte now and then never runs into a time-out of its socket, so each file as a whole has a bound.
Sizes are bounded by who asks.
"""

import time
from collections.abc import Iterator
from typing import Final

import httpx2
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from pointsman_agent.version import VERSION

FILE_WITHIN_S: Final = 120.0
"""8 MiB, the largest bundle, at 560 kbit/s."""
SILENT_AT_MOST_S: Final = 15.0


class BoundedFetcher(FetcherInterface):
    """Fetches over one client, whose connections are kept between two looks."""

    def __init__(self, token: str | None = None, *, file_within_s: float = FILE_WITHIN_S) -> None:
        headers = {"User-Agent": f"pointsman-agent/{VERSION}", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._headers = headers
        self._file_within_s = file_within_s
        self._client: httpx2.Client | None = None

    def close(self) -> None:
        """Close the connections; the next file opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Yield the parts of the file; raises DownloadHTTPError, SlowRetrievalError or another DownloadError."""
        client = self._client = self._client or self._new_client()
        ends = time.monotonic() + self._file_within_s
        try:
            with client.stream("GET", url) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise DownloadHTTPError(f"{url}: HTTP {answer.status_code}", answer.status_code)
                for part in answer.iter_raw():  # as they come: gathered into chunks, a drip would not be seen
                    if time.monotonic() > ends:
                        raise SlowRetrievalError(f"{url} took more than {self._file_within_s:g} s")
                    yield part
        except httpx2.TimeoutException as error:
            raise SlowRetrievalError(f"{url}: silent for {SILENT_AT_MOST_S:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DownloadError(f"{url}: {error}") from error

    def _new_client(self) -> httpx2.Client:
        return httpx2.Client(headers=self._headers, timeout=min(SILENT_AT_MOST_S, self._file_within_s))
