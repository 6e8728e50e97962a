"""Log lines by structlog, through a bounded queue and a writer thread: a full pipe must not stop the trio loop."""

import logging
import queue
import sys
import threading
from typing import IO, Final

import structlog

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
                self._lines.put_nowait(f'{{"event": "log lines lost", "lines": {self._lost}}}')
                self._lost = 0
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    debug = info = warning = error = critical = msg

    def close(self) -> None:
        """Write what is queued, for a bounded time."""
        try:
            self._lines.put(None, timeout=FLUSH_WITHIN_S)
        except queue.Full:
            return  # nobody reads the pipe: the lines are lost either way
        self._thread.join(FLUSH_WITHIN_S)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                print(line, file=self._stream, flush=True)
            except (OSError, ValueError):
                return  # the other end is closed: there is nobody to log to


def set_up(level: str, stream: IO[str] | None = None) -> LineWriter:
    """Let every `structlog.get_logger()` write JSON lines to `stream` (standard error) from `level` on."""
    writer = LineWriter(stream or sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *args: writer,
        cache_logger_on_first_use=False,
    )
    return writer
