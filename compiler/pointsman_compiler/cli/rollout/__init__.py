"""`rollout`: what is merged reaches the sites in rings.

One module for the repository and its keys, one for what moves, one for what is shown, one for what goes.
"""

import click

from pointsman_compiler.cli.rollout.cleaning import clean
from pointsman_compiler.cli.rollout.keeping import init, refresh, root
from pointsman_compiler.cli.rollout.moving import halt, promote, publish, resume
from pointsman_compiler.cli.rollout.showing import status


@click.group()
def rollout() -> None:
    """Bring what is merged to the sites, ring by ring, from a repository of static files."""


for _command in (init, publish, promote, halt, resume, status, refresh, root, clean):
    rollout.add_command(_command)
