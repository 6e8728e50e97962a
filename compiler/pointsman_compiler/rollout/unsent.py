"""What readers have yet to get: remembered before a change lays down its first file, forgotten when it was sent.

Whoever is killed in between leaves names of files that never came; sending passes over those, and over files that were
cleared away. Who sends by other means never has it forgotten: it begins as *everything*, one mark, and stays that.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from pointsman_compiler.rollout.reading import BrokenRepository
from pointsman_compiler.writing import replace_file

UNSENT: Final = "unsent.json"
TIMESTAMP: Final = "metadata/timestamp.json"
STAGES: Final = ("targets", "metadata", "timestamp")
"""In which order files are laid down and sent. A new root goes with the timestamp: readers find it by its number."""
MOST_NAMES: Final = 50_000
"""More become *everything*: the first publication of a large fleet fits, and 5 MB of names are read in 20 ms."""


class _Unsent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: tuple[str, ...] = ()
    everything: bool = False


def stage_of(name: str) -> str:
    """Return the stage of a file, by its name relative to the repository."""
    if name.startswith("targets/"):
        return "targets"
    return "timestamp" if name == TIMESTAMP or name.endswith(".root.json") else "metadata"


def remember(folder: Path, names: Iterable[str]) -> None:
    """Add `names` to what is unsent, durably; raises BrokenRepository or OSError."""
    before = _read(folder)
    if before.everything:
        return
    after = tuple(dict.fromkeys([*before.names, *names]))
    if len(after) > MOST_NAMES:
        remember_everything(folder)
    else:
        _write(folder, _Unsent(after))


def remember_everything(folder: Path) -> None:
    """Make every file unsent; raises OSError."""
    _write(folder, _Unsent(everything=True))


def unsent_stages(folder: Path) -> dict[str, list[str]]:
    """Return the files that are unsent by stage, in the order of sending; raises BrokenRepository or OSError."""
    unsent = _read(folder)
    names = sorted(_all_files(folder)) if unsent.everything else unsent.names
    stages: dict[str, list[str]] = {stage: [] for stage in STAGES}
    for name in sorted(names, key=TIMESTAMP.__eq__):  # the timestamp last; else as they were remembered
        if (folder / name).is_file():
            stages[stage_of(name)].append(name)
    return stages


def is_all_sent(folder: Path) -> bool:
    """Whether nothing is unsent; raises BrokenRepository or OSError."""
    return _read(folder) == _Unsent()


def forget(folder: Path) -> None:
    """All was sent; raises OSError."""
    (folder / UNSENT).unlink(missing_ok=True)


def _all_files(folder: Path) -> Iterator[str]:
    """What begins with a dot was left behind by a process that was killed."""
    for part in ("targets", "metadata"):
        yield from (f"{part}/{path.name}" for path in (folder / part).iterdir() if not path.name.startswith("."))


def _read(folder: Path) -> _Unsent:
    try:
        return msgspec.json.decode((folder / UNSENT).read_bytes(), type=_Unsent)
    except FileNotFoundError:
        return _Unsent()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        help = "delete it, and send all files: `pointsman rollout publish --everything`"
        raise BrokenRepository(f"{UNSENT} cannot be read: {error}", help) from error


def _write(folder: Path, unsent: _Unsent) -> None:
    replace_file(folder / UNSENT, msgspec.json.encode(unsent))
