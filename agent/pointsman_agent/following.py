"""Server-sent events of the API: what changes on the controller, as JSON.

status      the object of `GET /api/status` without its stations
stations    stations that changed; with `whole`, all there are
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from pointsman_agent.dossier import Dossier
from pointsman_agent.live import Follower, Live, News, TooManyFollowers
from pointsman_agent.web.errors import AdminError
from pointsman_agent.web.events import SIGN_OF_LIFE, server_event
from pointsman_agent.web.streaming import NextChunk


@dataclass(frozen=True, slots=True)
class Following:
    """Lets programs follow the status."""

    live: Live
    dossier: Dossier

    @asynccontextmanager
    async def events(self, station: str | None) -> AsyncIterator[NextChunk]:
        """Yield what returns the next events, of `station` or of all. Raises AdminError."""
        async with follower_of(self.live, self.dossier, station) as follower:
            yield partial(_next_events, follower)


@asynccontextmanager
async def follower_of(live: Live, dossier: Dossier, station: str | None) -> AsyncIterator[Follower]:
    """Yield who follows `station`, as it is spelled in the bundle, or all. Raises AdminError."""
    identity = None if station is None else dossier.identity(station)
    try:
        async with live.following(identity) as follower:
            yield follower
    except TooManyFollowers as error:
        raise AdminError(503, str(error)) from error


async def _next_events(follower: Follower) -> bytes:
    news = await follower.next()
    return SIGN_OF_LIFE if news is None else await follower.tell(partial(_events, news))


def _events(news: News) -> bytes:
    status = b"" if news.status is None else server_event("status", json.dumps(news.status))
    if not news.stations and not news.is_whole:
        return status
    return status + server_event("stations", json.dumps({"whole": news.is_whole, "stations": news.stations}))
