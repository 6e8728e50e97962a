"""Bundles while the agent runs: a good one is switched in, any other is refused and the old configuration stays."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_simulator.errors import HandshakeFailed
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent, started
from support.sites import (
    STAFF_BADGE,
    a_badge,
    a_bundle,
    a_config,
    a_listener,
    a_password,
    a_station,
    a_unique_config,
    free_port,
    replace_file,
)


def flipped(text: str) -> str:
    """Return base64 text in which one byte of what it says is another."""
    raw = bytearray(base64.b64decode(text))
    raw[len(raw) // 2] ^= 1
    return base64.b64encode(raw).decode()


def tampered_payload(envelope: dict[str, Any]) -> None:
    envelope["payload"] = flipped(envelope["payload"])


def tampered_signature(envelope: dict[str, Any]) -> None:
    envelope["signatures"][0]["sig"] = flipped(envelope["signatures"][0]["sig"])


def tampered_site(envelope: dict[str, Any]) -> None:
    payload = base64.b64decode(envelope["payload"]).replace(b'"site":"test-site"', b'"site":"test-sitf"')
    envelope["payload"] = base64.b64encode(payload).decode()


@pytest.mark.parametrize("tamper", [tampered_payload, tampered_signature, tampered_site])
async def test_r49_a_bundle_changed_by_one_byte_is_refused_and_the_running_one_stays(
    tmp_path: Path, tamper: Callable[[dict[str, Any]], None]
) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01")) as station,
    ):
        before = await agent.status()
        envelope = json.loads(a_bundle(agent.placed(a_config(badges={})), keys=(agent.key,), sequence=2))
        tamper(envelope)
        replace_file(agent.bundle, json.dumps(envelope).encode())
        await agent.reload()
        after = await agent.wait_status(lambda status: status["bundle"]["lastFailed"] is not None)

        assert after["bundle"]["lastFailed"]["code"] == "untrusted"
        assert after["bundle"]["active"] == before["bundle"]["active"]
        assert (await run_session(station, STAFF_BADGE)).completed


async def refused_code(agent: RunningAgent, envelope: bytes) -> str:
    """Lay `envelope` down and return the code with which it is refused."""
    replace_file(agent.bundle, envelope)
    await agent.reload()
    status = await agent.wait_status(lambda status: status["bundle"]["lastFailed"] is not None)
    assert status["bundle"]["active"]["sequence"] == 5
    code: str = status["bundle"]["lastFailed"]["code"]
    return code


CHANGED = a_config(title="another")


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("unsigned", lambda agent: a_bundle(agent.placed(CHANGED), sequence=6)),
        ("untrusted", lambda agent: a_bundle(CHANGED, keys=(Ed25519PrivateKey.generate(),), sequence=6)),
        ("wrong-site", lambda agent: a_bundle(CHANGED, keys=(agent.key,), sequence=6, site="elsewhere")),
        ("old-sequence", lambda agent: a_bundle(agent.placed(CHANGED), keys=(agent.key,), sequence=4)),
        ("sequence-conflict", lambda agent: a_bundle(agent.placed(CHANGED), keys=(agent.key,), sequence=5)),
        ("no-envelope", lambda agent: b"not a bundle"),
        ("no-envelope", lambda agent: b""),
        ("too-large", lambda agent: b" " * (8 * 1024 * 1024 + 1)),
        (
            "secret-missing",
            lambda agent: a_bundle(
                agent.placed(a_config(stations={"LOC-01": a_station(password=a_password("nowhere"))})),
                keys=(agent.key,),
                sequence=6,
            ),
        ),
    ],
)
async def test_r49_every_other_bundle_is_refused_with_its_code(
    tmp_path: Path, code: str, make: Callable[[RunningAgent], bytes]
) -> None:
    async with running_agent(tmp_path, None) as agent:
        agent.write(a_config(), sequence=5)
        await agent.reload()
        await agent.wait_status(lambda status: status["bundle"]["active"] is not None)

        assert await refused_code(agent, make(agent)) == code
        assert (await agent.status())["state"] == "degraded"


async def test_a_new_bundle_is_switched_in_and_stations_come_back_over_it(tmp_path: Path) -> None:
    async with (
        open_supervision() as old,
        open_supervision() as new,
        running_agent(tmp_path, a_unique_config(old.url)) as agent,
    ):
        async with connect_station(agent.url("CP-1")) as station:
            agent.write(a_unique_config(new.url), sequence=2)
            await agent.reload()
            closed = await station.wait_closed()
        async with connect_station(agent.url("CP-1")) as station:
            assert (await run_session(station)).completed

        assert closed.code == 1012
        assert [link.station for link in new.past_connections] == ["CP-1"]
        assert (await agent.status())["bundle"]["active"]["sequence"] == 2


async def test_a_rename_is_noticed_without_being_asked(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        agent.write(a_config(title="another"), sequence=2)

        await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 2)


async def test_r43_the_same_configuration_touches_no_connection(tmp_path: Path) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01")) as station,
    ):
        agent.write(a_config(), sequence=2)
        await agent.reload()
        await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 2)

        assert (await run_session(station, STAFF_BADGE)).completed
        assert station.closed is None


async def test_a_listener_whose_port_changes_is_opened_before_the_old_one_closes(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        port = free_port()
        agent.write(a_config(listeners={"other": a_listener(port)}), sequence=2)
        await agent.reload()
        await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 2)

        async with connect_station(f"ws://127.0.0.1:{port}/LOC-01") as station:
            assert (await station.call("Heartbeat", {})).error is None
        with pytest.raises(HandshakeFailed):
            async with connect_station(agent.url("LOC-01")):
                pass


async def test_r48_the_last_good_bundle_is_in_force_again_after_a_restart_without_its_file(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        first = await agent.status()
    agent.bundle.unlink()
    async with started(agent), connect_station(agent.url("LOC-01")) as station:
        second = await agent.status()

        assert second["bundle"]["active"] == first["bundle"]["active"]
        assert (await run_session(station, STAFF_BADGE)).completed


async def test_r48_without_a_bundle_the_agent_waits(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent:
        assert (await agent.status())["state"] == "waiting"
        agent.write(a_config())
        await agent.reload()
        await agent.wait_status(lambda status: status["state"] == "running")


async def test_badges_of_a_new_bundle_count_at_once(tmp_path: Path) -> None:
    config = a_config(badges={})
    async with running_agent(tmp_path, config) as agent:
        agent.write(msgspec.structs.replace(config, badges={"ab12": a_badge("staff")}), sequence=2)
        await agent.reload()
        await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 2)
        async with connect_station(agent.url("LOC-01")) as station:
            assert (await run_session(station, "AB12")).completed
