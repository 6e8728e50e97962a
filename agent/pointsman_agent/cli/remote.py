"""`pointsman-agent call`, `start`, `stop`, `reset`, `unlock`: what people ask of stations of local groups."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from pointsman_agent.cli.options import admin_url_option, json_option, state_option
from pointsman_agent.cli.outcome import EXIT_NO, EXIT_USAGE, asking_agent, fail
from pointsman_agent.nesting import MOST_LEVELS, is_deeper

_ANSWERS = "Exit code 0 when the station does it, 1 when it does not, 4 when no agent runs.\n\n"
_connector_option = click.option(
    "--connector", type=click.IntRange(1), default=1, show_default=True, help="Connector (OCPP 2.x: EVSE)."
)
_TOO_DEEP = f"PAYLOAD is nested deeper than {MOST_LEVELS} levels"
_YES = frozenset({"Accepted", "Scheduled", "Unlocked"})


@click.command(epilog="""Example: pointsman-agent call LYO-01 GetConfiguration '{"key": ["HeartbeatInterval"]}'""")
@click.argument("station")
@click.argument("action")
@click.argument("payload", default="{}")
@state_option
@admin_url_option
def call(station: str, action: str, payload: str, state: Path, url: str | None) -> None:
    """Send ACTION with PAYLOAD (JSON) to STATION, and print its answer.

    Only to stations that the agent itself serves. Exit code 0 when the station
    answers, 1 when its answer is an error.
    """
    try:
        content = json.loads(payload)
    except ValueError as error:
        fail(f"PAYLOAD is no JSON: {error}", EXIT_USAGE)
    except RecursionError:
        fail(_TOO_DEEP, EXIT_USAGE)
    if is_deeper(content, MOST_LEVELS):
        fail(_TOO_DEEP, EXIT_USAGE)
    answer = _ask(state, url, "call", station, {"action": action, "payload": content})
    click.echo(json.dumps(answer["answer"] if answer["error"] is None else answer["error"], indent=2))
    sys.exit(0 if answer["error"] is None else EXIT_NO)


@click.command(epilog=_ANSWERS + "Example: pointsman-agent start LYO-01 --badge 04A2B1C3D4E580")
@click.argument("station")
@click.option("--badge", metavar="NUMBER", help="Charge with this badge. Default: a token for this start alone.")
@_connector_option
@state_option
@admin_url_option
@json_option
def start(station: str, badge: str | None, connector: int, state: Path, url: str | None, as_json: bool) -> None:
    """Start charging at STATION."""
    _show(_ask(state, url, "start", station, {"badge": badge, "connector": connector}), as_json)


@click.command(epilog=_ANSWERS + "Example: pointsman-agent stop LYO-01")
@click.argument("station")
@click.option("--transaction", metavar="ID", help="Which one, where several are open.")
@state_option
@admin_url_option
@json_option
def stop(station: str, transaction: str | None, state: Path, url: str | None, as_json: bool) -> None:
    """End the transaction at STATION."""
    _show(_ask(state, url, "stop", station, {"transaction": transaction}), as_json)


@click.command(epilog=_ANSWERS + "Example: pointsman-agent reset LYO-01")
@click.argument("station")
@click.option("--now", "at_once", is_flag=True, help="At once, whoever charges (1.6: Hard, 2.x: Immediate).")
@state_option
@admin_url_option
@json_option
def reset(station: str, at_once: bool, state: Path, url: str | None, as_json: bool) -> None:
    """Restart STATION."""
    _show(_ask(state, url, "reset", station, {"atOnce": at_once}), as_json)


@click.command(epilog=_ANSWERS + "Example: pointsman-agent unlock LYO-01 --connector 2")
@click.argument("station")
@_connector_option
@state_option
@admin_url_option
@json_option
def unlock(station: str, connector: int, state: Path, url: str | None, as_json: bool) -> None:
    """Open the lock of a connector of STATION."""
    _show(_ask(state, url, "unlock", station, {"connector": connector}), as_json)


def _ask(state: Path, url: str | None, what: str, station: str, body: dict[str, Any]) -> dict[str, Any]:
    from pointsman_agent.client import ask_station, find_access

    try:
        json.dumps([station, body], ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        fail("what was given holds characters that UTF-8 cannot say, such as half of a surrogate pair", EXIT_USAGE)
    except ValueError:
        fail("PAYLOAD is no JSON: it has no NaN and no number without end", EXIT_USAGE)
    with asking_agent():
        return ask_station(find_access(state, url), what, station, body)


def _show(answer: dict[str, Any], as_json: bool) -> None:
    from pointsman_agent.tables import printable

    error = answer["error"]
    word = str(answer["answer"].get("status", "no status")) if error is None else error["code"]
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        click.echo(printable(word if error is None else f"{word}: {error['description']}"))
    sys.exit(0 if word in _YES else EXIT_NO)
