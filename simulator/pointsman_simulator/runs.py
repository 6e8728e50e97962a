"""Many stations at once, and one supervision until told to stop: what the commands do, without printing."""

import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import trio

from pointsman_simulator.clock import stamp
from pointsman_simulator.errors import HandshakeFailed, HandshakeRefused
from pointsman_simulator.scenario import StationProfile
from pointsman_simulator.station import (
    Password,
    SessionResult,
    Station,
    connect_station,
    identity_in,
    run_boot,
    run_session,
    stay,
)
from pointsman_simulator.supervision import Direction
from pointsman_simulator.transcript import Recorded

Scenario = Literal["session", "idle", "security-event"]
SCENARIOS: tuple[Scenario, ...] = ("session", "idle", "security-event")
AT_ONCE = 50  # handshakes in flight: a storm of more measures the machine, not the agent


@dataclass(frozen=True, slots=True)
class StationRun:
    """What `pointsman-sim station` was asked for."""

    protocols: tuple[str, ...]
    profile: StationProfile
    scenario: Scenario
    password: Password | None
    ssl_context: ssl.SSLContext | None
    heartbeat_interval_s: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Unconnected:
    """A station that got no link; `status` is the HTTP status where there was one."""

    station: str
    reason: str
    status: int | None


StationOutcome = SessionResult | Unconnected


def urls_of(url: str, count: int) -> list[str]:
    """Return `count` station URLs: `{n}` counts from 1; without it `-1`, `-2`, … is appended where count > 1."""
    width = len(str(count))
    if "{n}" not in url and count > 1:
        url = url.rstrip("/") + "-{n}"
    return [url.replace("{n}", f"{number:0{width}d}") for number in range(1, count + 1)]


async def run_stations(
    urls: Sequence[str], run: StationRun, tell: Callable[[StationOutcome], None]
) -> list[StationOutcome]:
    """Play the scenario at every URL; `tell` is called as each ends, the list comes back in the order of `urls`."""
    outcomes: dict[str, StationOutcome] = {}
    limit = trio.CapacityLimiter(AT_ONCE if run.scenario != "idle" else max(AT_ONCE, len(urls)))

    async def one(url: str, number: int) -> None:
        async with limit:
            outcomes[url] = await _run_station(url, number, run)
        tell(outcomes[url])

    async with trio.open_nursery() as nursery:
        for number, url in enumerate(urls, start=1):
            nursery.start_soon(one, url, number)
    return [outcomes[url] for url in urls]


def is_complete(outcome: StationOutcome) -> bool:
    """Whether the station did all of its scenario and got only answers that its standard allows."""
    return isinstance(outcome, SessionResult) and outcome.completed and not outcome.faults


def reason_of(outcome: StationOutcome) -> str:
    """Return why `outcome` is not complete; an empty text when it is."""
    if isinstance(outcome, Unconnected):
        return outcome.reason
    return outcome.reason or (f"not by the standard: {outcome.faults[0]}" if outcome.faults else "")


def json_of(outcome: StationOutcome) -> str:
    """Return `outcome` as one line of JSON."""
    return json.dumps(asdict(outcome), ensure_ascii=False, sort_keys=True)


def record_line(direction: Direction, entry: Recorded) -> str:
    """Return one text of a supervision as one line of JSON: time, station, direction, text."""
    line = {"time": stamp(entry.at), "station": entry.station, "direction": direction, "text": entry.text}
    return json.dumps(line, ensure_ascii=False)


async def _run_station(url: str, number: int, run: StationRun) -> StationOutcome:
    profile = replace(run.profile, serial_number=f"SIM-{number:04d}")
    connected = connect_station(url, protocols=run.protocols, password=run.password, ssl_context=run.ssl_context)
    try:
        async with connected as station:
            return await _play(station, profile, run)
    except HandshakeRefused as refusal:
        return Unconnected(identity_in(url), str(refusal), refusal.status)
    except HandshakeFailed as failure:
        return Unconnected(identity_in(url), str(failure), None)


async def _play(station: Station, profile: StationProfile, run: StationRun) -> SessionResult:
    if run.scenario == "session":
        return await run_session(station, profile=profile)
    result = await run_boot(station, profile=replace(profile, security_event=run.scenario == "security-event"))
    if run.scenario == "idle" and result.completed:
        station.profile = profile
        await stay(station, run.heartbeat_interval_s, run.for_s)
    return replace(result, closed=station.closed)
