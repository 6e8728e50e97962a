"""CALLs of the agent's own to a station that it serves itself: one open at a time, each with a bound (rule 15)."""

import uuid
from typing import Any, Final

import trio

from pointsman_agent.ocpp.frame import Frame, MessageType
from pointsman_agent.ocpp.owncall import OwnAnswer, own_answer, own_call
from pointsman_agent.ports import Wire, WireLost
from pointsman_agent.tallies import Tally

ANSWER_WITHIN_S: Final = 30.0  # the default of most central systems
TURN_WITHIN_S: Final = 60.0  # for those who wait while another CALL is open


class CallFailed(Exception):
    """A station gave no answer: the link ended, or it was silent for too long. The message says which."""


class OwnCalls:
    """The agent's CALLs on one link. Whoever reads the link hands results to `hear`; all are counted in `tally`."""

    def __init__(self, wire: Wire, tally: Tally | None = None) -> None:
        self._wire = wire
        self._tally = tally or Tally()
        self._turn = trio.Lock()
        self._open: _OpenCall | None = None

    async def call(self, action: str, payload: dict[str, Any]) -> OwnAnswer:
        """Make a CALL and return the station's answer, be it an error; raises CallFailed."""
        with trio.move_on_after(TURN_WITHIN_S) as waiting:
            await self._turn.acquire()
        if waiting.cancelled_caught:
            raise CallFailed(f"{action} not sent: another request is open for {TURN_WITHIN_S:g} s")
        try:
            self._open = _OpenCall(str(uuid.uuid4()))
            return await self._ask(self._open, action, payload)
        finally:
            self._open = None
            self._turn.release()

    async def _ask(self, call: "_OpenCall", action: str, payload: dict[str, Any]) -> OwnAnswer:
        try:
            await self._wire.send(own_call(call.id, action, payload))
        except WireLost as error:
            raise CallFailed(f"{action} not sent: the station is gone") from error
        self._tally.calls += 1
        with trio.move_on_after(ANSWER_WITHIN_S):
            await call.is_answered.wait()
        if call.answer is None:
            raise CallFailed(f"no answer to {action} within {ANSWER_WITHIN_S:g} s")
        return call.answer

    def hear(self, frame: Frame) -> bool:
        """Take a CALLRESULT or CALLERROR; False when nobody asked, or no longer waits."""
        is_awaited = self._open is not None and frame.id == self._open.id and self._open.answer is None
        if frame.kind == MessageType.CALLERROR:
            self._tally.errors += 1
        elif self._open is not None and is_awaited:
            self._tally.answers.add(trio.current_time() - self._open.since)
        else:
            self._tally.results_untimed += 1
        if self._open is None or not is_awaited:
            return False
        self._open.answer = own_answer(frame)
        self._open.is_answered.set()
        return True


class _OpenCall:
    """A CALL that was sent and waits for its answer."""

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.since = trio.current_time()
        self.answer: OwnAnswer | None = None
        self.is_answered = trio.Event()
