"""What could not be sent yet: one file a report, in a folder, bounded in number and size.

Nothing is forced to the disk: after a power cut the last seconds' reports may be missing, which nobody acts on. When it
is full, the oldest go.
"""

import os
from pathlib import Path
from typing import Final

KEPT_AT_MOST: Final = 2880
"""Two days of reports, one a minute."""
KEPT_BYTES: Final = 16 * 1024 * 1024
SENT_AT_ONCE: Final = 120
_DIGITS: Final = 12


class Spool:
    """Reports in `folder`, oldest first. Every call may raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.name.isdecimal()}
        self._sizes = dict(sorted(sizes.items()))
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, report: bytes) -> None:
        """Keep `report` as the newest."""
        newest = int(next(reversed(self._sizes), "0"))
        name = f"{newest + 1:0{_DIGITS}}"
        temporary = self._folder / f".{name}"
        temporary.write_bytes(report)
        os.replace(temporary, self._folder / name)
        self._sizes[name] = len(report)
        while len(self._sizes) > KEPT_AT_MOST or sum(self._sizes.values()) > KEPT_BYTES:
            self._remove(next(iter(self._sizes)))
            self.dropped += 1

    def oldest(self) -> tuple[list[str], bytes]:
        """Return the names of the oldest reports, and what they say together; they stay until `remove`."""
        names = list(self._sizes)[:SENT_AT_ONCE]
        return names, b"".join((self._folder / name).read_bytes() for name in names)

    def remove(self, names: list[str]) -> None:
        """Let go of reports that were sent."""
        for name in names:
            if name in self._sizes:
                self._remove(name)

    def _remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
        del self._sizes[name]
