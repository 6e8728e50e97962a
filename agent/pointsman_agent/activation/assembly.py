"""Puts together all that bundles in force are about."""

from collections.abc import Callable

import trio

from pointsman_agent.activation.archive import Archive
from pointsman_agent.activation.history import History
from pointsman_agent.activation.movement import Movement
from pointsman_agent.activation.refusals import Refusals
from pointsman_agent.activation.switch import Switch
from pointsman_agent.activation.walk import Activation
from pointsman_agent.inforce import Holder
from pointsman_agent.listener import Listeners
from pointsman_agent.observer import Observer
from pointsman_agent.ports import Clock, Journal
from pointsman_agent.session import Sessions
from pointsman_agent.status import Status
from pointsman_agent.uplink import Uplinks


def assembled(
    *,
    archive: Archive,
    journal: Journal,
    observer: Observer,
    holder: Holder,
    listeners: Listeners,
    sessions: Sessions,
    uplinks: Uplinks,
    status: Status,
    clock: Clock,
    nursery: trio.Nursery,
    ask_again: Callable[[], None],
) -> tuple[Activation, Movement]:
    """Return who puts bundles in force, and who moves stations that wait; `ask_again` makes the source offer anew."""
    history, one_at_a_time = History(journal), trio.Lock()
    movement = Movement(
        holder=holder,
        sessions=sessions,
        observer=observer,
        journal=journal,
        status=status,
        clock=clock,
        archive=archive,
        history=history,
        one_at_a_time=one_at_a_time,
    )
    switch = Switch(
        archive=archive,
        movement=movement,
        holder=holder,
        listeners=listeners,
        sessions=sessions,
        uplinks=uplinks,
        status=status,
        clock=clock,
        nursery=nursery,
    )
    refusals = Refusals(
        archive=archive, history=history, status=status, clock=clock, nursery=nursery, ask_again=ask_again
    )
    activation = Activation(
        archive=archive,
        movement=movement,
        switch=switch,
        history=history,
        refusals=refusals,
        holder=holder,
        listeners=listeners,
        uplinks=uplinks,
        status=status,
        clock=clock,
        nursery=nursery,
        one_at_a_time=one_at_a_time,
    )
    return activation, movement
