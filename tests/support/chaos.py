"""An agent in a process of its own that is killed again and again while stations charge, and what must be true then.

A station sends what was not answered again on its next connection, word for word, as real ones do. Whatever it got an
answer to is written down; the journal on disk is held against that at the end.
"""

import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from pointsman_simulator.errors import HandshakeFailed, HandshakeRefused, LinkClosed, NoAnswer
from pointsman_simulator.frames import Payload
from pointsman_simulator.station import Station, connect_station
from support.sites import SITE, STAFF_BADGE, a_bundle, a_config, a_listener, a_station, free_port

STATIONS = 12
UP_WITHIN_S = 20.0  # python's start, on a loaded machine
ANSWER_WITHIN_S = 20.0
RETRY_S = 0.05
AT = "2026-11-22T12:00:00Z"

Story = Generator[tuple[str, Payload], Payload, None]
"""What a station says, one message after the other; each answer comes back."""


@dataclass(slots=True)
class Answered:
    """What stations were told: 1.6 starts with the id that they got, 1.6 stops, 2.x events."""

    starts: list[tuple[str, int, int]] = field(default_factory=list)
    stops: list[tuple[str, int]] = field(default_factory=list)
    events: list[tuple[str, str, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many messages were answered."""
        return len(self.starts) + len(self.stops) + len(self.events)


class Chaos:
    """One site under load. `run` kills its agent so many times."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.answered = Answered()
        self.journal = folder / "state" / "journal.sqlite3"
        self.slowest_start_s = 0.0
        self._random = random.Random(seed)
        self._folder = folder
        self._port = free_port()
        self._progress = trio.Condition()

    async def run(self, kills: int) -> None:
        """Kill the agent `kills` times at random points; the last one is then ended in peace."""
        self._lay_down_bundle()
        async with trio.open_nursery() as nursery:
            for number in range(STATIONS):
                nursery.start_soon(self._play, f"LOC-{number:02}", number % 2 == 0)
            for _ in range(kills):
                async with self._agent() as process:
                    await self._answers(self._random.randrange(1, 60))
                    process.kill()
            async with self._agent():
                await self._answers(2 * STATIONS)  # what was cut off is sent again, and what follows as well
                nursery.cancel_scope.cancel()

    def _lay_down_bundle(self) -> None:
        stations = {f"LOC-{number:02}": a_station() for number in range(STATIONS)}
        config = a_config(stations=stations, listeners={"lan": a_listener(self._port)})
        (self._folder / "site.bundle").write_bytes(a_bundle(config))

    @asynccontextmanager
    async def _agent(self) -> AsyncIterator["subprocess.Popen[bytes]"]:
        command = [sys.executable, "-m", "pointsman_agent", "run", "--bundle", str(self._folder / "site.bundle")]
        command += ["--site", SITE, "--allow-unsigned", "--state", str(self._folder / "state")]
        command += ["--admin", "127.0.0.1:0", "--log-level", "error"]
        before = trio.current_time()
        process = await trio.to_thread.run_sync(subprocess.Popen, command)
        try:
            await self._wait_open(process)
            self.slowest_start_s = max(self.slowest_start_s, trio.current_time() - before)
            yield process
        finally:
            process.terminate()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(process.wait, UP_WITHIN_S)

    async def _wait_open(self, process: "subprocess.Popen[bytes]") -> None:
        with trio.fail_after(UP_WITHIN_S):
            while True:
                assert process.poll() is None, "the agent did not start"
                try:
                    stream = await trio.open_tcp_stream("127.0.0.1", self._port)
                except OSError:
                    await trio.sleep(RETRY_S)
                else:
                    await stream.aclose()
                    return

    async def _answers(self, number: int) -> None:
        """Wait until so many more messages are answered."""
        until = self.answered.count + number
        with trio.fail_after(ANSWER_WITHIN_S):
            async with self._progress:
                while self.answered.count < until:
                    await self._progress.wait()

    async def _play(self, identity: str, is_16: bool) -> None:
        """Charge without end over connections that break; what was not answered is sent again."""
        story = self._story_16(identity) if is_16 else self._story_201(identity)
        action, payload = next(story)
        while True:
            protocol = "ocpp1.6" if is_16 else "ocpp2.0.1"
            try:
                async with connect_station(
                    f"ws://127.0.0.1:{self._port}/{identity}", protocols=[protocol], within_s=5
                ) as station:
                    while True:
                        answer = await self._call(station, action, payload)
                        action, payload = story.send(answer)
                        async with self._progress:
                            self._progress.notify_all()
            except (HandshakeFailed, HandshakeRefused, LinkClosed, NoAnswer, OSError):
                await trio.sleep(RETRY_S)

    async def _call(self, station: Station, action: str, payload: Payload) -> Payload:
        answer = await station.call(action, payload, ANSWER_WITHIN_S)
        if answer.error is not None or answer.faults:
            self.answered.faults.append(answer.text)
        return answer.payload

    def _story_16(self, identity: str) -> Story:
        for number in range(1_000_000):
            start = {"connectorId": 1, "idTag": STAFF_BADGE, "meterStart": number, "timestamp": AT}
            answer = yield "StartTransaction", start
            transaction = answer["transactionId"]
            self.answered.starts.append((identity, number, transaction))
            yield "StopTransaction", {"transactionId": transaction, "meterStop": number + 1, "timestamp": AT}
            self.answered.stops.append((identity, transaction))

    def _story_201(self, identity: str) -> Story:
        for number in range(1_000_000):
            for sequence, kind in enumerate(("Started", "Updated", "Ended")):
                yield (
                    "TransactionEvent",
                    {
                        "eventType": kind,
                        "timestamp": AT,
                        "triggerReason": "Authorized",
                        "seqNo": sequence,
                        "transactionInfo": {"transactionId": f"{identity}-{number}"},
                        "idToken": {"idToken": STAFF_BADGE, "type": "ISO14443"},
                    },
                )
                self.answered.events.append((identity, f"{identity}-{number}", sequence))


def rows(journal: Path, sql: str) -> list[tuple[Any, ...]]:
    """Read the journal as it lies on the disk."""
    database = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()
