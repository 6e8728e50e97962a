"""`pointsman-agent`: the command line of the site controller. It alone prints, and reads arguments and environment.

One module a group of commands. Heavy modules are imported inside the commands that need them, so that `--help` and
shell completion stay quick.
"""

from typing import Any

import click

from pointsman_agent.cli.connectiontest import test
from pointsman_agent.cli.doctor import doctor
from pointsman_agent.cli.init import init
from pointsman_agent.cli.inventory import inventory
from pointsman_agent.cli.lookingin import activations, security_events, tail
from pointsman_agent.cli.outcome import EXIT_FAILED, fail
from pointsman_agent.cli.page import page
from pointsman_agent.cli.reload import reload
from pointsman_agent.cli.remote import call, reset, start, stop, unlock
from pointsman_agent.cli.run import run
from pointsman_agent.cli.status import stations, status
from pointsman_agent.cli.transactions import transactions


class _Commands(click.Group):
    """The commands; output that cannot be written is one message, whichever command wrote it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of a pipe has seen enough: click ends quietly
        except OSError as error:
            fail(f"the output cannot be written: {error.strerror or error}", EXIT_FAILED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="pointsman-agent", prog_name="pointsman-agent", message="%(prog)s %(version)s")
def main() -> None:
    """Route every charging station of a site to its operator, or serve it."""


_COMMANDS = (
    *(init, run, page, status, stations, inventory, reload, test, tail, security_events, activations, doctor),
    *(call, start, stop, reset, unlock, transactions),
)

for _command in _COMMANDS:
    main.add_command(_command)
