"""Two tasks: one writes the state down, on change and every minute; one sends what is written (the only httpx2 here).

They share the spool and nothing else, so a store that is slow or away holds up nobody. A batch that the store refuses
for what it is (HTTP 400) would be refused for ever: it is let go, and told.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

import httpx2
import structlog
import trio

from pointsman_agent.backoff import Backoff
from pointsman_agent.bundleurl import shown_url
from pointsman_agent.push.exposition import digest_of_state, expose
from pointsman_agent.push.spool import Spool
from pointsman_agent.version import VERSION

REPORT_EVERY_S: Final = 60.0
JITTER: Final = 0.25
LOOK_EVERY_S: Final = 2.0
"""How soon a change is noticed."""
SENT_WITHIN_S: Final = 20.0
PUSH_AGAIN_S: Final = 30.0
"""After a fault of our own."""

log = structlog.get_logger()

Snapshot = Callable[[], Awaitable[Mapping[str, Any]]]


class Pusher:
    """Pushes what `snapshot` says to `url`, with a bearer token where one is given."""

    def __init__(
        self,
        url: str,
        token: str | None,
        spool: Spool,
        snapshot: Snapshot,
        now: Callable[[], datetime],
        *,
        report_every_s: float = REPORT_EVERY_S,
        look_every_s: float = LOOK_EVERY_S,
        backoff: Backoff | None = None,
    ) -> None:
        self._url = url
        self._headers = {"User-Agent": f"pointsman-agent/{VERSION}", "Content-Type": "text/plain; version=0.0.4"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._spool = spool
        self._snapshot = snapshot
        self._now = now
        self._report_every_s = report_every_s
        self._look_every_s = look_every_s
        self._backoff = backoff or Backoff(random.random)
        self._one_at_a_time = trio.CapacityLimiter(1)  # of the spool's threads
        self._written = trio.Event()
        self._is_told = False

    async def run(self) -> None:
        """Write and send. Never ends: charging must not end with a fault of ours here."""
        while True:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._send)
            except Exception:
                log.exception("pushing failed", url=shown_url(self._url))
            await trio.sleep(PUSH_AGAIN_S)

    async def _write(self) -> None:
        said: tuple[object, ...] | None = None
        next_at = trio.current_time()
        while True:
            status = await self._snapshot()
            saying = digest_of_state(status)
            if saying != said or trio.current_time() >= next_at:
                await self._keep(expose(status, self._now()).encode(errors="replace"))
                said = saying
                next_at = trio.current_time() + self._report_every_s * random.uniform(1 - JITTER, 1 + JITTER)
            await trio.sleep(self._look_every_s)

    async def _keep(self, report: bytes) -> None:
        try:
            await trio.to_thread.run_sync(self._spool.add, report, limiter=self._one_at_a_time)
        except OSError as error:
            log.warning("report not kept", why=str(error))
        self._written.set()

    async def _send(self) -> None:
        async with httpx2.AsyncClient(headers=self._headers, timeout=SENT_WITHIN_S) as client:
            while True:
                self._written = trio.Event()
                if not len(self._spool):
                    await self._written.wait()
                elif await self._send_batch(client):
                    self._backoff.succeeded()
                else:
                    self._backoff.failed(trio.current_time())
                    await trio.sleep(self._backoff.remaining(trio.current_time()))

    async def _send_batch(self, client: httpx2.AsyncClient) -> bool:
        try:
            names, text = await trio.to_thread.run_sync(self._spool.oldest, limiter=self._one_at_a_time)
            with trio.fail_after(SENT_WITHIN_S):
                answer = await client.post(self._url, content=text)
        except httpx2.LocalProtocolError:
            return self._failed("no such request can be made")  # its words may hold the token
        except (httpx2.HTTPError, OSError, trio.TooSlowError) as error:
            return self._failed(repr(error))
        if answer.status_code == httpx2.codes.BAD_REQUEST:
            log.error("the metrics store refuses a report for what it says; it is let go", reports=len(names))
        elif not answer.is_success:
            return self._failed(f"HTTP {answer.status_code}")
        try:
            await trio.to_thread.run_sync(self._spool.remove, names, limiter=self._one_at_a_time)
        except OSError as error:
            return self._failed(str(error))
        if self._is_told:
            log.info("reports are sent again", waiting=len(self._spool))
            self._is_told = False
        return True

    def _failed(self, why: str) -> bool:
        """Tell once that nothing goes out, until something does again."""
        if not self._is_told:
            log.warning("reports wait: the metrics store does not take them", why=why, url=shown_url(self._url))
            self._is_told = True
        return False
