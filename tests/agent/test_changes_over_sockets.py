"""A running site changes: which sockets are touched, and what stations and operators see of it (rules 43 to 47)."""

import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import trio
import trustme
from pointsman_schema.bundle import LOCAL, Activation, Config
from pointsman_simulator.errors import HandshakeFailed
from pointsman_simulator.station import Station, connect_station, report_security_event, run_boot, run_session
from pointsman_simulator.supervision import Supervision, open_supervision
from support.agents import RunningAgent, running_agent
from support.legs import certificates
from support.processes import AgentProcess, spawned
from support.sites import (
    STAFF_BADGE,
    a_badge,
    a_config,
    a_local_group,
    a_remote_group,
    a_station,
    a_supervision,
    a_unique_config,
    free_port,
)

RELAYING: Final = 200
PROBATION_S: Final = 10
RETURNED_WITHIN_S: Final = PROBATION_S + 10.0
MOVED_WITHIN_S: Final = 20.0  # a sweep looks at who waits every 5 s
RETRY_S: Final = 0.05
OLD_TRANSACTION: Final = 1001


def two_operators(acme: str, volt: str, stations: dict[str, str], **acme_changes: Any) -> Config:
    """A site of which `stations` says the operator of each; one of the controller's own is in it too."""
    operators = stations | {"LOC-01": LOCAL}
    return a_config(
        supervisions={"acme": a_supervision(acme, **acme_changes), "volt": a_supervision(volt)},
        groups={"acme": a_remote_group("acme"), "volt": a_remote_group("volt"), "staff": a_local_group()},
        stations={
            name: a_station(operator, "staff" if operator == LOCAL else operator)
            for name, operator in operators.items()
        },
        activation=Activation(spread=0, probation=PROBATION_S, drain_limit=3600),
    )


async def switched(agent: RunningAgent, config: Config, sequence: int) -> None:
    """Lay down a bundle, and wait until it is in force."""
    agent.write(config, sequence=sequence)
    await agent.reload()
    await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == sequence)


@asynccontextmanager
async def connected(agent: RunningAgent, *identities: str, **options: Any) -> AsyncIterator[dict[str, Station]]:
    """Connect stations, ten at a time."""
    stations: dict[str, Station] = {}
    async with AsyncExitStack() as stack:
        for identity in identities:
            stations[identity] = await stack.enter_async_context(connect_station(agent.url(identity), **options))
        yield stations


async def test_r43_with_200_stations_relaying_only_those_of_a_changed_url_are_touched(tmp_path: Path) -> None:
    names = {f"CP-{number:03}": "acme" if number % 2 else "volt" for number in range(RELAYING)}
    async with (
        open_supervision() as acme,
        open_supervision() as volt,
        open_supervision() as elsewhere,
        running_agent(tmp_path, two_operators(acme.url, volt.url, names)) as agent,
        connected(agent, *names, "LOC-01") as stations,
    ):
        sockets = {**acme.connections, **volt.connections}
        assert len(sockets) == RELAYING
        some, local = stations["CP-001"], stations["LOC-01"]
        await report_security_event(some)
        assert not acme.received.texts

        # A timeout, a ping interval, a flag and a badge act at once and touch none.
        changed = two_operators(
            acme.url, volt.url, names, message_timeout=7, ping_interval=11, forward_security_events=True
        )
        changed = msgspec.structs.replace(changed, badges={STAFF_BADGE: a_badge("staff"), "new": a_badge("staff")})
        await switched(agent, changed, 2)
        await report_security_event(some)
        await acme.wait_for(lambda entry: entry.action == "SecurityEventNotification")
        assert (await run_session(local, "new")).completed
        assert {**acme.connections, **volt.connections} == sockets
        assert not acme.past_connections
        assert not volt.past_connections

        # The same again touches none.
        await switched(agent, changed, 3)
        assert {**acme.connections, **volt.connections} == sockets

        # Another URL touches exactly the stations of it.
        moved = {**changed.supervisions, "volt": a_supervision(elsewhere.url)}
        await switched(agent, msgspec.structs.replace(changed, supervisions=moved), 4)
        for name, operator in names.items():
            if operator == "volt":
                assert (await stations[name].wait_closed()).code == 1012
        assert all(stations[name].closed is None for name, operator in names.items() if operator == "acme")
        assert local.closed is None
        assert not acme.past_connections
        assert len(volt.past_connections) == RELAYING // 2
        async with connected(agent, "CP-000"):
            await elsewhere.wait_connected("CP-000")


class Persistent:
    """A station that comes again and again."""

    def __init__(self, agent: RunningAgent, identity: str) -> None:
        self._agent = agent
        self._identity = identity

    async def run(self) -> None:
        """Be connected until cancelled."""
        while True:
            try:
                async with connect_station(self._agent.url(self._identity)) as station:
                    await station.wait_closed(float("inf"))
            except HandshakeFailed:
                await trio.sleep(RETRY_S)


async def test_r47_a_supervision_with_a_wrong_certificate_is_undone_by_itself(tmp_path: Path) -> None:
    names = [f"CP-{number}" for number in range(4)]
    stranger = trustme.CA().cert_pem.bytes().decode()
    async with (
        open_supervision() as old,
        open_supervision(ssl_context=certificates().server) as new,
        running_agent(tmp_path, a_unique_config(old.url, *names)) as agent,
        trio.open_nursery() as nursery,
    ):
        for name in names:
            nursery.start_soon(Persistent(agent, name).run)
            await old.wait_connected(name)

        agent.write(a_unique_config(new.url, *names, trust=[stranger]), sequence=2)
        began = trio.current_time()
        await agent.reload()
        status = await agent.wait_status(
            lambda status: status["bundle"]["lastFailed"] is not None, within_s=RETURNED_WITHIN_S
        )
        for name in names:
            await old.wait_connected(name, within_s=began + RETURNED_WITHIN_S - trio.current_time())
        assert status["bundle"]["active"]["sequence"] == 1
        assert status["bundle"]["lastFailed"]["code"] == "probation"
        why = r"[2-4] of 4 uplinks to acme failed within \d+ s: tls \(certificate: .+\)"
        assert re.fullmatch(why, status["bundle"]["lastFailed"]["message"])

        connections = dict(old.connections)
        agent.write(a_unique_config(new.url, *names, trust=[stranger]), sequence=3)  # the same in new clothes
        await agent.reload()
        await agent.wait_status(lambda status: status["bundle"]["desired"]["sequence"] == 3)
        assert old.connections == connections

        await switched(agent, a_unique_config(new.url, *names, trust=[certificates().root]), 4)
        for name in names:
            await new.wait_connected(name)
        assert (await agent.status())["bundle"]["quarantine"] is None
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("is_killed", [False, True])
async def test_r44_an_offline_station_delivers_what_it_queued_to_its_old_operator(
    tmp_path: Path, is_killed: bool
) -> None:
    agent = AgentProcess(tmp_path, free_port())
    async with open_supervision() as acme, open_supervision() as volt:
        agent.write(two_operators(acme.url, volt.url, {"CP-1": "acme"}))
        async with spawned(agent) as process:
            async with connect_station(agent.url("CP-1")) as station:
                await run_boot(station)
                started = await station.call("StartTransaction", START)
                assert started.payload["transactionId"] == OLD_TRANSACTION
                await station.drop()
            await switched(agent, two_operators(acme.url, volt.url, {"CP-1": "volt"}), 2)
            assert (await agent.station("CP-1"))["pendingMove"]["to"] == "volt"
            if is_killed:
                process.send_signal(signal.SIGKILL)
                await process.wait()
            else:
                await delivered(agent, acme)
        if is_killed:
            async with spawned(agent):
                assert (await agent.station("CP-1"))["pendingMove"]["to"] == "volt"
                await delivered(agent, acme)
        assert not volt.received.texts


START: Final = {"connectorId": 1, "idTag": "04A2", "meterStart": 0, "timestamp": "2026-11-28T00:00:00Z"}
STOP: Final = {"transactionId": OLD_TRANSACTION, "meterStop": 7, "timestamp": "2026-11-28T01:00:00Z"}


async def delivered(agent: RunningAgent, operator: Supervision) -> None:
    """The station comes again, and says what it had queued."""
    async with connect_station(agent.url("CP-1")) as station:
        await station.call("StopTransaction", STOP)
        await operator.wait_for(lambda entry: entry.action == "StopTransaction")


async def test_r45_a_2x_station_that_moves_is_told_of_to_its_new_operator_before_it_says_a_word(
    tmp_path: Path,
) -> None:
    async with (
        open_supervision() as acme,
        open_supervision() as volt,
        running_agent(tmp_path, two_operators(acme.url, volt.url, {"CP-1": "acme"})) as agent,
    ):
        async with connect_station(agent.url("CP-1"), protocols=("ocpp2.0.1",)) as station:
            await run_boot(station)
            await switched(agent, two_operators(acme.url, volt.url, {"CP-1": "volt"}), 2)
            assert (await station.wait_closed(MOVED_WITHIN_S)).code == 1012
        async with connect_station(agent.url("CP-1"), protocols=("ocpp2.0.1",)) as station:
            await station.call("Heartbeat", {})

        told = [entry.frame for entry in volt.received]
        sent = {entry.action: entry.frame for entry in acme.received}
        assert [getattr(frame, "action", "") for frame in told[:3]] == [
            "BootNotification",
            "StatusNotification",
            "Heartbeat",
        ]
        for frame in told[:2]:
            assert frame is not None
            original = sent[getattr(frame, "action", "")]
            assert getattr(frame, "payload", 1) == getattr(original, "payload", 2)
            assert frame.id != getattr(original, "id", "")
        assert not station.faults


async def test_r45_a_16_station_that_moves_boots_for_its_new_operator_and_no_other_time(tmp_path: Path) -> None:
    async with (
        open_supervision() as acme,
        open_supervision() as volt,
        running_agent(tmp_path, two_operators(acme.url, volt.url, {"CP-1": "acme"})) as agent,
    ):
        async with connect_station(agent.url("CP-1")) as station:
            await run_boot(station)
            await switched(agent, two_operators(acme.url, volt.url, {"CP-1": "volt"}), 2)
            assert (await station.wait_closed(MOVED_WITHIN_S)).code == 1012
        async with connect_station(agent.url("CP-1")) as station:
            await volt.wait_for(lambda entry: entry.action == "BootNotification")
            await volt.wait_for(lambda entry: entry.action == "StatusNotification")
            assert [entry.action for entry in station.received if entry.action] == ["TriggerMessage"] * 2
        count = len(volt.received)
        async with connect_station(agent.url("CP-1")) as station:
            await station.call("Heartbeat", {})

        assert [entry.action for entry in volt.received][count:] == ["Heartbeat"]
        assert not [entry for entry in station.received if entry.action]


async def test_r45_an_operator_that_never_accepts_loses_the_station_and_the_status_says_why(tmp_path: Path) -> None:
    async with (
        open_supervision() as acme,
        open_supervision() as volt,
        running_agent(tmp_path, two_operators(acme.url, volt.url, {"CP-1": "acme"})) as agent,
    ):
        volt.answers.boot_status, volt.answers.boot_interval = "Rejected", 1
        async with connect_station(agent.url("CP-1"), protocols=("ocpp2.0.1",)) as station:
            await run_boot(station)
            await switched(agent, two_operators(acme.url, volt.url, {"CP-1": "volt"}), 2)
            await station.wait_closed(MOVED_WITHIN_S)
        async with connect_station(agent.url("CP-1"), protocols=("ocpp2.0.1",)) as station:
            closed = await station.wait_closed()

        assert (closed.code, [entry.action for entry in volt.received]) == (1012, ["BootNotification"] * 3)
        assert "volt does not accept its boot: Rejected" in (await agent.station("CP-1"))["lastError"]["message"]
