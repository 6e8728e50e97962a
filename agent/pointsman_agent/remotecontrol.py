"""What people ask of the agent's own stations, and of its journal, over the admin interface."""

import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pointsman_schema.badgelist import fold_badge, is_badge
from pointsman_schema.timezones import zone

from pointsman_agent.clockoffset import read_rfc3339
from pointsman_agent.entries import OwnStart, TransactionRecord
from pointsman_agent.inforce import Holder
from pointsman_agent.local import LocalOperator, LocalStations
from pointsman_agent.ocpp import requests
from pointsman_agent.ocpp.answers import own_token, rfc3339
from pointsman_agent.ocpp.owncall import OwnAnswer
from pointsman_agent.owncalls import CallFailed
from pointsman_agent.ports import Journal, JournalFault
from pointsman_agent.web.errors import AdminError, no_such_station

CENTRAL: Final = "Central"
MOST_IN_A_REPORT: Final = 100_000  # transactions; a report is one answer of the admin interface
_TOKEN_BYTES: Final = 8

Row = dict[str, object]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RemoteControl:
    """Asks stations of local groups. Every method raises AdminError: 404 no such station, 409 it cannot be asked now,
    400 what was asked makes no sense, 504 no answer."""

    holder: Holder
    stations: LocalStations
    journal: Journal

    async def call(self, station: str, action: str, payload: dict[str, Any]) -> Row:
        """Make any CALL; returns the station's answer as it came."""
        operator = self._operator(station)
        return await _ask(operator, requests.Request(action, payload))

    async def start(self, station: str, badge: str | None, connector: int) -> Row:
        """Start charging, with a badge or (None) with a token made for this one start, which is durable first."""
        operator = self._operator(station)
        if badge is not None and not is_badge(badge):
            raise AdminError(400, f"{badge!r} is no badge: 1 to 36 printable ASCII characters")
        if badge is not None and not requests.takes(operator.protocol, badge):
            message = f"{badge} has {len(badge)} characters; OCPP 1.6, which {operator.identity} speaks, takes 20"
            raise AdminError(400, message)
        token, token_type = (await self._own_token(operator), CENTRAL) if badge is None else self._known(badge)
        number = secrets.randbelow(requests.LARGEST_REMOTE_START_ID)
        return await _ask(operator, requests.start(operator.protocol, token, token_type, connector, number))

    async def stop(self, station: str, transaction_id: str | None) -> Row:
        """End a transaction, None: the only one that is open."""
        operator = self._operator(station)
        try:
            chosen = transaction_id or await self._only_transaction(operator)
            request = requests.stop(operator.protocol, chosen)
        except ValueError:
            raise AdminError(400, f"{transaction_id!r} is no transaction id of OCPP 1.6, which is a number") from None
        return await _ask(operator, request)

    async def reset(self, station: str, *, at_once: bool) -> Row:
        """Restart a station."""
        operator = self._operator(station)
        return await _ask(operator, requests.reset(operator.protocol, at_once=at_once))

    async def unlock(self, station: str, connector: int) -> Row:
        """Open a connector's lock."""
        operator = self._operator(station)
        return await _ask(operator, requests.unlock(operator.protocol, connector))

    def _operator(self, station: str) -> LocalOperator:
        route = self.holder.find(station)
        if route is None:
            raise no_such_station(station)
        if route.supervision_name is not None:
            message = f"{route.identity} belongs to {route.supervision_name}: only its operator may ask it"
            raise AdminError(409, message)
        operator = self.stations.find(route.identity)
        if operator is None:
            raise AdminError(409, f"{route.identity} is not connected")
        return operator

    def _known(self, badge: str) -> tuple[str, str]:
        """A badge with the type that the site's lists give it."""
        in_force = self.holder.current
        known = None if in_force is None else in_force.routing.badge(badge)
        return badge, "ISO14443" if known is None else known.type

    async def _own_token(self, operator: LocalOperator) -> str:
        token = own_token(secrets.token_bytes(_TOKEN_BYTES))
        try:
            await self.journal.append(OwnStart(operator.identity, fold_badge(token)))
        except JournalFault as error:
            raise AdminError(503, f"the journal does not store: {error}") from error
        return token

    async def _only_transaction(self, operator: LocalOperator) -> str:
        try:
            ids = [transaction.transaction_id for transaction in await operator.open_transactions()]
        except JournalFault as error:
            raise AdminError(503, f"the journal does not answer: {error}") from error
        if not ids:
            raise AdminError(409, f"{operator.identity} has no open transaction")
        if len(ids) > 1:
            raise AdminError(409, f"{operator.identity} has several open transactions, name one: {', '.join(ids)}")
        return ids[0]


@dataclass(frozen=True, slots=True)
class TransactionReport:
    """Shows the transactions of local groups. `read` takes a time and a number."""

    holder: Holder
    read: Callable[[str, int], Awaitable[list[TransactionRecord]]]

    async def rows(self, since: str | None, most: int = MOST_IN_A_REPORT) -> tuple[Iterator[Row], bool]:
        """Return the newest transactions received from `since` on (RFC 3339; None: all), at most `most`, oldest first,
        and whether older ones were left out. Rows are made while one iterates: for a thread. Raises AdminError."""
        moment = None if since is None else read_rfc3339(since)
        if since is not None and moment is None:
            raise AdminError(400, f"{since!r} is no time such as 2026-11-22T12:00:00Z")
        try:
            records = await self.read("" if moment is None else rfc3339(moment), most + 1)
        except JournalFault as error:
            raise AdminError(503, f"the journal does not answer: {error}") from error
        in_force = self.holder.current
        time_zone = "UTC" if in_force is None else in_force.routing.config.time_zone
        return (transaction_row(each, time_zone) for each in records[-most:]), len(records) > most


def transaction_row(record: TransactionRecord, time_zone: str) -> Row:
    """Return the object of the API: times in the site's zone, with their offset, so that the hour that comes twice in
    autumn stays two. What a station wrote that is no time is replaced by when it was received; what the site's zone
    cannot hold, at either end of the calendar, stays as written."""
    return {
        "station": record.station,
        "transactionId": record.transaction_id,
        "badge": record.badge,
        "connector": record.connector,
        "started": _local(record.started, record.received, time_zone),
        "ended": None if record.ended is None else _local(record.stopped, record.ended, time_zone),
        "energyWh": record.energy_wh,
        "reason": record.reason,
    }


def _local(said: str | None, received: str, time_zone: str) -> str:
    said_moment = read_rfc3339(said or "")
    moment = said_moment or read_rfc3339(received)
    written = received if said is None or said_moment is None else said
    try:
        return written if moment is None else moment.astimezone(zone(time_zone)).isoformat(timespec="seconds")
    except OverflowError:  # before the year 1 or after 9999 there
        return written


async def _ask(operator: LocalOperator, request: requests.Request) -> Row:
    log.info("asked by hand", station=operator.identity, action=request.action)
    try:
        answer = await operator.call(request.action, request.payload)
    except CallFailed as error:
        raise AdminError(504, f"{operator.identity}: {error}") from error
    return _row(operator.identity, request.action, answer)


def _row(station: str, action: str, answer: OwnAnswer) -> Row:
    error = None if answer.error is None else {"code": answer.error, "description": answer.description}
    return {"station": station, "action": action, "answer": answer.payload if error is None else None, "error": error}
