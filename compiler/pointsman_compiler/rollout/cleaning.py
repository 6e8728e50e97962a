"""Which files of a repository nobody is led to any more.

A reader goes where a timestamp leads, and believes one for two days. So what only an older snapshot names can go two
days after the next one was signed, whenever that was sent; nothing has to be kept about it. The ledger is most of what
a change writes, and read by nobody but who owns the folder: where all was sent, an old one goes after an hour.

The bundles that the ledger knows stay (what is desired, offered, and may be offered again), and so do all roots: a
controller that was away for years follows them one by one.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from pointsman_compiler.rollout.creation import BIN_PREFIX
from pointsman_compiler.rollout.ledger import Ledger
from pointsman_compiler.rollout.reading import BrokenRepository
from pointsman_compiler.rollout.repository import LEDGER, Repository, bundle_name
from pointsman_compiler.rollout.signing import LASTS
from pointsman_compiler.rollout.unsent import is_all_sent

IN_FLIGHT: Final = timedelta(hours=1)
"""For who began to read before, and for clocks that differ."""

_OURS: Final = rf"\d+\.(snapshot|targets|{BIN_PREFIX}-[0-9a-f]+)\.json|[0-9a-f]{{64}}\.(.+\.bundle|{re.escape(LEDGER)})"
_LEFT_BEHIND: Final = rf"\.staging-.*|\.({_OURS}|\d+\.root\.json|timestamp\.json)\.[^.]+"


class _Version(msgspec.Struct):
    version: int


class _Snapshot(msgspec.Struct):
    expires: datetime
    meta: dict[str, _Version]


class _SignedSnapshot(msgspec.Struct):
    signed: _Snapshot


class _Target(msgspec.Struct):
    hashes: dict[str, str]


class _Targets(msgspec.Struct):
    targets: dict[str, _Target]


class _SignedTargets(msgspec.Struct):
    signed: _Targets


_Read = TypeVar("_Read", _SignedSnapshot, _SignedTargets)


def find_obsolete(repository: Repository, now: datetime) -> list[str]:
    """Return the files that can go, relative to the repository, sorted.

    Raises BrokenRepository, LedgerError or OSError.
    """
    needed = {*_bundles(repository.ledger()), *_led_to(repository, now)}
    files = (path for part in ("metadata", "targets") for path in (repository.folder / part).iterdir())
    ours = (f"{path.parent.name}/{path.name}" for path in files if re.fullmatch(_OURS, path.name))
    return sorted(name for name in ours if name not in needed)


def left_behind(folder: Path) -> list[Path]:
    """Return what a process that was killed did not clear away, files and folders; raises OSError."""
    files = (path for part in ("metadata", "targets") for path in (folder / part).iterdir())
    return [path for path in files if re.fullmatch(_LEFT_BEHIND, path.name)]


def _bundles(ledger: Ledger) -> Iterator[str]:
    for site, entry in ledger.sites.items():
        for content in (
            entry.desired,
            *(offer.content for offer in (entry.offered, entry.before, entry.withdrawn) if offer),
        ):
            yield f"targets/{bundle_name(site, content.sha256)}"


def _led_to(repository: Repository, now: datetime) -> Iterator[str]:
    """Yield what snapshots name that a timestamp may still lead to, from the one in force on backwards."""
    metadata = repository.folder / "metadata"
    ledgers_last = IN_FLIGHT if is_all_sent(repository.folder) else LASTS["timestamp"] + IN_FLIGHT
    in_force = repository.snapshot_version()
    seen: set[str] = set()
    superseded = now
    for version in sorted((one for one in _snapshots(metadata) if one <= in_force), reverse=True):
        snapshot = _read(metadata / f"{version}.snapshot.json", _SignedSnapshot)
        if superseded + LASTS["timestamp"] + IN_FLIGHT < now or snapshot is None:
            return
        yield f"metadata/{version}.snapshot.json"
        with_ledger = superseded + ledgers_last >= now
        for file in {f"{meta.version}.{name}" for name, meta in snapshot.signed.meta.items()} - seen:
            seen.add(file)
            yield f"metadata/{file}"
            yield from _named_by(metadata / file, with_ledger)
        superseded = min(now, snapshot.signed.expires - LASTS["snapshot"])


def _named_by(path: Path, with_ledger: bool) -> Iterator[str]:
    targets = _read(path, _SignedTargets)
    for name, target in targets.signed.targets.items() if targets else ():
        if with_ledger or name != LEDGER:
            yield f"targets/{target.hashes.get('sha256')}.{name}"


def _snapshots(metadata: Path) -> Iterator[int]:
    for path in metadata.glob("*.snapshot.json"):
        number = path.name.partition(".")[0]
        if number.isdecimal():
            yield int(number)


def _read(path: Path, kind: type[_Read]) -> _Read | None:
    """None where it is gone: what it named may go too."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenRepository(f"{path.name} cannot be read") from error
