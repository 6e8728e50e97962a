"""Routes of the admin interface that list what the journal has: the newest, where that is too much for one answer.

A report may have a hundred thousand rows. They are made and written in a thread, one report at a time, so that the loop
answers stations meanwhile; and only so many are under way, since each holds megabytes until its client has taken it.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec
import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pointsman_agent.web.errors import AdminError

CUT_HEADER: Final = "Pointsman-Cut"
MOST_UNDER_WAY: Final = 4
RETRY_AFTER_S: Final = 5
_ROWS_AT_ONCE: Final = 200  # the encoder keeps the interpreter to itself so long: less than a millisecond

Report = tuple[Iterable[Mapping[str, Any]], bool]
"""Objects of the API, oldest first, and whether older ones were left out. They are made while one iterates, in a
thread."""

ReadReport = Callable[[str | None], Awaitable[Report]]
"""From which moment on (RFC 3339, None: all) → the report. Raises AdminError."""

Write = Callable[[Iterable[Mapping[str, Any]]], bytes]
"""Makes the body of an answer of the rows of a report; called in a thread."""


@dataclass(slots=True)
class ReportDesk:
    """Where all reports of the interface are made."""

    most: int = MOST_UNDER_WAY
    _under_way: int = 0
    _making: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(1))

    async def make(self, read: Callable[[], Awaitable[Report]], write: Write) -> tuple[bytes, bool]:
        """Return the body of a report once it is its turn, and whether older rows were left out. Raises AdminError."""
        async with self._making:
            rows, is_cut = await read()
            return await trio.to_thread.run_sync(write, rows), is_cut

    @contextmanager
    def place(self) -> Iterator[None]:
        """Be one of those under way until the block ends. Raises AdminError where they are too many."""
        if self._under_way >= self.most:
            raise AdminError(503, f"{self.most} reports are under way already; ask again", retry_after_s=RETRY_AFTER_S)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1


class ReportAnswer(Response):
    """Makes a report and sends it; its place is given back when the client has it."""

    def __init__(
        self,
        desk: ReportDesk,
        read: Callable[[], Awaitable[Report]],
        write: Write,
        media_type: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(media_type=media_type, headers=headers)
        self._desk = desk
        self._read = read
        self._write = write
        self._given = headers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it. Raises AdminError."""
        with self._desk.place():
            body, is_cut = await self._desk.make(self._read, self._write)
            headers = {**self._given, CUT_HEADER: "true"} if is_cut else self._given
            await Response(body, headers=headers, media_type=self.media_type)(scope, receive, send)


def report_route(path: str, read: ReadReport, desk: ReportDesk) -> Route:
    """Return `GET <path>[?since=TIME]`; a header says where older ones were left out."""

    async def report(request: Request) -> Response:
        since = request.query_params.get("since")
        return ReportAnswer(desk, lambda: read(since), as_json, "application/json")

    return Route(path, report)


def as_json(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a JSON array, written a part at a time: who else wants the interpreter has it in between."""
    rest = iter(rows)
    parts: list[bytes] = []
    while part := list(islice(rest, _ROWS_AT_ONCE)):
        parts.append(msgspec.json.encode(part)[1:-1])
    return b"[" + b",".join(parts) + b"]"
