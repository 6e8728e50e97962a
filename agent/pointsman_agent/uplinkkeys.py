"""Keys that supervisions set for their uplinks (rule 21): kept durably, proven before the old one is forgotten.

One file a station, in a folder a supervision and host, so that a key is never shown to another host:

    STATE/keys/<supervision>@<host>/<station>.json

A key lives as long as the configured secret that it replaced: another content of that secret ends it. Until a
handshake with the new key succeeded, the one before it is kept and tried second; a third key replaces the unproven one.
The file is replaced in one step, so a power cut at any point leaves a key that works.
"""

import hashlib
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from pointsman_agent.slots import write_durably

_NOTHING_CONFIGURED: Final = "none"


class _StoredKey(msgspec.Struct, frozen=True):
    """`before` is the last proven key, None for the configured one; `replaced` the digest of the configured one."""

    key: bytes
    is_proven: bool
    before: bytes | None
    replaced: str


class UplinkKeys:
    """The uplink keys of a controller. All calls but `is_unset` touch the disk, so they belong in a thread, and raise
    OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._set: set[str] | None = None

    def load(self) -> None:
        """Find out which keys there are; nobody else writes any."""
        self._set = {f"{path.parent.name}/{path.name}" for path in self._folder.glob("*/*.json")}

    def is_unset(self, supervision: str, host: str, station: str) -> bool:
        """Whether no key was ever set there, so that the configured one counts: known at once, without the disk.

        False for most stations of few sites; also where `load` was not called, and nobody knows.
        """
        return self._set is not None and (not self._set or _name(supervision, host, station) not in self._set)

    def candidates(self, supervision: str, host: str, station: str, configured: bytes | None) -> list[bytes | None]:
        """Return the keys to try, best first, at most two; None in it stands for no key at all."""
        stored = self._read(supervision, host, station, configured)
        if stored is None:
            return [configured]
        if stored.is_proven:
            return [stored.key]
        return [stored.key, configured if stored.before is None else stored.before]

    def store(self, supervision: str, host: str, station: str, configured: bytes | None, key: bytes) -> None:
        """Keep `key`, not proven yet; durable when this returns."""
        stored = self._read(supervision, host, station, configured)
        before = None
        if stored is not None:
            before = stored.key if stored.is_proven else stored.before
        self._write(supervision, host, station, _StoredKey(key, False, before, _digest(configured)))

    def prove(self, supervision: str, host: str, station: str, configured: bytes | None, key: bytes) -> None:
        """Note that a handshake with `key` succeeded; the key before it is forgotten."""
        stored = self._read(supervision, host, station, configured)
        if stored is None or stored.is_proven:
            return
        if key == stored.key:
            self._write(supervision, host, station, _StoredKey(key, True, None, stored.replaced))

    def differs(self, supervision: str, host: str, station: str, configured: bytes | None) -> bool:
        """Whether another key than the configured one is in use."""
        return self._read(supervision, host, station, configured) is not None

    def _read(self, supervision: str, host: str, station: str, configured: bytes | None) -> _StoredKey | None:
        try:
            stored = msgspec.json.decode(self._path(supervision, host, station).read_bytes(), type=_StoredKey)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return stored if stored.replaced == _digest(configured) else None

    def _write(self, supervision: str, host: str, station: str, stored: _StoredKey) -> None:
        name = _name(supervision, host, station)
        if self._set is not None:
            self._set.add(name)  # before it is there: who asks too early looks at the disk in vain
        path = self._folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(path, msgspec.json.encode(stored))

    def _path(self, supervision: str, host: str, station: str) -> Path:
        return self._folder / _name(supervision, host, station)


def _name(supervision: str, host: str, station: str) -> str:
    """The file of a key below the folder: quoted, so that no name can leave it; `.` is what quoting leaves as it is."""
    name = quote(station, safe="").replace(".", "%2E")
    return f"{quote(supervision, safe='')}@{quote(host, safe='')}/{name}.json"


def _digest(configured: bytes | None) -> str:
    """Of the configured key, to notice that it changed; salted by purpose, since keys may be short."""
    if configured is None:
        return _NOTHING_CONFIGURED
    return hashlib.scrypt(configured, salt=b"pointsman uplink key", n=2**12, r=8, p=1, dklen=32).hex()
