"""Runs plans on the link of a local station: what it should have, put there and kept in force (rules 37, 39, 42).

Nothing is sent before the station may be asked: a boot was answered on this connection, or a reconnect has settled
(some stations fall over when they are asked at once). What the configuration, the day or the zone changes is sent when
it changes; what a station refuses is reported and left.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
import structlog
import trio
from pointsman_schema.timezones import zone

from pointsman_agent.entries import StationFact
from pointsman_agent.ocpp.owncall import OwnAnswer
from pointsman_agent.owncalls import CallFailed, OwnCalls
from pointsman_agent.ports import Clock, Journal, JournalFault
from pointsman_agent.routing import Routing
from pointsman_agent.status import StationStatus
from pointsman_agent.strategy.dialects import dialect_of
from pointsman_agent.strategy.keep import BEFORE_FACT, FACTS, REFUSED_FACT, keep, leave
from pointsman_agent.strategy.steps import Ask, AwaitReport, Plan, Remember, Report, Result
from pointsman_agent.strategy.wanted import Wanted, wanted_of

LOOK_EVERY_S: Final = 30.0  # whether something else is wanted: a badge ran out, the zone changed, a bundle came
AGAIN_AFTER_S: Final = 300.0  # after a plan that failed for a silent station or a full disk
REPORT_WITHIN_S: Final = 30.0  # from the answer to a GetReport to the last part of the report
LEAVE_WITHIN_S: Final = 120.0
MOST_ATTEMPTS: Final = 3  # to clear a station that does not answer
ATTEMPTS_FACT: Final = "leaving"

_NOTHING: Final = OwnAnswer({})

log = structlog.get_logger()


class Reports:
    """What a 2.x station reports on its own after a GetReport, in one or more NotifyReport."""

    def __init__(self) -> None:
        self._rows: dict[int, list[Any]] = {}
        self._is_whole = trio.Event()
        self._awaited: int | None = None

    def hear(self, payload: Mapping[str, Any]) -> None:
        """Take a NotifyReport; one that nobody waits for is nothing."""
        if self._awaited is None or payload.get("requestId") != self._awaited:
            return
        rows = payload.get("reportData")
        self._rows.setdefault(self._awaited, []).extend(rows if isinstance(rows, list) else [])
        if not payload.get("tbc"):  # to be continued
            self._is_whole.set()

    def expect(self, request_id: int) -> None:
        """Take reports of this request from here on: one may come right behind the answer to it."""
        self._awaited, self._is_whole = request_id, trio.Event()
        self._rows.pop(request_id, None)

    async def wait(self, request_id: int) -> OwnAnswer:
        """Return all that was reported; an error of code `NoReport` when it is not whole in time."""
        with trio.move_on_after(REPORT_WITHIN_S):
            await self._is_whole.wait()
        rows, self._awaited = self._rows.pop(request_id, []), None
        return OwnAnswer({"reportData": rows}) if self._is_whole.is_set() else OwnAnswer({}, "NoReport")


class Desk(msgspec.Struct, frozen=True):
    """What running plans on one station's link needs."""

    identity: str
    protocol: str
    calls: OwnCalls
    journal: Journal
    record: StationStatus
    clock: Clock
    reports: Reports


class Wishes:
    """What stations of each group should have; worked out once a day, zone change and bundle, for all stations."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[tuple[Routing, date, timedelta], Wanted]] = {}

    def of(self, routing: Routing, group: str, protocol: str, now: datetime) -> Wanted:
        """Return what stations of `group` that speak `protocol` should have at `now`."""
        here = now.astimezone(zone(routing.config.time_zone))
        moment = (routing, here.date(), here.utcoffset() or timedelta(0))
        known = self._known.get((group, protocol))
        if known is None or known[0] != moment:
            known = self._known[group, protocol] = (moment, wanted_of(routing, group, protocol, now))
        return known[1]


async def run_plan(plan: Plan[Result], desk: Desk) -> Result:
    """Run `plan` to its end; raises CallFailed or JournalFault, and the next connection begins anew."""
    try:
        step = next(plan)
        while True:
            match step:
                case Ask(action, payload):
                    if action == "GetReport":
                        desk.reports.expect(payload["requestId"])
                    answer = await desk.calls.call(action, payload)
                case Remember(name, value):
                    await desk.journal.append(StationFact(desk.identity, name, value))
                    answer = _NOTHING
                case AwaitReport(request_id):
                    answer = await desk.reports.wait(request_id)
            step = plan.send(answer)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        plan.close()


async def keep_in_force(desk: Desk, ready: trio.Event, wanted: Callable[[], Wanted | None]) -> None:
    """Keep what is wanted in force until cancelled; None of it: the station is no longer the agent's own."""
    await ready.wait()
    in_force: Wanted | None = None
    while True:
        now_wanted = wanted()
        if now_wanted is None or now_wanted == in_force:
            await trio.sleep(LOOK_EVERY_S)
            continue
        desk.record.strategy = Report(waits=("being sent",))
        try:
            facts = await desk.journal.facts_of(desk.identity)
            desk.record.strategy = await run_plan(keep(now_wanted, dialect_of(desk.protocol), facts), desk)
        except (CallFailed, JournalFault) as error:
            desk.record.strategy = Report(waits=(str(error),))
            log.warning("strategy not in force", station=desk.identity, why=str(error))
            await trio.sleep(AGAIN_AFTER_S)
        else:
            in_force = now_wanted
            _tell(desk)


async def leave_station(desk: Desk, ready: trio.Event) -> None:
    """Undo all that `keep_in_force` did, before another operator takes the station (rule 39).

    A station that does not answer is tried again when it comes back, MOST_ATTEMPTS times: then it goes as it is, for it
    would never get to its operator.
    """
    why = f"it took more than {LEAVE_WITHIN_S:g} s"
    try:
        with trio.move_on_after(LEAVE_WITHIN_S):
            await ready.wait()
            facts = await desk.journal.facts_of(desk.identity)
            report = await run_plan(leave(dialect_of(desk.protocol), facts), desk)
            await desk.journal.append(StationFact(desk.identity, ATTEMPTS_FACT, None))
            log.info("station cleared for its new operator", station=desk.identity, refused=report.refused)
            return
    except (CallFailed, JournalFault) as error:
        why = str(error)
    log.warning("station not cleared", station=desk.identity, why=why)
    await _count_attempt(desk)


async def _count_attempt(desk: Desk) -> None:
    try:
        facts = await desk.journal.facts_of(desk.identity)
        attempts = int(facts.get(ATTEMPTS_FACT, "0")) + 1
        if attempts < MOST_ATTEMPTS:
            await desk.journal.append(StationFact(desk.identity, ATTEMPTS_FACT, str(attempts)))
            return
        log.error("station goes to its new operator as it is", station=desk.identity, attempts=attempts)
        for name in (*FACTS, ATTEMPTS_FACT):
            await desk.journal.append(StationFact(desk.identity, name, None))
    except JournalFault as error:
        log.error("attempt not counted", station=desk.identity, why=str(error))


def has_traces(journal: Journal, identity: str) -> bool:
    """Return whether the agent has written to a station and not undone it."""
    return journal.has_fact(identity, BEFORE_FACT)


async def forget_refused(journal: Journal, identity: str) -> None:
    """A station has booted: what it refused it may take now, for its firmware may be another. Raises JournalFault."""
    await journal.append(StationFact(identity, REFUSED_FACT, None))


def _tell(desk: Desk) -> None:
    report = desk.record.strategy
    assert report is not None
    log.info(
        "strategy",
        state=report.state,
        station=desk.identity,
        refused=report.refused,
        waits=report.waits,
        notes=report.notes,
    )
