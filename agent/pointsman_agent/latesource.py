"""A source that cannot be made yet, because a file or a secret that it needs is not there: stations do not wait for it.

What is in force is served meanwhile; that nothing new can come is told as any other fault of a source.
"""

from collections.abc import Callable
from typing import Final

import trio

from pointsman_agent.ports import SecretMissing
from pointsman_agent.sources import Fail, Offer, Source

MADE_AGAIN_S: Final = 60.0


class LateSource:
    """The source that `make` returns, from when it does; until then it raises SecretMissing or OSError."""

    def __init__(self, origin: str, make: Callable[[], Source], *, again_s: float = MADE_AGAIN_S) -> None:
        self._origin = origin
        self._make = make
        self._again_s = again_s
        self._source: Source | None = None
        self._asked = trio.Event()

    @property
    def origin(self) -> str:
        """The place."""
        return self._origin

    def reload(self) -> None:
        """Look at once, also for what was missing."""
        if self._source is not None:
            self._source.reload()
        self._asked.set()

    async def follow(self, offer: Offer, fail: Fail) -> None:
        """As the source does, once it is there. What is missing is told once."""
        self._source = self._source or await self._made(fail)
        await self._source.follow(offer, fail)

    async def _made(self, fail: Fail) -> Source:
        told: tuple[str, str] | None = None
        while True:
            self._asked = trio.Event()  # before the look, so that who asks during it is heard
            try:
                return await trio.to_thread.run_sync(self._make)
            except SecretMissing as error:
                said = ("secret-missing", str(error))
            except OSError as error:
                said = ("unreadable", f"{error.filename}: {error.strerror}")
            if said != told:
                await fail(*said)
            told = said
            with trio.move_on_after(self._again_s):
                await self._asked.wait()
