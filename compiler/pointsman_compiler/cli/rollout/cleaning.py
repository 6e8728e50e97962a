"""`rollout clean`: a repository's folder does not grow for ever."""

import shutil
from datetime import datetime
from pathlib import Path

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.rollout.common import found_folder, named_command, repository_option, rollout_failures


@click.command(epilog="Example: pointsman rollout clean --command \"ssh fleet 'cd /srv/rollout && xargs rm -f'\"")
@repository_option
@click.option("--dry-run", is_flag=True, help="Name the files, and remove nothing.")
@click.option(
    "--command",
    metavar="TEXT",
    envvar="POINTSMAN_CLEAN_COMMAND",
    callback=named_command,
    help="Removes files where they were sent to: runs in the repository's folder, their names on standard input.",
)
@options.at
def clean(folder: Path, dry_run: bool, command: str | None, at: datetime) -> None:
    """Remove the files that no controller is led to any more. Needs no key, and changes nothing of what is offered.

    What was replaced stays for two days and an hour: so long may a controller follow a timestamp that names it. Old
    ledgers, which controllers do not read, stay for an hour.
    """
    from pointsman_compiler.rollout.cleaning import find_obsolete, left_behind
    from pointsman_compiler.rollout.publishing import owned, take_away
    from pointsman_compiler.rollout.repository import Repository

    with rollout_failures(), owned(found_folder(folder)):
        names = find_obsolete(Repository(folder), at)
        size = sum((folder / name).stat().st_size for name in names)
        if dry_run:
            for name in names:
                click.echo(name)
            return
        take_away(folder, names, command)
        for path in left_behind(folder):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    click.echo(f"{len(names)} file{'' if len(names) == 1 else 's'} removed, {size / 1e6:.1f} MB")
