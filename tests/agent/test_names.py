"""Host names: looked up once for all stations, again after a failure, never pinned (rule 56)."""

import socket
from typing import Any

import pytest
import trio
import trio.testing
from pointsman_agent.names import CachedNames

HOST = b"csms.acme.example"
FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]


class LookUps:
    """Stands for the system's resolver; `hold` keeps it from answering."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Any] = []
        self.error: socket.gaierror | None = None
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, host: Any, *arguments: Any) -> list[Any]:
        self.asked.append(host)
        if self.error is not None:
            raise self.error
        return FOUND


async def test_r56_a_name_is_looked_up_once_for_all_stations(monkeypatch: pytest.MonkeyPatch) -> None:
    system, names, answers = LookUps(monkeypatch), CachedNames(), list[Any]()

    async def ask() -> None:
        answers.append(await names.getaddrinfo(HOST, 443))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask)
    await ask()

    assert answers == [FOUND] * 51
    assert system.asked == [HOST]


async def test_r56_a_failure_makes_the_name_be_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    system, names = LookUps(monkeypatch), CachedNames()
    await names.getaddrinfo(HOST, 443)
    names.forget("csms.acme.example")
    await names.getaddrinfo(HOST, 443)

    assert system.asked == [HOST, HOST]


async def test_r56_a_name_that_is_not_found_is_not_remembered_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    system, names = LookUps(monkeypatch), CachedNames()
    system.error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(socket.gaierror):
        await names.getaddrinfo(HOST, 443)
    system.error = None

    assert await names.getaddrinfo(HOST, 443) == FOUND


async def test_r56_other_names_are_kept_when_one_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    system, names = LookUps(monkeypatch), CachedNames()
    for host in (HOST, b"ocpp.volt.example"):
        await names.getaddrinfo(host, 443)
    names.forget("csms.acme.example")
    await names.getaddrinfo(b"ocpp.volt.example", 443)

    assert system.asked == [HOST, b"ocpp.volt.example"]
