"""What is desired and offered of every site, and whether the rollout is halted: all that a rollout remembers. Pure.

It is a target of the repository itself, under the top-level `targets` role: as well guarded as the bundles are.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import ceil

import msgspec
from msgspec import Struct
from pointsman_schema.turns import turn_part

LEDGER_FORMAT = 1
BEHIND_S = 300
"""How far a clock may be behind the one by which the ledger was changed last."""


class Content(Struct, frozen=True, rename="camel"):
    """A bundle, by what it says (`digest`, of its configuration) and by its file (`sha256` in hex, `length`)."""

    digest: str
    sequence: int
    sha256: str
    length: int


class Offer(Struct, frozen=True, rename="camel"):
    """What the repository tells a site to take, `since` when, and when all of its batch should have done so.

    `brings` is the number of the oldest publication that came to the site by it. `is_excused`: a failure
    of it was looked at, and is none.
    """

    content: Content
    since: int
    spread_ends: int
    brings: int = 0
    is_excused: bool = False

    def turn(self, site: str) -> float:
        """Return the Unix time at which the site takes it: its part of the spread is signed with it."""
        return self.since + (self.spread_ends - self.since) * turn_part(site, self.content.sha256)


class Unproven(Struct, frozen=True, rename="camel"):
    """Changes that a site was offered and that have yet to prove themselves, by the numbers of their publications.

    The spread of the `newest` ends at `spread_ends`.
    """

    oldest: int
    newest: int
    spread_ends: int


class SiteEntry(Struct, frozen=True, rename="camel"):
    """One site: where it is in the world, and what it is to have.

    `published` is the number of the publication that made it `desired`, `waits_since` that of the oldest change which
    the site was not offered, where it is pending. `before` is what it was offered before `offered`, and has until its
    turn comes; `withdrawn` what was taken back from it last, which it may have taken before it could know.

    Of what it was offered, the oldest is `unproven` first. A change that comes on top of another does not make that one
    begin anew: a site that changes all the time would never prove anything. There are two at most, the second for all
    that came after the first.
    """

    time_zone: str
    labels: Mapping[str, str]
    desired: Content
    published: int = 0
    waits_since: int = 0
    offered: Offer | None = None
    before: Offer | None = None
    withdrawn: Offer | None = None
    unproven: tuple[Unproven, ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether the site has not been offered what is desired. The same configuration is no change."""
        return self.offered is None or self.offered.content.digest != self.desired.digest

    def on_trial(self, site: str, now: int) -> Offer | None:
        """Return the offer that is on trial: the one before, while that is unproven and still what the site has."""
        if self.offered is None or not self.unproven:
            return None
        has_before = is_to_come(self, site, now) and self.unproven[0].oldest < self.offered.brings
        return self.before if has_before else self.offered


class Halt(Struct, frozen=True, rename="camel"):
    """Nothing moves: since when, why, and in which ring it began (none: a person halted)."""

    at: int
    because: str
    ring: str | None = None


class Publication(Struct, frozen=True, rename="camel"):
    """A publication that changed something: when, of which revision, how many sites, and its own number.

    Those of one revision have one number: what is published in parts belongs together.
    """

    at: int
    revision: str | None
    sites: int
    number: int = 0


class Ledger(Struct, frozen=True, rename="camel"):
    """The state of a rollout, last changed `at`; times are Unix times in seconds.

    `earlier` are publications before the last one that a site still waits for.
    """

    format: int = LEDGER_FORMAT
    at: int = 0
    sites: Mapping[str, SiteEntry] = {}
    halt: Halt | None = None
    published: Publication | None = None
    earlier: tuple[Publication, ...] = ()

    def publication(self, number: int) -> Publication | None:
        """Return the publication of that number, where it is remembered."""
        known = (*self.earlier, self.published)
        return next((each for each in known if each is not None and each.number == number), None)


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


def present(ledger: Ledger, now: int) -> int:
    """Return the time for a change of `ledger`: `now`, and never before its last one, from a clock that is a bit ahead.

    Turns would be to come again, and what was taken would be taken back. Raises LedgerError where `now` is long before.
    """
    if now < ledger.at - BEHIND_S:
        known = datetime.fromtimestamp(ledger.at, UTC)
        raise LedgerError(
            f"the clock is behind: the rollout was last changed at {known:%Y-%m-%dT%H:%M:%SZ}",
            "set the clock, or give a later --at",
        )
    return max(now, ledger.at)


def publish(
    ledger: Ledger, newcomers: Iterable[Newcomer], now: int, revision: str | None, gone: Iterable[str] = ()
) -> Ledger:
    """Return `ledger` with what is desired renewed; nothing is offered by that.

    A site that says the same as before is left as it is. Raises LedgerError where a sequence falls, or a site that is
    `gone` was never there.
    """
    sites = dict(ledger.sites)
    number = _number(ledger.published, revision)
    changed = 0
    for new in newcomers:
        known = sites.get(new.site)
        if known is None:
            sites[new.site] = SiteEntry(new.time_zone, new.labels, new.content, number, number)
            changed += 1
        elif known.desired.digest != new.content.digest:
            _demand_rising(new, known.desired)
            sites[new.site] = msgspec.structs.replace(
                known,
                time_zone=new.time_zone,
                labels=new.labels,
                desired=new.content,
                published=number,
                waits_since=known.waits_since if known.is_pending else number,
            )
            changed += 1
    for site in gone:
        if sites.pop(site, None) is None:
            raise LedgerError(f"there is no site {site} in the repository", "name one that was published")
        changed += 1
    if not changed:
        return ledger
    waited_for = {entry.published for entry in sites.values() if entry.is_pending} - {number}
    earlier = tuple(one for one in (*ledger.earlier, ledger.published) if one is not None and one.number in waited_for)
    last = Publication(now, revision, changed, number)
    return msgspec.structs.replace(ledger, at=now, sites=sites, published=last, earlier=earlier)


def _number(last: Publication | None, revision: str | None) -> int:
    if last is None:
        return 1
    return last.number if revision is not None and revision == last.revision else last.number + 1


def offer(entry: SiteEntry, site: str, spread: int, now: int) -> SiteEntry:
    """Return `entry` with what is desired offered, to be taken within `spread` seconds.

    A site whose turn for something else is still to come has not taken that, and keeps its turn: with a new one it
    could wait for ever. The first bundle of a site has nothing to prove.
    """
    since, ends = now, now + spread
    if is_to_come(entry, site, now):
        assert entry.offered is not None
        since = ends = ceil(entry.offered.turn(site))
        entry = _without_offer(entry)
    return _offered(entry, Offer(entry.desired, since, ends, entry.waits_since))


def _offered(entry: SiteEntry, made: Offer) -> SiteEntry:
    last = Unproven(made.brings, entry.published, made.spread_ends)
    unproven = () if entry.offered is None else _and_then(entry.unproven, last)
    return msgspec.structs.replace(entry, offered=made, before=entry.offered, withdrawn=None, unproven=unproven)


def _and_then(unproven: tuple[Unproven, ...], last: Unproven) -> tuple[Unproven, ...]:
    first, *later = (*unproven, last)
    return (first, Unproven(later[0].oldest, last.newest, last.spread_ends)) if later else (first,)


def withdraw(ledger: Ledger, sites: Iterable[str], now: int) -> tuple[Ledger, tuple[str, ...]]:
    """Take back what was offered to `sites` and whose turn has not come; return also which those are.

    They are offered again what they were offered before; after a first bundle, nothing.
    """
    entries = dict(ledger.sites)
    taken = []
    for site in sites:
        entry = entries[site]
        if is_to_come(entry, site, now):
            entries[site] = _without_offer(entry)
            taken.append(site)
    return (msgspec.structs.replace(ledger, at=now, sites=entries) if taken else ledger), tuple(taken)


def _without_offer(entry: SiteEntry) -> SiteEntry:
    assert entry.offered is not None
    brought = entry.offered.brings
    return msgspec.structs.replace(
        entry,
        offered=entry.before,
        before=None,
        withdrawn=entry.offered,
        waits_since=brought,
        unproven=tuple(each for each in entry.unproven if each.oldest < brought),
    )


def offer_again(ledger: Ledger, sites: Iterable[str]) -> Ledger:
    """Offer `sites` what was taken back from them, for they have taken it."""
    entries = dict(ledger.sites)
    for site in sites:
        entry = entries[site]
        assert entry.withdrawn is not None
        entries[site] = _offered(entry, entry.withdrawn)
    return msgspec.structs.replace(ledger, sites=entries)


def is_to_come(entry: SiteEntry, site: str, now: int) -> bool:
    """Whether the turn of what the site was offered has not come yet, and it can be taken back."""
    offered = entry.offered
    return offered is not None and now < offered.spread_ends and now < offered.turn(site)


def halt(ledger: Ledger, because: str, now: int) -> tuple[Ledger, tuple[str, ...]]:
    """Return `ledger` halted by a person, and the sites from which an offer was taken back by that.

    Raises LedgerError where it is halted already.
    """
    if ledger.halt is not None:
        raise LedgerError(f"the rollout is halted already: {ledger.halt.because}", "lift it with `resume`")
    return withdraw(msgspec.structs.replace(ledger, at=now, halt=Halt(now, because)), ledger.sites, now)


def resume(ledger: Ledger, excused: Iterable[str] = ()) -> Ledger:
    """Return `ledger` with its halt lifted; the failures of the sites `excused` no longer count.

    Nor do failures of what is no longer desired: what came after it may be the fix. Raises LedgerError where nothing is
    halted, or a site is unknown.
    """
    if ledger.halt is None:
        raise LedgerError("nothing is halted", "`status` says what the rollout waits for")
    sites = dict(ledger.sites)
    for site in excused:
        if site not in sites or sites[site].offered is None:
            raise LedgerError(f"nothing was offered to a site {site}", "name a site that failed")
    for site in {*excused, *(site for site, entry in sites.items() if entry.unproven and entry.is_pending)}:
        sites[site] = _excused(sites[site])
    return msgspec.structs.replace(ledger, sites=sites, halt=None)


def _excused(entry: SiteEntry) -> SiteEntry:
    offers = {
        name: msgspec.structs.replace(offer, is_excused=True)
        for name, offer in (("offered", entry.offered), ("before", entry.before))
        if offer is not None
    }
    return msgspec.structs.replace(entry, **offers)


def _demand_rising(new: Newcomer, known: Content) -> None:
    if new.content.sequence <= known.sequence:
        message = f"{new.site}: sequence {new.content.sequence} is not above {known.sequence}, which is published"
        raise LedgerError(message, "going back is old content with a new sequence: revert the change and compile it")
