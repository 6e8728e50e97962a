"""What a bundle was made with, and what a fleet's bundles say: locks.

A bundle's own lock holds the digests of all files that went in, the compiler's version and the time zone data's. A lock
file holds the configuration's digest of each site, so that a later run proves that it makes what was reviewed.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from typing import Final

import msgspec
from pointsman_schema.bundle import Digest, Input, Lock, SiteId
from pointsman_schema.canonical import digest_of
from pointsman_schema.timezones import tzdata_version

from pointsman_compiler.sources import SourceTree

PLAN_KEY: Final = "lock"
"""Where the JSON of a plan has its lock."""


@dataclass(frozen=True, slots=True)
class Locked:
    """What a later run must give: each site's configuration, or, for sites that have no digest here, the same files.

    `files` are None in a lock of digests alone. The same files give the same only where `made_with` is the same: the
    versions of the compiler and of the time zone data.
    """

    digests: Mapping[str, str]
    files: Mapping[str, str] | None = None
    made_with: tuple[str, str] | None = None

    def only(self, sites: Collection[str]) -> "Locked":
        """Return what is said of `sites`."""
        return replace(self, digests={site: digest for site, digest in self.digests.items() if site in sites})


class _PlanJson(msgspec.Struct, rename="camel"):
    """The part of a plan that locks."""

    lock: dict[SiteId, Digest]
    compiler: str | None = None
    tzdata: str | None = None
    files: dict[str, Digest] | None = None


class LockUnreadable(ValueError):
    """A text that is no lock. Its author is at fault."""


def lock_of(tree: SourceTree, files: Iterable[str]) -> Lock:
    """Return the lock over `files` of `tree`, the bytes that the check has seen."""
    inputs = [Input(file=file, digest=digest_of(tree.read(file))) for file in sorted(files)]
    return Lock(compiler=compiler_version(), tzdata=tzdata_version(), inputs=inputs)


def lock_text(digests: Mapping[str, str]) -> str:
    """Return the lock file of `digests`: one object, site → configuration's digest, sorted, a line each."""
    return json.dumps(digests, indent=2, sort_keys=True) + "\n"


def read_lock(text: bytes) -> Locked:
    """Return what a lock file locks, or a plan's JSON; raises LockUnreadable."""
    try:
        found = msgspec.json.decode(text)
        if isinstance(found, dict) and isinstance(found.get(PLAN_KEY), dict):
            plan = msgspec.convert(found, _PlanJson)
            made_with = (plan.compiler, plan.tzdata) if plan.compiler and plan.tzdata else None
            return Locked(plan.lock, plan.files, made_with)
        return Locked(msgspec.convert(found, dict[SiteId, Digest]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LockUnreadable(f"this is no lock: {error}") from error


def differences(locked: Locked, found: Mapping[str, tuple[str, Sequence[Input]]]) -> Iterator[str]:
    """Yield, in the order of sites, how what was `found` differs from what is locked: a sentence part for each site.

    `found` has the configuration's digest of each site, and the files that it was made of.
    """
    versions = (compiler_version(), tzdata_version())
    for site in sorted({*locked.digests, *found}):
        if site not in found:
            yield f"{site} is locked, but there is no such site"
        elif site in locked.digests:
            if locked.digests[site] != found[site][0]:
                yield f"{site} gives {_short(found[site][0])}, but {_short(locked.digests[site])} is locked"
        elif locked.files is None:
            yield f"{site} is not in the lock"
        elif locked.made_with != versions:
            was = " and tzdata ".join(locked.made_with or ("another version",))
            yield f"{site} was planned by pointsman {was}, and this is {' and tzdata '.join(versions)}"
        else:
            changed = [one.file for one in found[site][1] if locked.files.get(one.file) != one.digest]
            if changed:
                yield f"{site}: {', '.join(changed)} is not as it was planned"


@lru_cache(maxsize=1)
def compiler_version() -> str:
    """Return the version of this distribution."""
    return version("pointsman-compiler")


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
