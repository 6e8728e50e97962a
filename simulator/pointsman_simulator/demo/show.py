"""The demo as it is run: its rows, its verdict, its end. What to print is handed to the caller, line by line."""

import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from pointsman_simulator.background import background
from pointsman_simulator.demo.overlay import OverlayError
from pointsman_simulator.demo.plan import StationPlan
from pointsman_simulator.demo.processes import ProgramFailed
from pointsman_simulator.demo.stage import Stage, keep_up, open_stage, operator_records, play
from pointsman_simulator.demo.verdict import Finding, StationRecord, findings
from pointsman_simulator.tables import Board, open_board

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("station", "operator", "protocol", "sent/got", "Wh", "state")
WIDTHS = (14, 10, 9, 8, 5, 0)
LOOK_EVERY_S = 0.25  # how often the live table is brought up to date
WHOLE_WITHIN_S = 55.0  # the demo's promise is a minute
WHAT_WIDTH = 38


async def run_demo(
    sites: Path,
    site: str | None,
    *,
    keep: bool,
    today: date,
    console: "Console",
    tell: Callable[[str], None],
) -> bool:
    """Run the demo; returns whether all was as the configuration says. `keep` stays up after that, until cancelled.

    Raises OverlayError or ProgramFailed when it cannot be run at all.
    """
    with tempfile.TemporaryDirectory(prefix="pointsman-demo-") as folder:
        with trio.move_on_after(WHOLE_WITHIN_S) as bound:
            async with open_stage(sites, site, Path(folder), today=today, tell=tell) as stage:
                records = await _play(stage, console, tell)
                verdict = [*findings(records, operator_records(stage)), *await _agent_findings(stage, records)]
                bound.deadline = float("inf")  # what is left is bounded by its own
                _tell_verdict(verdict, stage, tell)
                if keep:
                    tell(f"the agent's page: {stage.agent.url} (token: {stage.agent.token}); Ctrl-C ends all")
                    await keep_up(stage)
        if bound.cancelled_caught:
            raise ProgramFailed(f"the demo was not through within {WHOLE_WITHIN_S:g} s")
        if stage.agent.exit_code != 0:
            tell(f"FAIL the agent ended with {stage.agent.exit_code}")
            return False
    return all(finding.is_good for finding in verdict)


async def _play(stage: Stage, console: "Console", tell: Callable[[str], None]) -> list[StationRecord]:
    by_identity = {plan.identity: plan for plan in stage.plans}
    title = f"{stage.bundle.site}: {stage.bundle.config.title}"
    with open_board(title, COLUMNS, WIDTHS, console=console, write=tell) as board:
        async with background() as nursery:
            nursery.start_soon(_refresh, stage, by_identity, board)
            records = await play(stage, lambda record: board.show(_row(stage, record.plan, record), is_final=True))
    return records


async def _refresh(stage: Stage, plans: dict[str, StationPlan], board: Board) -> None:
    """Show where each station is, until cancelled; a row that is final is shown as such by `play`."""
    while True:
        for identity, station in sorted(stage.live.items()):
            if station.closed is None:
                board.show(_row(stage, plans[identity], None))
        await trio.sleep(LOOK_EVERY_S)


def _row(stage: Stage, plan: StationPlan, record: StationRecord | None) -> tuple[str, ...]:
    station = stage.live.get(plan.identity)
    protocol = station.protocol if station else None
    texts = f"{len(station.sent)}/{len(station.received)}" if station else "-"
    energy_wh = record.session.energy_wh if record and record.session else 0
    state = _ending(record) if record else (station.sent.actions or ["connected"])[-1] if station else ""
    return (plan.identity, plan.operator, protocol or "-", texts, str(energy_wh), state)


def _ending(record: StationRecord) -> str:
    if record.session is None or record.failure:
        return f"FAILED: {record.failure}"
    if record.session.completed:
        return "charged" if not record.refused_unknown else "charged; stranger refused"
    return record.session.reason or ""


async def _agent_findings(stage: Stage, records: list[StationRecord]) -> list[Finding]:
    """The agent's own status must name the same operators."""
    what = "the agent's status names the operators"
    try:
        status = await stage.agent.status()
    except ProgramFailed as error:
        return [Finding(False, what, str(error))]
    said = {each["station"]: each["operator"] for each in status["stations"]}
    wrong = sorted(record.plan.identity for record in records if said.get(record.plan.identity) != record.plan.operator)
    figures = f"state {status['state']}; {len(records) - len(wrong)}/{len(records)}"
    is_good = not wrong and status["state"] in ("running", "probation")
    return [Finding(is_good, what, figures)]


def _tell_verdict(verdict: list[Finding], stage: Stage, tell: Callable[[str], None]) -> None:
    tell("")
    for finding in verdict:
        tell(f"{'ok  ' if finding.is_good else 'FAIL'} {finding.what:<{WHAT_WIDTH}} {finding.figures}")
    is_good = all(finding.is_good for finding in verdict)
    tell("")
    tell("All is as the bundle says." if is_good else "Not all is as the bundle says. The agent's last lines:")
    if not is_good:
        tell(stage.agent.last_lines() or "(none)")


__all__ = ["OverlayError", "ProgramFailed", "run_demo"]
