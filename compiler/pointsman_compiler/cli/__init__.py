"""The command `pointsman`: reads arguments, the clock and the environment, prints, and decides nothing.

One module a group of commands. Heavy modules are imported inside the commands that need them, so that `--help` and
shell completion stay quick.
"""

from typing import Any

import click

from pointsman_compiler.cli.bundles import show, verify
from pointsman_compiler.cli.check import check
from pointsman_compiler.cli.compile import compile_
from pointsman_compiler.cli.explain import explain
from pointsman_compiler.cli.init import init
from pointsman_compiler.cli.outcome import EXIT_CODES, FileFailure
from pointsman_compiler.cli.plan import plan
from pointsman_compiler.cli.rollout import rollout
from pointsman_compiler.cli.schemas import schema
from pointsman_compiler.cli.signing import keygen, sign


def _print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from pointsman_compiler.lock import compiler_version

        click.echo(f"pointsman {compiler_version()}")
        context.exit()


class _Commands(click.Group):
    """The commands; output that cannot be written is one message, whichever command wrote it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of a pipe has seen enough: click ends quietly
        except MemoryError as error:
            raise FileFailure("memory ran out", "split the change, or allow more") from error
        except OSError as error:
            raise FileFailure(f"the output cannot be written: {error.strerror or error}") from error


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}, epilog=EXIT_CODES
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
def main() -> None:
    """Check the files of charging sites, and compile each into a signed bundle.

    A site's controller loads the bundle and routes every charging station to its operator.
    """


for _command in (init, check, compile_, plan, explain, show, verify, sign, keygen, rollout, schema):
    main.add_command(_command)
