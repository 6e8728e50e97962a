"""What the status page shows, whatever stations, operators and people call things."""

from contextlib import ExitStack
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
import trio
import trio.testing
from pointsman_agent.capture import KEPT, KEPT_FOR_S, MOST_STATIONS, Capture, Captures
from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.redaction import Redactor
from pointsman_agent.statuspage.rendering import Look, Renderer
from pointsman_agent.statuspage.routemap import draw
from pointsman_agent.tail import MOST_WATCHERS, Tail, Tap
from trio.testing import MockClock

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LOOK = Look("Europe/Paris", NOW)
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"
AT = "2026-11-22T12:00:00Z"


def a_row(text: str, **changes: Any) -> dict[str, Any]:
    """Return the row of a station in which every text that others choose is `text`."""
    error = {"class": "closed", "message": text, "at": AT}
    row = {
        "station": text,
        "group": text,
        "operator": text,
        "connected": False,
        "protocol": text,
        "uplink": {"connected": False, "protocol": text},
        "strategy": {"online": "known", "offline": "known", "state": "refused", "why": [text], "notes": [text]},
        "since": AT,
        "lastError": error,
        "lastReceived": None,
        "lastSent": AT,
        "queue": 0,
        "openTransactions": None,
        "pendingMove": {"from": text, "to": text, "since": AT, "deadline": None, "returned": False},
        "dropped": {text: 1},
        "noticed": {},
        "inventory": {
            "vendor": text,
            "model": text,
            "serialNumber": text,
            "firmware": text,
            "connectors": [{"evse": 1, "connector": 1, "status": text, "error": text, "detail": text, "at": text}],
        },
    }
    return {**row, **changes}


def a_status(text: str, **changes: Any) -> dict[str, Any]:
    """Return a status in which every text that others choose is `text`."""
    bundle = {"digest": text, "sequence": 1, "at": AT}
    supervision = {
        "name": text,
        "reachable": False,
        "stationsUp": 0,
        "clockOffsetSeconds": -7.6,
        "slowestRoundTripSeconds": 0.1,
        "certificateExpires": "2026-12-01T00:00:00Z",
        "keyDiffers": True,
        "lastError": {"class": "tls", "message": text, "at": AT},
    }
    status = {
        "site": text,
        "version": "1",
        "state": "degraded",
        "bundle": {
            "desired": {**bundle, "sequence": 2},
            "active": bundle,
            "lastFailed": {**bundle, "code": "unsigned", "message": text},
            "quarantine": {"digest": text, "until": AT, "why": text},
        },
        "supervisions": [supervision],
        "source": {"stale": True, "lastError": {"class": "tampered", "message": f"{text} twice", "at": AT}},
        "journal": {"fault": text},
        "stations": [a_row(text)],
        "stationsTotal": 1,
        "stationsConnected": 0,
    }
    return {**status, **changes}


class Tags(HTMLParser):
    """The tags and the handlers of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers |= {name for name, _ in attributes if name.startswith("on") or name == "style"}

    def handle_data(self, data: str) -> None:
        self.text += data


def overview(status: dict[str, Any]) -> Tags:
    drawing = draw(status["stations"], status["supervisions"])
    return Tags(Renderer().page("overview.html", look=LOOK, site=status["site"], status=status, drawing=drawing))


def station_page(row: dict[str, Any], capture: Capture | None) -> Tags:
    return Tags(Renderer().page("station.html", look=LOOK, site="lyon", row=row, capture=capture))


def a_capture(*texts: str) -> Capture:
    capture = Capture(AT)
    rows: list[dict[str, object]] = [
        {"at": AT, "station": "CP-1", "direction": "from-station", "text": text} for text in texts
    ]
    capture.add([*rows, {"missed": 3}])
    return capture


def test_what_others_call_things_is_shown_and_never_acts() -> None:
    transaction = dict.fromkeys(("station", "badge", "started", "ended", "reason"), HOSTILE)
    rows = [{**transaction, "energyWh": 1500}]
    table = Renderer().page("transactions.html", look=LOOK, site=HOSTILE, rows=rows, is_cut=True)
    for page in (
        overview(a_status(HOSTILE)),
        station_page(a_row(HOSTILE), a_capture(HOSTILE)),
        Tags(table),
        Tags(Renderer().page("signin.html", fault=HOSTILE)),
    ):
        assert HOSTILE in page.text
        assert "img" not in page.tags
        assert page.handlers == set()
        assert "alert(1)" in page.text


def test_trouble_is_said_in_words() -> None:
    text = " ".join(overview(a_status("words")).text.split())

    assert "A bundle was refused (sequence 1, 2026-11-22 13:00:00): unsigned: words" in text
    assert "A bundle is in quarantine until 2026-11-22 13:00:00" in text
    assert "The journal does not store: words" in text
    assert "2026-12-01 in 8 days" in text
    assert "-8 s" in text
    assert "words → words, once it was seen" in text


@pytest.mark.parametrize(("state", "words"), [("waiting", "No bundle is in force yet"), ("clock", "The clock")])
def test_why_nothing_is_served_yet_is_said(state: str, words: str) -> None:
    empty = {"desired": None, "active": None, "lastFailed": None, "quarantine": None}
    status = a_status("x", state=state, bundle=empty, supervisions=[], stations=[], journal={"fault": None})

    text = overview(status).text
    assert words in text
    assert "No station: no bundle is in force." in text


def test_a_station_that_said_nothing_and_lacks_everything_has_a_page() -> None:
    said = dict.fromkeys(("vendor", "model", "serialNumber", "firmware"))
    missing = dict.fromkeys(
        ("group", "protocol", "uplink", "strategy", "since", "lastError", "lastSent", "pendingMove")
    )
    row = a_row("CP-1", **missing, dropped={}, connected=True, inventory={**said, "connectors": []})

    text = " ".join(station_page(row, None).text.split())
    assert "connected since the agent began" in text
    assert "Messages of other stations are looked at already" in text
    assert "None since 2026-11-22 13:00:00." in station_page(row, Capture(AT)).text


def test_times_are_the_sites_and_what_is_none_is_shown_as_it_is() -> None:
    assert LOOK.moment(AT) == "2026-11-22 13:00:00"
    assert LOOK.moment("noon") == "noon"
    assert LOOK.clock("2026-11-22T12:00:00.123Z") == "13:00:00.123"
    assert LOOK.days_until("soon") is None


# --- Messages that are kept ----------------------------------------------------------------------------------------


async def test_messages_are_kept_for_a_while_after_the_last_look(nursery: trio.Nursery, mock_clock: MockClock) -> None:
    mock_clock.rate = 1.0
    tail = Tail(lambda: NOW)
    captures = Captures(tail, Redactor(b"key"), nursery, lambda: AT)
    connection = Connection()
    tail.join("CP-1", connection)

    first = captures.look("CP-1")
    assert first is not None
    await trio.testing.wait_all_tasks_blocked()
    assert connection.tap is not None
    for number in range(KEPT + 5):
        connection.tap.received(Side.STATION, f'[2,"{number}","Heartbeat",{{}}]')
    with trio.fail_after(10):
        while first.count < KEPT + 5:  # noqa: ASYNC110 - its thread tells no event
            await trio.sleep(0.001)
    assert (len(first.rows), first.newest_first[0]["text"]) == (KEPT, f'[2,"{KEPT + 4}","Heartbeat",{{}}]')
    assert captures.look("CP-1") is first

    mock_clock.jump(KEPT_FOR_S + 1)
    await trio.testing.wait_all_tasks_blocked()
    assert not connection.is_watched()
    again = captures.look("CP-1")
    assert again is not None
    assert again is not first
    nursery.cancel_scope.cancel()


async def test_only_so_many_stations_are_looked_at(nursery: trio.Nursery) -> None:
    captures = Captures(Tail(lambda: NOW), Redactor(b"key"), nursery, lambda: AT)

    looks = [captures.look(f"CP-{number}") for number in range(MOST_STATIONS + 1)]
    assert [look is not None for look in looks] == [True] * MOST_STATIONS + [False]
    nursery.cancel_scope.cancel()


async def test_where_others_have_all_places_to_watch_nothing_is_kept_until_one_is_free(nursery: trio.Nursery) -> None:
    tail = Tail(lambda: NOW)
    captures = Captures(tail, Redactor(b"key"), nursery, lambda: AT)
    with ExitStack() as others:
        for _ in range(MOST_WATCHERS):
            others.enter_context(tail.watch(None))
        assert captures.look("CP-1") is None
        await trio.testing.wait_all_tasks_blocked()
        assert captures.look("CP-1") is None

    assert captures.look("CP-1") is not None
    nursery.cancel_scope.cancel()


class Connection:
    """A connection that can be watched."""

    def __init__(self) -> None:
        self.tap: Tap | None = None

    def is_watched(self) -> bool:
        return self.tap is not None
