"""What of an open page is no longer true, rendered anew: pairs of an element's id and its HTML."""

import json
from collections.abc import Iterator
from functools import partial

import trio

from pointsman_agent.capture import Capture, Captures
from pointsman_agent.dossier import Dossier
from pointsman_agent.live import SIGN_OF_LIFE_EVERY_S, Follower, News, Row
from pointsman_agent.statuspage.rendering import Look, Renderer
from pointsman_agent.statuspage.routemap import draw
from pointsman_agent.web.events import SIGN_OF_LIFE, server_event

Fragment = tuple[str, str]


def look_at(dossier: Dossier) -> Look:
    """Return how moments are shown now, at this site."""
    return Look(dossier.time_zone, dossier.clock.now())


class OverviewFollower:
    """Follows for one open overview."""

    def __init__(self, follower: Follower, renderer: Renderer, dossier: Dossier) -> None:
        self._follower = follower
        self._renderer = renderer
        self._dossier = dossier
        self._status: Row = {}
        self._stations: dict[str, Row] = {}
        self._sent = _Sent()

    async def next_chunk(self) -> bytes:
        """Wait for news, for a bounded time, and return them as an event."""
        news = await self._follower.next()
        if news is None:
            return SIGN_OF_LIFE
        return await self._follower.tell(partial(self._event, news, look_at(self._dossier)))

    def _event(self, news: News, look: Look) -> bytes:
        self._status = news.status or self._status
        if news.is_whole:
            self._stations = {}
        self._stations |= {row["station"]: row for row in news.stations}
        return self._sent.event(self._fragments(news, look))

    def _fragments(self, news: News, look: Look) -> Iterator[Fragment]:
        parts, status = self._renderer.parts, self._status
        drawing = draw(self._stations.values(), status["supervisions"])
        yield "headline", parts.headline(status)
        yield "notices", parts.notices(status, look)
        yield "map", parts.map(drawing)
        yield "map-words", parts.map_words(drawing)
        yield "supervisions", parts.supervisions(status, look)
        yield "bundle", parts.bundle(status, look)
        if news.is_whole:
            yield "stations", parts.station_rows([*self._stations.values()], look)
            return
        for row in news.stations:
            yield f"station:{row['station']}", parts.station_cells(row, look)


class StationFollower:
    """Follows for the open page of one station, and keeps its messages meanwhile."""

    def __init__(
        self, follower: Follower, identity: str, captures: Captures, dossier: Dossier, renderer: Renderer
    ) -> None:
        self._follower = follower
        self._identity = identity
        self._captures = captures
        self._dossier = dossier
        self._renderer = renderer
        self._sent = _Sent()
        self._messages: tuple[str, int] | None = None

    async def next_chunk(self) -> bytes:
        """Wait for news or messages, for a bounded time, and return them as an event."""
        row, capture = None, None
        with trio.move_on_after(SIGN_OF_LIFE_EVERY_S):
            while row is None and capture is None:
                await self._follower.next_look()
                news, capture = self._follower.take(), self._new_messages()
                row = news.stations[0] if news is not None and news.stations else None
        if row is None and capture is None:
            return SIGN_OF_LIFE
        facts = None if row is None else self._dossier.with_inventory(row)
        return await self._follower.tell(partial(self._event, facts, capture, look_at(self._dossier)))

    def _new_messages(self) -> Capture | None:
        """What is kept of messages, where that is not what it was."""
        capture = self._captures.look(self._identity)
        known = None if capture is None else (capture.since, capture.count)
        if known == self._messages:
            return None
        self._messages = known
        return capture

    def _event(self, row: Row | None, capture: Capture | None, look: Look) -> bytes:
        return self._sent.event(self._fragments(row, capture, look))

    def _fragments(self, row: Row | None, capture: Capture | None, look: Look) -> Iterator[Fragment]:
        parts = self._renderer.parts
        if row is not None:
            yield "facts", parts.facts(row, look)
            yield "inventory", parts.inventory(row, look)
        if capture is not None:
            yield "messages", parts.messages(capture, look)


class _Sent:
    """What a browser has by now: what is the same is not sent again."""

    def __init__(self) -> None:
        self._hashes: dict[str, int] = {}

    def event(self, fragments: Iterator[Fragment]) -> bytes:
        """Return those of `fragments` that are not what was sent before, as an event."""
        changed = [(name, html) for name, html in fragments if self._hashes.get(name) != hash(html)]
        self._hashes |= {name: hash(html) for name, html in changed}
        return server_event("fragments", json.dumps(changed)) if changed else SIGN_OF_LIFE
