"""What systemd is told, over a real datagram socket."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from pointsman_agent.servicemanager import ServiceManager
from support.agents import running_agent
from support.sites import a_config

WITHIN_S = 20.0


@pytest.fixture
def service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[trio.socket.SocketType]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        path = str(tmp_path / "notify")
        sock.bind(path)
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield trio.socket.from_stdlib_socket(sock)


async def told(sock: trio.socket.SocketType, state: str) -> list[str]:
    """Return the lines of the next datagram that has `state`."""
    with trio.fail_after(WITHIN_S):
        while state not in (lines := (await sock.recv(4096)).decode().splitlines()):
            pass
    return lines


async def test_r55_the_agent_tells_that_it_is_up_alive_reloading_and_stopping(
    service_manager: trio.socket.SocketType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    async with trio.open_nursery() as nursery:

        async def run_until_told_to_stop() -> None:
            async with running_agent(tmp_path, a_config()):
                await told(service_manager, "READY=1")
                await told(service_manager, "WATCHDOG=1")
                await told(service_manager, "WATCHDOG=1")
                os.kill(os.getpid(), signal.SIGHUP)
                assert (await told(service_manager, "RELOADING=1"))[1].startswith("MONOTONIC_USEC=")
                await told(service_manager, "READY=1")
                os.kill(os.getpid(), signal.SIGTERM)
                await told(service_manager, "STOPPING=1")

        nursery.start_soon(run_until_told_to_stop)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "never"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
async def test_without_a_watchdog_of_this_process_nothing_beats(environment: dict[str, str]) -> None:
    with trio.fail_after(WITHIN_S):
        await ServiceManager(environment).beat()


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@pointsman-nobody-listens-here"])
def test_a_service_manager_that_is_not_there_holds_up_nobody(address: str) -> None:
    ServiceManager({"NOTIFY_SOCKET": address}).ready()
