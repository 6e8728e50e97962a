"""An entry → rows, within the commit that its writer opened. Every statement of the journal that writes is here."""

import sqlite3
from typing import Final, NamedTuple

from pointsman_schema.badgelist import fold_badge

from pointsman_agent.clockoffset import read_rfc3339
from pointsman_agent.entries import (
    BundleEvent,
    Entry,
    OwnStart,
    Receipt,
    SecurityEvent,
    StationFact,
    TransactionEvent,
    TransactionSample,
    TransactionStart,
    TransactionStop,
)

SUPERSEDED: Final = "Superseded"
"""The reason of a transaction whose end never came, from when the next one began at its connector."""


def store(database: sqlite3.Connection, entry: Entry, received: str) -> Receipt:
    """Store `entry`, received at that time by the controller's clock."""
    match entry:
        case TransactionStart():
            return _start(database, entry, received)
        case TransactionStop():
            return _stop(database, entry, received)
        case TransactionSample():
            return _sample(database, entry, received)
        case TransactionEvent():
            return _event_2x(database, entry, received)
        case SecurityEvent():
            return _security_event(database, entry, received)
        case StationFact():
            return _fact(database, entry, received)
        case OwnStart():
            database.execute("INSERT INTO own_starts VALUES (?, ?, ?)", (entry.token, entry.station, received))
            return Receipt()
        case BundleEvent():
            return _bundle_event(database, entry, received)


def forget_before(database: sqlite3.Connection, moment: str, at_most: int) -> int:
    """Delete at most so many rows of each kind that were received before `moment`; returns how many there were.

    A transaction goes once its last event has gone, so that one that lasts is kept with all that belongs to it.
    """
    gone = 0
    for sql in (
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE received < ?1 ORDER BY received LIMIT ?2)",
        "DELETE FROM transactions WHERE key IN (SELECT key FROM transactions WHERE received < ?1"
        " AND NOT EXISTS (SELECT 1 FROM events WHERE transaction_key = key AND sequence IS NOT NULL)"
        " AND NOT EXISTS (SELECT 1 FROM events WHERE transaction_key = key AND sequence IS NULL)"
        " ORDER BY received LIMIT ?2)",
        "DELETE FROM security_events WHERE id IN"
        " (SELECT id FROM security_events WHERE received < ?1 ORDER BY received LIMIT ?2)",
        "DELETE FROM bundle_events WHERE id IN"
        " (SELECT id FROM bundle_events WHERE received < ?1 ORDER BY received LIMIT ?2)",
        "DELETE FROM own_starts WHERE token IN (SELECT token FROM own_starts WHERE received < ?1 LIMIT ?2)",
    ):
        gone += database.execute(sql, (moment, at_most)).rowcount
    return gone


def touch(database: sqlite3.Connection) -> None:
    """Write a page that changes nothing: shows whether the disk takes writes."""
    database.execute("UPDATE counters SET value = value WHERE name = 'transaction'")


def _start(database: sqlite3.Connection, start: TransactionStart, received: str) -> Receipt:
    """Rule 35: the same start sent again while that transaction is open and younger than a day gets the same id."""
    badge = fold_badge(start.badge)
    row = database.execute(
        "SELECT transaction_id FROM transactions WHERE station = ? AND connector = ? AND badge = ? AND meter_start = ?"
        " AND started = ? AND stopped IS NULL AND julianday(received) > julianday(?) - 1",
        (start.station, start.connector, badge, start.meter_start, start.timestamp, received),
    ).fetchone()
    if row is not None:
        return Receipt(int(row[0]), is_repeat=True, charges_at=_older_with_badge(database, badge, str(row[0])))
    (number,) = database.execute(
        "UPDATE counters SET value = value % 2147483647 + 1 WHERE name = 'transaction' RETURNING value"
    ).fetchone()
    database.execute(
        "INSERT INTO transactions (key, station, transaction_id, badge, connector, meter_start, started, received)"
        " VALUES (?1, ?2, ?1, ?3, ?4, ?5, ?6, ?7)",
        (str(number), start.station, badge, start.connector, start.meter_start, start.timestamp, received),
    )
    _event(database, received, start.station, str(number), "StartTransaction", start.text, start.meter_start)
    _supersede(database, start.station, start.connector, str(number), start.timestamp, received)
    return Receipt(number, charges_at=_older_with_badge(database, badge, str(number)))


def _supersede(
    database: sqlite3.Connection, station: str, connector: int | None, key: str, timestamp: str, received: str
) -> None:
    """End what was still open at the connector where `key` has begun: it holds one transaction at a time, and a queued
    end comes before a new start (OCPP 1.6 section 3.7.1). One that a station lost would keep its badge busy for ever.
    """
    if connector is None or connector < 1:
        return
    database.execute(
        "UPDATE transactions SET stopped = ?, ended = ?, reason = ? WHERE station = ? AND connector = ? AND key <> ?"
        " AND stopped IS NULL",
        (timestamp, received, SUPERSEDED, station, connector, key),
    )


def _older_with_badge(database: sqlite3.Connection, badge: str, key: str) -> tuple[str, ...]:
    sql = (
        "SELECT station FROM transactions WHERE badge = ? AND stopped IS NULL"
        " AND rowid < (SELECT rowid FROM transactions WHERE key = ?) ORDER BY rowid"
    )
    return tuple(station for (station,) in database.execute(sql, (badge, key)))


def _stop(database: sqlite3.Connection, stop: TransactionStop, received: str) -> Receipt:
    """Rule 35: deduplicated by its transaction id; a stop of an unknown id is kept as an event."""
    key = str(stop.transaction_id)
    row = database.execute("SELECT stopped, station, reason FROM transactions WHERE key = ?", (key,)).fetchone()
    is_ours = row is not None and row[1] == stop.station
    if is_ours and row[0] is not None and row[2] != SUPERSEDED:
        return Receipt(is_repeat=True)
    if is_ours:
        database.execute(
            "UPDATE transactions SET stopped = ?, ended = ?, meter_stop = ?, reason = ? WHERE key = ?",
            (stop.timestamp, received, stop.meter_stop, stop.reason, key),
        )
    known = key if is_ours else None
    return _event(database, received, stop.station, known, "StopTransaction", stop.text, stop.meter_stop)


def _sample(database: sqlite3.Connection, sample: TransactionSample, received: str) -> Receipt:
    """Kept under its transaction where that is the station's own; one of an unknown or another's id belongs to none."""
    row = database.execute(
        "SELECT key FROM transactions WHERE key = ? AND station = ?", (str(sample.transaction_id), sample.station)
    ).fetchone()
    key = None if row is None else row[0]
    return _event(database, received, sample.station, key, "MeterValues", sample.text, sample.energy_wh)


def _event_2x(database: sqlite3.Connection, event: TransactionEvent, received: str) -> Receipt:
    what = (event.kind, event.text, event.energy_wh, event.sequence, event.content)
    if not event.transaction_id:  # nobody can say which transaction it belongs to
        return _event(database, received, event.station, None, *what)
    key = f"{event.station}/{event.transaction_id}"
    known = _known(database, key)
    earlier = None if known is None else known.earlier
    if earlier is not None and _is_stored(database, earlier, event):
        return Receipt(is_repeat=True)
    if known is not None and _begins_another(known, event) and not _is_stored(database, key, event):
        earlier, known = _set_aside(database, known, key, event.timestamp, received), None
    receipt = _event(database, received, event.station, key, *what)
    if receipt.is_repeat:
        return receipt
    if known is None:
        _insert_2x(database, event, key, earlier, received)
    else:
        _complete(database, known, event, key)
    if event.kind == "Started":
        _supersede(database, event.station, event.connector, key, event.timestamp, received)
    if event.kind == "Ended":
        database.execute(
            "UPDATE transactions SET stopped = ?, ended = ?, reason = ?, meter_stop = ? WHERE key = ?",
            (event.timestamp, received, event.reason, event.energy_wh, key),
        )
    if not event.badge:
        return receipt
    return Receipt(charges_at=_older_with_badge(database, fold_badge(event.badge), key))


class _Known(NamedTuple):
    """What is stored of a 2.x transaction already. `begun` is 0 until its Started has come."""

    number: int
    begun: int
    started: str
    stopped: str | None
    badge: str
    meter_start: int | None
    earlier: str | None


def _known(database: sqlite3.Connection, key: str) -> _Known | None:
    sql = "SELECT rowid, begun, started, stopped, badge, meter_start, earlier FROM transactions WHERE key = ?"
    row = database.execute(sql, (key,)).fetchone()
    return None if row is None else _Known(*row)


def _is_stored(database: sqlite3.Connection, key: str, event: TransactionEvent) -> bool:
    sql = "SELECT 1 FROM events WHERE transaction_key = ? AND sequence = ? AND content = ?"
    return database.execute(sql, (key, event.sequence, event.content)).fetchone() is not None


def _begins_another(known: _Known, event: TransactionEvent) -> bool:
    """Whether an event begins another transaction under an id that the station has used before.

    A station sends its messages in their order, so what comes after the end is no Started told again. While it is open
    the same start may come in other words. One whose Started has not come yet may get it late, but not from after its
    end.
    """
    if event.kind != "Started":
        return False
    if known.begun:
        return known.stopped is not None or event.timestamp != known.started
    began, stopped = read_rfc3339(event.timestamp), read_rfc3339(known.stopped or "")
    return began is not None and stopped is not None and began > stopped


def _set_aside(database: sqlite3.Connection, known: _Known, key: str, timestamp: str, received: str) -> str:
    """Give a transaction another key, for its id has begun anew; return that. If it was open, its end was lost.

    The one in use keeps the plain key, so that storing an event costs no more for it. No identity holds a `/`, so that
    no key begins with one; the row's number makes it unique.
    """
    aside = f"/{known.number}/{key}"
    database.execute("UPDATE transactions SET key = ? WHERE key = ?", (aside, key))
    database.execute(
        "UPDATE transactions SET stopped = ?, ended = ?, reason = ? WHERE key = ? AND stopped IS NULL",
        (timestamp, received, SUPERSEDED, aside),
    )
    for half in ("sequence IS NOT NULL", "sequence IS NULL"):  # each has an index of its own
        database.execute(f"UPDATE events SET transaction_key = ? WHERE transaction_key = ? AND {half}", (aside, key))
    return aside


def _insert_2x(
    database: sqlite3.Connection, event: TransactionEvent, key: str, earlier: str | None, received: str
) -> None:
    fields = (key, event.station, event.transaction_id, fold_badge(event.badge), event.connector, event.timestamp)
    database.execute(
        "INSERT INTO transactions"
        " (key, station, transaction_id, badge, connector, started, received, meter_start, begun, earlier)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*fields, received, event.energy_wh, event.kind == "Started", earlier),
    )


def _complete(database: sqlite3.Connection, known: _Known, event: TransactionEvent, key: str) -> None:
    """Add what an event tells that was not known. Most change nothing here, and must not cost a page.

    The first reading that comes is the first that was taken: a station sends its events in their order.
    """
    if (event.badge and not known.badge) or (event.energy_wh is not None and known.meter_start is None):
        database.execute(
            "UPDATE transactions SET badge = CASE badge WHEN '' THEN ? ELSE badge END,"
            " meter_start = coalesce(meter_start, ?) WHERE key = ?",
            (fold_badge(event.badge), event.energy_wh, key),
        )
    if event.kind == "Started" and not known.begun:
        database.execute(
            "UPDATE transactions SET begun = 1, started = ?, connector = coalesce(connector, ?),"
            " meter_start = coalesce(?, meter_start) WHERE key = ?",
            (event.timestamp, event.connector, event.energy_wh, key),
        )


def _event(
    database: sqlite3.Connection,
    received: str,
    station: str,
    key: str | None,
    kind: str,
    text: str,
    energy_wh: int | None,
    sequence: int | None = None,
    content: int | None = None,
) -> Receipt:
    done = database.execute(
        "INSERT OR IGNORE INTO events (received, station, transaction_key, sequence, kind, text, energy_wh, content)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (received, station, key, sequence, kind, text, energy_wh, content),
    )
    return Receipt(is_repeat=done.rowcount == 0)


def _security_event(database: sqlite3.Connection, event: SecurityEvent, received: str) -> Receipt:
    database.execute(
        "INSERT INTO security_events (received, station, kind, detail, timestamp, text) VALUES (?, ?, ?, ?, ?, ?)",
        (received, event.station, event.kind, event.detail, event.timestamp, event.text),
    )
    return Receipt()


def _bundle_event(database: sqlite3.Connection, event: BundleEvent, received: str) -> Receipt:
    database.execute(
        "INSERT INTO bundle_events (received, what, digest, sequence, origin, detail, station)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (received, event.what, event.digest, event.sequence, event.origin, event.detail, event.station),
    )
    return Receipt()


def _fact(database: sqlite3.Connection, fact: StationFact, received: str) -> Receipt:
    if fact.value is None:
        database.execute("DELETE FROM station_facts WHERE station = ? AND name = ?", (fact.station, fact.name))
    else:
        database.execute(
            "INSERT OR REPLACE INTO station_facts VALUES (?, ?, ?, ?)",
            (fact.station, fact.name, fact.value, received),
        )
    return Receipt()
