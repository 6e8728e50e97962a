"""A metrics store that refuses, that does not end its answers, and disks that do not help: reports go on."""

import errno
import shutil
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
import trio.testing
from pointsman_agent.backoff import Backoff
from pointsman_agent.push import spool
from pointsman_agent.push.sender import SENT_WITHIN_S
from structlog.testing import capture_logs
from support.pushes import Site, Store, minutes, numbers, report, running_store
from support.rollouts import Answer, dripping, dripping_outside_the_body, endless
from trio.testing import MockClock

MIB = 1024 * 1024
WAIT = "reports wait: the metrics store does not take them"
LET_GO = "the metrics store refuses a report for what it says; it is let go"


def filled(store: Store, folder: Path, reports: list[bytes]) -> Site:
    """A site with reports that wait, and none that come."""
    site = Site(store.url, folder, reports=0)
    for one in reports:
        site.spool.add(one)
    return site


async def send_all(site: Site, store: Store, count: int) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(site.pusher.run)
        await store.wait(lambda: len(store.taken) == count)
        nursery.cancel_scope.cancel()


async def test_a_long_absence_goes_out_in_what_web_servers_take_over_one_connection(tmp_path: Path) -> None:
    with running_store() as store:
        store.judge = lambda content: 204 if len(content) <= MIB else 413
        site = filled(store, tmp_path, [report(number, 100_000) for number in range(20)])
        await send_all(site, store, 20)

    assert numbers(store.taken) == list(range(20))
    assert store.codes == [204, 204, 204]
    assert store.connections == 1


async def test_a_store_that_takes_less_gets_less_and_is_not_asked_for_more_again(tmp_path: Path) -> None:
    with running_store() as store:
        store.judge = lambda content: 204 if len(content) <= 1000 else 413
        site = filled(store, tmp_path, [report(number) for number in range(60)])
        await send_all(site, store, 60)

    assert numbers(store.taken) == list(range(60))
    refused = store.codes.count(413)
    assert 0 < refused < 10
    assert store.codes[refused:] == [204] * (len(store.codes) - refused)


@pytest.mark.parametrize("status", [400, 413])
async def test_a_report_that_is_refused_alone_costs_no_other_one(tmp_path: Path, status: int) -> None:
    with running_store() as store, capture_logs() as logs:
        store.judge = lambda content: status if b'"11"' in content or b'"12"' in content else 204
        site = filled(store, tmp_path, [report(number) for number in range(40)])
        await send_all(site, store, 38)

    assert sorted(numbers(store.taken)) == [number for number in range(40) if number not in (11, 12)]
    assert [entry["status"] for entry in logs if entry["event"] == LET_GO] == [status, status]


async def test_after_a_bad_report_batches_grow_again(tmp_path: Path) -> None:
    with running_store() as store:
        store.judge = lambda content: 400 if b'"0"' in content else 204
        site = filled(store, tmp_path, [report(number) for number in range(500)])
        await send_all(site, store, 499)

    assert len(store.codes) < 25


@pytest.mark.parametrize("count", [1, 2, 60])
async def test_an_address_that_refuses_all_reports_costs_none(tmp_path: Path, count: int) -> None:
    """As VictoriaMetrics does at a path that it does not know, and nginx for plain HTTP at its port for TLS."""
    with running_store() as store, capture_logs() as logs:
        store.judge = lambda content: 400
        site = filled(store, tmp_path, [report(number) for number in range(count)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await store.wait(lambda: len(store.codes) > 30)
            store.judge = lambda content: 204
            await store.wait(lambda: len(store.taken) == count)
            nursery.cancel_scope.cancel()

    assert sorted(numbers(store.taken)) == list(range(count))
    assert LET_GO not in {entry["event"] for entry in logs}
    assert [entry["why"] for entry in logs if "why" in entry] == [
        "HTTP 400, whatever is sent: is it the address of an import?"
    ]


async def test_a_store_that_goes_away_while_a_report_is_suspected_costs_none(tmp_path: Path) -> None:
    answers = iter([400, 400, 400, 503])  # all four, two, the first; and what the newest gets
    with running_store() as store:
        store.judge = lambda content: next(answers, 204)
        site = filled(store, tmp_path, [report(number) for number in range(4)])
        await send_all(site, store, 4)

    assert numbers(store.taken) == [0, 1, 2, 3]


async def test_after_a_report_that_is_let_go_the_next_one_waits(tmp_path: Path, mock_clock: MockClock) -> None:
    """The clock stands still: what waits is never sent."""
    with running_store() as store, capture_logs() as logs:
        store.judge = lambda content: 400 if b'"0"' in content or b'"1"' in content else 204
        site = filled(store, tmp_path, [report(number) for number in range(3)])
        site.pusher._backoff = Backoff(lambda: 0.0, first_s=10.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until_logged(logs, LET_GO)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert store.codes == [400, 400, 204]  # all of them, the first, the newest
            mock_clock.jump(10.0)
            await store.wait(lambda: len(store.codes) > 3)
            nursery.cancel_scope.cancel()


async def test_after_a_failure_the_next_attempt_waits(tmp_path: Path, mock_clock: MockClock) -> None:
    """The clock stands still: what waits is never sent."""
    with running_store() as store, capture_logs() as logs:
        store.judge = lambda content: 503
        site = filled(store, tmp_path, [report(0)])
        site.pusher._backoff = Backoff(lambda: 0.0, first_s=10.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await until_logged(logs, WAIT)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert store.codes == [503]
            mock_clock.jump(10.0)
            await store.wait(lambda: len(store.codes) == 2)
            nursery.cancel_scope.cancel()


async def test_a_fault_of_the_system_at_sending_is_a_failure_as_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    with running_store() as store, capture_logs() as logs:
        site = filled(store, tmp_path, [report(0)])
        with monkeypatch.context() as patch:
            patch.setattr(httpx2.AsyncClient, "stream", stream)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(site.pusher.run)
                await until_logged(logs, WAIT)
                patch.undo()
                await until_logged(logs, "reports are sent again")
                nursery.cancel_scope.cancel()

    assert [entry["event"] for entry in logs] == [WAIT, "reports are sent again"]


async def test_reports_that_are_dropped_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "KEPT_AT_MOST", 3)
    with running_store() as store, capture_logs() as logs:
        store.judge = lambda content: 503
        site = Site(store.url, tmp_path, reports=8)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await site.is_done.wait()
            nursery.cancel_scope.cancel()

    assert [entry["kept"] for entry in logs if entry["event"] == "reports are dropped: too many wait"] == [3]


async def until_logged(logs: list[Any], event: str) -> None:
    for _ in range(10_000):
        if event in {entry["event"] for entry in logs}:
            return
        await trio.testing.wait_all_tasks_blocked(0.001)
    pytest.fail(f"{event} is not told")


def silent(handler: BaseHTTPRequestHandler) -> bool:
    """Never answer; the connection stays open as long as the client wants."""
    handler.rfile.read()
    return True


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        dripping,
        dripping_outside_the_body(b"200 OK\r\n", b"X: x\r\n"),
        dripping_outside_the_body(INTERIM[9:], INTERIM),
    ],
    ids=["silent", "body", "headers", "interim"],
)
async def test_an_answer_without_end_is_given_up_after_twenty_seconds_and_less_is_sent(
    tmp_path: Path, mock_clock: MockClock, answer: Answer
) -> None:
    with running_store() as store:
        store.answer = answer
        store.judge = lambda content: 204 if store.codes else 503
        site = filled(store, tmp_path, [report(number) for number in range(4)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await store.wait(lambda: len(store.sizes) == 1)
            store.answer = lambda handler: False

            mock_clock.jump(SENT_WITHIN_S)

            await store.wait(lambda: len(store.taken) == 4)
            nursery.cancel_scope.cancel()

    assert SENT_WITHIN_S == 20
    assert store.sizes == [400, 200, 200]
    assert numbers(store.taken) == [0, 1, 2, 3]


async def test_of_an_endless_answer_little_is_read_and_the_next_report_follows(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """The clock stands still: no bound of time helps."""
    with running_store() as store:
        store.answer = endless
        site = filled(store, tmp_path, [report(number, 500_000) for number in range(3)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await store.wait(lambda: store.cut == 3)
            nursery.cancel_scope.cancel()

    assert numbers(store.taken) == [0, 1, 2]


async def test_files_that_cannot_be_read_hold_up_nothing_and_are_told_once(tmp_path: Path) -> None:
    with running_store() as store, capture_logs() as logs:
        site = filled(store, tmp_path, [report(number, 500_000) for number in range(5)])
        for number in (1, 3):
            (tmp_path / f"{number + 1:012}").unlink()
        await send_all(site, store, 3)

    assert numbers(store.taken) == [0, 2, 4]
    assert [entry["event"] for entry in logs] == ["reports cannot be read from the disk; they are passed over"]


async def test_where_the_disk_takes_nothing_the_newest_report_is_sent_all_the_same(tmp_path: Path) -> None:
    with running_store() as store, capture_logs() as logs:
        store.judge = lambda content: 503
        site = Site(store.url, tmp_path / "push", reports=3)
        shutil.rmtree(tmp_path / "push")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.pusher.run)
            await site.is_done.wait()
            seen = len(store.codes)
            await store.wait(lambda: len(store.codes) >= seen + 2)  # the first may have been read before
            store.judge = lambda content: 204
            await store.wait(lambda: len(store.taken) == 1)
            nursery.cancel_scope.cancel()

    assert minutes(store.taken) == [3]
    assert [entry["event"] for entry in logs].count("report not kept") == 3
