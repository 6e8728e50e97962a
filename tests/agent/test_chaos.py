"""kill -9 of the agent at random points under load. `make chaos` does it 50 times, the suite three."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.chaos import UP_WITHIN_S, Chaos, rows

KILLS = int(os.environ.get("POINTSMAN_CHAOS_KILLS", "3"))
SEED = int(os.environ.get("POINTSMAN_CHAOS_SEED", "6"))


@pytest.mark.timeout(60 + 10 * KILLS)
async def test_r36_nothing_that_was_answered_is_lost_or_doubled_by_kills_of_the_agent(tmp_path: Path) -> None:
    chaos = Chaos(tmp_path, SEED)

    await chaos.run(KILLS)

    told = chaos.answered
    starts = rows(
        chaos.journal, "SELECT station, meter_start, key FROM transactions WHERE station = key OR key NOT LIKE '%/%'"
    )
    stopped = set(rows(chaos.journal, "SELECT station, CAST(key AS INTEGER) FROM transactions WHERE stopped NOT NULL"))
    events = rows(chaos.journal, "SELECT station, transaction_key, sequence FROM events WHERE sequence NOT NULL")
    stops = rows(chaos.journal, "SELECT transaction_key FROM events WHERE kind = 'StopTransaction'")
    print(f"{KILLS} kills, {told.count} answers, slowest start {chaos.slowest_start_s:.1f} s")
    assert told.faults == []
    assert {(station, meter, str(given)) for station, meter, given in told.starts} <= set(starts)
    assert set(told.stops) <= stopped
    assert {(station, f"{station}/{transaction}", number) for station, transaction, number in told.events} <= set(
        events
    )
    assert twice([(station, meter) for station, meter, _ in starts]) == []
    assert twice([given for *_, given in told.starts]) == []
    assert twice(events) == []
    assert twice(stops) == []
    assert rows(chaos.journal, "PRAGMA integrity_check") == [("ok",)]
    assert chaos.slowest_start_s < UP_WITHIN_S


def twice(each: Iterable[object]) -> list[object]:
    return [one for one, times in Counter(each).items() if times > 1]
