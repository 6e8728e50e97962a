"""What a plan wants done, one step after the other. A plan is a generator; who runs it has the link and the journal.

It yields an `Ask` and gets the station's answer, an `AwaitReport` and gets what the station sends on its own then, or a
`Remember`, which is durable when the next step is asked for. A
plan that is given up at any point (the link broke) is begun anew on the next connection and goes on from what the
station says then.
"""

from collections.abc import Generator
from typing import Any, TypeVar

import msgspec

from pointsman_agent.ocpp.owncall import OwnAnswer


class Ask(msgspec.Struct, frozen=True):
    """Make this CALL."""

    action: str
    payload: dict[str, Any]


class Remember(msgspec.Struct, frozen=True):
    """Keep a fact of the station durably, None: forget it."""

    name: str
    value: str | None


class AwaitReport(msgspec.Struct, frozen=True):
    """Wait for what the station reports to the GetReport of this id: a payload with all `reportData`, or an error."""

    request_id: int


Result = TypeVar("Result")
Step = Ask | Remember | AwaitReport
Plan = Generator[Step, OwnAnswer, Result]


class Report(msgspec.Struct, frozen=True):
    """How far a plan came. `refused`: what the station does not do and will not be asked again; `waits`: what it will
    do after a restart; `notes`: what a technician should know."""

    refused: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """`in force`, `pending` or `refused`."""
        if self.refused:
            return "refused"
        return "pending" if self.waits else "in force"
