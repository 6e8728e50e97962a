"""Runs the telling of a boot on the link of a relayed station (rule 45)."""

import uuid
from collections.abc import Callable

import trio

from pointsman_agent.bootreplay import Ask, AwaitBoot, Replay, Step, Told
from pointsman_agent.ocpp.events import Event, OwnCallAsked
from pointsman_agent.ocpp.frame import FrameError, parse
from pointsman_agent.ocpp.owncall import OwnAnswer, own_answer, own_call

Tell = Callable[[Event], None]


class RunningReplay:
    """One telling, on one link. Its first CALL is the first of the link: hand it over by `first`, then `run`."""

    def __init__(self, steps: Replay) -> None:
        self._steps = steps
        self._scope = trio.CancelScope()
        self._booted: OwnAnswer | None = None
        self._has_booted = trio.Event()
        self._asked = _Asked(_an_ask(next(steps)))

    @property
    def first(self) -> OwnCallAsked:
        """What the link is to be told before anything else."""
        return self._asked.event

    async def run(self, tell: Tell) -> Told | None:
        """Ask and wait to the end; None where the link ended before. Each wait is bounded: a CALL by the link, which
        reports its end, a boot by its step."""
        answer: OwnAnswer | None = None
        with self._scope:
            await self._asked.is_over.wait()
            answer = self._asked.answer
            while True:
                try:
                    step = self._steps.send(answer)
                except StopIteration as end:
                    told: Told = end.value
                    return told
                answer = await self._do(step, tell)
        return None

    async def _do(self, step: Step, tell: Tell) -> OwnAnswer | None:
        match step:
            case Ask():
                self._asked = _Asked(step)
                tell(self._asked.event)
                await self._asked.is_over.wait()
                return self._asked.answer
            case AwaitBoot(seconds):
                with trio.move_on_after(seconds):
                    await self._has_booted.wait()
                return self._booted

    def answered(self, call_id: str, text: str | None) -> None:
        """A CALL of the agent's own has ended."""
        self._asked.end(call_id, text)

    def booted(self, answer: str) -> None:
        """A boot of the station's own was answered."""
        self._booted = _read(answer)
        self._has_booted.set()

    def over(self) -> None:
        """The link has ended."""
        self._scope.cancel()


class _Asked:
    """A CALL that waits for its end."""

    def __init__(self, ask: Ask) -> None:
        call_id = str(uuid.uuid4())
        self.event = OwnCallAsked(call_id, own_call(call_id, ask.action, ask.payload), ask.side)
        self.answer: OwnAnswer | None = None
        self.is_over = trio.Event()

    def end(self, call_id: str, text: str | None) -> None:
        if call_id == self.event.call_id:
            self.answer = None if text is None else _read(text)
            self.is_over.set()


def _an_ask(step: Step) -> Ask:
    assert isinstance(step, Ask)
    return step


def _read(text: str) -> OwnAnswer:
    try:
        return own_answer(parse(text))
    except FrameError as error:
        return OwnAnswer({}, "Unreadable", str(error))
