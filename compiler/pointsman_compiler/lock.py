"""What a bundle was made with, and what a fleet's bundles say: locks.

A bundle's own lock holds the digests of all files that went in, the compiler's version and the time zone data's. A lock
file holds the configuration's digest of each site, so that a later run proves that it makes what was reviewed.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
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


class LockUnreadable(ValueError):
    """A text that is no lock. Its author is at fault."""


def lock_of(tree: SourceTree, files: Iterable[str]) -> Lock:
    """Return the lock over `files` of `tree`, the bytes that the check has seen."""
    inputs = [Input(file=file, digest=digest_of(tree.read(file))) for file in sorted(files)]
    return Lock(compiler=compiler_version(), tzdata=tzdata_version(), inputs=inputs)


def lock_text(digests: Mapping[str, str]) -> str:
    """Return the lock file of `digests`: one object, site → configuration's digest, sorted, a line each."""
    return json.dumps(digests, indent=2, sort_keys=True) + "\n"


def read_lock(text: bytes) -> dict[str, str]:
    """Return site → configuration's digest from a lock file, or from a plan's JSON; raises LockUnreadable."""
    try:
        found = msgspec.json.decode(text)
        if isinstance(found, dict) and isinstance(found.get(PLAN_KEY), dict):
            found = found[PLAN_KEY]
        return msgspec.convert(found, dict[SiteId, Digest])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LockUnreadable(f"this is no lock: {error}") from error


def differences(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    """Yield, in the order of sites, how `found` differs from what was `locked`: a sentence part for each site."""
    for site in sorted({*locked, *found}):
        if site not in found:
            yield f"{site} is locked, but there is no such site"
        elif site not in locked:
            yield f"{site} is not in the lock"
        elif locked[site] != found[site]:
            yield f"{site} gives {_short(found[site])}, but {_short(locked[site])} is locked"


@lru_cache(maxsize=1)
def compiler_version() -> str:
    """Return the version of this distribution."""
    return version("pointsman-compiler")


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
