"""Files replaced whole: whoever looks sees the old bytes or the new ones, also after a power cut."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Have an OSError say that it was about `path`: that of a full disk, which comes with the bytes, names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` by way of a temporary file beside it, fsynced, then renamed; raises OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with named(path), os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            os.fchmod(opened.fileno(), 0o644)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync(path.parent)


class Staging:
    """A folder beside the files that it will replace, for many of them: written one by one, put into place together.

    All are on disk before the first is renamed. Left without that, it takes what was written with it, and the folders
    that it made. Raises OSError.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        missing = [folder for folder in (self.out, *self.out.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self._made.append(folder)
        self.folder = Path(tempfile.mkdtemp(prefix=".staging-", dir=self.out))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in reversed(self._made):
            if any(folder.iterdir()):
                return
            folder.rmdir()

    def put_into_place(self, names: Iterable[str]) -> None:
        """Move the files `names` of the staging folder to where they belong."""
        ordered = list(names)
        for name in ordered:  # one after the other: the first waits for the disk, the others ride along
            _sync(self.folder / name)
        for name in ordered:
            os.replace(self.folder / name, self.out / name)
        if ordered:
            _sync(self.out)


def _sync(path: Path) -> None:
    """A file's bytes, or the names in a folder, are durable from here on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with named(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
