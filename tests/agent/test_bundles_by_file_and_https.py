"""The same bundles come by file and by HTTPS to a real agent: each fault is refused with the same code, and the
configuration in force stays."""

import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_agent.bundleurl import BundleUrl
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES
from support.agents import RunningAgent, started
from support.bundleserver import answer, bundle_server
from support.processes import DOWN_WITHIN_S, AgentProcess, run_command, wait_running
from support.programs import agent_command
from support.sites import a_bundle, a_config, free_port, replace_file

CHANGED = a_config(title="another")


@asynccontextmanager
async def fed(tmp_path: Path, way: str) -> AsyncIterator[RunningAgent]:
    """Run an agent whose bundle, sequence 5, came by `way`; what replaces its file goes the same way."""
    agent = RunningAgent(tmp_path, free_port())
    agent.write(a_config(), sequence=5)
    async with bundle_server(agent.bundle) as server:
        if way == "https":
            agent.place = BundleUrl(server.url, trust=server.root)
        async with started(agent):
            await agent.wait_status(lambda status: status["bundle"]["active"] is not None)
            yield agent
        assert bool(server.asked) == (way == "https")


def tampered(agent: RunningAgent) -> bytes:
    envelope = json.loads(a_bundle(agent.placed(CHANGED), keys=(agent.key,), sequence=6))
    payload = envelope["payload"]
    envelope["payload"] = payload[:100] + ("A" if payload[100] != "A" else "B") + payload[101:]
    return json.dumps(envelope).encode()


BAD: dict[str, tuple[str, Callable[[RunningAgent], bytes]]] = {
    "tampered": ("untrusted", tampered),
    "replayed": ("old-sequence", lambda agent: a_bundle(agent.placed(CHANGED), keys=(agent.key,), sequence=4)),
    "forked": ("sequence-conflict", lambda agent: a_bundle(agent.placed(CHANGED), keys=(agent.key,), sequence=5)),
    "foreign": ("wrong-site", lambda agent: a_bundle(CHANGED, keys=(agent.key,), sequence=6, site="elsewhere")),
    "truncated": ("no-envelope", lambda agent: a_bundle(CHANGED, keys=(agent.key,), sequence=6)[:-100]),
    "huge": ("too-large", lambda agent: b" " * (LARGEST_ENVELOPE_BYTES + 1)),
    "wrong key": ("untrusted", lambda agent: a_bundle(CHANGED, keys=(Ed25519PrivateKey.generate(),), sequence=6)),
    "unsigned": ("unsigned", lambda agent: a_bundle(CHANGED, sequence=6)),
}


def failed_otherwise(seen: str | None, status: dict[str, Any]) -> bool:
    failed = status["bundle"]["lastFailed"]
    return failed is not None and failed["code"] != seen


@pytest.mark.parametrize("way", ["file", "https"])
async def test_r49_a_bad_bundle_is_refused_with_its_code_whichever_way_it_comes(tmp_path: Path, way: str) -> None:
    async with fed(tmp_path, way) as agent:
        seen: str | None = None  # the last code: neighbours in BAD have different ones
        for name, (code, make) in BAD.items():
            replace_file(agent.bundle, make(agent))
            await agent.reload()
            status = await agent.wait_status(partial(failed_otherwise, seen))
            seen = status["bundle"]["lastFailed"]["code"]

            assert seen == code, name
            assert status["bundle"]["active"]["sequence"] == 5

        agent.write(CHANGED, sequence=6)
        await agent.reload()
        status = await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 6)
        assert status["bundle"]["lastFailed"] is None


async def test_r48_the_last_good_bundle_is_in_force_while_its_server_is_away_and_the_next_one_when_it_is_back(
    tmp_path: Path,
) -> None:
    agent, port = RunningAgent(tmp_path, free_port()), free_port()
    agent.write(a_config(), sequence=5)
    async with bundle_server(agent.bundle, port=port) as server:
        agent.place = BundleUrl(server.url, trust=server.root)
        async with started(agent):
            await agent.wait_status(lambda status: status["bundle"]["active"] is not None)
            server.script = lambda headers: answer(503)
            await agent.reload()
            status = await agent.wait_status(lambda status: status["bundle"]["lastFailed"] is not None)
            assert status["bundle"]["active"]["sequence"] == 5
            assert status["bundle"]["lastFailed"]["code"] == "unreachable"

    async with started(agent):  # nothing listens at the URL
        status = await agent.wait_status(
            lambda status: "Connection refused" in (status["bundle"]["lastFailed"] or {"message": ""})["message"]
        )
        assert status["bundle"]["active"]["sequence"] == 5
        assert status["bundle"]["lastFailed"]["code"] == "unreachable"

        agent.write(CHANGED, sequence=6)
        async with bundle_server(agent.bundle, port=port):
            await agent.reload()
            status = await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 6)
            assert status["bundle"]["lastFailed"] is None


async def test_the_command_follows_a_url_by_its_flags_and_asks_at_once_on_sighup(tmp_path: Path) -> None:
    agent = AgentProcess(tmp_path, free_port())
    (agent.secrets / "token").write_bytes(b"hush\n")
    agent.write(a_config())
    async with bundle_server(agent.bundle) as server:
        command = [server.url if part == str(agent.bundle) else part for part in run_command(agent)]
        flags = ["--bundle-trust", str(server.root), "--bundle-token", "token", "--bundle-interval", "86400"]
        process = await trio.lowlevel.open_process([*command, *flags])
        try:
            await server.wait_answered(1)
            await wait_running(agent)
            process.send_signal(signal.SIGHUP)
            await server.wait_answered(2)
            status = await agent.status()
        finally:
            process.terminate()
            with trio.move_on_after(DOWN_WITHIN_S):
                await process.wait()
            process.kill()

    assert status["bundle"]["active"]["sequence"] == 1
    assert server.answered == [200, 304]
    assert {headers["authorization"] for headers in server.asked} == {"Bearer hush"}
    assert process.returncode == 0


async def test_a_url_without_tls_is_wrong_usage() -> None:
    done = await agent_command("run", "--allow-unsigned", "--bundle", "http://config.example/a")

    assert done.returncode == 2
    assert "only https://" in done.stderr
