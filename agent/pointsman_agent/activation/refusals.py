"""Bundles that are not taken: remembered with the reason, told once, and tried again where that may help (rule 49)."""

from collections.abc import Callable
from typing import Final

import structlog
import trio
from pointsman_schema.bundle import Bundle

from pointsman_agent.activation.archive import Archive
from pointsman_agent.activation.history import History
from pointsman_agent.clockoffset import read_rfc3339
from pointsman_agent.entries import BundleEvent
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import Clock, Failure
from pointsman_agent.status import Status
from pointsman_agent.verification import BundleRefused

ASK_AGAIN_S: Final = (60.0, 900.0)  # from the first refusal that may pass by itself to the last
PASSING: Final = frozenset({"secret-missing", "badge-list", "tls-material", "listener", "storage", "unresolved"})
"""Refusals for what is beside the bundle: a file, a port, a name. It is tried again by itself."""

log = structlog.get_logger()


class Refusals:
    """What was refused last, and when the source is asked again by `ask_again`."""

    def __init__(
        self,
        *,
        archive: Archive,
        history: History,
        status: Status,
        clock: Clock,
        nursery: trio.Nursery,
        ask_again: Callable[[], None],
    ) -> None:
        self._archive = archive
        self._history = history
        self._status = status
        self._clock = clock
        self._nursery = nursery
        self._ask_again = ask_again
        self._asking = trio.CancelScope()
        self._ask_after_s = ASK_AGAIN_S[0]

    def settle(self) -> None:
        """A bundle was taken: nothing is to be tried again."""
        self._asking.cancel()
        self._ask_after_s = ASK_AGAIN_S[0]

    def demand_not_in_quarantine(self, bundle: Bundle) -> None:
        """Raise BundleRefused `quarantined` where the configuration is that of a bundle that failed (rule 47)."""
        quarantine = self._archive.stored.quarantine
        if quarantine is None or quarantine.digest != bundle.config_digest:
            return
        until = read_rfc3339(quarantine.until)
        if until is not None and self._clock.now() < until:
            message = f"{quarantine.why}; not tried again before {quarantine.until}, or `reload --retry`"
            raise BundleRefused("quarantined", message, bundle=bundle)

    async def note(self, error: BundleRefused, origin: str = "") -> None:
        """Remember a refusal; one that is known is told no more."""
        known = self._archive.stored.last_failed
        if known is not None and (known.digest, known.code, known.message) == (error.digest, error.code, str(error)):
            log.info("bundle refused again", code=error.code, digest=error.digest)
        elif error.code == "quarantined" and known is not None and known.code == "probation":
            log.info("bundle in quarantine", digest=error.digest)  # why it failed is what people have to see
        else:
            await self._keep(error, origin)
        if error.code in PASSING:
            self.ask_later(self._ask_after_s)
            self._ask_after_s = min(self._ask_after_s * 2, ASK_AGAIN_S[1])

    async def note_source(self, code: str, message: str) -> None:
        """Remember why the source gives no bundle at all; that replaces no bundle which was refused before."""
        known = self._status.source_fault
        if known is not None and (known.code, known.message) == (code, message):
            log.info("bundle refused again", code=code, digest=None)
            return
        log.error("bundle refused", code=code, why=message, digest=None, sequence=None)
        self._status.source_failed(code, message)
        await self._history.note(BundleEvent("refused", "", None, "", f"{code}: {message}"))

    async def _keep(self, error: BundleRefused, origin: str) -> None:
        failure = Failure(error.digest, error.sequence, rfc3339(self._clock.now()), error.code, str(error))
        log.error("bundle refused", code=error.code, why=str(error), digest=error.digest, sequence=error.sequence)
        try:
            await self._archive.save(last_failed=failure)
        except OSError as storage:
            log.error("refusal not stored", why=str(storage))
        self._status.last_failed = failure
        detail = f"{error.code}: {error}"
        await self._history.note(BundleEvent("refused", error.digest or "", error.sequence, origin, detail))

    def ask_later(self, seconds: float) -> None:
        """Ask the source again after a while, in place of what was planned before."""
        self._asking.cancel()
        self._asking = trio.CancelScope()
        self._nursery.start_soon(self._ask, self._asking, seconds)

    async def _ask(self, scope: trio.CancelScope, seconds: float) -> None:
        with scope:
            await trio.sleep(seconds)
            self._ask_again()
