"""The state that is pushed: what it says, that it survives a store that is away, and that it is bounded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trio
from pointsman_agent.backoff import Backoff
from pointsman_agent.push import sender
from pointsman_agent.push import spool as spools
from pointsman_agent.push.exposition import LONGEST_REASON, digest_of_state, expose
from pointsman_agent.push.sender import Pusher
from pointsman_agent.push.spool import Spool

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
WITHIN_S = 20.0


def status(**changes: Any) -> dict[str, Any]:
    bundle = {"digest": "sha256:aa", "sequence": 7, "at": "2026-11-28T11:00:00Z"}
    row = {"name": "acme", "reachable": True, "stationsUp": 2, "clockOffsetSeconds": 0.5}
    return {
        "site": "lyon",
        "version": "1.0",
        "state": "running",
        "bundle": {"desired": bundle, "active": bundle, "lastFailed": None},
        "supervisions": [row],
        "stations": [{"openTransactions": 1}, {"openTransactions": None}],
        "stationsTotal": 2,
        "stationsConnected": 2,
        **changes,
    }


def failed(message: str) -> dict[str, Any]:
    failure = {"digest": "sha256:bb", "sequence": 8, "at": "", "code": "probation", "message": message}
    return status(state="degraded", bundle={**status()["bundle"], "lastFailed": failure})


def test_every_sample_has_the_site_and_its_time() -> None:
    assert expose(status(), AT) == (
        'pointsman_report{site="lyon",state="running",active="sha256:aa",desired="sha256:aa"} 1795867200 '
        "1795867200000\n"
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


def test_a_spool_gives_what_it_has_in_order_also_after_a_restart(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    for number in range(5):
        first.add(b"%d\n" % number)

    names, text = Spool(tmp_path).oldest()

    assert text == b"0\n1\n2\n3\n4\n"
    first.remove(names[:2])
    assert Spool(tmp_path).oldest()[1] == b"2\n3\n4\n"


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 1000), (100, 6)])
def test_a_full_spool_lets_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, most_bytes: int
) -> None:
    monkeypatch.setattr(spools, "KEPT_AT_MOST", most)
    monkeypatch.setattr(spools, "KEPT_BYTES", most_bytes)
    spool = Spool(tmp_path)

    for number in range(5):
        spool.add(b"%d\n" % number)

    assert spool.oldest()[1] == b"2\n3\n4\n"
    assert spool.dropped == 2
    assert len(list(tmp_path.iterdir())) == 3


def test_a_spool_has_room_for_a_day_of_a_large_site() -> None:
    rows = [{**status()["supervisions"][0], "name": f"operator-{number}"} for number in range(10)]
    size = len(expose(failed("x" * 500) | {"supervisions": rows}, AT))

    assert spools.KEPT_AT_MOST >= 24 * 60
    assert 24 * 60 * size <= spools.KEPT_BYTES


class Store:
    """A metrics store that can be away: `code` is what it answers."""

    def __init__(self) -> None:
        self.code = 204
        self.seen = 0
        self.taken: list[str] = []
        self.tokens: set[str | None] = set()
        self.url = ""


@contextmanager
def running_store() -> Iterator[Store]:
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"])).decode()
            store.seen += 1
            store.tokens.add(self.headers["Authorization"])
            code = store.code
            if code == 204:
                store.taken += [line for line in content.splitlines() if line.startswith("pointsman_report")]
            self.send_response(code)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        store.url = f"http://127.0.0.1:{server.server_address[1]}/api/v1/import/prometheus"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()


class Site:
    """An agent that says something new at each look, a minute later each time; `end` is the last of it."""

    def __init__(self, url: str, folder: Path, reports: int) -> None:
        self.said = 0
        self.spool = Spool(folder)
        self.is_done = trio.Event()
        self._reports = reports
        backoff = Backoff(lambda: 0.0)
        self.pusher = Pusher(url, "secret", self.spool, self._snapshot, self._now, look_every_s=0.001, backoff=backoff)

    async def _snapshot(self) -> dict[str, Any]:
        if self.said == self._reports:
            self.is_done.set()
            await trio.sleep_forever()
        self.said += 1
        bundle = {"digest": "sha256:aa", "sequence": self.said, "at": ""}
        return status(bundle={"desired": bundle, "active": bundle, "lastFailed": None})

    def _now(self) -> datetime:
        return AT + timedelta(minutes=self.said)


async def until(done: Any) -> None:
    with trio.fail_after(WITHIN_S):
        while not done():  # noqa: ASYNC110  # it looks at another thread
            await trio.sleep(0.01)


async def test_nothing_is_lost_when_the_store_is_away_for_an_hour(tmp_path: Path) -> None:
    with running_store() as store:
        store.code = 503
        site = Site(store.url, tmp_path, reports=60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            with trio.fail_after(WITHIN_S):
                await site.is_done.wait()  # nothing blocked meanwhile
            await until(lambda: store.seen > 0)
            assert store.taken == []
            store.code = 204
            await until(lambda: len(site.spool) == 0)
            nursery.cancel_scope.cancel()

    minutes = [(int(line.rsplit(" ", 1)[1]) // 1000 - int(AT.timestamp())) // 60 for line in store.taken]
    assert minutes == list(range(1, 61))
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


async def test_a_report_that_is_refused_for_what_it_says_does_not_hold_up_the_next(tmp_path: Path) -> None:
    with running_store() as store:
        store.code = 400
        site = Site(store.url, tmp_path, reports=2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until(lambda: site.is_done.is_set() and len(site.spool) == 0)
            nursery.cancel_scope.cancel()

    assert store.taken == []


async def test_a_fault_of_ours_in_it_ends_nothing_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PUSH_AGAIN_S", 0.01)
    site = Site("http://metrics..example/push", tmp_path, reports=3)  # what no setting lets through: InvalidURL
    with running_store() as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until(lambda: site.is_done.is_set())
            site.pusher._url = store.url
            await until(lambda: len(store.taken) == 3)
            nursery.cancel_scope.cancel()
