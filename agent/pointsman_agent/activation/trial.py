"""The bundle that is on probation: what of its uplinks is counted, and what was heard of them (rule 47)."""

from collections.abc import Mapping

import trio

from pointsman_agent.activation.probation import Probation, Verdict
from pointsman_agent.activation.transition import Transition
from pointsman_agent.inforce import InForce
from pointsman_agent.routing import Route
from pointsman_agent.status import Status


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


def trial_of(
    plan: Transition,
    turns: Mapping[str, float],
    after: InForce,
    *,
    current: InForce,
    earlier: Trial | None,
    status: Status,
) -> Trial | None:
    """Return the probation of `after`, which takes over from `current`; None where it changes no uplink.

    What an `earlier` one has not proven is for this one to prove.
    """
    moving = {identity: after.links[identity] for identity in plan.waiting if identity in turns}
    touched = {**plan.touched, **{each: link.operator for each, link in moving.items() if link.uplink is not None}}
    through: set[str] = set()
    if earlier is not None:
        unproven = earlier.probation.touched
        through = {identity for identity in unproven if identity not in touched}
        touched = {**{each: name for each, name in unproven.items() if _operator(after, each) == name}, **touched}
    exempt = {name for name in touched.values() if _was_down(name, current, status)}
    began = trio.current_time()
    ends = max(turns.values(), default=began) + after.routing.config.activation.probation
    probation = Probation(touched, exempt, began=began, ends=ends)
    for identity in through:
        if status.station(identity).is_connected and identity in touched:
            probation.succeeded(identity, touched[identity])
    return Trial(after, probation) if probation.touched else None


def _was_down(supervision: str, current: InForce, status: Status) -> bool:
    known = supervision in current.routing.config.supervisions
    return known and status.supervision(supervision).is_reachable is False


def _operator(in_force: InForce, identity: str) -> str | None:
    link = in_force.links.get(identity)
    return None if link is None else link.operator
