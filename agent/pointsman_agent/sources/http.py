"""A bundle behind an HTTPS URL that is asked again and again: seldom, out of step with others, and cheaply.

What came last is kept with its ETag, so that "not modified" is all that an idle look transfers; where it has to be
offered once more (somebody asked, a fault has passed) it need not come again either.
"""

import random
from collections.abc import Callable
from typing import Final

import structlog
import trio

from pointsman_agent.backoff import Backoff
from pointsman_agent.bundleurl import BundleUrl, host_of
from pointsman_agent.ports import Secrets
from pointsman_agent.sources import Fail, Offer
from pointsman_agent.sources.download import WHOLE_WITHIN_S, Download, DownloadFault, download

FIRST_WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 900.0
PATIENCE_S: Final = 300.0  # a server that is away for less, while a bundle is in force, is worth a log line only

log = structlog.get_logger()


class HttpSource:
    """Follows `place`. `on_failure` is told the host after each failure, for its address may be another by now."""

    def __init__(
        self,
        place: BundleUrl,
        secrets: Secrets,
        *,
        within_s: float = WHOLE_WITHIN_S,
        first_wait_s: float = FIRST_WAIT_S,
        chance: Callable[[], float] = random.random,
        on_failure: Callable[[str], None] = lambda host: None,
    ) -> None:
        self._place = place
        self._secrets = secrets
        self._within_s = within_s
        self._chance = chance
        self._on_failure = on_failure
        self._backoff = Backoff(chance, first_s=first_wait_s, longest_s=LONGEST_WAIT_S)
        self._last: Download | None = None
        self._offer_again = True
        self._told: tuple[str, str] | None = None
        self._failing_since: float | None = None
        self._asked = trio.Event()

    @property
    def origin(self) -> str:
        """The URL, without its query."""
        return self._place.shown

    def reload(self) -> None:
        """Ask the server at once, whatever it did before, and offer also what is unchanged."""
        self._offer_again = True
        self._told = None
        self._asked.set()

    async def follow(self, offer: Offer, fail: Fail) -> None:
        """Call `offer` with each other envelope, `fail` when there is none, or the server was away for long.

        Never ends.
        """
        while True:
            self._asked = trio.Event()  # before the look, so that who asks during it is heard
            wait_s = await self._look(offer, fail)
            with trio.move_on_after(wait_s):
                await self._asked.wait()

    async def _look(self, offer: Offer, fail: Fail) -> float:
        """Ask once; returns how long to wait before the next time, in seconds."""
        is_asked, self._offer_again = self._offer_again, False
        etag = None if self._last is None else self._last.etag
        try:
            found = await download(self._place, self._secrets, etag, within_s=self._within_s)
        except DownloadFault as fault:
            return await self._failed(fault, is_asked, fail)
        is_news = is_asked or self._told is not None or (found is not None and not self._is_known(found))
        self._last, self._told, self._failing_since = found or self._last, None, None
        self._backoff.succeeded()
        if is_news and self._last is not None:
            await offer(self._last.envelope)
        return self._interval()

    def _is_known(self, found: Download) -> bool:
        """A server without ETags gives the same again and again."""
        return self._last is not None and self._last.envelope == found.envelope

    async def _failed(self, fault: DownloadFault, is_asked: bool, fail: Fail) -> float:
        now = trio.current_time()
        self._on_failure(host_of(fault.url))
        self._failing_since = now if self._failing_since is None else self._failing_since
        is_short = fault.code == "unreachable" and not is_asked and now - self._failing_since < PATIENCE_S
        if is_short:
            log.warning("bundle server away", why=str(fault))
        elif self._told != (fault.code, str(fault)):
            self._told = (fault.code, str(fault))
            await fail(fault.code, f"{fault}; {fault.remedy}")
        if fault.code == "missing":
            self._backoff.succeeded()  # it answers: what is missing comes any time
            return self._interval()
        self._backoff.failed(now, retry_after=fault.retry_after_s)
        return self._backoff.remaining(now)

    def _interval(self) -> float:
        """Three to five quarters of what was configured, so that controllers do not ask in step."""
        return self._place.interval_s * (0.75 + self._chance() / 2)
