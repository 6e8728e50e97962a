"""The switch: one bundle in force, then another, in one go; and the retiring of what was made under the first."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

import msgspec
import trio

from pointsman_agent.activation.archive import Archive
from pointsman_agent.activation.movement import Movement
from pointsman_agent.activation.transition import NOTHING, Transition, transition
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.listener import Listeners, PreparedListeners
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import Clock, Move
from pointsman_agent.session import Session, Sessions
from pointsman_agent.status import BundleInForce, Status
from pointsman_agent.uplink import Uplinks

CONFIGURATION_CHANGED: Final = 1012  # RFC 6455 registry: Service Restart


class Course(msgspec.Struct, frozen=True):
    """What a switch does to whom: `turns` are the moments, on trio's clock, at which stations go that reconnect or move
    at once; `moves` is what a restart has to know of those that are on their way."""

    plan: Transition
    turns: Mapping[str, float]
    moves: Mapping[str, Move]


class Switch:
    """Works out courses, and takes them."""

    def __init__(
        self,
        *,
        archive: Archive,
        movement: Movement,
        holder: Holder,
        listeners: Listeners,
        sessions: Sessions,
        uplinks: Uplinks,
        status: Status,
        clock: Clock,
        nursery: trio.Nursery,
    ) -> None:
        self._archive = archive
        self._movement = movement
        self._holder = holder
        self._listeners = listeners
        self._sessions = sessions
        self._uplinks = uplinks
        self._status = status
        self._clock = clock
        self._nursery = nursery
        self._watching = trio.CancelScope()

    async def course(self, after: InForce) -> Course:
        """Return what it does to put `after` in force."""
        return await self._course(await self._plan(after), after)

    async def course_back(self, after: InForce) -> Course:
        """As `course`, when what is in force has failed: its stations leave at once, but for those that charge."""
        return await self._course(await self._without_waiting_of_failed(await self._plan(after)), after)

    def take(self, in_force: InForce, sockets: PreparedListeners, course: Course) -> None:
        """In one go: nobody sees a half of it. Then retire the old."""
        plan, turns = course.plan, course.turns
        bundle, stored = in_force.routing.bundle, self._archive.stored
        self._holder.put(in_force, plan.waiting)
        self._status.active = BundleInForce(bundle.config_digest, bundle.sequence, stored.activated_at)
        self._status.forget_absent(in_force.routing)
        self._uplinks.renew(plan.renewed)
        self._watching.cancel()
        self._watching = trio.CancelScope()
        self._nursery.start_soon(self._watch, in_force, self._watching)
        self._listeners.switch(sockets)
        self._movement.begin(course.moves, plan.waiting, {each: turns[each] for each in plan.waiting if each in turns})
        self._retire(in_force, plan, turns)

    async def _plan(self, after: InForce) -> Transition:
        current = self._holder.current
        if current is None:
            return NOTHING
        return await trio.to_thread.run_sync(transition, current, self._holder.waiting, after)

    async def _course(self, plan: Transition, after: InForce) -> Course:
        return Course(plan, await self._turns(plan, after), self._moves(plan, after))

    async def _without_waiting_of_failed(self, plan: Transition) -> Transition:
        """Stations leave an operator that does not work at once, but for those that charge there."""
        local = await self._movement.local_transactions(plan.waiting)
        staying = {
            identity: in_force
            for identity, in_force in plan.waiting.items()
            if identity in self._holder.waiting
            or (
                self._status.station(identity).is_connected
                and self._movement.may_be_charging(identity, in_force, local)
            )
        }
        leaving = [identity for identity in plan.waiting if identity not in staying]
        return msgspec.structs.replace(plan, waiting=staying, reconnecting=plan.reconnecting | frozenset(leaving))

    async def _turns(self, plan: Transition, after: InForce) -> dict[str, float]:
        """Return when who goes: those that reconnect, and of those that move who is connected and free already."""
        local = await self._movement.local_transactions(plan.waiting)
        going = [session.identity for session in self._sessions if self._goes(session, plan, local)]
        spread = after.routing.config.activation.spread
        began = trio.current_time()
        return {identity: began + spread * place / len(going) for place, identity in enumerate(sorted(going))}

    def _goes(self, session: Session, plan: Transition, local: Mapping[str, int] | None) -> bool:
        identity = session.identity
        if identity in plan.waiting:
            is_new = identity not in self._holder.waiting
            is_free = not self._movement.may_be_charging(identity, plan.waiting[identity], local)
            return is_new and is_free and self._status.station(identity).is_connected
        return identity in plan.reconnecting or session.listener in plan.turned_out

    def _moves(self, plan: Transition, after: InForce) -> dict[str, Move]:
        """Return what a restart has to know of stations that are on their way."""
        stored, now = self._archive.stored, self._clock.now()
        deadline = rfc3339(now + timedelta(seconds=after.routing.config.activation.drain_limit))
        moves = self._movement.still_on_trial(after)
        for identity in plan.waiting:
            move = stored.moves.get(identity) if identity in self._holder.waiting else None
            if move is None:
                assert stored.bundle is not None
                move = Move(stored.bundle, rfc3339(now))
            elif move.has_returned:
                move = Move(move.bundle, rfc3339(now))
            if not move.deadline and self._status.station(identity).is_connected:
                move = msgspec.structs.replace(move, deadline=deadline)
            moves[identity] = move
        return moves

    def _retire(self, in_force: InForce, plan: Transition, turns: Mapping[str, float]) -> None:
        """End what was made under the old, tell the rest how it goes on."""
        ending: list[tuple[float, Session]] = []
        for session in self._sessions:
            if session.identity in plan.waiting:
                continue
            if session.identity in plan.gone:
                session.end(CONFIGURATION_CHANGED, "no station of this site any more", "closed")
            elif session.identity in turns:
                ending.append((turns[session.identity], session))
            elif session.on_change is not None:
                session.on_change(in_force)
        if ending:
            self._nursery.start_soon(_end_in_turn, sorted(ending, key=lambda each: each[0]))

    async def _watch(self, in_force: InForce, scope: trio.CancelScope) -> None:
        """Watch every supervision of the bundle in force, until another one is."""
        with scope:
            async with trio.open_nursery() as nursery:
                for name in in_force.routing.config.supervisions:
                    nursery.start_soon(self._uplinks.watch, in_force, name)


async def _end_in_turn(ending: Collection[tuple[float, Session]]) -> None:
    for moment, session in ending:
        await trio.sleep_until(moment)
        session.end(CONFIGURATION_CHANGED, "configuration changed", "closed")
