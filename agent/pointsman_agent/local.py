"""The agent as operator of local groups: each CALL is decided, journaled where it must be, then answered.

Beside the answers it asks the station itself, for what should be in force on it and for what people want of it. A
station that is about to go to a remote operator is served here once more: not to charge, but to be cleared (rule 39).
"""

from typing import Final

import msgspec
import structlog
import trio
from pointsman_schema.badgelist import fold_badge
from pointsman_schema.bundle import LOCAL, Group

from pointsman_agent import liveness
from pointsman_agent.badges import Decision, Verdict, decide
from pointsman_agent.entries import OpenTransaction, Receipt, TransactionStart
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.keeper import Desk, Reports, Wishes, forget_refused, keep_in_force, leave_station
from pointsman_agent.liveness import Liveness
from pointsman_agent.observer import Observer
from pointsman_agent.ocpp.answers import (
    BOOT_AGAIN_S,
    Asked,
    Payload,
    answer,
    badge_of,
    begins_at,
    is_own_token,
    is_start_of,
    token_type_of,
    transaction_of,
)
from pointsman_agent.ocpp.frame import (
    RESULT_HEAD,
    Frame,
    FrameError,
    LocalFrameError,
    MessageType,
    call_error,
    call_result,
    parse,
    payload_of,
)
from pointsman_agent.ocpp.notices import interest_in
from pointsman_agent.ocpp.owncall import OwnAnswer
from pointsman_agent.owncalls import OwnCalls
from pointsman_agent.ports import Clock, Journal, JournalFault, Wire, WireClosed, WireLost
from pointsman_agent.routing import Route, Routing
from pointsman_agent.session import Session, Watch, note_end
from pointsman_agent.status import Status
from pointsman_agent.strategy.wanted import Wanted
from pointsman_agent.wallclock import is_behind

INTERNAL_ERROR: Final = 1011
GOING_AWAY: Final = 1001
SERVICE_RESTART: Final = 1012

SETTLE_S: Final = 60.0  # from a reconnect without a boot until the station is asked anything
LEAVE_SETTLE_S: Final = 5.0  # the station is useless until it is cleared, so it waits less
LEAVE_BOOT_AGAIN_S: Final = 10  # Pending: it boots again, then at its new operator's

_RESULTS: Final = (MessageType.CALLRESULT, MessageType.CALLERROR)

log = structlog.get_logger()


class LocalStations:
    """The stations that the agent serves itself just now, by identity, and what they should have."""

    def __init__(self) -> None:
        self._served: dict[str, LocalOperator] = {}
        self.wishes = Wishes()

    def find(self, identity: str) -> "LocalOperator | None":
        """Return who serves `identity`, None while it is not connected or another operator's."""
        return self._served.get(identity)

    def add(self, operator: "LocalOperator") -> None:
        """Note who serves a station; the newest connection counts."""
        self._served[operator.identity] = operator

    def remove(self, operator: "LocalOperator") -> None:
        """Forget `operator`, if it is still the one."""
        if self._served.get(operator.identity) is operator:
            del self._served[operator.identity]


class LocalOperator:
    """Serves one station of a local group on `wire`; `is_leaving`: clears it for the operator that it goes to."""

    def __init__(
        self,
        session: Session,
        route: Route,
        wire: Wire,
        protocol: str,
        holder: Holder,
        stations: LocalStations,
        *,
        journal: Journal,
        status: Status,
        clock: Clock,
        observer: Observer,
        is_leaving: bool = False,
    ) -> None:
        self.identity = route.identity
        self.protocol = protocol
        self._session = session
        self._route = route
        self._wire = wire
        self._holder = holder
        self._stations = stations
        self._journal = journal
        self._status = status
        self._clock = clock
        self._observer = observer
        self._record = status.station(route.identity)
        self._is_leaving = is_leaving
        self._is_closing = False
        self._exchanged = status.tallies.exchanged(LOCAL)
        self._alive = Watch(wire, _liveness_of(route))
        self._calls = OwnCalls(wire, self._exchanged.supervision_asks)
        self._ready = trio.Event()
        self._desk = Desk(route.identity, protocol, self._calls, journal, self._record, clock, Reports())

    async def run(self) -> None:
        """Serve until the station or the session ends; the wire is closed then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._await_end)
            nursery.start_soon(self._settle)
            nursery.start_soon(self._leave if self._is_leaving else self._keep)
            nursery.start_soon(self._watch)
            self._session.on_change = self._change
            self._stations.add(self)
            try:
                await self._serve()
            finally:
                self._stations.remove(self)
            nursery.cancel_scope.cancel()

    async def call(self, action: str, payload: dict[str, object]) -> OwnAnswer:
        """Make a CALL of the agent's own; raises CallFailed."""
        return await self._calls.call(action, payload)

    async def open_transactions(self) -> list[OpenTransaction]:
        """Return the station's open transactions, oldest first; raises JournalFault."""
        return await self._journal.open_of_station(self.identity)

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

    def _change(self, in_force: InForce) -> None:
        self._route = in_force.routing.routes[self.identity]
        self._alive.change(_liveness_of(self._route))

    async def _watch(self) -> None:
        await self._alive.run()
        await self._close(GOING_AWAY, "no answer to pings", "ping")

    async def _settle(self) -> None:
        """A reconnect without a boot: the station may be asked after a while. One that was told Pending boots again."""
        await trio.sleep(LEAVE_SETTLE_S if self._is_leaving else SETTLE_S)
        if self._is_leaving or self._boots_after() is None:
            self._ready.set()

    async def _keep(self) -> None:
        def wanted() -> Wanted | None:
            rules = self._rules()
            if rules is None:
                return None
            routing, group_name, _ = rules
            return self._stations.wishes.of(routing, group_name, self.protocol, self._clock.now())

        await keep_in_force(self._desk, self._ready, wanted)

    async def _leave(self) -> None:
        await leave_station(self._desk, self._ready)
        await self._close(SERVICE_RESTART, "another operator serves this station", "closed")

    async def _close(self, code: int, reason: str, error: str) -> None:
        self._is_closing = True
        note_end(self._status, self._route, error, reason)
        await self._wire.close(code, reason)

    async def _answer(self, text: str) -> bool:
        """Answer one message; False when the link ended over it."""
        call = self._call_in(text)
        if call is None:
            return True
        came = trio.current_time()
        try:
            reply = await self._reply_to(call)
        except JournalFault as error:
            # An answer would say "stored"; without one the station keeps the message and sends it again.
            log.error("journal does not store", station=self.identity, error=str(error))
            self._status.journal_fault = str(error)
            await self._close(INTERNAL_ERROR, "the journal cannot store", "closed")
            return False
        try:
            await self._wire.send(reply)
        except WireLost:
            return True  # how the connection ended comes with the next receive
        self._record.last_sent = self._status.stamp()
        if reply.startswith(RESULT_HEAD):
            self._exchanged.station_asks.answers.add(trio.current_time() - came)
        else:
            self._exchanged.station_asks.errors += 1
        if interest_in(call.action).learns:
            self._observer.hear_answer(self.identity, call, reply, LOCAL)
        if call.action == "BootNotification":
            await self._booted()
        return True

    def _call_in(self, text: str) -> Frame | None:
        """The CALL that came; None for all else, which is handed to who asked, or dropped."""
        try:
            frame = parse(text)
        except FrameError:
            self._exchanged.station_asks.others += 1
            self._drop("envelope")
            return None
        if frame.kind == MessageType.CALL:
            self._exchanged.station_asks.calls += 1
            if interest_in(frame.action).overhears:
                self._observer.hear(self.identity, self.protocol, frame)
            return frame
        if frame.kind not in _RESULTS:
            self._exchanged.station_asks.others += 1
            self._drop("send" if frame.kind == MessageType.SEND else "unknown-type")
        elif not self._calls.hear(frame):
            self._drop("unexpected-result")
        return None

    async def _reply_to(self, call: Frame) -> str:
        try:
            return await self._result(call, payload_of(call))
        except LocalFrameError as error:
            return call_error(error.call_id, error.code, str(error))

    def _drop(self, why: str) -> None:
        self._record.count_drop(why)
        log.info("dropped", station=self.identity, side="station", why=why)

    async def _booted(self) -> None:
        """From the answer to a boot on the station may be asked."""
        try:
            await forget_refused(self._journal, self.identity)
        except JournalFault as error:  # not what an answer promises: the station is told nothing of it
            self._status.journal_fault = str(error)
        if self._is_leaving or self._boots_after() is None:
            self._ready.set()

    def _boots_after(self) -> int | None:
        """When a boot is to be repeated, None where it is accepted: while the clock is behind, nobody's `until` and no
        time stamp could be right (rule 41)."""
        if self._is_leaving:
            return LEAVE_BOOT_AGAIN_S
        accepted_at = "" if self._status.active is None else self._status.active.at
        is_wrong = is_behind(self._clock.now(), self._journal.newest, accepted_at)
        return BOOT_AGAIN_S if is_wrong else None

    async def _result(self, call: Frame, payload: Payload) -> str:
        if call.action == "NotifyReport":
            self._desk.reports.hear(payload)
        decision = await self._decide(call, payload)
        boots_after = self._boots_after() if call.action == "BootNotification" else None
        asked = Asked(self.identity, call, payload, decision, self._clock.now(), boots_after)
        reply = answer(self.protocol, asked)
        if reply.entry is None:
            return call_result(call.id, reply.payload)
        receipt = await self._journal.append(reply.entry)
        self._status.journal_fault = None
        if decision is not None and await self._charges_by_now(decision, receipt, call, payload):
            decision = msgspec.structs.replace(decision, verdict=Verdict.CONCURRENT)
            reply = answer(self.protocol, msgspec.structs.replace(asked, decision=decision))
        if isinstance(reply.entry, TransactionStart):
            return call_result(call.id, {"transactionId": receipt.transaction_id, **reply.payload})
        return call_result(call.id, reply.payload)

    async def _charges_by_now(self, decision: Decision, receipt: Receipt, call: Frame, payload: Payload) -> bool:
        """Whether a badge that was accepted came second in the end: another station's start was stored meanwhile."""
        rules = self._rules()
        if decision.verdict is not Verdict.ACCEPTED or not receipt.charges_at or rules is None:
            return False
        routing, group_name, group = rules
        if group.authentication is None or group.authentication.concurrent == "allow":
            return False
        is_in_group = not routing.stations_of(group_name).isdisjoint(receipt.charges_at)
        return is_in_group and not await self._is_own_start(badge_of(self.protocol, call.action, payload) or "")

    async def _decide(self, call: Frame, payload: Payload) -> Decision | None:
        number = badge_of(self.protocol, call.action, payload)
        if number is None:
            return None
        rules = self._rules()
        if rules is None:
            return Decision(Verdict.UNKNOWN)
        routing, group_name, group = rules
        return decide(
            routing.badge(number),
            group_name=group_name,
            group=group,
            now=self._clock.now(),
            time_zone=routing.config.time_zone,
            is_charging=await self._is_charging(routing, group_name, group, number, call.action, payload),
            token_type=token_type_of(self.protocol, payload),
            is_own_start=await self._is_own_start(number),
        )

    def _rules(self) -> tuple[Routing, str, Group] | None:
        """The rules in force for this station, None where it is no longer the agent's own."""
        in_force = self._holder.of(self.identity)
        if in_force is None:
            return None
        routing = in_force.routing
        route = routing.routes.get(self.identity)
        if route is None or route.station.operator != LOCAL or route.station.group is None:
            return None
        return routing, route.station.group, routing.config.groups[route.station.group]

    async def _is_own_start(self, number: str) -> bool:
        """Whether a token is of the agent's own making, for this station; asked of nothing that looks otherwise."""
        return is_own_token(number) and await self._journal.station_of_token(number) == self.identity

    async def _is_charging(
        self, routing: Routing, group_name: str, group: Group, number: str, action: str, payload: Payload
    ) -> bool:
        """Whether the badge has an earlier transaction in the group; asked only where that matters.

        Earlier, for a start that is sent again must get the answer that it got first, whatever was tried since. With
        Authorize a station may be about to end what the badge charges there; whether it may begin another is asked
        again by the start (rule 35). What was open at the connector of a start ends with it.
        """
        if group.authentication is None or group.authentication.concurrent == "allow":
            return False
        own = transaction_of(self.protocol, payload)
        members = routing.stations_of(group_name)
        found = await self._journal.open_with_badge(fold_badge(number))
        if action == "Authorize":
            stations = {transaction.station for transaction in found}
            return self.identity not in stations and not members.isdisjoint(stations)
        for transaction in found:
            if self._is_own(transaction, own, payload):
                return False
            if transaction.station in members and not self._ends(transaction, action, payload):
                return True
        return False

    def _ends(self, transaction: OpenTransaction, action: str, payload: Payload) -> bool:
        """Whether a CALL is a start at the connector at which `transaction` is open: its end was lost."""
        at = begins_at(self.protocol, action, payload)
        return at is not None and (transaction.station, transaction.connector) == (self.identity, at)

    def _is_own(self, transaction: OpenTransaction, own: str | None, payload: Payload) -> bool:
        """Whether a CALL belongs to `transaction`: by its id, or as the same 1.6 start sent again (rule 35)."""
        if transaction.station != self.identity:
            return False
        return transaction.transaction_id == own or is_start_of(transaction, self.protocol, payload)


def _liveness_of(route: Route) -> Liveness | None:
    """How the station is pinged; None for an interval of 0, which means not at all."""
    interval = route.station.ping_interval
    return liveness.of_station(interval, trio.current_time()) if interval > 0 else None
