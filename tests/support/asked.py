"""A station on a fake wire that answers what the agent asks it, from its memory."""

import json
from typing import Any

from pointsman_simulator.frames import Call, write_frame
from pointsman_simulator.memory import SendReport, StationMemory
from support.fakes import FakeWire


class AskedStation(FakeWire):
    """A wire whose far end answers CALLs from `memory`, unless it is `is_silent`; `asked` are the agent's CALLs."""

    def __init__(self, protocol: str = "ocpp1.6") -> None:
        super().__init__(protocol)
        self.memory = StationMemory()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.is_silent = False
        self.reports = True
        self._spoken = protocol

    async def send(self, text: str) -> None:
        """Keep `text`; a CALL is answered."""
        await super().send(text)
        kind, call_id, *rest = json.loads(text)
        if kind != 2:
            return
        self.asked.append((rest[0], rest[1]))
        if not self.is_silent:
            reaction = self.memory.react(self._spoken, Call(call_id, rest[0], rest[1]))
            self.arrive(write_frame(reaction.answer))
            if isinstance(reaction.then, SendReport) and self.reports:
                self.arrive(write_frame(Call("report", "NotifyReport", reaction.then.payload)))

    def actions(self) -> list[str]:
        """What the agent asked so far."""
        return [action for action, _ in self.asked]
