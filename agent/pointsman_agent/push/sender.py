"""Two tasks: one writes the state down, on change and every minute; one sends what is written (the only httpx2 here).

They share the spool and nothing else, so a store that is slow or away holds up nobody. A batch that the store refuses
for what it is (HTTP 400, 413) would be refused for ever: it is halved until one report is left, which is let go, and
told. One that takes too long is halved too: a thin line takes less at a time.

Nothing here keeps an agent from starting: a folder that cannot be used, and a token or roots that cannot be read, are
told and tried again. The token is read for each batch, roots for each connection after a failure, so that new ones
count without a restart. Nothing of the environment counts (proxies, netrc), as for uplinks.

But servers answer 400 for what is no fault of a report, too: an address that is none, plain HTTP at a port for TLS. So
a report that gets a 400 alone is only suspected, until the newest one, sent next, is taken. Where that is refused as
well, or there is no newer one, it is the address: all reports stay. It needs no memory of better days, so an address
that is wrong from the start costs as little as one that becomes so. (A 413 is about size, and needs no witness.)
"""

import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import structlog
import trio

from pointsman_agent.backoff import Backoff
from pointsman_agent.bundleurl import shown_url
from pointsman_agent.ports import SecretMissing
from pointsman_agent.push.exposition import digest_of_state, expose
from pointsman_agent.push.spool import Spool
from pointsman_agent.streams import tls_cause
from pointsman_agent.tls import client_context
from pointsman_agent.version import VERSION

REPORT_EVERY_S: Final = 60.0
JITTER: Final = 0.25
LOOK_EVERY_S: Final = 2.0
"""How soon a change is noticed."""
SENT_BYTES: Final = 768 * 1024
"""Of a batch at most: web servers take 1 MiB unless they are told otherwise."""
SENT_WITHIN_S: Final = 20.0
"""A batch and its answer, whatever the store does meanwhile."""
ANSWER_BYTES: Final = 64 * 1024
"""Read of an answer at most, and only because its connection can then be used again."""
PUSH_AGAIN_S: Final = 30.0
"""After a fault of our own."""
FOLDER_AGAIN_S: Final = 60.0
"""Where the spool's folder cannot be used."""

log = structlog.get_logger()

Snapshot = Callable[[], Awaitable[Mapping[str, Any]]]


class Pusher:
    """Pushes what `snapshot` says to `url`.

    `token` reads a bearer token, None for none, and raises SecretMissing; `open_spool` raises OSError. `trust` is a PEM
    file of roots that the server is proven by, in place of the system's.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str | None],
        open_spool: Callable[[], Spool],
        snapshot: Snapshot,
        now: Callable[[], datetime],
        *,
        trust: Path | None = None,
        report_every_s: float = REPORT_EVERY_S,
        look_every_s: float = LOOK_EVERY_S,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._url = url
        self._headers = {"User-Agent": f"pointsman-agent/{VERSION}", "Content-Type": "text/plain; version=0.0.4"}
        self._token = token
        self._trust = trust
        self._open_spool = open_spool
        self._spool: Spool  # from when `run` has opened it
        self._snapshot = snapshot
        self._now = now
        self._report_every_s = report_every_s
        self._look_every_s = look_every_s
        self._backoff = backoff or Backoff(chance)
        self._chance = chance
        self._one_at_a_time = trio.CapacityLimiter(1)  # of the spool's threads
        self._written = trio.Event()
        self._most_bytes = SENT_BYTES  # of any batch: what the store was too small for is not tried again
        self._next_bytes = SENT_BYTES  # of the next one
        self._suspect: str | None = None  # the report that was refused alone, while the newest one is to speak for it
        self._is_told = False
        self._is_loss_told = False
        self._dropped = 0  # that were seen
        self._is_drop_told = False

    async def run(self) -> None:
        """Write and send. Never ends: charging must not end with a fault of ours here."""
        while True:
            try:
                self._spool = await self._opened_spool()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._send)
            except Exception:
                log.exception("pushing failed", url=shown_url(self._url))
            await trio.sleep(PUSH_AGAIN_S)

    async def _opened_spool(self) -> Spool:
        is_told = False
        while True:
            try:
                return await trio.to_thread.run_sync(self._open_spool)
            except OSError as error:
                if not is_told:
                    log.error("no reports: their folder cannot be used", why=str(error))
                is_told = True
            await trio.sleep(FOLDER_AGAIN_S)

    async def _write(self) -> None:
        said: tuple[object, ...] | None = None
        next_at = trio.current_time()
        while True:
            status = await self._snapshot()
            saying = digest_of_state(status)
            if saying != said or trio.current_time() >= next_at:
                await self._keep(expose(status, self._now()).encode(errors="replace"))
                said = saying
                next_at = trio.current_time() + self._report_every_s * (1 + JITTER * (2 * self._chance() - 1))
            await trio.sleep(self._look_every_s)

    async def _keep(self, report: bytes) -> None:
        try:
            await trio.to_thread.run_sync(self._spool.add, report, limiter=self._one_at_a_time)
        except OSError as error:
            log.warning("report not kept", why=str(error))
        if self._spool.dropped > self._dropped and not self._is_drop_told:
            log.warning("reports are dropped: too many wait", kept=len(self._spool))
            self._is_drop_told = True
        self._dropped = self._spool.dropped
        self._written.set()

    async def _send(self) -> None:
        while True:
            try:
                context = await trio.to_thread.run_sync(self._context)
            except (OSError, ValueError) as error:  # TlsMaterialError, and what is no text, are a ValueError
                self._failed(f"--push-trust {self._trust}: {error}")
            else:
                settings: dict[str, Any] = {"verify": context, "headers": self._headers, "trust_env": False}
                async with httpx2.AsyncClient(timeout=None, **settings) as client:  # _post has the bound
                    await self._send_until_failure(client)
            self._backoff.failed(trio.current_time())
            await trio.sleep(self._backoff.remaining(trio.current_time()))

    def _context(self) -> ssl.SSLContext:
        """Raises OSError or ValueError for a file that cannot be read, or has no roots."""
        roots = None if self._trust is None else [self._trust.read_text(encoding="ascii")]
        return client_context(roots, None, {})

    async def _send_until_failure(self, client: httpx2.AsyncClient) -> None:
        while True:
            self._written = trio.Event()
            if not len(self._spool):
                await self._written.wait()
            elif await self._send_batch(client):
                self._backoff.succeeded()
            else:
                return

    async def _send_batch(self, client: httpx2.AsyncClient) -> bool:
        """Return whether the next one may follow at once."""
        try:
            token = await trio.to_thread.run_sync(self._token)
            names, text = await self._batch()
        except SecretMissing as error:
            return self._failed(f"--push-token: {error}")
        except OSError as error:
            return self._failed(repr(error))
        if not names:
            return True
        try:
            status = await self._post(client, text, token)
        except httpx2.LocalProtocolError:
            return self._failed("no such request can be made")  # its words may hold the token
        except trio.TooSlowError:
            self._next_bytes = len(text) // 2
            return self._failed(f"took more than {SENT_WITHIN_S:g} s")
        except (httpx2.HTTPError, OSError) as error:
            return self._failed(_cause(error))
        return await self._settle(names, len(text), status)

    async def _settle(self, names: list[str], size: int, status: int) -> bool:
        """Do what the store's answer to a batch asks for; return whether the next one may follow at once."""
        if status == httpx2.codes.BAD_REQUEST and len(names) == 1:
            return self._suspected(names[0])
        is_refused = status in (httpx2.codes.BAD_REQUEST, httpx2.codes.CONTENT_TOO_LARGE)
        if is_refused and len(names) > 1:
            self._next_bytes = size // 2
            if status == httpx2.codes.CONTENT_TOO_LARGE:
                self._most_bytes = self._next_bytes
            return True
        if not is_refused and not httpx2.codes.is_success(status):
            return self._failed(f"HTTP {status}")
        await self._remove(names)
        if is_refused:
            return self._let_go(status)
        if self._suspect is not None:
            suspect, self._suspect = self._suspect, None
            await self._remove([suspect])
            return self._let_go(httpx2.codes.BAD_REQUEST)
        self._next_bytes = min(2 * max(size, self._next_bytes), self._most_bytes)
        if self._is_told:
            log.info("reports are sent again", waiting=len(self._spool))
            self._is_told = self._is_drop_told = False
        return True

    def _suspected(self, name: str) -> bool:
        """Let the newest report say whether it is this one that is wrong, or the address."""
        if self._suspect is None and name != self._spool.newest_name:
            self._suspect = name
            return True
        return self._failed("HTTP 400, whatever is sent: is it the address of an import?")

    def _let_go(self, status: int) -> bool:
        log.error("the metrics store refuses a report for what it says; it is let go", status=int(status))
        return False  # a store that refuses all of them does not get all of them at once

    async def _remove(self, names: list[str]) -> None:
        await trio.to_thread.run_sync(self._spool.remove, names, limiter=self._one_at_a_time)

    async def _batch(self) -> tuple[list[str], bytes]:
        """Return what is sent next, and tell once that something was passed over; raises OSError."""
        if self._suspect is None:
            batch = await trio.to_thread.run_sync(self._spool.oldest, self._next_bytes, limiter=self._one_at_a_time)
        else:
            batch = await trio.to_thread.run_sync(self._spool.newest, limiter=self._one_at_a_time)
        if self._spool.unread and not self._is_loss_told:
            log.error("reports cannot be read from the disk; they are passed over", reports=self._spool.unread)
            self._is_loss_told = True
        return batch

    async def _post(self, client: httpx2.AsyncClient, text: bytes, token: str | None) -> int:
        """Return the status of the answer; raises TooSlowError, or an error of the library."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with trio.fail_after(SENT_WITHIN_S):
            async with client.stream("POST", self._url, content=text, headers=headers) as answer:
                size = 0
                with trio.CancelScope() as reading:
                    async for piece in answer.aiter_raw():
                        size += len(piece)
                        if size > ANSWER_BYTES:
                            reading.cancel()  # generators of the library end from within, or never
                return answer.status_code

    def _failed(self, why: str) -> bool:
        """Tell once that nothing goes out, until something does again."""
        self._suspect = None  # nothing spoke for it
        if not self._is_told:
            log.warning("reports wait: the metrics store does not take them", why=why, url=shown_url(self._url))
            self._is_told = True
        return False


def _cause(error: Exception) -> str:
    """The library wraps what happened, often without a word."""
    cause: BaseException = error
    while not str(cause) and (under := cause.__cause__ or cause.__context__) is not None:
        cause = under
    words = f"tls: {tls_cause(cause)}" if isinstance(cause, ssl.SSLError) else str(cause)
    return f"{type(error).__name__}: {words or type(cause).__name__}"
