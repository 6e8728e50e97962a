"""How a command ends: exit codes, and failures told in one message with a remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

import click

DONE: Final = 0
ANSWER_IS_NO: Final = 1
WRONG_USAGE: Final = 2
STALE: Final = 3
CHANGES: Final = 5
FILE_FAILED: Final = 6

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 the input has problems, or the answer is no; 2 wrong usage; 3 a lock does not match; 5 "
    "something changes; 6 a file failed."
)


class Failure(click.ClickException):
    """The input has problems, or the answer is no: one message with its remedy."""

    exit_code = ANSWER_IS_NO

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on stderr."""
        click.echo(f"error: {self.message}" + (f"\n  help: {self.help}" if self.help else ""), err=True)


class Stale(Failure):
    """What was locked is not what there is."""

    exit_code = STALE


class FileFailure(Failure):
    """A file could not be read or written."""

    exit_code = FILE_FAILED


@contextmanager
def file_failures() -> Iterator[None]:
    """Turn what the disk says into one message."""
    try:
        yield
    except FileExistsError as error:
        help = "choose another name; what is there is never replaced"
        raise FileFailure(f"{error.filename} is there already", help) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        help = "make room there, and repeat the command" if is_full else "check the path and its permissions"
        raise FileFailure(f"{where}{error.strerror or error}", help) from error


@contextmanager
def source_failures() -> Iterator[None]:
    """Turn what a sites folder lacks into one message."""
    from pointsman_compiler.sources import SourceError

    try:
        yield
    except SourceError as error:
        raise FileFailure(error.message, error.help) from error


@contextmanager
def key_failures() -> Iterator[None]:
    """Turn what is wrong with a key into one message."""
    from pointsman_compiler.keys import KeyUnusable

    try:
        yield
    except KeyUnusable as error:
        raise (FileFailure if error.is_file else Failure)(str(error), error.help) from error
