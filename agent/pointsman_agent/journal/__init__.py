"""What must never be lost, in SQLite: transactions of local stations, their events, the security log (rules 35, 36)."""

from pointsman_agent.journal.schema import SCHEMA_VERSION
from pointsman_agent.journal.sqlite import SqliteJournal, open_journal

__all__ = ["SCHEMA_VERSION", "SqliteJournal", "open_journal"]
