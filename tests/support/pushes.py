"""A metrics store that can misbehave, and an agent that pushes to it."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import trio
from pointsman_agent.backoff import Backoff
from pointsman_agent.push.sender import Pusher
from pointsman_agent.push.spool import Spool
from support.rollouts import Answer
from support.webservers import web_server

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
WITHIN_S = 20.0


def status(**changes: Any) -> dict[str, Any]:
    """What an agent says of itself."""
    bundle = {"digest": "sha256:aa", "sequence": 7, "at": "2026-11-28T11:00:00Z"}
    row = {"name": "acme", "reachable": True, "stationsUp": 2, "clockOffsetSeconds": 0.5}
    return {
        "site": "lyon",
        "version": "1.0",
        "state": "running",
        "bundle": {"desired": bundle, "active": bundle, "lastFailed": None},
        "supervisions": [row],
        "stations": [{"openTransactions": 1}, {"openTransactions": None}],
        "stationsTotal": 2,
        "stationsConnected": 2,
        **changes,
    }


def report(number: int, size: int = 100) -> bytes:
    """A report of so many bytes."""
    line = b'pointsman_report{number="%d"} 1 1\n' % number
    return line + b"#" * (size - len(line) - 1) + b"\n"


def numbers(taken: list[str]) -> list[int]:
    """Which of the reports came, in order."""
    return [int(line.split('"')[1]) for line in taken]


class Store:
    """A metrics store; `judge` says what it answers to a batch, and `answer` misbehaves instead, when it is set."""

    def __init__(self) -> None:
        self.url = ""
        self.judge: Callable[[bytes], int] = lambda content: 204
        self.answer: Answer = lambda handler: False
        self.codes: list[int] = []
        self.sizes: list[int] = []
        self.taken: list[str] = []
        self.tokens: set[str | None] = set()
        self.connections = 0
        self.cut = 0
        """Answers of which the agent had enough."""
        self.news = threading.Condition()

    async def wait(self, is_so: Callable[[], bool]) -> None:
        """Wait for what `is_so` sees in this store, by no clock of trio's."""
        assert await trio.to_thread.run_sync(self._wait, is_so)

    def _wait(self, is_so: Callable[[], bool]) -> bool:
        with self.news:
            return self.news.wait_for(is_so, WITHIN_S)

    def take(self, content: bytes) -> int:
        """Return the code."""
        code = self.judge(content)
        self.codes.append(code)
        self.sizes.append(len(content))
        if code == 204:
            self.taken += [line for line in content.decode().splitlines() if line.startswith("pointsman_report{")]
        return code


@contextmanager
def running_store(context: ssl.SSLContext | None = None) -> Iterator[Store]:
    """A store on the loopback, which keeps connections open; with `context` by TLS."""
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            store.connections += 1

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            with store.news:
                store.tokens.add(self.headers["Authorization"])
                code, answer = store.take(content), store.answer
                store.news.notify_all()
            try:
                if not answer(self):
                    self.send_response(code)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
            except OSError:
                with store.news:
                    store.cut += 1
                    store.news.notify_all()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with web_server(Handler, context) as origin:
        store.url = f"{origin}/api/v1/import/prometheus"
        yield store


class Site:
    """An agent that says something new at each look, a minute later each time; it tries again at once."""

    def __init__(self, url: str, folder: Path, reports: int, trust: Path | None = None) -> None:
        self.said = 0
        self.spool = Spool(folder)
        self.is_done = trio.Event()
        self._reports = reports
        backoff = Backoff(lambda: 0.0, first_s=0.0)
        self.token = "secret"
        self.pusher = Pusher(
            url,
            lambda: self.token,
            lambda: self.spool,
            self._snapshot,
            self._now,
            look_every_s=0.0,
            backoff=backoff,
            trust=trust,
        )

    async def _snapshot(self) -> dict[str, Any]:
        if self.said == self._reports:
            self.is_done.set()
            await trio.sleep_forever()
        self.said += 1
        bundle = {"digest": "sha256:aa", "sequence": self.said, "at": ""}
        return status(bundle={"desired": bundle, "active": bundle, "lastFailed": None})

    def _now(self) -> datetime:
        return AT + timedelta(minutes=self.said)


def minutes(taken: list[str]) -> list[int]:
    """Of which minutes of a site the reports are, in order."""
    return [(int(line.rsplit(" ", 1)[1]) // 1000 - int(AT.timestamp())) // 60 for line in taken]
