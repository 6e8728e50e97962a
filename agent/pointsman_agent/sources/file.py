"""A bundle file that is followed by a slow poll: a rename is noticed within seconds, on any file system."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

import trio
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES

from pointsman_agent.sources import Fail, Offer

POLL_EVERY_S: Final = 2.0  # watchers take seconds to cancel and miss network file systems; a stat costs microseconds

Fingerprint = tuple[int, int, int]


class FileSource:
    """Follows `path`. A file that is missing is waited for."""

    def __init__(self, path: Path, *, poll_every_s: float = POLL_EVERY_S) -> None:
        self._path = path
        self._poll_every_s = poll_every_s
        self._seen: Fingerprint | None = None
        self._told: str | None = None
        self._asked = trio.Event()

    def reload(self) -> None:
        """Read the file at once, also when it seems unchanged."""
        self._seen = self._told = None
        self._asked.set()

    @property
    def origin(self) -> str:
        """The path."""
        return str(self._path)

    async def follow(self, offer: Offer, fail: Fail) -> None:
        """Call `offer` with the content whenever the file is another one, `fail` when it is missing or unreadable.

        Never ends.
        """
        while True:
            self._asked = trio.Event()  # before the look, so that who asks during it is heard
            try:
                # A dead network mount holds the thread for ever, and must not hold the agent.
                content = await trio.to_thread.run_sync(self._changed, abandon_on_cancel=True)
            except FileNotFoundError:
                await self._tell("missing", f"{self._path}: there is no such file; it is taken when it comes", fail)
            except OSError as error:
                await self._tell("unreadable", f"{self._path}: {error.strerror or error}", fail)
            else:
                if content is not None:
                    self._told = None
                    await offer(content)
            with trio.move_on_after(self._poll_every_s):
                await self._asked.wait()

    async def _tell(self, code: str, fault: str, fail: Fail) -> None:
        """A fault is told once, not at each poll; after it the file is offered again, which lifts what was told."""
        self._seen = None
        if fault != self._told:
            self._told = fault
            await fail(code, fault)

    def _changed(self) -> bytes | None:
        """Return the content of a file not seen yet."""
        found = os.stat(self._path)
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
            raise OSError(errno.EINVAL, "not a file with content (a folder, a pipe, a device)")
        fingerprint = _fingerprint(found)
        if fingerprint == self._seen:
            return None
        self._seen = fingerprint
        with self._path.open("rb") as file:
            # One byte too many is enough for the verdict "too large".
            return file.read(LARGEST_ENVELOPE_BYTES + 1)


def _fingerprint(found: os.stat_result) -> Fingerprint:
    return (found.st_ino, found.st_mtime_ns, found.st_size)
