"""How a command ends: what it prints, and its exit code."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import click

EXIT_NO: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 4
EXIT_FAILED: Final = 6


def show(found: object, as_json: bool, table: Callable[[], str]) -> None:
    """Print an object of the API, or its table."""
    click.echo(json.dumps(found, indent=2) if as_json else table(), nl=as_json)


def warn_of_cut(rows: list[dict[str, Any]], *, is_cut: bool) -> None:
    """Say on standard error that a report is not all that was asked for."""
    if is_cut:
        words = f"only the newest {len(rows)} are shown, older ones are left out; --since asks for fewer"
        click.echo(f"pointsman-agent: {words}", err=True)


def fail(message: str, code: int) -> NoReturn:
    """End with `message` on standard error."""
    click.echo(f"pointsman-agent: {message}", err=True)
    sys.exit(code)


@contextmanager
def asking_agent() -> Iterator[None]:
    """End with exit code 4 when the running agent cannot be asked in the block, with 1 when it refuses."""
    from pointsman_agent.client import AgentRefused, AgentUnreachable

    try:
        yield
    except AgentRefused as error:
        fail(str(error), EXIT_NO)
    except AgentUnreachable as error:
        fail(str(error), EXIT_UNREACHABLE)
