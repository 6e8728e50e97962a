"""How a bundle comes into force: verify → stage → prepare → switch → retire; a failed step undoes only the new.

    verify    the envelope, by rule 49
    stage     on disk, durably; it counts once the state names it
    prepare   all that may fail: secrets, certificates, the hosts of new uplinks, ports
    switch    the state is saved, then everything changes in one go
    retire    what was made under the old: links that have to be made anew, one after the other; listeners that are gone

Then the bundle is on probation, where it changed uplinks: it goes back by itself when they fail (rule 47).
"""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Final

import msgspec
import structlog
import trio
from pointsman_schema.bundle import Bundle

from pointsman_agent.activation.archive import Archive, name_of
from pointsman_agent.activation.history import History, of_bundle
from pointsman_agent.activation.movement import Movement
from pointsman_agent.activation.probation import Probation, Verdict
from pointsman_agent.activation.transition import NOTHING, Transition, transition
from pointsman_agent.clockoffset import read_rfc3339
from pointsman_agent.entries import BundleEvent
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.listener import ListenerFault, Listeners, PreparedListeners
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import Clock, Failure, Move, Quarantine
from pointsman_agent.routing import Route
from pointsman_agent.session import Session, Sessions
from pointsman_agent.status import BundleInForce, Status
from pointsman_agent.uplink import Uplinks, unresolved_host
from pointsman_agent.verification import BundleRefused

CONFIGURATION_CHANGED: Final = 1012  # RFC 6455 registry: Service Restart
QUARANTINE: Final = timedelta(hours=24)  # rule 47
RETURN_AGAIN_S: Final = 10.0  # after a port of the previous bundle could not be had
ASK_AGAIN_S: Final = (60.0, 900.0)  # from the first refusal that may pass by itself to the last
PASSING: Final = frozenset({"secret-missing", "badge-list", "tls-material", "listener", "storage", "unresolved"})
"""Refusals for what is beside the bundle: a file, a port, a name. It is tried again by itself."""

log = structlog.get_logger()


class Trial:
    """The bundle that is on probation."""

    def __init__(self, in_force: InForce, probation: Probation) -> None:
        self.in_force = in_force
        self.probation = probation
        self.decided = trio.Event()
        self.scope = trio.CancelScope()

    def heard(self, in_force: InForce, route: Route, failure: str | None) -> None:
        """A try of an uplink went well (None), or not."""
        if in_force is not self.in_force or route.supervision_name is None:
            return
        if failure is None:
            self.probation.succeeded(route.identity, route.supervision_name)
            return
        self.probation.failed(route.identity, route.supervision_name, failure)
        if self.probation.verdict(trio.current_time()) is Verdict.FAILED:
            self.decided.set()


class Activation:
    """Puts bundles in force, one after the other, and remembers what was refused and why."""

    def __init__(
        self,
        *,
        archive: Archive,
        movement: Movement,
        history: History,
        holder: Holder,
        listeners: Listeners,
        sessions: Sessions,
        uplinks: Uplinks,
        status: Status,
        clock: Clock,
        nursery: trio.Nursery,
        one_at_a_time: trio.Lock,
        ask_again: Callable[[], None] = lambda: None,
    ) -> None:
        self._archive = archive
        self._movement = movement
        self._history = history
        self._holder = holder
        self._listeners = listeners
        self._sessions = sessions
        self._uplinks = uplinks
        self._status = status
        self._clock = clock
        self._nursery = nursery
        self._one_at_a_time = one_at_a_time
        self._ask_again = ask_again
        self._asking = trio.CancelScope()
        self._ask_after_s = ASK_AGAIN_S[0]
        self._watching = trio.CancelScope()
        self._trial: Trial | None = None
        self._previous: InForce | None = None
        uplinks.on_outcome = self._heard
        movement.on_left_out = self._left_out
        status.site = archive.stored.site
        status.last_failed = archive.stored.last_failed
        status.quarantine = archive.stored.quarantine

    async def resume(self) -> None:
        """Put the last good bundle in force again, after a restart (rule 48); without one nothing happens.

        That is the one before, where the last had not proven itself yet, or cannot be read. A bundle that was good and
        is refused now (a secret is gone) is a refusal like any other: the state is then `waiting`.
        """
        async with self._one_at_a_time:
            stored = self._archive.stored
            names = [stored.bundle, stored.previous]
            if stored.is_on_probation:
                names.reverse()
            refusal: BundleRefused | None = None
            for name in names:
                try:
                    if name is not None:
                        await self._resume(name)
                        return
                except BundleRefused as error:
                    refusal = refusal or error
            if refusal is not None:
                await self._refused(refusal)

    async def offer(self, envelope: bytes, *, origin: str = "") -> bool:
        """Put `envelope` in force, or refuse it and keep what is; True when it is in force afterwards. `origin` says
        from where it came."""
        async with self._one_at_a_time:
            try:
                await self._walk(envelope, origin)
            except BundleRefused as error:
                await self._refused(error, origin)
                return False
            self._asking.cancel()
            self._ask_after_s = ASK_AGAIN_S[0]
        return True

    async def fail(self, code: str, message: str) -> None:
        """Note that a source could not give a bundle at all. One that is missing is only worth a log line while another
        is in force: deployments remove a file before they lay down the next, and networks go and come."""
        if code in ("missing", "unreachable") and self._holder.current is not None:
            log.warning("no bundle", code=code, why=message)
            return
        async with self._one_at_a_time:
            await self._refused(BundleRefused(code, message))

    async def retry(self) -> None:
        """Lift the quarantine; stations that went back alone may move again. Raises BundleRefused `storage`."""
        async with self._one_at_a_time:
            await self._movement.retry()
            await self._save(None, quarantine=None, moves=self._movement.moves())
            self._status.quarantine = None

    # --- The walk -------------------------------------------------------------------------------------------------

    async def _walk(self, envelope: bytes, origin: str) -> None:
        bundle = await self._archive.verify(envelope)
        self._status.desired = BundleInForce(bundle.config_digest, bundle.sequence, rfc3339(self._clock.now()))
        self._demand_not_in_quarantine(bundle)
        await self._archive.stage(name_of(bundle), envelope, bundle)
        prepared = await self._archive.prepare(bundle)
        current = self._holder.current
        if current is not None and _is_the_same(current, prepared):
            await self._keep_unchanged(bundle, origin)
            return
        if current is not None:
            await _demand_names(current, prepared)
        sockets = await self._prepare_listeners(bundle)
        try:
            await self._replace(prepared, sockets, origin)
        except BundleRefused:
            await sockets.abandon()
            raise
        log.info("bundle in force", sequence=bundle.sequence, digest=bundle.config_digest)

    async def _replace(self, prepared: InForce, sockets: PreparedListeners, origin: str) -> None:
        """Save what is to be in force, then put it in force: a restart in between must not go back in time."""
        bundle, stored, current = prepared.routing.bundle, self._archive.stored, self._holder.current
        is_known = name_of(bundle) == stored.bundle  # only secrets have changed, or it could not be resumed before
        plan = await self._plan(current, prepared)
        turns = await self._turns(plan, prepared)
        trial = self._continued(prepared) if is_known else self._trial_of(plan, turns, prepared)
        moves = self._moves(plan, prepared)
        changes: dict[str, object] = {"last_failed": None, "quarantine": None, "moves": moves}
        changes["is_on_probation"] = trial is not None
        if not is_known:
            changes |= self._succession(bundle)
        await self._save(bundle, **changes)
        if not is_known and self._trial is None:
            self._previous = current
        self._switch(prepared, sockets, plan, turns, moves)
        self._begin_trial(trial)
        await self._history.note(of_bundle("activated", bundle, origin=origin))

    def _succession(self, bundle: Bundle) -> dict[str, object]:
        """What the state says of a bundle that takes over. What has not proven itself is nobody's previous one."""
        stored = self._archive.stored
        proven, since = stored.bundle, stored.activated_at
        if stored.is_on_probation:
            proven, since = stored.previous, stored.previous_activated_at
        return {
            "bundle": name_of(bundle),
            "activated_at": rfc3339(self._clock.now()),
            "previous": proven,
            "previous_activated_at": since,
            "highest_sequence": bundle.sequence,
            "highest_digest": bundle.config_digest,
        }

    async def _keep_unchanged(self, bundle: Bundle, origin: str) -> None:
        """The same configuration with the same secrets touches no connection (rule 43); only its number is another."""
        is_new = name_of(bundle) != self._archive.stored.bundle
        changes: dict[str, object] = {"last_failed": None}
        if is_new:
            names = ("bundle", "activated_at", "highest_sequence", "highest_digest")
            succession = self._succession(bundle)
            changes |= {name: succession[name] for name in names}
            old = self._archive.stored.bundle
            changes["moves"] = {
                identity: msgspec.structs.replace(move, bundle=name_of(bundle)) if move.bundle == old else move
                for identity, move in self._movement.moves().items()
            }
        await self._save(bundle, **changes)
        self._status.active = BundleInForce(bundle.config_digest, bundle.sequence, self._archive.stored.activated_at)
        if is_new:
            await self._history.note(
                of_bundle("activated", bundle, origin=origin, detail="the configuration is the same")
            )

    async def _resume(self, name: str) -> None:
        """Put a stored bundle in force; raises BundleRefused."""
        stored = self._archive.stored
        in_force = await self._archive.open(name)
        waiting = await self._open_waiting(stored.moves)
        sockets = await self._prepare_listeners(in_force.routing.bundle)
        kept = transition(in_force, waiting, in_force).waiting
        moves = {identity: stored.moves[identity] for identity in kept}
        is_return = name != stored.bundle
        changes: dict[str, object] = {"moves": moves, "is_on_probation": False}
        if is_return:
            changes |= {"bundle": name, "activated_at": stored.previous_activated_at, "previous": None}
        try:
            await self._save(in_force.routing.bundle, **changes)
        except BundleRefused as error:
            log.error("state not stored", why=str(error))  # charging does not wait for a disk
        self._switch(in_force, sockets, msgspec.structs.replace(NOTHING, waiting=kept), {}, moves)
        self._status.desired = self._status.active
        log.info("bundle in force again", digest=in_force.routing.bundle.config_digest)
        if is_return:
            detail = f"the agent ended before {stored.bundle} had proven itself, or cannot read it"
            await self._history.note(of_bundle("returned", in_force.routing.bundle, detail=detail))

    async def _open_waiting(self, moves: Mapping[str, Move]) -> dict[str, InForce]:
        """Return what is in force for the stations that wait; one whose bundle is not to be had moves at once."""
        opened: dict[str, InForce] = {}
        for name in sorted({move.bundle for move in moves.values()}):
            try:
                opened[name] = await self._archive.open(name)
            except BundleRefused as error:
                log.error("stations do not wait for their move any more", bundle=name, why=str(error))
        return {identity: opened[move.bundle] for identity, move in moves.items() if move.bundle in opened}

    async def _prepare_listeners(self, bundle: Bundle) -> PreparedListeners:
        try:
            return await self._listeners.prepare(bundle.config.listeners)
        except ListenerFault as error:
            raise BundleRefused("listener", str(error), bundle=bundle) from error

    async def _save(self, of: Bundle | None, /, **changes: object) -> None:
        try:
            await self._archive.save(**changes)
        except OSError as error:
            raise BundleRefused("storage", f"the state cannot be stored: {error}", bundle=of) from error
        self._tell()

    def _tell(self) -> None:
        """Show what is stored."""
        stored = self._archive.stored
        self._status.last_failed, self._status.quarantine = stored.last_failed, stored.quarantine
        self._status.is_on_probation = stored.is_on_probation

    # --- What a switch does ---------------------------------------------------------------------------------------

    async def _plan(self, current: InForce | None, after: InForce) -> Transition:
        if current is None:
            return NOTHING
        return await trio.to_thread.run_sync(transition, current, self._holder.waiting, after)

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

    def _switch(
        self,
        in_force: InForce,
        sockets: PreparedListeners,
        plan: Transition,
        turns: Mapping[str, float],
        moves: Mapping[str, Move],
    ) -> None:
        """In one go: nobody sees a half of it. Then retire the old."""
        bundle, stored = in_force.routing.bundle, self._archive.stored
        self._holder.put(in_force, plan.waiting)
        self._status.active = BundleInForce(bundle.config_digest, bundle.sequence, stored.activated_at)
        self._status.forget_absent(in_force.routing)
        self._uplinks.renew(plan.renewed)
        self._watching.cancel()
        self._watching = trio.CancelScope()
        self._nursery.start_soon(self._watch, in_force, self._watching)
        self._listeners.switch(sockets)
        self._movement.begin(moves, plan.waiting, {each: turns[each] for each in plan.waiting if each in turns})
        self._retire(in_force, plan, turns)

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

    # --- Probation ------------------------------------------------------------------------------------------------

    def _trial_of(self, plan: Transition, turns: Mapping[str, float], after: InForce) -> Trial | None:
        """Return the probation of `after`, None where it changes no uplink."""
        current = self._holder.current
        if current is None:
            return None
        moving = {identity: after.links[identity] for identity in plan.waiting if identity in turns}
        touched = {**plan.touched, **{each: link.operator for each, link in moving.items() if link.uplink is not None}}
        through: set[str] = set()
        if self._trial is not None:  # what the one before has not proven is for this one to prove
            earlier = self._trial.probation.touched
            through = {identity for identity in earlier if identity not in touched}
            touched = {**{each: name for each, name in earlier.items() if _operator(after, each) == name}, **touched}
        exempt = {name for name in touched.values() if self._was_down(name, current)}
        began = trio.current_time()
        ends = max(turns.values(), default=began) + after.routing.config.activation.probation
        probation = Probation(touched, exempt, began=began, ends=ends)
        for identity in through:
            if self._status.station(identity).is_connected and identity in touched:
                probation.succeeded(identity, touched[identity])
        return Trial(after, probation) if probation.touched else None

    def _continued(self, prepared: InForce) -> Trial | None:
        """Return the running probation, whose bundle has other secrets now."""
        return None if self._trial is None else Trial(prepared, self._trial.probation)

    def _was_down(self, supervision: str, current: InForce) -> bool:
        known = supervision in current.routing.config.supervisions
        return known and self._status.supervision(supervision).is_reachable is False

    def _begin_trial(self, trial: Trial | None) -> None:
        if self._trial is not None:
            self._trial.scope.cancel()
        self._trial = trial
        if trial is not None:
            self._nursery.start_soon(self._supervise, trial)

    def _heard(self, in_force: InForce, route: Route, failure: str | None) -> None:
        if self._trial is not None:
            self._trial.heard(in_force, route, failure)
        if in_force is self._holder.current:
            self._movement.heard(route, failure)

    def _left_out(self, identity: str) -> None:
        if self._trial is not None:
            self._trial.probation.leave_out(identity)

    async def _supervise(self, trial: Trial) -> None:
        """Wait for the end of a probation, and act on it."""
        with trial.scope:
            with trio.move_on_at(trial.probation.ends):
                await trial.decided.wait()
            while True:
                if await self._conclude(trial):
                    return
                await trio.sleep(RETURN_AGAIN_S)

    async def _conclude(self, trial: Trial) -> bool:
        """Let the bundle stay, or go back to the one before; False where that could not be."""
        async with self._one_at_a_time:
            if self._trial is not trial:
                return True
            now = trio.current_time()
            if trial.probation.verdict(now) is not Verdict.FAILED:
                await self._stay(trial)
                return True
            return await self._go_back(trial, trial.probation.reason(now))

    async def _stay(self, trial: Trial) -> None:
        bundle, silent = trial.in_force.routing.bundle, trial.probation.silent()
        self._trial = self._previous = None
        try:
            await self._save(bundle, is_on_probation=False, moves=self._movement.moves())
        except BundleRefused as error:
            log.error("state not stored", why=str(error))  # after a restart it is the one before: safe, and told
        detail = f"did not come: {', '.join(silent)}" if silent else ""
        log.info("bundle has proven itself", digest=bundle.config_digest, silent=silent)
        await self._history.note(of_bundle("proven", bundle, detail=detail))

    async def _go_back(self, trial: Trial, reason: str) -> bool:
        failed, stored = trial.in_force.routing.bundle, self._archive.stored
        assert stored.previous is not None
        try:
            previous = self._previous or await self._archive.open(stored.previous)
            sockets = await self._prepare_listeners(previous.routing.bundle)
        except BundleRefused as error:
            log.error("cannot go back to the previous bundle yet", why=str(error))
            return False
        plan = await self._plan(trial.in_force, previous)
        plan = await self._without_waiting_of_failed(plan)
        turns = await self._turns(plan, previous)
        moves = self._moves(plan, previous)
        now = self._clock.now()
        failure = Failure(failed.config_digest, failed.sequence, rfc3339(now), "probation", reason)
        try:
            await self._save(
                failed,
                bundle=stored.previous,
                activated_at=rfc3339(now),
                previous=None,
                is_on_probation=False,
                last_failed=failure,
                quarantine=Quarantine(failed.config_digest, rfc3339(now + QUARANTINE), reason),
                moves=moves,
            )
        except BundleRefused as error:  # a restart begins with the previous one all the same
            log.error("state not stored", why=str(error))
        self._trial = self._previous = None
        self._status.last_failed = failure
        self._switch(previous, sockets, plan, turns, moves)
        log.error("went back to the previous bundle", why=reason, digest=failed.config_digest)
        await self._history.note(of_bundle("returned", failed, detail=reason))
        self._ask_later(QUARANTINE.total_seconds())
        return True

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

    # --- Refusals -------------------------------------------------------------------------------------------------

    def _demand_not_in_quarantine(self, bundle: Bundle) -> None:
        quarantine = self._archive.stored.quarantine
        if quarantine is None or quarantine.digest != bundle.config_digest:
            return
        until = read_rfc3339(quarantine.until)
        if until is not None and self._clock.now() < until:
            message = f"{quarantine.why}; not tried again before {quarantine.until}, or `reload --retry`"
            raise BundleRefused("quarantined", message, bundle=bundle)

    async def _refused(self, error: BundleRefused, origin: str = "") -> None:
        known = self._archive.stored.last_failed
        if known is not None and (known.digest, known.code, known.message) == (error.digest, error.code, str(error)):
            log.info("bundle refused again", code=error.code, digest=error.digest)
        elif error.code == "quarantined" and known is not None and known.code == "probation":
            log.info("bundle in quarantine", digest=error.digest)  # why it failed is what people have to see
        else:
            await self._note_refusal(error, origin)
        if error.code in PASSING:
            self._ask_later(self._ask_after_s)
            self._ask_after_s = min(self._ask_after_s * 2, ASK_AGAIN_S[1])

    async def _note_refusal(self, error: BundleRefused, origin: str) -> None:
        failure = Failure(error.digest, error.sequence, rfc3339(self._clock.now()), error.code, str(error))
        log.error("bundle refused", code=error.code, why=str(error), digest=error.digest, sequence=error.sequence)
        try:
            await self._save(None, last_failed=failure)
        except BundleRefused as storage:
            log.error("refusal not stored", why=str(storage))
        self._status.last_failed = failure
        detail = f"{error.code}: {error}"
        await self._history.note(BundleEvent("refused", error.digest or "", error.sequence, origin, detail))

    def _ask_later(self, seconds: float) -> None:
        """Ask the source again after a while, in place of what was planned before."""
        self._asking.cancel()
        self._asking = trio.CancelScope()
        self._nursery.start_soon(self._ask, self._asking, seconds)

    async def _ask(self, scope: trio.CancelScope, seconds: float) -> None:
        with scope:
            await trio.sleep(seconds)
            self._ask_again()


def _is_the_same(current: InForce, prepared: InForce) -> bool:
    digests = {each.routing.bundle.config_digest for each in (current, prepared)}
    return len(digests) == 1 and prepared.secrets == current.secrets


def _operator(in_force: InForce, identity: str) -> str | None:
    link = in_force.links.get(identity)
    return None if link is None else link.operator


async def _demand_names(current: InForce, prepared: InForce) -> None:
    """Raise BundleRefused where the host of a new uplink has no address: it would only cut what works (rule 46)."""
    fault = await unresolved_host(current, prepared)
    if fault is not None:
        raise BundleRefused("unresolved", fault, bundle=prepared.routing.bundle)


async def _end_in_turn(ending: Collection[tuple[float, Session]]) -> None:
    for moment, session in ending:
        await trio.sleep_until(moment)
        session.end(CONFIGURATION_CHANGED, "configuration changed", "closed")
