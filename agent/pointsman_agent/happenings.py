"""The last log lines, for people who watch: a processor of structlog that keeps a copy of each."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import structlog

from pointsman_agent.ocpp.answers import rfc3339

KEPT: Final = 200
_LEVELS: Final = {"exception": "error", "warn": "warning", "err": "error"}

Row = dict[str, object]


class Happenings:
    """What was logged last. Lines come from any thread; `count` is how many there ever were."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rows: deque[Row] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self.count = 0

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keep a copy of a log event, as structlog has processors."""
        row: Row = {"at": rfc3339(self._now()), "level": _LEVELS.get(method, method)}
        row |= {name: _plain(value) for name, value in event.items() if name != "exc_info"}
        with self._lock:
            self._rows.append(row)
            self.count += 1
        return event

    def since(self, count: int) -> list[Row]:
        """Return what came after the first `count`, as far as it is kept, oldest first."""
        with self._lock:
            wanted = min(self.count - count, len(self._rows))
            return list(self._rows)[len(self._rows) - wanted :] if wanted > 0 else []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what is logged until the block ends."""
        processors = structlog.get_config()["processors"]
        processors.insert(0, self)
        try:
            yield
        finally:
            processors.remove(self)


def _plain(value: object) -> object:
    """A value as JSON can have it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return str(value)
