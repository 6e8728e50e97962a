"""`rollout init`, `refresh` and `root`: a repository is made, kept fresh, and its keys replaced."""

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import Failure, FileFailure, file_failures, key_failures, source_failures
from pointsman_compiler.cli.rollout.common import change, command_option, keys_option, repository_option, unix
from pointsman_compiler.cli.signing import private_keys
from pointsman_compiler.shares import is_in_share

ROLES: Final = ("root", "targets", "snapshot", "timestamp")
ROOT_WARNS_BEFORE: Final = timedelta(days=60)

_STARTER: Final = """\
# In which order, how fast and when what is merged reaches the sites: docs/rollout.md of Pointsman.
version: 1

rings:                        # a site is in the first ring that takes it
  - name: first
    {first}
    soak: 3600                # seconds that a batch has to prove itself
    leastReports: 1           # sites of it that must have reported
    mostFailed: 0             # percent of those that reported which may have failed; more halts the rollout
  - name: rest                # the last ring takes all the rest
    atOnce: 500               # most sites that are under way at one time
    soak: 3600
    leastReports: 20
    mostFailed: 2

spread: 300                   # seconds over which the sites of a batch take their bundles
"""
_FIRST_RING: Final = "first"
_FIRST_SHARE: Final = 5
_BY_SHARE: Final = """\
share: 5                  # percent, always the same sites (of few it is none: `pointsman check` warns)
                              # or `sites: [lab-*]`, or `labels: {...}`"""
_BY_NAME: Final = """\
sites: ["{site}"]
                              # or several, or `labels: {{...}}`; of more sites `share: 5`, percent, always the same"""


def starter(sites: Collection[str]) -> str:
    """Return the rules to begin with: a first ring by a share, or of one site where the share takes none of `sites`."""
    if not sites or any(is_in_share(_FIRST_RING, site, _FIRST_SHARE) for site in sites):
        return _STARTER.replace("{first}", _BY_SHARE)
    return _STARTER.replace("{first}", _BY_NAME.format(site=min(sites)))


@click.command(epilog="Example: pointsman rollout init sites --repository repository --keys ../rollout-keys")
@options.root
@repository_option
@click.option(
    "--keys",
    "keys",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="New folder for the keys, outside of git and of the repository.",
)
@click.option("--root-keys", metavar="N", type=click.IntRange(1, 16), default=3, show_default=True, help="Root keys.")
@click.option(
    "--threshold",
    metavar="N",
    type=click.IntRange(1, 16),
    default=2,
    show_default=True,
    help="Root keys that must sign together.",
)
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase, and encrypt the root keys with it.")
@options.at
def init(root: Path, folder: Path, keys: Path, root_keys: int, threshold: int, passphrase: bool, at: datetime) -> None:
    """Make a repository that offers nothing yet, its keys, and ROOT/rollout.yaml where there is none.

    Carry the root keys to where nobody reads them: they are needed to replace the others. The other three belong to
    the pipeline. Controllers are given repository/metadata/1.root.json to begin with.
    """
    from pointsman_schema.envelope import load_private_key

    from pointsman_compiler.cli.signing import ask_new_passphrase
    from pointsman_compiler.keys import new_key, write_key
    from pointsman_compiler.rollout.creation import ONLINE_ROLES, create
    from pointsman_compiler.sources import ROLLOUT_FILE, SourceTree
    from pointsman_compiler.writing import replace_file

    if threshold > root_keys:
        raise click.UsageError(f"--threshold {threshold} is more than the {root_keys} root keys")
    if not root.is_dir():
        raise FileFailure(f"there is no folder {root}", f"name the folder of the sites: {ROLLOUT_FILE} goes there")
    _demand_apart(folder, keys)
    with source_failures():
        sites, _ = SourceTree(root).site_files()
    secret = ask_new_passphrase() if passphrase else None
    with file_failures():
        if folder.exists():
            raise FileExistsError(17, "File exists", str(folder))
        keys.mkdir(mode=0o700, parents=True)
        made = {f"root-{number + 1}": new_key(secret) for number in range(root_keys)}
        made |= {role: new_key(None) for role in ONLINE_ROLES}
        for name, files in made.items():
            write_key(files, keys / name)
        phrase = secret.encode() if secret else None
        roots = [load_private_key(files.private, phrase) for name, files in made.items() if name.startswith("root-")]
        online = {role: load_private_key(made[role].private) for role in ONLINE_ROLES}
        create(folder, roots, threshold, online, at)
        if not (root / ROLLOUT_FILE).exists():
            replace_file(root / ROLLOUT_FILE, starter([Path(file).stem for file in sites]).encode())
            click.echo(f"{root / ROLLOUT_FILE}: edit the rings")
    click.echo(f"{keys}: carry root-*.key away; the others belong to the pipeline")
    click.echo(f"{folder}: the first command that sends, sends it; controllers begin with metadata/1.root.json")


def _demand_apart(folder: Path, keys: Path) -> None:
    """The repository is served, and copied to and fro by pipelines: no key lies in it, nor it among the keys."""
    served, closed = folder.resolve(), keys.resolve()
    if closed.is_relative_to(served):
        raise click.UsageError(f"--keys {keys} is within {folder}, which is served: keys go elsewhere")
    if served.is_relative_to(closed):
        raise click.UsageError(
            f"--repository {folder} is within {keys}, the keys' folder: what is served goes elsewhere"
        )


@click.command(epilog="Example: pointsman rollout refresh --key timestamp.key --key snapshot.key --key targets.key")
@repository_option
@keys_option
@command_option
@options.at
def refresh(folder: Path, keys: tuple[str, ...], command: str | None, at: datetime) -> None:
    """Sign the timestamp anew, and what else ends before long; once a day will do.

    Controllers that see no new timestamp for two days report `stale`, and take nothing new; they go on as they are.
    """
    from pointsman_compiler.rollout.ledger import present
    from pointsman_compiler.rollout.repository import Repository

    held = private_keys(keys)

    def act(repository: Repository) -> list[str]:
        present(repository.ledger(), unix(at))
        signed = repository.refresh(held, at)
        ends = repository.ends()["root"]
        if ends - at < ROOT_WARNS_BEFORE:
            click.echo(f"warning: the root ends on {ends:%Y-%m-%d}; sign the next: `pointsman rollout root`", err=True)
        return signed

    signed = change(folder, command, act)
    click.echo(f"signed {', '.join(signed)}" if len(signed) < 5 else f"signed {len(signed)} roles")


@click.command(epilog="Example: pointsman rollout root --replace timestamp=new.key --key root-1.key --key root-2.key …")
@repository_option
@keys_option
@click.option(
    "--replace",
    "replaced",
    metavar="ROLE=FILE",
    multiple=True,
    help="The role's new private key, instead of all that it has (repeatable: a role may have several).",
)
@command_option
@options.at
def root(folder: Path, keys: tuple[str, ...], replaced: tuple[str, ...], command: str | None, at: datetime) -> None:
    """Sign the next root: one that ends a year from now, with other keys where they are replaced.

    Needs as many root keys as `init` set, and those of snapshot and timestamp. A key that was stolen or lost is
    replaced by it; controllers follow by themselves.
    """
    from pointsman_compiler.rollout.ledger import present
    from pointsman_compiler.rollout.publishing import send
    from pointsman_compiler.rollout.repository import Repository

    named: dict[str, list[str]] = {}
    for text in replaced:
        role, equals, file = text.partition("=")
        if role not in ROLES or not equals or not file:
            raise click.UsageError(f"--replace {text}: write ROLE=FILE, the role one of {', '.join(ROLES)}")
        named.setdefault(role, []).append(file)
    with key_failures():
        new = {role: private_keys(files) for role, files in named.items()}
    held = private_keys(keys)

    def act(repository: Repository) -> Path:
        present(repository.ledger(), unix(at))
        repository.rotate(new, held, at, when_bridged=lambda: send(folder, command))
        return repository.root_file()

    try:
        made = change(folder, command, act)
    except ValueError as error:  # tuf's word for a threshold that the new keys cannot reach
        raise Failure(str(error), "give as many new keys as the role's threshold") from error
    click.echo(f"{made.name}: signed; controllers take it with their next look")
