"""The play itself: supervisions, the compiled site, the agent, the stations, and what each of them saw."""

import os
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import trio
import trustme
from pointsman_schema.bundle import Bundle, read_payload
from pointsman_schema.envelope import load_public_key, open_verified

from pointsman_simulator.demo.overlay import choose_site, copy_fleet, find_sites, lay_over, supervision_names
from pointsman_simulator.demo.plan import (
    UNKNOWN_BADGE,
    StationPlan,
    identity_reader,
    plan_stations,
    secrets_needed,
    uplink_passwords,
)
from pointsman_simulator.demo.processes import UP_WITHIN_S, Agent, ProgramFailed, run_program, running_agent
from pointsman_simulator.demo.verdict import OperatorRecord, StationRecord
from pointsman_simulator.errors import HandshakeRefused, SimulatorError
from pointsman_simulator.frames import Payload
from pointsman_simulator.scenario import StationProfile
from pointsman_simulator.station import (
    SessionResult,
    Station,
    connect_station,
    report_security_event,
    run_boot,
    run_session,
    stay,
)
from pointsman_simulator.supervision import Supervision, open_supervision

SEQUENCE = "1"  # the first bundle of a controller without any state
METER_VALUES = 4
METER_INTERVAL_S = 1.0
HEARTBEAT_INTERVAL_S = 10.0
ANSWER_WITHIN_S = 15.0
CONNECT_AGAIN_S = 0.25
CONNECT_TRIES = 40

QUESTION_OF: dict[str, tuple[str, Payload]] = {
    "ocpp1.6": ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
    "ocpp2.0.1": (
        "GetVariables",
        {"getVariableData": [{"component": {"name": "TxCtrlr"}, "variable": {"name": "StopTxOnInvalidId"}}]},
    ),
}
"""What a supervision asks each of its stations, so that calls of both directions are seen."""


@dataclass(slots=True)
class Stage:
    """All that stands on it; `live` holds the stations that are connected."""

    bundle: Bundle
    listener_port: int
    plans: Sequence[StationPlan]
    supervisions: Mapping[str, Supervision]
    agent: Agent
    live: dict[str, Station] = field(default_factory=dict)


@asynccontextmanager
async def open_stage(
    sites: Path, site: str | None, folder: Path, *, today: date, tell: Callable[[str], None]
) -> AsyncIterator[Stage]:
    """Set the stage in `folder`, an empty temporary one; everything on it ends with the block.

    Raises OverlayError, ProgramFailed or OSError with a message that says what to do.
    """
    root, chosen = folder / "sites", choose_site(find_sites(sites), site)
    copy_fleet(sites, root)
    authority = trustme.CA()
    async with AsyncExitStack() as stack:
        supervisions = {
            name: await stack.enter_async_context(open_supervision(ssl_context=_server_context(authority)))
            for name in supervision_names(root, chosen)
        }
        listener_port = _free_port()
        ports = {name: supervision.port for name, supervision in supervisions.items()}
        lay_over(root, chosen, ports=ports, listener_port=listener_port, root_pem=authority.cert_pem.bytes())
        tell(f"compile {len(find_sites(root))} sites of {sites.name}, run the agent of {chosen.site} ({chosen.mode})")
        bundle = await _compile(folder, chosen.site)
        values = secrets_needed(bundle.config, lambda: secrets.token_hex(16))  # both a text and hex of a legal length
        _write_secrets(folder / "secrets", values)
        _instruct(supervisions, bundle, values)
        agent = await stack.enter_async_context(_agent(folder, chosen.site))
        await _until_open(listener_port, agent)
        plans = plan_stations(bundle.config, values, today)
        used = {name: supervisions[name] for name in sorted(bundle.config.supervisions)}
        yield Stage(bundle, listener_port, plans, used, agent)


async def play(stage: Stage, ended: Callable[[StationRecord], None]) -> list[StationRecord]:
    """Let every station charge; `ended` is told as each is through. Returns the records in the order of the plans."""
    records: dict[str, StationRecord] = {}

    async def act(plans: Sequence[StationPlan]) -> None:
        for plan in plans:
            records[plan.identity] = await _act(stage, plan)
            ended(records[plan.identity])

    async with trio.open_nursery() as nursery:
        for plans in _side_by_side(stage.plans):
            nursery.start_soon(act, plans)
    return [records[plan.identity] for plan in stage.plans]


async def keep_up(stage: Stage) -> None:
    """Connect every station again and let it send heartbeats, until cancelled."""
    async with trio.open_nursery() as nursery:
        for plan in stage.plans:
            nursery.start_soon(_stay_connected, stage, plan)


def operator_records(stage: Stage) -> dict[str, OperatorRecord]:
    """Return what each supervision of the site saw."""
    return {name: _operator_record(supervision) for name, supervision in stage.supervisions.items()}


async def _compile(folder: Path, site: str) -> Bundle:
    key = folder / "demo"
    await run_program("pointsman", "keygen", str(key))
    await run_program(
        "pointsman",
        *("compile", str(folder / "sites"), "--out", str(folder / "bundles")),
        *("--key", str(key.with_suffix(".key")), "--sequence", SEQUENCE),
    )
    envelope = (folder / "bundles" / f"{site}.bundle").read_bytes()
    return read_payload(open_verified(envelope, [load_public_key(key.with_suffix(".pub").read_bytes())]))


@asynccontextmanager
async def _agent(folder: Path, site: str) -> AsyncIterator[Agent]:
    state = folder / "state"
    state.mkdir(mode=0o700)
    arguments = [
        *("--bundle", str(folder / "bundles" / f"{site}.bundle"), "--site", site),
        *("--trust", str(folder / "demo.pub"), "--state", str(state), "--secrets", str(folder / "secrets")),
        *("--admin", "127.0.0.1:0", "--log-level", "warning"),
    ]
    async with running_agent(arguments, state=state, log=folder / "agent.log") as agent:
        yield agent


def _instruct(supervisions: Mapping[str, Supervision], bundle: Bundle, values: dict[str, str]) -> None:
    """Tell each supervision what the bundle says about it: its passwords, and where its URL has the identity."""
    for name, configured in bundle.config.supervisions.items():
        behaviour = supervisions[name].behaviour
        behaviour.password = uplink_passwords(bundle.config, values, name)
        behaviour.identity_of = identity_reader(configured.url)


def _side_by_side(plans: Sequence[StationPlan]) -> list[list[StationPlan]]:
    """Stations act at the same time, but those of one group that share a badge one after the other."""

    def place(plan: StationPlan) -> tuple[str, str]:
        return (plan.group or "", plan.badge) if plan.is_local else ("", plan.identity)

    return [list(together) for _, together in groupby(sorted(plans, key=place), key=place)]


async def _act(stage: Stage, plan: StationPlan) -> StationRecord:
    """Connect and charge; again while the agent asks for patience (503: an uplink is in back-off)."""
    failure = "the agent answers nothing but 503"
    for _ in range(CONNECT_TRIES):
        try:
            async with _connect(stage, plan) as station:
                return await _charge(stage, plan, station)
        except HandshakeRefused as refusal:
            failure = str(refusal)
            if refusal.status != 503:
                break
        except SimulatorError as error:
            failure = str(error)
            break
        await trio.sleep(CONNECT_AGAIN_S)
    return StationRecord(plan, None, None, failure, (), (), (), failure=failure)


async def _charge(stage: Stage, plan: StationPlan, station: Station) -> StationRecord:
    stage.live[plan.identity] = station
    refused = await _try_unknown_badge(station) if plan.refuses_unknown else None
    profile = StationProfile(
        badge=plan.badge,
        serial_number=f"SIM-{plan.identity}"[:25],
        meter_values=METER_VALUES,
        meter_interval_s=METER_INTERVAL_S,
        boots=refused is None,
    )
    session = await run_session(station, profile=profile, answer_within_s=ANSWER_WITHIN_S)
    event_failure = session.reason
    if session.completed and not plan.is_local:
        await _ask(stage, plan)
        event_failure = (await report_security_event(station, ANSWER_WITHIN_S)).failure
    return _record(plan, station, session, refused, event_failure)


async def _stay_connected(stage: Stage, plan: StationPlan) -> None:
    while True:
        try:
            async with _connect(stage, plan) as station:
                stage.live[plan.identity] = station
                await run_boot(station)
                await stay(station, HEARTBEAT_INTERVAL_S)
        except SimulatorError:
            pass  # as a station does: come again
        await trio.sleep(HEARTBEAT_INTERVAL_S)


def _connect(stage: Stage, plan: StationPlan) -> AbstractAsyncContextManager[Station]:
    url = f"ws://127.0.0.1:{stage.listener_port}/ocpp/{quote(plan.identity, safe='')}"
    return connect_station(url, protocols=plan.offers, password=plan.password, assume_protocol=plan.speaks)


async def _until_open(port: int, agent: Agent) -> None:
    """Wait until the agent listens for stations; its admin port opens earlier."""
    with trio.move_on_after(UP_WITHIN_S):
        while agent.exit_code is None:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(CONNECT_AGAIN_S)
                continue
            await stream.aclose()
            return
    raise ProgramFailed(f"the agent does not listen for stations on port {port}:\n{agent.last_lines()}")


async def _try_unknown_badge(station: Station) -> bool:
    profile = StationProfile(badge=UNKNOWN_BADGE, serial_number=f"SIM-{station.identity}"[:25], meter_values=0)
    result = await run_session(station, profile=profile, answer_within_s=ANSWER_WITHIN_S)
    return not result.completed and result.authorization_status not in (None, "Accepted")


async def _ask(stage: Stage, plan: StationPlan) -> None:
    action, payload = QUESTION_OF.get(plan.speaks, QUESTION_OF["ocpp2.0.1"])
    await stage.supervisions[plan.operator].call(plan.identity, action, payload, ANSWER_WITHIN_S)


def _record(
    plan: StationPlan, station: Station, session: SessionResult, refused: bool | None, event_failure: str | None
) -> StationRecord:
    return StationRecord(
        plan=plan,
        session=session,
        refused_unknown=refused,
        security_event_failure=event_failure,
        sent=tuple(station.sent.texts),
        received=tuple(station.received.texts),
        faults=tuple(station.faults),
    )


def _operator_record(supervision: Supervision) -> OperatorRecord:
    names = sorted({connection.station for connection in supervision.past_connections} | set(supervision.connections))
    return OperatorRecord(
        received={name: tuple(entry.text for entry in supervision.received.of(name)) for name in names},
        sent={name: tuple(entry.text for entry in supervision.sent.of(name)) for name in names},
        faults=tuple(fault for fault in supervision.faults if not fault.startswith("a connection ended")),
    )


def _server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def _write_secrets(folder: Path, values: Mapping[str, str]) -> None:
    folder.mkdir(mode=0o700)
    for name, value in sorted(values.items()):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as secret:
            secret.write(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
