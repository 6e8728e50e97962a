"""Log lines by structlog, through a bounded queue and a writer thread: a full pipe must not stop the trio loop.

What each event means stands in `logevents`. Words that peers or exceptions chose are redacted once the agent has its
key, whoever logs them (`redact_with`).
"""

import logging
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final, Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

MOST_QUEUED_LINES: Final = 10_000
FLUSH_WITHIN_S: Final = 2.0


class LineWriter:
    """Writes lines from a thread of its own; lines that find no place in the queue are counted, and told of later."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_QUEUED_LINES)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def msg(self, line: str) -> None:
        """Queue a line (structlog's name for it)."""
        try:
            if self._lost:
                self._lines.put_nowait(self._told_of_lost())
                self._lost = 0
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    debug = info = warning = error = critical = msg

    def close(self) -> None:
        """Write what is queued, and how many lines were lost and are not told of yet, for a bounded time."""
        try:
            if self._lost:
                self._lines.put(self._told_of_lost(), timeout=FLUSH_WITHIN_S)
            self._lines.put(None, timeout=FLUSH_WITHIN_S)
        except queue.Full:
            return  # nobody reads the pipe: the lines are lost either way
        self._thread.join(FLUSH_WITHIN_S)

    def _told_of_lost(self) -> str:
        return f'{{"event": "log lines lost", "level": "error", "lines": {self._lost}}}'

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                print(line, file=self._stream, flush=True)
            except (OSError, ValueError):
                return  # the other end is closed: there is nobody to log to


Format = Literal["json", "console"]


def set_up(level: str, stream: IO[str] | None = None, form: Format = "json") -> LineWriter:
    """Let every `structlog.get_logger()` write lines to `stream` (standard error) from `level` on.

    `form` is JSON, one object a line, or for people: columns, with colour on a terminal, and tracebacks over lines.
    """
    stream = stream or sys.stderr
    writer = LineWriter(stream)
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if form == "json":
        processors.append(structlog.processors.JSONRenderer(sort_keys=True))
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=stream.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *args: writer,
        cache_logger_on_first_use=False,
    )
    return writer


WORDS: Final = ("why", "detail", "error", "exception")
"""Fields that hold free text: what a peer said, or an exception."""

OWN_WORDS: Final = frozenset(
    {"bundle refused", "cannot go back to the previous bundle yet", "stations do not wait for their move any more"}
)
"""Events whose text is the verdict on our own bundle: it names secrets, which is what people have to see, and none."""


@dataclass(frozen=True, slots=True)
class _Redaction:
    """A processor of structlog that redacts the fields in WORDS."""

    words: Callable[[str], str]

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> Mapping[str, Any]:
        for field in () if event["event"] in OWN_WORDS else WORDS:
            if isinstance(text := event.get(field), str):
                event[field] = self.words(text)
        return event


def redact_with(words: Callable[[str], str]) -> None:
    """Redact free text of all lines from now on, just before they are rendered."""
    *others, renderer = (each for each in structlog.get_config()["processors"] if not isinstance(each, _Redaction))
    structlog.configure(processors=[*others, _Redaction(words), renderer])
