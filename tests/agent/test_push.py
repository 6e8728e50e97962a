"""The state that is pushed: what it says, when it is written, and that it survives a store that is away."""

import ssl
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from pointsman_agent.backoff import Backoff
from pointsman_agent.bearer import read_bearer
from pointsman_agent.push import sender
from pointsman_agent.push.exposition import LONGEST_REASON, digest_of_state, expose
from pointsman_agent.push.sender import Pusher
from pointsman_agent.push.spool import Spool
from pointsman_agent.secrets import SecretFolder
from structlog.testing import capture_logs
from support.pushes import AT, WITHIN_S, Site, minutes, running_store, status
from trio.testing import MockClock


def failed(message: str) -> dict[str, Any]:
    failure = {"digest": "sha256:bb", "sequence": 8, "at": "", "code": "probation", "message": message}
    return status(state="degraded", bundle={**status()["bundle"], "lastFailed": failure})


def test_every_sample_has_the_site_and_its_time() -> None:
    assert expose(status(), AT) == (
        'pointsman_report{site="lyon",state="running",active="sha256:aa",desired="sha256:aa"} 1795867200 '
        "1795867200000\n"
        'pointsman_report_timestamp_seconds{site="lyon"} 1795867200 1795867200000\n'
        'pointsman_agent_info{site="lyon",version="1.0"} 1 1795867200000\n'
        'pointsman_bundle_desired_sequence{site="lyon"} 7 1795867200000\n'
        'pointsman_bundle_active_sequence{site="lyon"} 7 1795867200000\n'
        'pointsman_stations{site="lyon"} 2 1795867200000\n'
        'pointsman_stations_connected{site="lyon"} 2 1795867200000\n'
        'pointsman_open_transactions{site="lyon"} 1 1795867200000\n'
        'pointsman_supervision_reachable{site="lyon",supervision="acme"} 1 1795867200000\n'
        'pointsman_supervision_stations{site="lyon",supervision="acme"} 2 1795867200000\n'
        'pointsman_supervision_clock_offset_seconds{site="lyon",supervision="acme"} 0.5 1795867200000\n'
    )


def test_a_failure_is_told_with_its_reason_cut_and_escaped() -> None:
    text = expose(failed('"quoted"\nand \\ ' + "x" * 500), AT)

    assert 'failed="sha256:bb",failed_sequence="8",code="probation",reason="\\"quoted\\"\\nand \\\\ xxx' in text
    assert text.splitlines()[0].count("x") < LONGEST_REASON


def test_what_a_rollout_acts_on_is_a_change_and_figures_are_not() -> None:
    assert digest_of_state(status()) == digest_of_state(status(stationsConnected=1))
    assert digest_of_state(status()) != digest_of_state(status(state="stale"))
    assert digest_of_state(status()) != digest_of_state(failed("x"))
    lost = [{**status()["supervisions"][0], "reachable": False}]
    assert digest_of_state(status()) != digest_of_state(status(supervisions=lost))


async def until(done: Callable[[], bool]) -> None:
    with trio.fail_after(WITHIN_S):
        while not done():  # noqa: ASYNC110  # it looks at a thread of the spool
            await trio.sleep(0.01)


class AskedAgent:
    """An agent whose state does not change, and that is looked at when a test lets it."""

    def __init__(self, folder: Path, chance: Callable[[], float]) -> None:
        self.written_at: list[float] = []
        self._asks, self._asked = trio.open_memory_channel[None](0)
        self._lets, self._let = trio.open_memory_channel[None](0)
        self.pusher = Pusher(
            "http://127.0.0.1:9/",
            lambda: None,
            lambda: Spool(folder),
            self._snapshot,
            self._now,
            look_every_s=0.0,
            backoff=Backoff(lambda: 0.0),
            chance=chance,
        )

    async def look(self, clock: MockClock, later_s: float) -> None:
        """Let the agent be looked at so much later; what the last look gave is written then."""
        await self._asked.receive()
        clock.jump(later_s)
        await self._lets.send(None)

    async def _snapshot(self) -> dict[str, Any]:
        await self._asks.send(None)
        await self._let.receive()
        return status()

    def _now(self) -> datetime:
        self.written_at.append(trio.current_time())
        return AT


async def test_without_a_change_reports_are_a_minute_apart_a_quarter_more_or_less(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    chances = iter([0.0, 0.5, 1.0, 0.5])
    agent = AskedAgent(tmp_path, lambda: next(chances))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.pusher.run)
        for _ in range(40):
            await agent.look(mock_clock, later_s=5.0)
        nursery.cancel_scope.cancel()

    assert [after - before for before, after in pairwise(agent.written_at)] == [45.0, 60.0, 75.0]


async def test_nothing_is_lost_when_the_store_is_away_for_an_hour(tmp_path: Path) -> None:
    with running_store() as store:
        store.judge = lambda content: 503
        site = Site(store.url, tmp_path, reports=60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            with trio.fail_after(WITHIN_S):
                await site.is_done.wait()  # nothing blocked meanwhile
            await until(lambda: len(store.codes) > 0)
            assert store.taken == []
            store.judge = lambda content: 204
            await until(lambda: len(site.spool) == 0)
            nursery.cancel_scope.cancel()

    assert minutes(store.taken) == list(range(1, 61))
    assert store.tokens == {"Bearer secret"}


async def test_what_waits_goes_out_after_a_restart(tmp_path: Path) -> None:
    with running_store() as store:
        nobody = Site("http://127.0.0.1:9/", tmp_path, reports=3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nobody.pusher.run)
            await until(lambda: len(nobody.spool) == 3)
            nursery.cancel_scope.cancel()
        site = Site(store.url, tmp_path, reports=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until(lambda: len(store.taken) == 4)
            nursery.cancel_scope.cancel()


async def test_a_fault_of_ours_in_it_ends_nothing_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PUSH_AGAIN_S", 0.01)
    site = Site("http://metrics..example/push", tmp_path, reports=3)  # what no setting lets through: InvalidURL
    with running_store() as store, capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until(lambda: site.is_done.is_set() and bool(logs))
            site.pusher._url = store.url
            await until(lambda: len(store.taken) == 3)
            nursery.cancel_scope.cancel()

    assert {entry["event"] for entry in logs} == {"pushing failed"}


def whys(logs: Any) -> list[str]:
    return [entry["why"] for entry in logs if "why" in entry]


def has_more_than(logs: Any, count: int) -> Callable[[], bool]:
    return lambda: len(logs) > count


async def test_a_token_that_is_not_there_yet_is_told_and_counts_when_it_comes_and_when_it_changes(
    tmp_path: Path,
) -> None:
    secrets = SecretFolder(tmp_path)
    with running_store() as store, capture_logs() as logs:
        site = Site(store.url, tmp_path / "push", reports=1)
        site.pusher._token = lambda: read_bearer(secrets, "fleet-token")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until(lambda: bool(logs))
            (tmp_path / "fleet-token").write_text("first")
            await store.wait(lambda: len(store.taken) == 1)
            (tmp_path / "fleet-token").write_text("second")
            site.spool.add(b"pointsman_report{} 1\n")
            site.pusher._written.set()
            await store.wait(lambda: len(store.taken) == 2)
            nursery.cancel_scope.cancel()

    assert store.tokens == {"Bearer first", "Bearer second"}
    assert "fleet-token: No such file" in whys(logs)[0]
    assert store.connections == 1


async def test_a_folder_that_cannot_be_used_is_told_and_used_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "FOLDER_AGAIN_S", 0.01)
    (tmp_path / "push").write_text("in its place")
    with running_store() as store, capture_logs() as logs:
        site = Site(store.url, tmp_path / "kept", reports=1)
        site.pusher._open_spool = lambda: Spool(tmp_path / "push")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until(lambda: bool(logs))
            (tmp_path / "push").unlink()
            await store.wait(lambda: len(store.taken) == 1)
            nursery.cancel_scope.cancel()

    assert [entry["event"] for entry in logs] == ["no reports: their folder cannot be used"]
    assert str(tmp_path / "push") in whys(logs)[0]


async def test_a_certificate_that_is_not_trusted_is_told_as_such_and_roots_make_it_so(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = tmp_path / "roots.pem"
    with running_store(context) as store, capture_logs() as logs:
        for told, trusted in enumerate((None, trust)):
            site = Site(store.url, tmp_path / "push", reports=1, trust=trusted)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(site.pusher.run)
                await until(has_more_than(logs, told))
                if trusted is not None:
                    authority.cert_pem.write_to_path(trust)
                    await store.wait(lambda: len(store.taken) == 2)
                nursery.cancel_scope.cancel()

    assert whys(logs) == [
        "ConnectError: tls: certificate: unable to get local issuer certificate",
        f"--push-trust {trust}: [Errno 2] No such file or directory: '{trust}'",
    ]


async def test_proxies_of_the_environment_have_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with running_store() as store, capture_logs() as logs:
        site = Site(store.url, tmp_path, reports=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until(lambda: bool(store.taken or logs))
            nursery.cancel_scope.cancel()

    assert logs == []
