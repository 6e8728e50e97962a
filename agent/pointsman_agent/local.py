"""The agent as operator of local groups: each CALL is decided, journaled where it must be, then answered."""

from typing import Final

import structlog
import trio
from pointsman_schema.badgelist import fold_badge

from pointsman_agent import liveness
from pointsman_agent.badges import Decision, decide
from pointsman_agent.entries import OpenTransaction, TransactionStart
from pointsman_agent.inforce import InForce
from pointsman_agent.ocpp.answers import Asked, Payload, answer, badge_of, transaction_of
from pointsman_agent.ocpp.frame import (
    Frame,
    FrameError,
    LocalFrameError,
    MessageType,
    call_error,
    call_result,
    parse,
    payload_of,
)
from pointsman_agent.ports import Clock, Journal, JournalFault, Wire, WireClosed, WireLost
from pointsman_agent.routing import Route
from pointsman_agent.session import Session, keep_alive, note_end
from pointsman_agent.status import Status

INTERNAL_ERROR: Final = 1011
GOING_AWAY: Final = 1001

log = structlog.get_logger()


class LocalOperator:
    """Serves one station of a local group on `wire`."""

    def __init__(
        self,
        session: Session,
        route: Route,
        wire: Wire,
        protocol: str,
        in_force: InForce,
        journal: Journal,
        status: Status,
        clock: Clock,
    ) -> None:
        self._session = session
        self._route = route
        self._wire = wire
        self._routing = in_force.routing
        self._group = in_force.routing.group_of(route)
        self._journal = journal
        self._status = status
        self._clock = clock
        self._record = status.station(route.identity)
        self._protocol = protocol
        self._is_closing = False

    async def run(self) -> None:
        """Serve until the station or the session ends; the wire is closed then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._await_end)
            if self._route.station.ping_interval > 0:
                nursery.start_soon(self._watch)
            await self._serve()
            nursery.cancel_scope.cancel()

    async def _serve(self) -> None:
        while True:
            match await self._wire.receive():
                case WireClosed(code, reason, error):
                    if not self._is_closing:  # else what comes is the echo of our own close
                        detail = f"station closed with {code}" + (f" ({reason})" if reason else "")
                        note_end(self._status, self._route, error, detail)
                    await self._wire.close(code, reason)
                    return
                case text:
                    self._record.last_received = self._status.stamp()
                    if not await self._answer(text):
                        return

    async def _await_end(self) -> None:
        await self._session.end_asked.wait()
        ending = self._session.ending
        await self._close(ending.code, ending.reason, ending.error)

    async def _watch(self) -> None:
        alive = liveness.of_station(self._route.station.ping_interval, trio.current_time())
        await keep_alive(self._wire, alive)
        await self._close(GOING_AWAY, "no answer to pings", "ping")

    async def _close(self, code: int, reason: str, error: str) -> None:
        self._is_closing = True
        note_end(self._status, self._route, error, reason)
        await self._wire.close(code, reason)

    async def _answer(self, text: str) -> bool:
        """Answer one message; False when the link ended over it."""
        try:
            reply = await self._reply_to(text)
        except JournalFault as error:
            # An answer would say "stored"; without one the station keeps the message and sends it again.
            log.error("journal does not store", station=self._route.identity, error=str(error))
            self._status.journal_fault = str(error)
            await self._close(INTERNAL_ERROR, "the journal cannot store", "closed")
            return False
        if reply is None:
            return True
        try:
            await self._wire.send(reply)
        except WireLost:
            return True  # how the connection ended comes with the next receive
        self._record.last_sent = self._status.stamp()
        return True

    async def _reply_to(self, text: str) -> str | None:
        try:
            call = parse(text)
        except FrameError:
            self._drop("envelope")
            return None
        if call.kind != MessageType.CALL:
            # A SEND wants no answer, and the agent has no CALL of its own open that a result could belong to.
            self._drop("send" if call.kind == MessageType.SEND else "unexpected-result")
            return None
        try:
            payload = payload_of(call)
            return await self._result(call, payload)
        except LocalFrameError as error:
            return call_error(error.call_id, error.code, str(error))

    def _drop(self, why: str) -> None:
        self._record.drops[why] += 1
        log.info("dropped", station=self._route.identity, side="station", why=why)

    async def _result(self, call: Frame, payload: Payload) -> str:
        decision = await self._decide(call, payload)
        asked = Asked(self._route.identity, call, payload, decision, self._clock.now())
        reply = answer(self._protocol, asked)
        if reply.entry is None:
            return call_result(call.id, reply.payload)
        receipt = await self._journal.append(reply.entry)
        self._status.journal_fault = None
        if isinstance(reply.entry, TransactionStart):
            return call_result(call.id, {"transactionId": receipt.transaction_id, **reply.payload})
        return call_result(call.id, reply.payload)

    async def _decide(self, call: Frame, payload: Payload) -> Decision | None:
        number = badge_of(self._protocol, call.action, payload)
        if number is None:
            return None
        assert self._route.station.group is not None
        return decide(
            self._routing.badge(number),
            group_name=self._route.station.group,
            group=self._group,
            now=self._clock.now(),
            time_zone=self._routing.config.time_zone,
            is_charging=await self._is_charging(number, payload),
        )

    async def _is_charging(self, number: str, payload: Payload) -> bool:
        """Whether the badge has an earlier transaction in the group; asked only where that matters.

        Earlier, for a start that is sent again must get the answer that it got first, whatever was tried since.
        """
        if self._group.authentication is None or self._group.authentication.concurrent == "allow":
            return False
        own = transaction_of(self._protocol, payload)
        members = self._routing.stations_of(self._route.station.group or "")
        for transaction in await self._journal.open_with_badge(fold_badge(number)):
            if self._is_own(transaction, own, payload):
                return False
            if transaction.station in members:
                return True
        return False

    def _is_own(self, transaction: OpenTransaction, own: str | None, payload: Payload) -> bool:
        """Whether a CALL belongs to `transaction`: by its id, or as the same 1.6 start sent again (rule 35)."""
        if transaction.station != self._route.identity:
            return False
        return transaction.transaction_id == own or transaction.started == payload.get("timestamp")
