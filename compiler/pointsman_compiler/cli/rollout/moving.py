"""`rollout publish`, `promote`, `halt` and `resume`: what is desired, and what moves."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import ANSWER_IS_NO, key_failures
from pointsman_compiler.cli.rollout.common import (
    change,
    command_option,
    counted,
    found_folder,
    health_option,
    keys_option,
    read_health,
    read_rules,
    repository_option,
    rollout_failures,
    unix,
)
from pointsman_compiler.cli.signing import private_keys

if TYPE_CHECKING:
    from pointsman_compiler.rollout.promotion import Promotion

REASONS_SHOWN = 12


@click.command(epilog="Example: pointsman rollout publish bundles --key targets.key --key snapshot.key --key …")
@click.argument("bundles", type=click.Path(path_type=Path, exists=True, file_okay=False))
@repository_option
@keys_option
@click.option("--trust", metavar="FILE", multiple=True, help="Bundles must be signed by such a key (repeatable).")
@click.option("--revision", metavar="TEXT", help="Of the configuration; what is published of one counts as one.")
@click.option("--complete", is_flag=True, help="BUNDLES holds every site that there is: others are removed.")
@click.option("--remove", "named", metavar="SITE", multiple=True, help="A site that is no more (repeatable).")
@click.option("--everything", is_flag=True, help="Send every file, also what was sent before.")
@command_option
@options.at
def publish(
    bundles: Path,
    folder: Path,
    keys: tuple[str, ...],
    trust: tuple[str, ...],
    revision: str | None,
    complete: bool,
    named: tuple[str, ...],
    everything: bool,
    command: str | None,
    at: datetime,
) -> None:
    """Make the bundles in the folder BUNDLES what is desired; `promote` then offers them, ring by ring.

    A bundle that says the same configuration as before changes nothing. Going back is old content with a new
    sequence: revert the change, compile, publish.

    A site that is removed is offered nothing any more, and goes on with what it has. More than ten, if they are more
    than a tenth of all, are not removed by --complete alone: name them with --remove.
    """
    from pointsman_compiler.keys import read_public_key
    from pointsman_compiler.rollout import ledger as ledgers
    from pointsman_compiler.rollout.bundles import find_gone, read_bundles
    from pointsman_compiler.rollout.repository import Repository, bundle_name
    from pointsman_compiler.rollout.unsent import remember_everything

    with key_failures():
        trusted = [read_public_key(file) for file in trust]
    held = private_keys(keys)

    def act(repository: Repository) -> tuple[int, int]:
        ledger = repository.ledger()
        found = read_bundles(bundles, ledger, trusted)
        gone = [*dict.fromkeys(named), *(find_gone(found, ledger, named) if complete else ())]
        now = ledgers.present(ledger, unix(at))
        after = ledgers.publish(ledger, [one.newcomer for one in found.new], now, revision, gone)
        if after is not ledger:
            names = ((bundle_name(one.newcomer.site, one.newcomer.content.sha256), one.envelope) for one in found.new)
            repository.add_bundles(names)
            repository.save(after, held, at, gone=gone)
        if everything:
            remember_everything(folder)
        return len(found.new), len(gone)

    new, removed = change(folder, command, act)
    also = f", {removed} removed" if removed else ""
    click.echo(f"{new} site{'' if new == 1 else 's'} changed{also}; `promote` offers what may move")


@click.command(epilog="Example: pointsman rollout promote sites --health https://metrics.example --key …")
@options.root
@repository_option
@keys_option
@health_option
@click.option("--brake", is_flag=True, help="Halt, and take back; what may move waits for a promotion.")
@click.option("--dry-run", is_flag=True, help="Say what would move, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="The decision of every site as JSON.")
@command_option
@options.at
def promote(
    root: Path,
    folder: Path,
    keys: tuple[str, ...],
    health: str | None,
    brake: bool,
    dry_run: bool,
    as_json: bool,
    command: str | None,
    at: datetime,
) -> None:
    """Offer what may move now, by ROOT/rollout.yaml and what the sites report; say why the rest may not.

    Exit code 1 where the rollout is halted, by what the sites report or by a person.
    """
    from pointsman_compiler.rollout import ledger as ledgers
    from pointsman_compiler.rollout import promotion
    from pointsman_compiler.rollout.repository import Repository

    held = private_keys(keys)
    with rollout_failures():
        rules = read_rules(root, Repository(found_folder(folder)).ledger())
        reports = read_health(health, rules)  # before the repository is taken: a slow store holds up nobody else

    def act(repository: Repository) -> "Promotion":
        ledger = repository.ledger()
        decide = promotion.brake if brake else promotion.promote
        found = decide(ledger, rules, reports, ledgers.present(ledger, unix(at)))
        if found.ledger != ledger and not dry_run:
            repository.save(found.ledger, held, at, moved=found.changed)
        return found

    found = change(folder, None if dry_run else command, act)
    _tell(found, as_json, is_carried_out=not dry_run)
    if found.ledger.halt is not None:
        raise SystemExit(ANSWER_IS_NO)


@click.command(epilog='Example: pointsman rollout halt --because "calls from Lyon" --key …')
@repository_option
@keys_option
@click.option("--because", metavar="TEXT", required=True, help="Why; it is shown for every site that waits.")
@command_option
@options.at
def halt(folder: Path, keys: tuple[str, ...], because: str, command: str | None, at: datetime) -> None:
    """Let nothing move until `resume`.

    What was offered to sites whose turn has not come is taken back; the others keep it.
    """
    from pointsman_compiler.rollout import ledger as ledgers
    from pointsman_compiler.rollout.repository import Repository

    held = private_keys(keys)

    def act(repository: Repository) -> Sequence[str]:
        ledger = repository.ledger()
        halted, withdrawn = ledgers.halt(ledger, because, max(unix(at), ledger.at))  # whatever the clock: it stops
        repository.save(halted, held, at, moved=withdrawn)
        return withdrawn

    withdrawn = change(folder, command, act)
    click.echo(f"halted: {because}")
    if withdrawn:
        click.echo(f"taken back from {counted(withdrawn)} whose turn had not come")


@click.command(epilog="Example: pointsman rollout resume --key …")
@repository_option
@keys_option
@click.option("--excuse", metavar="SITE", multiple=True, help="Its failure no longer counts (repeatable).")
@command_option
@options.at
def resume(folder: Path, keys: tuple[str, ...], excuse: tuple[str, ...], command: str | None, at: datetime) -> None:
    """Lift a halt. While what failed is still desired and not excused, the next `promote` halts again."""
    from pointsman_compiler.rollout import ledger as ledgers
    from pointsman_compiler.rollout.repository import Repository

    held = private_keys(keys)

    def act(repository: Repository) -> None:
        ledger = repository.ledger()
        ledgers.present(ledger, unix(at))
        repository.save(ledgers.resume(ledger, excuse), held, at)

    change(folder, command, act)
    click.echo("resumed; `promote` goes on")


def _tell(found: "Promotion", as_json: bool, *, is_carried_out: bool) -> None:
    from pointsman_compiler.rollout.summary import as_json as plain
    from pointsman_compiler.rollout.summary import decided

    if as_json:
        import json

        click.echo(json.dumps(plain(found.ledger, found), indent=2))
        return
    lines = decided(found)
    for line in lines[:REASONS_SHOWN]:
        click.echo(line)
    if len(lines) > REASONS_SHOWN:
        click.echo(f"and {len(lines) - REASONS_SHOWN} more reasons: --json has them all")
    click.echo(f"{counted(found.moved)} {'moved' if is_carried_out else 'would move'}")
    if found.withdrawn:
        click.echo(f"taken back from {counted(found.withdrawn)} whose turn had not come")
    if found.taken:
        click.echo(f"{counted(found.taken)} had taken before what was taken back")
    if found.ledger.halt is not None:
        click.echo(f"error: the rollout is halted: {found.ledger.halt.because}\n  help: fix, publish, resume", err=True)
