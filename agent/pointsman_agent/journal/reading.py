"""What is asked of the journal: open transactions, reports, what is known of a station."""

import sqlite3
from typing import Final

from pointsman_schema.badgelist import fold_badge

from pointsman_agent.entries import BundleEvent, OpenTransaction, SecurityEvent, TransactionRecord

MOST_IN_A_REPORT: Final = 100_000  # rows; a report is one answer of the admin interface

# Both conditions on `sequence`, since each has an index of its own.
_LAST_READING: Final = (
    "(SELECT energy_wh FROM (SELECT id, energy_wh FROM events WHERE transaction_key = key AND sequence IS NOT NULL"
    " UNION ALL SELECT id, energy_wh FROM events WHERE transaction_key = key AND sequence IS NULL)"
    " WHERE energy_wh IS NOT NULL ORDER BY id DESC LIMIT 1)"
)
LAST_NUMBER: Final = 2**63 - 1
Place = tuple[str, int]
"""Where a transaction stands in a report: when it was received, and the number of its row: stations use ids again."""
LATEST: Final[Place] = ("\U0010ffff", LAST_NUMBER)  # after all that is received

_RECORD: Final = (
    "SELECT rowid, station, transaction_id, badge, connector, started, received, stopped, ended,"
    f" max(0, coalesce(meter_stop, {_LAST_READING}) - meter_start), reason FROM transactions"
    " WHERE received >= ?1 AND received <= ?2 AND (received, rowid) < (?2, ?3)"
    " ORDER BY received DESC, rowid DESC LIMIT ?4"
)


def open_transactions(database: sqlite3.Connection) -> dict[str, int]:
    """Return how many transactions are open, by station; stations without one are left out."""
    sql = "SELECT station, count(*) FROM transactions WHERE stopped IS NULL GROUP BY station ORDER BY station"
    return dict(database.execute(sql).fetchall())


def open_with_badge(database: sqlite3.Connection, badge: str) -> list[OpenTransaction]:
    """Return the open transactions of a folded badge number, in the order in which they came."""
    sql = (
        "SELECT station, transaction_id, started, connector, meter_start FROM transactions"
        " WHERE badge = ? AND stopped IS NULL ORDER BY rowid"
    )
    return [OpenTransaction(*row) for row in database.execute(sql, (badge,))]


def open_of_station(database: sqlite3.Connection, station: str) -> list[OpenTransaction]:
    """Return the open transactions of a station, oldest first."""
    sql = (
        "SELECT station, transaction_id, started, connector, meter_start FROM transactions"
        " WHERE station = ? AND stopped IS NULL ORDER BY received, transaction_id"
    )
    return [OpenTransaction(*row) for row in database.execute(sql, (station,))]


def transactions_before(
    database: sqlite3.Connection, before: Place, moment: str, at_most: int
) -> list[tuple[int, TransactionRecord]]:
    """Return the transactions received from `moment` on (RFC 3339, UTC) that stand before a place, newest first, each
    with the number of its row."""
    rows = database.execute(_RECORD, (moment, *before, at_most))
    return [(number, TransactionRecord(*fields)) for number, *fields in rows]


def security_events_before(
    database: sqlite3.Connection, before: int, moment: str, at_most: int
) -> list[tuple[int, str, SecurityEvent]]:
    """Return the security log from `moment` on, as far as it stands before the number `before`, newest first: each
    event with its number and its time of receipt."""
    sql = (
        "SELECT id, received, station, kind, detail, timestamp, text FROM security_events"
        " WHERE received >= ? AND id < ? ORDER BY id DESC LIMIT ?"
    )
    rows = database.execute(sql, (moment, before, at_most))
    return [(number, received, SecurityEvent(*fields)) for number, received, *fields in rows]


def bundle_events_before(
    database: sqlite3.Connection, before: int, moment: str, at_most: int
) -> list[tuple[int, str, BundleEvent]]:
    """Return what became of bundles, as `security_events_before` does."""
    sql = (
        "SELECT id, received, what, digest, sequence, origin, detail, station FROM bundle_events"
        " WHERE received >= ? AND id < ? ORDER BY id DESC LIMIT ?"
    )
    rows = database.execute(sql, (moment, before, at_most))
    return [(number, received, BundleEvent(*fields)) for number, received, *fields in rows]


def facts_of(database: sqlite3.Connection, station: str) -> dict[str, str]:
    """Return what is remembered of a station, by name."""
    sql = "SELECT name, value FROM station_facts WHERE station = ? ORDER BY name"
    return dict(database.execute(sql, (station,)).fetchall())


def facts_named(database: sqlite3.Connection, name: str) -> dict[str, str]:
    """Return what is remembered under `name`, by station."""
    return dict(database.execute("SELECT station, value FROM station_facts WHERE name = ? ORDER BY station", (name,)))


def fact_names(database: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return of which stations something is remembered, and under which names."""
    return set(database.execute("SELECT station, name FROM station_facts"))


def station_of_token(database: sqlite3.Connection, token: str) -> str | None:
    """Return the station that the agent asked to start with `token`, None for anything that is no token of ours."""
    row = database.execute("SELECT station FROM own_starts WHERE token = ?", (fold_badge(token),)).fetchone()
    return None if row is None else str(row[0])


def newest(database: sqlite3.Connection) -> str:
    """Return when the newest entry was received (RFC 3339, UTC), empty in a new journal."""
    tables = ("events", "security_events", "station_facts", "bundle_events")
    found = [database.execute(f"SELECT max(received) FROM {table}").fetchone()[0] for table in tables]
    return max((moment for moment in found if moment is not None), default="")
