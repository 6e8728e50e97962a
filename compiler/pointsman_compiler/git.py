"""git as a program: one command, or blobs of a repository one after the other. Every wait has a bound."""

import hashlib
import os
import select
import subprocess
import time
import weakref
from pathlib import Path
from typing import Final

GIT_WITHIN_S: Final = 60.0
"""Ours to choose: a cold cache over a network disk takes seconds, a hanging disk for ever."""

SHA1_DIGITS: Final = 40

_ENVIRONMENT: Final = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone would go to the network for what it lacks
    "GIT_NO_REPLACE_OBJECTS": "1",  # a commit means what its hash says
    "LC_ALL": "C",
}


class GitFailed(Exception):
    """What git said instead of an answer, in one line."""


def git(folder: Path, *arguments: str) -> bytes:
    """Return what git prints in `folder`; raises GitFailed."""
    try:
        done = subprocess.run(
            ["git", "-c", "core.quotePath=false", *arguments],
            cwd=folder,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitFailed(f"git cannot be asked: {error}") from error
    if done.returncode != 0:
        raise GitFailed((done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[0])
    return done.stdout


def blob_hash(content: bytes, like: str) -> str:
    """Return the hash that `content` has in a repository in which `like` is one (git-hash-object(1))."""
    algorithm = hashlib.sha1 if len(like) == SHA1_DIGITS else hashlib.sha256
    return algorithm(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class BlobReader:
    """One `git cat-file --batch` that lives as long as this value does."""

    def __init__(self, repository: Path) -> None:
        self._process = subprocess.Popen(
            ["git", "cat-file", "--batch"],
            cwd=repository,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._unread = b""
        self.close = weakref.finalize(self, _end, self._process)

    def read(self, blob: str) -> bytes:
        """Return the bytes of the blob with this hash; raises GitFailed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{blob}\n".encode())
        except OSError as error:
            raise GitFailed("git has ended") from error
        deadline_s = time.monotonic() + GIT_WITHIN_S
        answer = self._up_to_line_break(deadline_s).split()
        if len(answer) != 3 or answer[1] != b"blob":
            raise GitFailed(b" ".join(answer).decode(errors="replace"))
        return self._exactly(int(answer[2]) + 1, deadline_s)[:-1]

    def _up_to_line_break(self, deadline_s: float) -> bytes:
        while b"\n" not in self._unread:
            self._unread += self._some(deadline_s)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _exactly(self, size: int, deadline_s: float) -> bytes:
        parts, length = [self._unread], len(self._unread)
        while length < size:
            parts.append(self._some(deadline_s))
            length += len(parts[-1])
        whole = b"".join(parts)
        self._unread = whole[size:]
        return whole[:size]

    def _some(self, deadline_s: float) -> bytes:
        assert self._process.stdout is not None
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1e3):
            raise GitFailed(f"git gives no answer within {GIT_WITHIN_S:.0f} s")
        found = os.read(self._process.stdout.fileno(), 1 << 16)
        if not found:
            raise GitFailed("git has ended")
        return found


def _end(process: "subprocess.Popen[bytes]") -> None:
    """git ends at the end of its input; whatever it does instead, it is not waited for any longer."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    try:
        process.wait(GIT_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
