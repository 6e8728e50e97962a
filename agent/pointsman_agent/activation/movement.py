"""Moves stations to their new operators, each as it becomes free (rule 44), and stays with it for a while (rule 47).

A station that waits is served by an older bundle. Once it moves, what is in force for all is in force for it too: its
socket is closed and it comes back over its new uplink. When that is never made, the station goes back alone and stays
where it was until another bundle comes.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Final

import msgspec
import structlog
import trio

from pointsman_agent.activation.archive import Archive
from pointsman_agent.activation.history import History, of_bundle
from pointsman_agent.activation.moves import Due, Seen, due
from pointsman_agent.activation.probation import Probation, Verdict
from pointsman_agent.clockoffset import read_rfc3339
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.observer import Observer
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import Clock, Journal, JournalFault, Move
from pointsman_agent.routing import Route
from pointsman_agent.session import Session, Sessions
from pointsman_agent.status import PendingMove, Status

SWEEP_EVERY_S: Final = 1.0
SERVICE_RESTART: Final = 1012  # RFC 6455 registry
ANOTHER_OPERATOR: Final = "another operator serves this station now"

log = structlog.get_logger()


class Waiting(msgspec.Struct):
    """A station that has yet to move. `not_before` is its turn in the spread; `is_first`: it was free at the switch,
    so that it goes with it and the bundle's own probation counts its uplink."""

    move: Move
    in_force: InForce
    not_before: float
    session: Session | None
    seen: Seen
    is_first: bool = False


class Trial(msgspec.Struct):
    """A station that has moved, and what it goes back to."""

    left: Waiting
    probation: Probation


class Movement:
    """The stations that wait, and those that have just moved. `one_at_a_time` is held by whoever changes what is in
    force."""

    def __init__(
        self,
        *,
        holder: Holder,
        sessions: Sessions,
        observer: Observer,
        journal: Journal,
        status: Status,
        clock: Clock,
        archive: Archive,
        history: History,
        one_at_a_time: trio.Lock,
    ) -> None:
        self._holder = holder
        self._sessions = sessions
        self._observer = observer
        self._journal = journal
        self._status = status
        self._clock = clock
        self._archive = archive
        self._history = history
        self._one_at_a_time = one_at_a_time
        self._waiting: dict[str, Waiting] = {}
        self._trials: dict[str, Trial] = {}
        self._changed = trio.Event()
        self.on_left_out: Callable[[str], None] = lambda identity: None

    def moves(self) -> dict[str, Move]:
        """Return what a restart has to know: who waits, and who would go back."""
        left = {identity: trial.left.move for identity, trial in self._trials.items()}
        return left | {identity: each.move for identity, each in self._waiting.items()}

    def may_be_charging(self, identity: str, in_force: InForce, local: Mapping[str, int] | None) -> bool:
        """Whether a station has, or may have, an open transaction with the operator that it has under `in_force`.

        `local`: the open transactions of the controller's own stations, None while nobody knows.
        """
        if in_force.routing.routes[identity].supervision is not None:
            return self._observer.of(identity).may_be_charging
        return local is None or local.get(identity, 0) > 0

    async def local_transactions(self, waiting: Mapping[str, InForce]) -> Mapping[str, int] | None:
        """Return the open transactions of the controller's own stations, where one of them waits; None: not known."""
        if all(each.routing.routes[identity].supervision is not None for identity, each in waiting.items()):
            return {}
        try:
            return await self._journal.open_transactions()
        except JournalFault:
            return None

    def begin(self, moves: Mapping[str, Move], waiting: Mapping[str, InForce], turns: Mapping[str, float]) -> None:
        """Another bundle is in force: these stations wait now. `turns`: when those may go that are free already."""
        before, now = self._waiting, trio.current_time()
        self._waiting = {}
        for identity, in_force in waiting.items():
            known = before.get(identity)
            if known is not None and known.in_force is in_force:
                known.move, known.is_first = moves[identity], False
                self._waiting[identity] = known
                continue
            session = self._sessions.find(identity)
            seen = Seen()
            if session is not None and self._status.station(identity).is_connected:
                seen = Seen(connected_since=now, was_there=True)
            is_first = identity in turns
            self._waiting[identity] = Waiting(
                moves[identity], in_force, turns.get(identity, now), session, seen, is_first
            )
        self._trials = {identity: trial for identity, trial in self._trials.items() if identity in moves}
        current = self._holder.current
        assert current is not None
        self._observer.keep_only(current.routing.routes.keys() | waiting.keys())
        self._show()
        self._changed.set()

    def still_on_trial(self, after: InForce) -> dict[str, Move]:
        """Return who is on a probation of its own that a switch to `after` does not end."""
        current = self._holder.current
        return {
            identity: trial.left.move
            for identity, trial in self._trials.items()
            if current is not None and current.is_same_link(after, identity)
        }

    def heard(self, route: Route, failure: str | None) -> None:
        """A try of a station that has moved went well (None), or not."""
        trial = self._trials.get(route.identity)
        if trial is None or route.supervision_name is None:
            return
        if failure is None:
            trial.probation.succeeded(route.identity, route.supervision_name)
            self._changed.set()
        else:
            trial.probation.failed(route.identity, route.supervision_name, failure)

    def retry(self) -> None:
        """Let those move again that came back."""
        for each in self._waiting.values():
            if each.move.has_returned:
                each.move = msgspec.structs.replace(each.move, has_returned=False, deadline="")
        self._show()
        self._changed.set()

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            with trio.move_on_after(SWEEP_EVERY_S if self._waiting or self._trials else float("inf")):
                await self._changed.wait()
            self._changed = trio.Event()
            await self._sweep()

    async def _sweep(self) -> None:
        waiting = {identity: each for identity, each in self._waiting.items() if not each.move.has_returned}
        local = await self.local_transactions({identity: each.in_force for identity, each in waiting.items()})
        now, came = trio.current_time(), self._holder.who_came()
        dated = {identity for identity, each in waiting.items() if self._is_to_be_dated(identity, each, came)}
        leaving = [identity for identity in waiting if self._due(identity, local, now) is not None]
        over = {
            identity: verdict
            for identity, trial in self._trials.items()
            if (verdict := self._verdict(identity, trial, now)) is not Verdict.OPEN
        }
        if not dated and not leaving and not over:
            return
        async with self._one_at_a_time:
            for identity in dated & self._waiting.keys():
                self._date(self._waiting[identity])
            await self._release([identity for identity in leaving if identity in self._waiting])
            await self._settle({identity: verdict for identity, verdict in over.items() if identity in self._trials})
            self._show()
            await self._save()

    def _is_to_be_dated(self, identity: str, each: Waiting, came: Collection[str]) -> bool:
        """Whether a station was seen, that was not since it was to move: from now on its time counts."""
        is_seen = identity in came or self._status.station(identity).is_connected
        return is_seen and not each.move.deadline

    def _date(self, each: Waiting) -> None:
        current = self._holder.current
        assert current is not None
        deadline = self._clock.now() + timedelta(seconds=current.routing.config.activation.drain_limit)
        each.move = msgspec.structs.replace(each.move, deadline=rfc3339(deadline))

    def _due(self, identity: str, local: Mapping[str, int] | None, now: float) -> Due | None:
        """Look at one station; None: it does not move now."""
        each = self._waiting.get(identity)
        if each is None:
            return None
        session, record = self._sessions.find(identity), self._status.station(identity)
        if session is not each.session:
            each.session, each.seen = session, Seen()
        if not record.is_connected:
            each.seen = Seen()
        elif each.seen.connected_since is None:
            each.seen = Seen(connected_since=now)
        if now < each.not_before:
            return None
        deadline = read_rfc3339(each.move.deadline) if each.move.deadline else None
        verdict = due(
            each.seen,
            may_be_charging=self.may_be_charging(identity, each.in_force, local),
            heard_transaction=self._observer.of(identity).heard_transaction,
            is_late=deadline is not None and self._clock.now() >= deadline,
            now=now,
        )
        if verdict is not Due.NOT_YET:
            return verdict
        if each.is_first:  # a transaction began in the last moment
            each.is_first = False
            self.on_left_out(identity)
        return None

    def _verdict(self, identity: str, trial: Trial, now: float) -> Verdict:
        """As of its probation; one that got through cannot fail any more."""
        return Verdict.PROVEN if trial.probation.has_got_through(identity) else trial.probation.verdict(now)

    async def _release(self, leaving: Collection[str]) -> None:
        """Let those go that are still to: a transaction may have begun, or a bundle come, while others held us up."""
        current = self._holder.current
        assert current is not None
        for identity in leaving:
            local = await self.local_transactions({identity: self._waiting[identity].in_force})
            cause = self._due(identity, local, trio.current_time())
            if cause is None:
                continue
            rest = {name: in_force for name, in_force in self._holder.waiting.items() if name != identity}
            self._holder.put(current, rest)
            await self._send_off(identity, current, self._waiting.pop(identity), cause)

    async def _send_off(self, identity: str, current: InForce, each: Waiting, cause: Due) -> None:
        operator = current.routing.routes[identity].station.operator
        lasts = current.routing.config.activation.probation
        now = trio.current_time()
        if not each.is_first and current.routing.routes[identity].supervision is not None:
            self._trials[identity] = Trial(each, Probation({identity: operator}, (), began=now, ends=now + lasts))
        left = each.in_force.routing.routes[identity].station.operator
        detail = f"from {left} to {operator}"
        what = "moved"
        if cause is Due.LATE:
            what = "moved-late"
            known = sorted(self._observer.of(identity).open)
            detail += f", at its drain limit; open transactions: {', '.join(known) or 'not known'}"
            log.warning("station moved with something open", station=identity, left=left, operator=operator, open=known)
        else:
            log.info("station moves", station=identity, left=left, operator=operator)
        session = self._sessions.find(identity)
        if session is not None:
            session.end(SERVICE_RESTART, ANOTHER_OPERATOR, "closed")
        await self._history.note(of_bundle(what, current.routing.bundle, detail=detail, station=identity))

    async def _settle(self, over: Mapping[str, Verdict]) -> None:
        current = self._holder.current
        assert current is not None
        for identity, verdict in over.items():
            trial = self._trials.pop(identity)
            if verdict is Verdict.PROVEN:
                continue
            reason = trial.probation.reason(trial.probation.ends)
            each = trial.left
            each.move = msgspec.structs.replace(each.move, has_returned=True)
            each.session, each.seen = None, Seen()
            self._waiting[identity] = each
            self._holder.put(current, {**self._holder.waiting, identity: each.in_force})
            log.error("station goes back to its operator", station=identity, why=reason)
            session = self._sessions.find(identity)
            if session is not None:
                session.end(SERVICE_RESTART, "its new operator cannot be reached", "closed")
            await self._history.note(of_bundle("stayed", current.routing.bundle, detail=reason, station=identity))

    async def _save(self) -> None:
        try:
            await self._archive.save(moves=self.moves())
        except OSError as error:  # after a restart they wait again, which harms nobody
            log.error("moves not stored", why=str(error))

    def _show(self) -> None:
        current = self._holder.current
        self._status.pending_moves = {
            identity: PendingMove(
                left=each.in_force.routing.routes[identity].station.operator,
                operator="" if current is None else current.routing.routes[identity].station.operator,
                since=each.move.since,
                deadline=each.move.deadline,
                has_returned=each.move.has_returned,
            )
            for identity, each in self._waiting.items()
        }
