"""What became of bundles, in the journal, for people who ask later: what, when, from where, and why."""

import structlog
from pointsman_schema.bundle import Bundle

from pointsman_agent.entries import BundleEvent
from pointsman_agent.ports import Journal, JournalFault

log = structlog.get_logger()


class History:
    """Writes it down and logs it. A journal that does not store holds nothing up."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def note(self, event: BundleEvent) -> None:
        """Keep `event`."""
        try:
            await self._journal.append(event)
        except JournalFault as error:
            log.error("bundle event not stored", what=event.what, why=str(error))


def of_bundle(what: str, bundle: Bundle, *, origin: str = "", detail: str = "", station: str = "") -> BundleEvent:
    """Return an event of a known bundle."""
    return BundleEvent(what, bundle.config_digest, bundle.sequence, origin, detail, station)
