"""How long a supervision takes, and what its clock says: measured on what passes, warned of (rules 41 and 58)."""

from pathlib import Path

import pytest
from pointsman_agent.inforce import Holder
from pointsman_agent.names import CachedNames
from pointsman_agent.routing import Route
from pointsman_agent.status import Status
from pointsman_agent.uplink import Uplinks
from pointsman_agent.uplinkkeys import UplinkKeys
from structlog.testing import capture_logs
from support.fakes import NOON, FakeClock
from support.sites import a_station, a_supervision

ROUTE = Route("CP-1", a_station("acme", None), "acme", a_supervision("ws://csms.acme.example", message_timeout=30))
SAME_TIME = '[3,"1",{"currentTime":"2026-11-22T12:00:00Z"}]'


def events(folder: Path, round_trip_s: float, text: str) -> tuple[list[str], Status]:
    """Return what is warned of after one answer, and the status."""
    status = Status("0", FakeClock())
    uplinks = Uplinks(status, UplinkKeys(folder), CachedNames(), Holder())
    with capture_logs() as logged:
        uplinks.answered(ROUTE, "Heartbeat", round_trip_s, text)
    return [entry["event"] for entry in logged if entry["log_level"] == "warning"], status


@pytest.mark.parametrize(("round_trip_s", "warned"), [(9.9, []), (10.1, ["slow supervision"])])
def test_r58_a_round_trip_above_a_third_of_message_timeout_is_warned_of(
    tmp_path: Path, round_trip_s: float, warned: list[str]
) -> None:
    seen, status = events(tmp_path, round_trip_s, '[3,"1",{}]')

    assert seen == warned
    assert status.supervision("acme").slowest_round_trip_s == round_trip_s


@pytest.mark.parametrize(
    ("said", "offset", "warned"),
    [
        ("2026-11-22T12:00:29Z", 29.0, []),
        ("2026-11-22T12:00:30Z", 30.0, ["a supervision's clock differs from ours"]),
        ("2026-11-22T11:59:30Z", -30.0, ["a supervision's clock differs from ours"]),
    ],
)
def test_r41_an_offset_is_shown_and_warned_of_from_thirty_seconds_on(
    tmp_path: Path, said: str, offset: float, warned: list[str]
) -> None:
    assert FakeClock().now() == NOON
    seen, status = events(tmp_path, 0.0, f'[3,"1",{{"currentTime":"{said}"}}]')

    assert seen == warned
    assert status.supervision("acme").clock_offset_s == offset
