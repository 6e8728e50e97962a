"""A controller whose disk is full: what was answered is safe, nothing more is promised, and it comes back by itself."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointsman_simulator.errors import LinkClosed
from pointsman_simulator.station import Station, connect_station
from support.agents import running_agent
from support.sites import STAFF_BADGE, a_config

AT = "2026-11-22T10:00:00Z"


@contextmanager
def no_room_on_the_disk(path: Path) -> Iterator[None]:
    """Let no file of this process grow past the journal's: writes fail as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def start(station: Station, meter: int) -> int:
    payload = {"connectorId": 1, "idTag": STAFF_BADGE, "meterStart": meter, "timestamp": AT}
    answer = await station.call("StartTransaction", payload)
    number: int = answer.payload["transactionId"]
    return number


async def test_r36_a_full_disk_refuses_transactions_only_and_what_was_answered_is_safe(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        async with connect_station(agent.url("LOC-01")) as station:
            first = await start(station, 1)
        with no_room_on_the_disk(agent.state / "journal.sqlite3-wal"):
            async with connect_station(agent.url("LOC-01")) as station:
                authorized = await station.call("Authorize", {"idTag": STAFF_BADGE})
                beat = await station.call("Heartbeat", {})
                again = await start(station, 1)  # it is there already: nothing has to be stored
                unanswered = False
                try:
                    await start(station, 2)
                except LinkClosed as closed:
                    unanswered = closed.code == 1011
            full = await agent.wait_status(lambda status: status["journal"]["fault"] is not None)
        recovered = await agent.wait_status(lambda status: status["journal"]["fault"] is None)
        async with connect_station(agent.url("LOC-01")) as station:
            second = await start(station, 2)

    database = sqlite3.connect(agent.state / "journal.sqlite3")
    kept = database.execute("SELECT transaction_id, meter_start FROM transactions ORDER BY meter_start").fetchall()
    database.close()
    assert authorized.payload == {"idTagInfo": {"status": "Accepted"}}
    assert "currentTime" in beat.payload
    assert (again, unanswered) == (first, True)
    assert (full["state"], recovered["state"]) == ("degraded", "running")
    assert kept == [(str(first), 1), (str(second), 2)]
