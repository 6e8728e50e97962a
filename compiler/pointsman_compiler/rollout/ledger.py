"""What is desired and offered of every site, and whether the rollout is halted: all that a rollout remembers. Pure.

It is a target of the repository itself, under the top-level `targets` role: as well guarded as the bundles are.
"""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct
from pointsman_schema.turns import turn_part

LEDGER_FORMAT = 1


class Content(Struct, frozen=True, rename="camel"):
    """A bundle, by what it says (`digest`, of its configuration) and by its file (`sha256` in hex, `length`)."""

    digest: str
    sequence: int
    sha256: str
    length: int


class Offer(Struct, frozen=True, rename="camel"):
    """What the repository tells a site to take, `since` when, and when all of its batch should have done so.

    It `is_open` until its batch has proven itself; `is_excused`: its failure was looked at, and does not count.
    """

    content: Content
    since: int
    spread_ends: int
    is_open: bool = False
    is_excused: bool = False

    def turn(self, site: str) -> float:
        """Return the Unix time at which the site takes it: its part of the spread is signed with it."""
        return self.since + (self.spread_ends - self.since) * turn_part(site, self.content.sha256)


class SiteEntry(Struct, frozen=True, rename="camel"):
    """One site: where it is in the world, and what it is to have.

    `before` is what it was offered before `offered`, and has until its turn comes.
    """

    time_zone: str
    labels: Mapping[str, str]
    desired: Content
    offered: Offer | None = None
    before: Offer | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the site has not been offered what is desired. The same configuration is no change."""
        return self.offered is None or self.offered.content.digest != self.desired.digest

    @property
    def is_on_trial(self) -> bool:
        """Whether what it was offered has yet to prove itself, and is still what is desired."""
        return self.offered is not None and self.offered.is_open and not self.is_pending


class Halt(Struct, frozen=True, rename="camel"):
    """Nothing moves: since when, why, and in which ring it began (none: a person halted)."""

    at: int
    because: str
    ring: str | None = None


class Publication(Struct, frozen=True, rename="camel"):
    """The last publication that changed something: when, of which revision, and how many sites."""

    at: int
    revision: str | None
    sites: int


class Ledger(Struct, frozen=True, rename="camel"):
    """The state of a rollout; times are Unix times in seconds."""

    format: int = LEDGER_FORMAT
    sites: Mapping[str, SiteEntry] = {}
    halt: Halt | None = None
    published: Publication | None = None


class Newcomer(Struct, frozen=True):
    """A bundle that is published: the site's facts from its configuration, and its content."""

    site: str
    time_zone: str
    labels: Mapping[str, str]
    content: Content


class LedgerError(Exception):
    """What was asked does not fit the state of the rollout; `help` says what to do."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


def read_ledger(text: bytes) -> Ledger:
    """Return what `write_ledger` wrote; raises LedgerError."""
    try:
        ledger = msgspec.json.decode(text, type=Ledger)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LedgerError(f"the ledger cannot be read: {error}", "take the repository's folder as it was") from error
    if ledger.format != LEDGER_FORMAT:
        raise LedgerError(f"the ledger has the format {ledger.format}", "use the version of pointsman that wrote it")
    return ledger


def write_ledger(ledger: Ledger) -> bytes:
    """Return the JSON of `ledger`, the same bytes for the same state."""
    return msgspec.json.encode(ledger, order="sorted")


def publish(
    ledger: Ledger, newcomers: Iterable[Newcomer], now: int, revision: str | None, gone: Iterable[str] = ()
) -> Ledger:
    """Return `ledger` with what is desired renewed; nothing is offered by that.

    A site that says the same as before is left as it is. Raises LedgerError where a sequence falls, or a site that is
    `gone` was never there.
    """
    sites = dict(ledger.sites)
    changed = 0
    for new in newcomers:
        known = sites.get(new.site)
        if known is None:
            sites[new.site] = SiteEntry(new.time_zone, new.labels, new.content)
            changed += 1
        elif known.desired.digest != new.content.digest:
            _demand_rising(new, known.desired)
            sites[new.site] = msgspec.structs.replace(
                known, time_zone=new.time_zone, labels=new.labels, desired=new.content
            )
            changed += 1
    for site in gone:
        if sites.pop(site, None) is None:
            raise LedgerError(f"there is no site {site} in the repository", "name one that was published")
        changed += 1
    if not changed:
        return ledger
    return msgspec.structs.replace(ledger, sites=sites, published=Publication(now, revision, changed))


def offer(entry: SiteEntry, site: str, made: Offer, now: int) -> SiteEntry:
    """Return `entry` with the offer `made`; one before it whose turn had not come was never taken."""
    last = entry.offered
    before = entry.before if last is not None and now < last.turn(site) else last
    return msgspec.structs.replace(entry, offered=made, before=before)


def withdraw(ledger: Ledger, sites: Iterable[str], now: int) -> tuple[Ledger, tuple[str, ...]]:
    """Take back what was offered to `sites` and whose turn has not come; return also which those are.

    They are offered again what they were offered before; after a first bundle, nothing.
    """
    entries = dict(ledger.sites)
    taken = []
    for site in sites:
        entry = entries[site]
        if is_to_come(entry, site, now):
            entries[site] = msgspec.structs.replace(entry, offered=entry.before, before=None)
            taken.append(site)
    return (msgspec.structs.replace(ledger, sites=entries) if taken else ledger), tuple(taken)


def is_to_come(entry: SiteEntry, site: str, now: int) -> bool:
    """Whether the turn of what the site was offered has not come yet, and it can be taken back."""
    offered = entry.offered
    if offered is None or (offered.is_open and entry.before is None):
        return False
    return now < offered.turn(site)


def halt(ledger: Ledger, because: str, now: int) -> tuple[Ledger, tuple[str, ...]]:
    """Return `ledger` halted by a person, and the sites from which an offer was taken back by that.

    Raises LedgerError where it is halted already.
    """
    if ledger.halt is not None:
        raise LedgerError(f"the rollout is halted already: {ledger.halt.because}", "lift it with `resume`")
    return withdraw(msgspec.structs.replace(ledger, halt=Halt(now, because)), ledger.sites, now)


def resume(ledger: Ledger, excused: Iterable[str] = ()) -> Ledger:
    """Return `ledger` with its halt lifted; the failures of the sites `excused` no longer count.

    Raises LedgerError where nothing is halted, or a site is unknown.
    """
    if ledger.halt is None:
        raise LedgerError("nothing is halted", "`status` says what the rollout waits for")
    sites = dict(ledger.sites)
    for site in excused:
        entry = sites.get(site)
        if entry is None or entry.offered is None:
            raise LedgerError(f"nothing was offered to a site {site}", "name a site that failed")
        sites[site] = msgspec.structs.replace(entry, offered=msgspec.structs.replace(entry.offered, is_excused=True))
    return msgspec.structs.replace(ledger, sites=sites, halt=None)


def _demand_rising(new: Newcomer, known: Content) -> None:
    if new.content.sequence <= known.sequence:
        message = f"{new.site}: sequence {new.content.sequence} is not above {known.sequence}, which is published"
        raise LedgerError(message, "going back is old content with a new sequence: revert the change and compile it")
