"""The command `pointsman-sim`. Prints, reads the clock and the arguments; all else is done by the modules below it.

Imports that cost time stand in the functions that need them, so that `--help` answers at once.
"""

import signal
import ssl
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import TextIO

    from trio import CancelScope

    from pointsman_simulator.runs import Scenario, StationOutcome, StationRun
    from pointsman_simulator.supervision import Fail, Supervision

DONE, NO, USAGE, FAILED = 0, 1, 2, 6  # the exit codes of all of Pointsman's commands
PROTOCOLS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
FAILS = ("mute", "refuse", "slow", "close", "no-subprotocol")
SCENARIOS = ("session", "idle", "security-event")


STATION_COLUMNS = ("station", "protocol", "sent/got", "Wh", "verdict", "reason")
STATION_WIDTHS = (20, 9, 8, 6, 7, 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pointsman-simulator", prog_name="pointsman-sim", message="%(prog)s %(version)s")
def main() -> None:
    """Charging stations and operators' systems, simulated.

    \b
    Example:
      pointsman-sim demo
    """


@main.command()
@click.argument("url")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Number of stations.")
@click.option(
    "--protocol", "protocols", multiple=True, type=click.Choice(PROTOCOLS), help="Offered, in order; repeatable."
)
@click.option("--badge", default="04A2B1C3D4E580", show_default=True, help="Badge that is shown to the reader.")
@click.option("--meter-interval", default=1.0, show_default=True, type=click.FloatRange(0), help="Seconds.")
@click.option("--meter-values", default=3, show_default=True, type=click.IntRange(0), help="Readings in a session.")
@click.option("--password", envvar="POINTSMAN_SIM_PASSWORD", help="HTTP Basic; also $POINTSMAN_SIM_PASSWORD.")
@click.option("--scenario", default="session", show_default=True, type=click.Choice(SCENARIOS))
@click.option("--trust", type=click.Path(exists=True, dir_okay=False), help="PEM roots for wss.")
@click.option("--heartbeat", default=60.0, show_default=True, type=click.FloatRange(0.1), help="Seconds; idle.")
@click.option("--for", "for_s", default=float("inf"), type=click.FloatRange(0), help="Seconds that `idle` lasts.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a station, with every text.")
def station(
    url: str,
    count: int,
    protocols: tuple[str, ...],
    badge: str,
    meter_interval: float,
    meter_values: int,
    password: str | None,
    scenario: "Scenario",
    trust: str | None,
    heartbeat: float,
    for_s: float,
    as_json: bool,
) -> None:
    """Connect stations to URL, whose last segment is the identity ({n} counts), and charge.

    \b
    Exit code 0 when every station completed its scenario, 1 when one did not,
    6 when none could be reached.
    Example:
      pointsman-sim station ws://127.0.0.1:9000/ocpp/CP-{n} --count 8
    """
    from pointsman_simulator.runs import StationRun
    from pointsman_simulator.scenario import StationProfile

    profile = StationProfile(badge=badge, meter_interval_s=meter_interval, meter_values=meter_values)
    context = ssl.create_default_context(cafile=trust) if trust else None
    run = StationRun(protocols or ("ocpp1.6",), profile, scenario, password, context, heartbeat, for_s)
    sys.exit(_run(lambda: _play_stations(url, count, run, as_json=as_json), when_interrupted=NO))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--record", type=click.Path(dir_okay=False, writable=True), help="JSON lines go there, not to stdout.")
@click.option("--fail", type=click.Choice(FAILS), help="Misbehave like this.")
@click.option("--protocol", "protocols", multiple=True, type=click.Choice(PROTOCOLS), help="Preferred; repeatable.")
@click.option("--password", envvar="POINTSMAN_SIM_PASSWORD", help="Demand HTTP Basic; $POINTSMAN_SIM_PASSWORD.")
@click.option("--reject-badge", "rejected", multiple=True, help="A badge that may not charge; repeatable.")
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False), help="PEM chain: listen with TLS.")
@click.option("--key", type=click.Path(exists=True, dir_okay=False), help="PEM key of the certificate.")
@click.option("--for", "for_s", default=float("inf"), type=click.FloatRange(0), help="Seconds; default: until Ctrl-C.")
def supervision(
    host: str,
    port: int,
    record: str | None,
    fail: "Fail | None",
    protocols: tuple[str, ...],
    password: str | None,
    rejected: tuple[str, ...],
    certificate: str | None,
    key: str | None,
    for_s: float,
) -> None:
    """An operator's system: accepts stations, records every text as a line of JSON.

    \b
    The last segment of a station's path is its identity.
    Example:
      pointsman-sim supervision --port 9100 --record texts.jsonl
    """
    from pointsman_simulator.supervision import PREFERRED, open_supervision

    if key is not None and certificate is None:
        raise click.UsageError("--key needs --certificate")
    opened = open_supervision(
        host=host,
        port=port,
        ssl_context=_server_context(certificate, key) if certificate else None,
        fail=fail,
        password=password,
        protocols=protocols or PREFERRED,
        rejected_badges=rejected,
    )
    sys.exit(_run(lambda: _serve_stations(opened, record, for_s), when_interrupted=DONE))


@main.command()
@click.option("--sites", default="sites", show_default=True, type=click.Path(file_okay=False), help="The fleet.")
@click.option("--site", help="The site to play; default: the first of mode `multiple`.")
@click.option("--keep", is_flag=True, help="Stay up after the verdict, until Ctrl-C.")
def demo(sites: str, site: str | None, keep: bool) -> None:
    """Compile the fleet, run the real agent on loopback, and let every station of a site charge.

    \b
    Exit code 0 when all was as the compiled bundle says.
    Example:
      pointsman-sim demo --site utrecht-kantoor
    """
    sys.exit(_run(lambda: _demo(Path(sites), site, keep=keep), when_interrupted=DONE if keep else NO))


def _run(work: "Callable[[], Awaitable[int]]", *, when_interrupted: int) -> int:
    """Run `work` and return its exit code; a file, an address or a certificate that cannot be had is FAILED."""
    import trio

    try:
        return trio.run(_until_terminated, work, when_interrupted)
    except* KeyboardInterrupt:
        return_code = when_interrupted
    except* OSError as group:
        click.echo(f"pointsman-sim: {group.exceptions[0]}", err=True)
        return_code = FAILED
    return return_code


async def _until_terminated(work: "Callable[[], Awaitable[int]]", when_terminated: int) -> int:
    """Run `work`; SIGTERM ends it as Ctrl-C does, so that no process and no folder is left behind."""
    import trio

    from pointsman_simulator.background import background

    exit_code = when_terminated
    with trio.open_signal_receiver(signal.SIGTERM) as signals, trio.CancelScope() as all_of_it:
        async with background() as nursery:
            nursery.start_soon(_cancel_at_signal, signals, all_of_it)
            exit_code = await work()
    return exit_code


async def _cancel_at_signal(signals: "AsyncIterator[int]", scope: "CancelScope") -> None:
    async for _ in signals:
        scope.cancel()


async def _play_stations(url: str, count: int, run: "StationRun", *, as_json: bool) -> int:
    from rich.console import Console

    from pointsman_simulator.runs import Unconnected, is_complete, json_of, run_stations, urls_of
    from pointsman_simulator.tables import open_board

    urls = urls_of(url, count)
    if as_json:
        outcomes = await run_stations(urls, run, lambda outcome: click.echo(json_of(outcome)))
    else:
        board = open_board("Stations", STATION_COLUMNS, STATION_WIDTHS, console=Console(), write=click.echo)
        with board as shown:
            outcomes = await run_stations(urls, run, lambda outcome: shown.show(_row(outcome), is_final=True))
    if all(is_complete(outcome) for outcome in outcomes):
        return DONE
    is_unreachable = all(isinstance(outcome, Unconnected) and outcome.status is None for outcome in outcomes)
    return FAILED if is_unreachable else NO


async def _serve_stations(opened: "AbstractAsyncContextManager[Supervision]", record: str | None, for_s: float) -> int:
    import trio

    from pointsman_simulator.runs import record_line

    with _lines_of(record) as lines:
        async with opened as supervision:
            supervision.on_text = lambda direction, entry: print(record_line(direction, entry), file=lines, flush=True)
            click.echo(f"listening on {supervision.url}/<station>", err=True)
            with trio.move_on_after(for_s):
                await trio.sleep_forever()
    return DONE


async def _demo(sites: Path, site: str | None, *, keep: bool) -> int:
    from rich.console import Console

    try:
        from pointsman_simulator.demo.show import OverlayError, ProgramFailed, run_demo
    except ModuleNotFoundError as error:
        click.echo(f"pointsman-sim: {error}; try: pip install 'pointsman-simulator[demo]'", err=True)
        return FAILED
    today = datetime.now(UTC).date()
    try:
        is_good = await run_demo(sites, site, keep=keep, today=today, console=Console(), tell=click.echo)
    except (OverlayError, ProgramFailed) as error:
        click.echo(f"pointsman-sim: {error}", err=True)
        return FAILED
    return DONE if is_good else NO


def _lines_of(record: str | None) -> "AbstractContextManager[TextIO]":
    return Path(record).open("a", encoding="utf-8") if record else nullcontext(sys.stdout)


def _row(outcome: "StationOutcome") -> tuple[str, ...]:
    from pointsman_simulator.runs import is_complete, reason_of
    from pointsman_simulator.station import SessionResult

    verdict = "done" if is_complete(outcome) else "FAILED"
    if isinstance(outcome, SessionResult):
        texts = f"{len(outcome.sent)}/{len(outcome.received)}"
        return (outcome.station, outcome.protocol or "-", texts, f"{outcome.energy_wh}", verdict, reason_of(outcome))
    return (outcome.station, "-", "-", "-", verdict, reason_of(outcome))


def _server_context(certificate: str, key: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise click.UsageError(f"no usable certificate and key: {error}") from error
    return context


@main.command()
@click.option(
    "--sites", default=10_000, show_default=True, type=click.IntRange(100, 100_000), help="Light controllers."
)
@click.option("--bad", default=30, show_default=True, type=click.IntRange(1, 100), help="Percent that fail.")
@click.option("--poll", default=60.0, show_default=True, type=click.FloatRange(1), help="Seconds between two looks.")
def fleet(sites: int, bad: int, poll: float) -> None:
    """Bring a good and a bad change to thousands of sites, through a real web server and a real metrics store.

    Exit code 0 when the rollout halted before a tenth of the sites had the bad one, 1 when not, 6 when a server is
    missing or fails. Wants nginx and VictoriaMetrics.

    \b
    Example:
      pointsman-sim fleet --sites 1000 --poll 10
    """
    import tempfile

    import trio

    from pointsman_simulator.demo.processes import ProgramFailed
    from pointsman_simulator.rollout.servers import missing_packages
    from pointsman_simulator.rollout.simulation import Plan, simulate

    if missing := missing_packages():
        click.echo(f"these are missing; on Debian: apt-get install {' '.join(missing)}", err=True)
        sys.exit(FAILED)
    code = FAILED
    with tempfile.TemporaryDirectory(prefix="pointsman-fleet-") as folder:
        try:
            code = DONE if trio.run(simulate, Plan(sites, bad, poll), Path(folder), click.echo) else NO
        except* ProgramFailed as group:
            click.echo(f"error: {group.exceptions[0]}", err=True)
    sys.exit(code)
