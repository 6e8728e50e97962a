"""Where bundles come from: each source offers what it finds to the activation, which alone decides."""

from collections.abc import Awaitable, Callable
from typing import Protocol

Offer = Callable[[bytes], Awaitable[object]]
"""Takes an envelope, whatever is in it; one byte more than the largest is enough to be refused."""

Fail = Callable[[str, str], Awaitable[None]]
"""Takes why there is none: a code of `verification.CODES` (`missing`, `unreachable`, `unreadable`, ...), and words."""


class Source(Protocol):
    """A place that is looked at again and again."""

    @property
    def origin(self) -> str:
        """The place, for people; no secret in it."""

    def reload(self) -> None:
        """Look at once, and offer what is there also when it was offered before."""

    async def follow(self, offer: Offer, fail: Fail) -> None:
        """Call `offer` with each other envelope that is found, `fail` once where there is none. Never ends."""
