"""What could not be sent yet: one file a report, in a folder, bounded in number and size.

Nothing is forced to the disk: after a power cut the last seconds' reports may be missing or cut short, which nobody
acts on. When it is full, the oldest go. A disk that takes nothing, or gives nothing back, stops no report that comes
after: the newest one waits in memory then, and what cannot be read is passed over.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

KEPT_AT_MOST: Final = 2880
"""Two days of reports, one a minute."""
KEPT_BYTES: Final = 16 * 1024 * 1024
_DIGITS: Final = 12
_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Faults of the moment, which say nothing of the file that was to be read."""


class Spool:
    """Reports in `folder`, oldest first; each ends with a line's end."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        entries = [entry for entry in os.scandir(folder) if entry.name.isdecimal()]
        self._sizes = dict(sorted((entry.name, entry.stat(follow_symlinks=False).st_size) for entry in entries))
        self._newest = max(map(int, self._sizes), default=0)
        self._in_memory: dict[str, bytes] = {}  # the newest report that the disk did not take
        self.dropped = 0
        self.unread = 0
        """Reports that were passed over: gone, damaged, or not ours to read."""

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, report: bytes) -> None:
        """Keep `report` as the newest; raises OSError where it, alone, is kept in memory only."""
        self._newest += 1  # no name comes twice: a file that cannot be read may stand under an old one
        name = f"{self._newest:0{_DIGITS}}"
        try:
            self._write(name, report)
        except OSError:
            for older in list(self._in_memory):
                self._remove(older)
            self._in_memory[name] = report
            raise
        finally:
            self._sizes[name] = len(report)
            while len(self._sizes) > KEPT_AT_MOST or sum(self._sizes.values()) > KEPT_BYTES:
                self._remove(next(iter(self._sizes)))
                self.dropped += 1

    def oldest(self, most_bytes: int) -> tuple[list[str], bytes]:
        """Return the names of the oldest reports, and what they say together; they stay until `remove`.

        Together they have `most_bytes` at most, or there is one only; none when none can be read. Raises OSError when
        nothing can be read for now.
        """
        names: list[str] = []
        text = bytearray()
        for name in list(self._sizes):
            if names and len(text) + self._sizes[name] > most_bytes:
                break
            if report := self._read(name):
                names.append(name)
                text += report
        return names, bytes(text)

    @property
    def newest_name(self) -> str | None:
        """The name of the newest report, where there is one."""
        return next(reversed(self._sizes), None)

    def newest(self) -> tuple[list[str], bytes]:
        """Return the newest report that can be read, as `oldest` does the oldest ones."""
        for name in reversed(list(self._sizes)):
            if report := self._read(name):
                return [name], report
        return [], b""

    def remove(self, names: list[str]) -> None:
        """Let go of reports that were sent."""
        for name in names:
            if name in self._sizes:
                self._remove(name)

    def _write(self, name: str, report: bytes) -> None:
        temporary = self._folder / f".{name}"
        try:
            temporary.write_bytes(report)
            os.replace(temporary, self._folder / name)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise

    def _read(self, name: str) -> bytes:
        """Return the report; nothing of one that cannot be read, which is passed over from now on."""
        try:
            report = self._in_memory.get(name) or (self._folder / name).read_bytes()
        except OSError as error:
            if error.errno in _PASSING:
                raise
            del self._sizes[name]  # its file stays: somebody may make it readable, and a restart finds it
        else:
            if report.endswith(b"\n"):
                return report
            self._remove(name)
        self.unread += 1
        return b""

    def _remove(self, name: str) -> None:
        del self._sizes[name]
        if self._in_memory.pop(name, None) is None:
            with suppress(OSError):  # what stays comes again after a restart, which does no harm: samples have times
                (self._folder / name).unlink()
