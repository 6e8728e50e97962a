"""Files of a repository's folder, read: metadata is believed only by the word of whoever delegates to it (with tuf)."""

from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

TOP_LEVEL_ROLES = ("root", "targets", "snapshot", "timestamp")


class BrokenRepository(Exception):
    """The folder holds no repository, or one that does not hold together; `help` says what to do."""

    def __init__(self, message: str, help: str = "take the repository's folder as it was published") -> None:
        super().__init__(message)
        self.help = help


def read_metadata(folder: Path, role: str, version: int | None, delegator: Root | Targets | None) -> Metadata[Any]:
    """Return the metadata of `role` that `delegator` vouches for; a root without one vouches for itself.

    Raises BrokenRepository or OSError.
    """
    name = f"{role}.json" if version is None else f"{version}.{role}.json"
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(read_file(folder / "metadata" / name))
    except (DeserializationError, RecursionError) as error:
        raise BrokenRepository(f"{name} cannot be read") from error
    kind = role if role in TOP_LEVEL_ROLES else "targets"
    if metadata.signed.type != kind:
        raise BrokenRepository(f"{name} is no metadata of {kind}")
    try:
        (delegator or metadata.signed).verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise BrokenRepository(f"{name}: {error}") from error
    if version is not None and metadata.signed.version != version:
        raise BrokenRepository(f"{name} is the version {metadata.signed.version}")
    return metadata


def read_file(path: Path) -> bytes:
    """Return what is in a file that must be there; raises BrokenRepository or OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BrokenRepository(f"{path.parent.name}/{path.name} is missing") from error


def newest_root(folder: Path) -> int:
    """Return the version of the newest root in `folder`; raises BrokenRepository where there is none."""
    newest = max((_version(path) for path in (folder / "metadata").glob("*.root.json")), default=0)
    if not newest:
        raise BrokenRepository(f"{folder} holds no repository", "make one: `pointsman rollout init`")
    return newest


def _version(path: Path) -> int:
    number = path.name.partition(".")[0]
    return int(number) if number.isdecimal() else 0
