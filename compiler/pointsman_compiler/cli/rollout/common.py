"""Options of the commands of `rollout`, and what fails in all of them, told in one message with a remedy."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from pointsman_compiler.cli.outcome import Failure, FileFailure, file_failures, source_failures

if TYPE_CHECKING:
    from pointsman_compiler.rollout.health import Health
    from pointsman_compiler.rollout.ledger import Ledger
    from pointsman_compiler.rollout.repository import Repository
    from pointsman_compiler.rollout.rules import Rules

HEALTH_TOKEN: Final = "POINTSMAN_HEALTH_TOKEN"


def named_command(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """A blank command is a secret that a pipeline lacks: taken for none, it would send nothing and say nothing."""
    variable = str(parameter.envvar)
    given = os.environ.get(variable) if text is None else text
    if given is not None and not given.strip():
        is_option = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        name = parameter.opts[0] if is_option else variable
        raise click.UsageError(f"{name} is empty: {'leave it out' if is_option else 'unset it'}, or name the command")
    return text


repository_option = click.option(
    "--repository",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("repository"),
    show_default=True,
    envvar="POINTSMAN_REPOSITORY",
    help="The repository's folder.",
)
keys_option = click.option(
    "--key",
    "keys",
    metavar="FILE",
    multiple=True,
    required=True,
    help="A key of a role; env:NAME too (repeatable). Which role it is of is known from the repository.",
)
command_option = click.option(
    "--command",
    metavar="TEXT",
    envvar="POINTSMAN_PUBLISH_COMMAND",
    callback=named_command,
    help="Sends files: runs in the repository's folder, their names on standard input.",
)
health_option = click.option(
    "--health", metavar="URL", envvar="POINTSMAN_HEALTH", help="Metrics store that agents report to."
)


@contextmanager
def rollout_failures() -> Iterator[None]:
    """Turn what a repository, a key, a store or the user's command lacks into one message."""
    from pointsman_compiler.rollout.bundles import BadBundle
    from pointsman_compiler.rollout.ledger import LedgerError
    from pointsman_compiler.rollout.publishing import InUse, SendingFailed
    from pointsman_compiler.rollout.reading import BrokenRepository
    from pointsman_compiler.rollout.signing import KeyMissing
    from pointsman_compiler.rollout.store import StoreFailed

    try:
        with file_failures():
            yield
    except (LedgerError, BrokenRepository) as error:
        raise Failure(str(error), error.help) from error
    except KeyMissing as error:
        raise Failure(str(error), "give it with --key FILE or --key env:NAME") from error
    except BadBundle as error:
        raise Failure(str(error), "compile the bundles anew, and publish that folder") from error
    except InUse as error:
        raise FileFailure(str(error), "try again when it has ended") from error
    except SendingFailed as error:
        help = "mend it and repeat this command, or any other that sends: nothing of it is lost"
        raise FileFailure(str(error), help) from error
    except StoreFailed as error:
        raise FileFailure(str(error), "check --health, and POINTSMAN_HEALTH_TOKEN where it wants one") from error


def read_rules(root: Path, ledger: "Ledger") -> "Rules":
    """Return the rules of `root`'s rollout.yaml, for the sites of `ledger`."""
    from pointsman_compiler.rollout.rules import rules_of
    from pointsman_compiler.rules.rollout import read_rollout
    from pointsman_compiler.sources import ROLLOUT_FILE, SourceTree

    tree = SourceTree(root)
    with source_failures():
        sites, _ = tree.site_files()
        if tree.rollout_file() is None:
            raise Failure(f"there is no {ROLLOUT_FILE} in {root}", "`pointsman rollout init` writes one to begin with")
        known = {*ledger.sites, *(Path(site).stem for site in sites)}
        found = read_rollout(tree, known)
    if isinstance(found, list):
        lines = [f"{one.place.file}:{one.place.line}:{one.place.column}: {one.message} [{one.code}]" for one in found]
        raise Failure("\n".join([f"{ROLLOUT_FILE} has problems", *lines]), "`pointsman check` shows them with remedies")
    return rules_of(found.data)


def read_health(url: str | None, rules: "Rules") -> "Health":
    """Return what the sites reported to the store at `url`; nothing without one."""
    from pointsman_compiler.rollout.store import ask

    if url is None:
        return {}
    return ask(url, os.environ.get(HEALTH_TOKEN), rules.stale_after)


def found_folder(folder: Path) -> Path:
    """Return `folder`, which is there; raises Failure."""
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}", "make a repository: `pointsman rollout init`")
    return folder


def change(
    folder: Path,
    command: str | None,
    act: "Callable[[Repository], Any]",
) -> Any:
    """Open the repository alone, let `act` change it, send what is unsent; return what `act` returns."""
    from pointsman_compiler.rollout.publishing import owned, send
    from pointsman_compiler.rollout.repository import Repository

    with rollout_failures(), owned(found_folder(folder)):
        result = act(Repository(folder))
        send(folder, command)
    return result


def unix(at: datetime) -> int:
    """Return `at` in seconds."""
    return int(at.timestamp())


def counted(sites: Sequence[str]) -> str:
    """Return `1 site` or `n sites`."""
    return f"{len(sites)} site{'' if len(sites) == 1 else 's'}"
