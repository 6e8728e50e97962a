"""One OCPP-J peer on one WebSocket: every text verbatim, answers matched to calls, calls of the other side answered.

A reader drains the link at all times; calls of the other side are answered one after the other, in their order, by a
task of its own, so that a slow answer never stops reading. What no `call` awaited is there for `receive_text`.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from pointsman_simulator.clock import Clock
from pointsman_simulator.errors import FrameError, LinkClosed, NoAnswer
from pointsman_simulator.frames import (
    Call,
    CallError,
    CallResult,
    CallResultError,
    Payload,
    Send,
    read_frame,
    write_frame,
)
from pointsman_simulator.schemas import faults_of_call, faults_of_result
from pointsman_simulator.sockets import CLOSE_WITHIN_S, SocketLink
from pointsman_simulator.transcript import SEEN_WITHIN_S, Recorded, Transcript

ANSWER_WITHIN_S = 30.0  # the default of the `ocpp` package, and the agent's `messageTimeout`


@dataclass(frozen=True, slots=True)
class Closed:
    """How a link ended; 1006: without a Close frame."""

    code: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call: its text verbatim, and either a payload or an error; `faults` by the answer's schema."""

    text: str
    payload: Payload
    error: CallError | None = None
    faults: tuple[str, ...] = ()


Answerer = Callable[[Call], Awaitable[CallResult | CallError | None]]
"""Answers the other side's calls; None leaves one without an answer."""


class Peer:
    """One side of an open link. `run` must run while it is used; whoever opened it sees to that."""

    def __init__(
        self, link: SocketLink, name: str, *, clock: Clock, answerer: Answerer | None, spaced: bool = False
    ) -> None:
        self.name = name
        self.protocol = link.protocol
        self.received = Transcript()
        self.sent = Transcript()
        self.faults: list[str] = []
        self.closed: Closed | None = None
        self.answerer = answerer
        self._link = link
        self._clock = clock
        self._spaced = spaced
        self._has_closed = trio.Event()
        self._waiting: dict[str, _Waiting] = {}
        self._unclaimed, self._texts = trio.open_memory_channel[str](float("inf"))  # a test may never look at them
        self._asked, self._asks = trio.open_memory_channel[Call](float("inf"))  # reading never waits for an answer

    async def call(
        self,
        action: str,
        payload: Payload,
        within_s: float = ANSWER_WITHIN_S,
        *,
        message_id: str | None = None,
    ) -> Answer:
        """Send a CALL and return its answer; raises NoAnswer after `within_s` seconds, LinkClosed when the link ends.

        A CALLERROR is an answer like any other, in `Answer.error`.
        """
        call = Call(message_id or str(uuid.uuid4()), action, payload)
        return await self.call_text(write_frame(call, spaced=self._spaced), call.id, action, within_s)

    async def call_text(self, text: str, message_id: str, action: str, within_s: float = ANSWER_WITHIN_S) -> Answer:
        """Send `text`, a CALL of that id and action in whatever form, and return its answer; raises as `call`."""
        waiting = self._waiting[message_id] = _Waiting(action)
        try:
            with trio.fail_after(within_s):
                await self.send_text(text)
                await waiting.done.wait()
        except trio.TooSlowError as error:
            raise NoAnswer(f"{self.name}: no answer to {action} within {within_s:g} s") from error
        finally:
            if self._waiting.get(message_id) is waiting:
                del self._waiting[message_id]
        if waiting.answer is None:
            raise self._closed_error()
        return waiting.answer

    async def send(self, action: str, payload: Payload) -> None:
        """Send a SEND (OCPP 2.1), which has no answer; raises LinkClosed."""
        await self.send_text(write_frame(Send(str(uuid.uuid4()), action, payload), spaced=self._spaced))

    async def send_text(self, text: str) -> None:
        """Send `text` as it is; raises LinkClosed. It stands in `sent` before the first byte leaves."""
        self.sent.add(Recorded(self.name, text, self._clock()))
        await self._link.send(text)

    async def receive_text(self, within_s: float = SEEN_WITHIN_S) -> str:
        """Return the next text that was no answer to `call`: the other side's calls, late answers, anything odd.

        Raises trio.TooSlowError after `within_s` seconds, LinkClosed when the link has ended and nothing is left.
        """
        with trio.fail_after(within_s):
            try:
                return await self._texts.receive()
            except trio.EndOfChannel:
                raise self._closed_error() from None

    async def ping(self, within_s: float = SEEN_WITHIN_S) -> None:
        """Ping and wait for the pong; raises LinkClosed, or trio.TooSlowError after `within_s` seconds."""
        await self._link.ping(within_s)

    async def close(self, code: int = 1000, reason: str | None = None) -> Closed:
        """Close the link; returns within CLOSE_WITHIN_S how it ended. Once more does no harm."""
        await self._link.close(code, reason)
        with trio.move_on_after(CLOSE_WITHIN_S):
            await self._has_closed.wait()
        return self.closed or Closed(code, reason)

    async def drop(self) -> None:
        """Give the connection up without a Close frame, as a cut cable does."""
        await self._link.drop()

    async def wait_closed(self, within_s: float = SEEN_WITHIN_S) -> Closed:
        """Return how the link ended, once it has; raises trio.TooSlowError after `within_s` seconds."""
        with trio.fail_after(within_s):
            await self._has_closed.wait()
        assert self.closed is not None
        return self.closed

    async def run(self) -> None:
        """Read until the link ends, and answer; returns then."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._answer_calls)
                await self._read()
                nursery.cancel_scope.cancel()
        finally:
            self._end()

    async def _read(self) -> None:
        try:
            while True:
                text = await self._link.receive()
                self.received.add(Recorded(self.name, text, self._clock()))
                self._sort_in(text)
        except LinkClosed as end:
            self.closed = Closed(end.code, end.reason)

    def _sort_in(self, text: str) -> None:
        """Give an answer to who waits for it; keep all else, and queue a call for its answer."""
        try:
            frame = read_frame(text)
        except FrameError as error:
            self.faults.append(f"{error}: {text[:80]!r}")
            self._unclaimed.send_nowait(text)
            return
        match frame:
            case CallResult() | CallError() if frame.id in self._waiting:
                waiting = self._waiting.pop(frame.id)
                waiting.answer = self._judged(text, frame, waiting.action)
                waiting.done.set()
                return
            case Call():
                self.faults += self._faults_of_call(frame)
                self._asked.send_nowait(frame)
            case Send():
                self.faults += self._faults_of_call(frame)
            case CallResult() | CallError() | CallResultError():
                pass  # late, doubled or foreign: for `receive_text` to see
        self._unclaimed.send_nowait(text)

    def _judged(self, text: str, frame: CallResult | CallError, action: str) -> Answer:
        if isinstance(frame, CallError):
            return Answer(text, {}, frame)
        faults = tuple(faults_of_result(self.protocol, action, frame.payload)) if self.protocol else ()
        self.faults += faults
        return Answer(text, frame.payload, None, faults)

    def _faults_of_call(self, frame: Call | Send) -> list[str]:
        return faults_of_call(self.protocol, frame.action, frame.payload) if self.protocol else []

    async def _answer_calls(self) -> None:
        async for call in self._asks:
            answer = await self.answerer(call) if self.answerer is not None else None
            if answer is None:
                continue
            try:
                await self.send_text(write_frame(answer, spaced=self._spaced))
            except LinkClosed:
                return

    def _end(self) -> None:
        """The link is over: say so to everyone who waits."""
        self.closed = self.closed or Closed(1006, None)
        for waiting in self._waiting.values():
            waiting.done.set()
        self._unclaimed.close()
        self._has_closed.set()

    def _closed_error(self) -> LinkClosed:
        return LinkClosed(self.closed.code, self.closed.reason) if self.closed else LinkClosed(1006, None)


class _Waiting:
    """A call without an answer so far."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.answer: Answer | None = None
        self.done = trio.Event()
