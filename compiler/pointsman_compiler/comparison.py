"""Two stores of a fleet's files → its sites compared, one after the other, each dropped but for its plan.

What a site compiles to depends on its file, on fleet.yaml and on the files that these name. So a site is *untouched*
where all of these have the same bytes on both sides. Which files a site names is known only after it was read as YAML;
before that, a name is told by the letters and digits that it must be written with.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

from pointsman_compiler.git import blob_hash
from pointsman_compiler.judging import Judge, Judged, Opened, SiteReport
from pointsman_compiler.plan.causes import Side
from pointsman_compiler.plan.fleetfacts import SiteFacts, facts_of
from pointsman_compiler.plan.siteplan import SitePlan, compare, compare_crossing, unknown_before, unknown_removed
from pointsman_compiler.sources import FLEET_FILE, SourceError, SourceTree
from pointsman_compiler.stores import Found, Store
from pointsman_compiler.stores.commit import Commit

_WORD: Final = re.compile(rb"[A-Za-z0-9]+")
_ESCAPES: Final = b"\\"
"""Behind it, a quoted text may hold letters that are not written as themselves."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The file of one site on each side; None where the site is not there. Where `is_untouched`, both say the same."""

    before: str | None
    after: str | None
    is_untouched: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """What is left of a site: its plan, unless it does not compile after the change (or on either side).

    `report` is that of the side after, `facts` are those of the side before.
    """

    site: str
    plan: SitePlan | None
    report: SiteReport | None
    facts: SiteFacts | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The recipe of a run over the sites of two stores, by id. `differing` are the files that differ between them.

    `crossing` has the stations that go from the site before to the site after, where a pair is of two sites.
    """

    before: Store
    after: Store
    at: datetime
    pairs: Mapping[str, Pair]
    differing: frozenset[str]
    show_badges: bool = False
    crossing: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def begin(self) -> Callable[[str], Compared]:
        """Return the work on one site, by its id."""
        return _Comparer(self).compare


class _Comparer:
    """Judges sites on both sides."""

    def __init__(self, recipe: Comparison) -> None:
        self._recipe = recipe
        # A process of the crew must not share its git with another one.
        self._before = _Judging(SourceTree(_fresh(recipe.before)), recipe.at)
        self._after = _Judging(SourceTree(_fresh(recipe.after)), recipe.at)

    def compare(self, site: str) -> Compared:
        pair = self._recipe.pairs[site]
        opened_after = self._after.open(pair.after)
        judged_after, after = self._after.judge(opened_after)
        report = judged_after.report if judged_after is not None else None
        if pair.is_untouched:
            return Compared(site, compare(after, after) if after is not None else None, report, _facts(after))
        is_same_file = pair.before == pair.after and pair.before not in self._recipe.differing
        _, before = self._before.judge(opened_after if is_same_file else self._before.open(pair.before))
        return Compared(site, self._plan(site, pair, before, after), report, _facts(before))

    def _plan(self, site: str, pair: Pair, before: Side | None, after: Side | None) -> SitePlan | None:
        if pair.after is not None and after is None:
            return None
        if pair.before is not None and before is None:
            return unknown_before(after) if after is not None else unknown_removed(site, pair.before)
        stations = self._recipe.crossing.get(site)
        if stations is not None and before is not None and after is not None:
            return compare_crossing(before, after, self._recipe.differing, stations)
        return compare(before, after, self._recipe.differing, show_badges=self._recipe.show_badges)


class _Judging:
    """One side: a judge, and what it read let go of after each site."""

    def __init__(self, tree: SourceTree, at: datetime) -> None:
        self._tree = tree
        self._judge = Judge(tree, at)

    def open(self, file: str | None) -> Opened | None:
        if file is None:
            return None
        opened = self._judge.open(file)
        self._tree.forget(file)
        return opened

    def judge(self, opened: Opened | None) -> tuple[Judged | None, Side | None]:
        if opened is None:
            return None, None
        judged = self._judge.judge_opened(opened)
        self._judge.trim()
        resolved = judged.resolved
        return judged, Side(resolved, self._judge.fleet.document) if resolved is not None else None


def _facts(side: Side | None) -> SiteFacts | None:
    return facts_of(side.resolved.config) if side is not None else None


def _fresh(store: Store) -> Store:
    return replace(store) if isinstance(store, Commit) else store


def differing_files(before: Store, after: Store) -> frozenset[str]:
    """Return the names of all files that are on one side only, or have other bytes. Raises SourceError."""
    names_before, names_after = _names(before), _names(after)
    shared = names_before & names_after
    differing = {name for name in shared if _differs(before, after, name)}
    return frozenset(differing | (names_before ^ names_after))


def _differs(before: Store, after: Store, name: str) -> bool:
    """Hashes that git has already spare the reading."""
    match before, after:
        case Commit(), Commit():
            return before.blob(name) != after.blob(name)
        case Commit(), _:
            return not _is_blob(before.blob(name), _content(after, name))
        case _, Commit():
            return not _is_blob(after.blob(name), _content(before, name))
    return _content(before, name) != _content(after, name)


def _is_blob(blob: str | None, content: bytes | str) -> bool:
    return blob is not None and isinstance(content, bytes) and blob_hash(content, blob) == blob


def touched_sites(
    before: SourceTree, after: SourceTree, pairs: Mapping[str, Pair], differing: frozenset[str]
) -> frozenset[str]:
    """Return the ids of the sites that may compile to something else; all others are sure not to."""
    moved = {site for site, pair in pairs.items() if pair.before != pair.after or pair.after in differing}
    sites = {file for pair in pairs.values() for file in (pair.before, pair.after)}
    shared = differing - sites
    if _touches_all(before, after, shared):
        return frozenset(pairs)
    words = _words_of_names(shared)
    named = {site for site in pairs.keys() - moved if words and _may_name(after, pairs[site].after, words)}
    return frozenset(moved | named)


def _touches_all(before: SourceTree, after: SourceTree, shared: Iterable[str]) -> bool:
    """Links to folders are rare, and what stands behind one is not walked."""
    if FLEET_FILE in shared or any(_has_linked_folder(tree.store) for tree in (before, after)):
        return True
    words = _words_of_names(shared)
    return bool(words) and after.store.has(FLEET_FILE) and _may_name(after, FLEET_FILE, words)


def _has_linked_folder(store: Store) -> bool:
    return any(found.is_linked_folder for found in _walk(store))


def _words_of_names(files: Iterable[str]) -> frozenset[bytes]:
    """For each file a word that stands wherever its name does; the empty one where it has none."""
    words = (_WORD.findall(PurePosixPath(file).name.encode(errors="surrogateescape")) for file in files)
    return frozenset(max(found, key=len, default=b"") for found in words)


def _may_name(tree: SourceTree, file: str | None, words: frozenset[bytes]) -> bool:
    text = _content(tree.store, file) if file is not None else b""
    if not isinstance(text, bytes) or b"" in words or _ESCAPES in text:
        return True
    return not words.isdisjoint(_WORD.findall(text))


def contents(store: Store) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of every file that can be read."""
    for name in sorted(_names(store)):
        content = _content(store, name)
        if isinstance(content, bytes):
            yield name, content


def _content(store: Store, file: str) -> bytes | str:
    """The bytes of `file`, or why it has none."""
    try:
        return store.read(file)
    except SourceError as error:
        return error.message


def _names(store: Store) -> frozenset[str]:
    return frozenset(found.name for found in _walk(store) if not found.is_linked_folder)


def _walk(store: Store) -> Iterator[Found]:
    try:
        yield from store.walk(hidden=True)
    except SourceError as error:
        if error.reason != "missing":
            raise
