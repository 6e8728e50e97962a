"""`init`: a configuration repository to start from."""

import os
from pathlib import Path

import click

from pointsman_compiler.cli.outcome import FileFailure, file_failures


@click.command(epilog="Example: pointsman init charging-sites")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> None:
    """Lay out a configuration repository in DIR (default: here).

    It has an example site for each mode, the schemas for editors, a pipeline for GitHub and for GitLab, and a hook for
    pre-commit. No file that is there is replaced: with any of them there, nothing is written.
    """
    from pointsman_compiler.init import starter_files

    files = starter_files()
    there = [name for name in files if os.path.lexists(folder / name)]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise FileFailure(f"{folder / there[0]}{more} is there already", "choose a folder without them")
    for name, content in files.items():
        with file_failures():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _write_new(folder / name, content)
    click.echo(f"{len(files)} files in {folder}; next: pointsman check {folder / 'sites'}")


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as opened:
        opened.write(content)
