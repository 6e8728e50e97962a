"""Bundles of a fleet, made one after the other and laid aside until all of them are right.

A site is judged, its bundle made, signed and written into the staging folder; then all of it is dropped but a small
record. `writing.Staging` puts the bundles into place together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_schema.bundle import Input

from pointsman_compiler.emit import OldBundle, emit, make_bundle, read_old
from pointsman_compiler.judging import Judge, SiteReport
from pointsman_compiler.resolve import ResolvedSite
from pointsman_compiler.sources import SourceTree
from pointsman_compiler.writing import named


@dataclass(frozen=True, slots=True)
class Order:
    """What bundles to make: for which sites (None: all), with which numbers and keys (32 raw bytes each).

    `suffix` ends the names of the files in both folders, behind the site.
    """

    out: Path
    staging: Path
    suffix: str
    sequence: int
    revision: str | None
    keys: tuple[bytes, ...] = ()
    sites: frozenset[str] | None = None
    write_all: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """The record of a bundle: `is_staged` is false where the one in place says the same already."""

    site: str
    digest: str
    inputs: tuple[Input, ...]
    is_staged: bool
    old: OldBundle | None
    """What the bundle in place says, where there is a file."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is left of a site: its report, and its bundle's record where one was ordered and could be made."""

    report: SiteReport
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """The recipe of a run over a tree at the aware time `at`: judge each site, and fill the order if there is one."""

    root: Path
    at: datetime
    order: Order | None = None

    def begin(self) -> Callable[[str], Seen]:
        """Return the work on one site's file. It raises OSError for the folders of the order."""
        tree = SourceTree(self.root)
        judge = Judge(tree, self.at)
        press = Press(tree, self.order) if self.order is not None else None

        def see(file: str) -> Seen:
            judged = judge.judge(file)
            resolved = judged.resolved
            made = press.make(resolved) if press is not None and resolved is not None else None
            tree.forget(file)
            judge.trim()
            return Seen(judged.report, made)

        return see


class Press:
    """Makes the bundles of an order."""

    def __init__(self, tree: SourceTree, order: Order) -> None:
        self._tree = tree
        self._order = order
        self._keys = [Ed25519PrivateKey.from_private_bytes(raw) for raw in order.keys]
        self._public = [key.public_key() for key in self._keys]

    def make(self, site: ResolvedSite) -> Made | None:
        """Lay the bundle of `site` aside, unless the one in place says the same; None where it was not ordered."""
        order = self._order
        if order.sites is not None and site.site not in order.sites:
            return None
        bundle = make_bundle(site, self._tree, sequence=order.sequence, revision=order.revision)
        old = self._in_place(bundle.site)
        is_current = old is not None and old.is_trusted and old.says(bundle) and not order.write_all
        if not is_current:
            path = order.staging / f"{site.site}{order.suffix}"
            with named(path):
                path.write_bytes(emit(bundle, self._keys))
        return Made(site.site, bundle.digest, bundle.inputs, not is_current, old)

    def _in_place(self, site: str) -> OldBundle | None:
        try:
            envelope = (self._order.out / f"{site}{self._order.suffix}").read_bytes()
        except FileNotFoundError:
            return None
        return read_old(envelope, self._public)
