"""How a bundle comes into force: verify → stage → prepare → switch → retire; a failed step undoes only the new.

    verify    the envelope, by rule 49
    stage     on disk, durably; it counts once the state names it
    prepare   all that may fail: secrets, certificates, the hosts of new uplinks, ports
    switch    the state is saved, then everything changes in one go
    retire    what was made under the old: links that have to be made anew, one after the other; listeners that are gone

Then the bundle is on probation, where it changed uplinks: it goes back by itself when they fail (rule 47).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
import structlog
import trio
from pointsman_schema.bundle import Bundle

from pointsman_agent.activation.archive import Archive, name_of
from pointsman_agent.activation.history import History, of_bundle
from pointsman_agent.activation.movement import Movement
from pointsman_agent.activation.probation import Verdict
from pointsman_agent.activation.refusals import PASSING, Refusals
from pointsman_agent.activation.switch import Course, Switch
from pointsman_agent.activation.transition import NOTHING, transition
from pointsman_agent.activation.trial import Trial, trial_of
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.listener import ListenerFault, Listeners, PreparedListeners
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import Clock, Failure, Move, Quarantine
from pointsman_agent.routing import Route
from pointsman_agent.status import BundleInForce, Status
from pointsman_agent.uplink import Uplinks, unresolved_host
from pointsman_agent.verification import BundleRefused

QUARANTINE: Final = timedelta(hours=24)  # rule 47
RETURN_AGAIN_S: Final = 10.0  # after a port of the previous bundle could not be had
RESUME_AGAIN_S: Final = 10.0  # after what is beside the last good bundle was not to be had at a start
RESUMED_LATER: Final = PASSING - {"storage"}
"""Refusals of the last good bundle that do not say that it is damaged."""

log = structlog.get_logger()


class Activation:
    """Puts bundles in force, one after the other, and remembers what was refused and why."""

    def __init__(
        self,
        *,
        archive: Archive,
        movement: Movement,
        switch: Switch,
        history: History,
        refusals: Refusals,
        holder: Holder,
        listeners: Listeners,
        uplinks: Uplinks,
        status: Status,
        clock: Clock,
        nursery: trio.Nursery,
        one_at_a_time: trio.Lock,
    ) -> None:
        self._archive = archive
        self._movement = movement
        self._switch = switch
        self._history = history
        self._refusals = refusals
        self._holder = holder
        self._listeners = listeners
        self._status = status
        self._clock = clock
        self._nursery = nursery
        self._one_at_a_time = one_at_a_time
        self._trial: Trial | None = None
        self._previous: InForce | None = None
        uplinks.on_outcome = self._heard
        movement.on_left_out = self._left_out
        status.site = archive.stored.site
        self._tell()

    async def resume(self) -> None:
        """Put the last good bundle in force again, after a restart (rule 48); without one nothing happens.

        That is the one before, where the last had not proven itself yet, or is damaged. A bundle that was good and is
        refused for what is beside it (a port, a secret) is tried again until it is in force, or another one is: the
        state is `waiting` meanwhile.
        """
        async with self._one_at_a_time:
            stored = self._archive.stored
            names = [stored.bundle, stored.previous]
            if stored.is_on_probation:
                names.reverse()
            for name in (each for each in names if each is not None):
                try:
                    await self._resume(name)
                except BundleRefused as error:
                    await self._refusals.note(error)
                    if error.code in RESUMED_LATER:
                        self._nursery.start_soon(self._resume_later, name)
                        return
                else:
                    return

    async def _resume_later(self, name: str) -> None:
        while True:
            await trio.sleep(RESUME_AGAIN_S)
            async with self._one_at_a_time:
                if self._holder.current is not None:
                    return
                try:
                    await self._resume(name)
                except BundleRefused as error:
                    await self._refusals.note(error)
                else:
                    await self._save_if_possible(last_failed=None)  # what kept it from being in force has passed
                    return

    async def offer(self, envelope: bytes, *, origin: str = "") -> bool:
        """Put `envelope` in force, or refuse it and keep what is; True when it is in force afterwards. `origin` says
        from where it came."""
        async with self._one_at_a_time:
            self._status.source_looked(self._status.is_stale, None)
            try:
                await self._walk(envelope, origin)
            except BundleRefused as error:
                await self._refusals.note(error, origin)
                return False
            self._status.desired = self._status.active
            self._refusals.settle()
        return True

    async def fail(self, code: str, message: str) -> None:
        """Note that a source could not give a bundle at all. One that is missing is only worth a log line while another
        is in force: deployments remove a file before they lay down the next."""
        if code == "missing" and self._holder.current is not None:
            log.warning("no bundle file", why=message)
            return
        async with self._one_at_a_time:
            await self._refusals.note_source(code, message)

    async def retry(self) -> None:
        """Lift the quarantine; stations that went back alone may move again. Raises BundleRefused `storage`."""
        async with self._one_at_a_time:
            self._movement.retry()
            await self._save(None, quarantine=None, moves=self._movement.moves())

    # --- The walk -------------------------------------------------------------------------------------------------

    async def _walk(self, envelope: bytes, origin: str) -> None:
        bundle = await self._archive.verify(envelope)
        self._status.desired = BundleInForce(bundle.config_digest, bundle.sequence, rfc3339(self._clock.now()))
        self._refusals.demand_not_in_quarantine(bundle)
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
        course = await self._switch.course(prepared)
        trial = self._continued(prepared) if is_known else self._trial_of(course, prepared)
        changes: dict[str, object] = {"last_failed": None, "quarantine": None, "moves": course.moves}
        changes["is_on_probation"] = trial is not None
        if not is_known:
            changes |= self._succession(bundle)
        await self._save(bundle, **changes)
        if not is_known and self._trial is None:
            self._previous = current
        self._switch.take(prepared, sockets, course)
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
        await self._save_if_possible(**changes)  # charging does not wait for a disk
        self._switch.take(in_force, sockets, Course(msgspec.structs.replace(NOTHING, waiting=kept), {}, moves))
        self._status.desired = self._status.active
        log.info("bundle in force again", digest=in_force.routing.bundle.config_digest)
        if is_return:
            why = "the agent ended before it had proven itself" if stored.is_on_probation else "it is damaged"
            detail = f"from {stored.bundle}: {why}"
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

    async def _save_if_possible(self, **changes: object) -> None:
        """Save what may be lost without harm."""
        try:
            await self._save(None, **changes)
        except BundleRefused as error:
            log.error("state not stored", why=str(error))

    def _tell(self) -> None:
        """Show what is stored."""
        stored = self._archive.stored
        self._status.last_failed, self._status.quarantine = stored.last_failed, stored.quarantine
        self._status.is_on_probation = stored.is_on_probation

    # --- Probation ------------------------------------------------------------------------------------------------

    def _trial_of(self, course: Course, after: InForce) -> Trial | None:
        current = self._holder.current
        if current is None:
            return None
        return trial_of(course.plan, course.turns, after, current=current, earlier=self._trial, status=self._status)

    def _continued(self, prepared: InForce) -> Trial | None:
        """Return the running probation, whose bundle has other secrets now."""
        return None if self._trial is None else Trial(prepared, self._trial.probation)

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
        # Where that fails a restart begins with the one before: safe, and told.
        await self._save_if_possible(is_on_probation=False, moves=self._movement.moves())
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
        course = await self._switch.course_back(previous)
        now = self._clock.now()
        failure = Failure(failed.config_digest, failed.sequence, rfc3339(now), "probation", reason)
        await self._save_if_possible(  # a restart begins with the previous one all the same
            bundle=stored.previous,
            activated_at=rfc3339(now),
            previous=None,
            is_on_probation=False,
            last_failed=failure,
            quarantine=Quarantine(failed.config_digest, rfc3339(now + QUARANTINE), reason),
            moves=course.moves,
        )
        self._trial = self._previous = None
        self._status.last_failed = failure
        self._switch.take(previous, sockets, course)
        log.error("went back to the previous bundle", why=reason, digest=failed.config_digest)
        await self._history.note(of_bundle("returned", failed, detail=reason))
        self._refusals.ask_later(QUARANTINE.total_seconds())
        return True


def _is_the_same(current: InForce, prepared: InForce) -> bool:
    digests = {each.routing.bundle.config_digest for each in (current, prepared)}
    return len(digests) == 1 and prepared.secrets == current.secrets


async def _demand_names(current: InForce, prepared: InForce) -> None:
    """Raise BundleRefused where the host of a new uplink has no address: it would only cut what works (rule 46)."""
    fault = await unresolved_host(current, prepared)
    if fault is not None:
        raise BundleRefused("unresolved", fault, bundle=prepared.routing.bundle)
