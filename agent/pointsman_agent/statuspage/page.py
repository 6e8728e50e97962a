"""The routes of the status page: the overview, a page a station, the transactions, and what keeps them true."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import trio
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pointsman_agent.capture import Captures
from pointsman_agent.dossier import Dossier
from pointsman_agent.following import follower_of
from pointsman_agent.live import Live
from pointsman_agent.remotecontrol import TransactionReport
from pointsman_agent.statuspage.assets import assets_route
from pointsman_agent.statuspage.fragments import OverviewFollower, StationFollower, look_at
from pointsman_agent.statuspage.rendering import Renderer
from pointsman_agent.statuspage.routemap import draw
from pointsman_agent.statuspage.signin import sign_in_routes
from pointsman_agent.transactioncsv import transactions_csv
from pointsman_agent.web.access import Admission
from pointsman_agent.web.events import events_route
from pointsman_agent.web.reports import ReportAnswer, ReportDesk
from pointsman_agent.web.streaming import NextChunk

MOST_SHOWN: Final = 200  # transactions on the page; the download has more
_UNFIT_FOR_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StatusPage:
    """The status page."""

    live: Live
    dossier: Dossier
    captures: Captures
    snapshot: Callable[[], Awaitable[Row]]
    transactions: TransactionReport
    reports: ReportDesk
    admission: Admission
    site: str
    renderer: Renderer = field(default_factory=Renderer)

    def routes(self) -> list[Route]:
        """Return its routes."""
        return [
            Route("/", self.overview),
            Route("/stations/{station}", self.station),
            Route("/transactions", self.transaction_page),
            Route("/transactions.csv", self.transaction_file),
            events_route("/live", self.follow),
            assets_route(),
            *sign_in_routes(self.admission, self.renderer),
        ]

    async def overview(self, request: Request) -> Response:
        """`GET /`."""
        status = await self.snapshot()
        drawing = await trio.to_thread.run_sync(draw, status["stations"], status["supervisions"])
        return await self._page("overview.html", status=status, drawing=drawing)

    async def station(self, request: Request) -> Response:
        """`GET /stations/<station>`: whoever opens it has the messages of the station kept from now on."""
        row = await self.dossier.of(request.path_params["station"])
        return await self._page("station.html", row=row, capture=self.captures.look(row["station"]))

    async def transaction_page(self, request: Request) -> Response:
        """`GET /transactions`: the newest, newest first."""
        rows, is_cut = await self.transactions.rows(None, MOST_SHOWN)
        return await self._page("transactions.html", rows=[*rows][::-1], is_cut=is_cut)

    async def transaction_file(self, request: Request) -> Response:
        """`GET /transactions.csv[?since=TIME]`."""
        since = request.query_params.get("since")
        name = _UNFIT_FOR_A_FILE_NAME.sub("-", f"transactions-{self.site}.csv")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return ReportAnswer(self.reports, lambda: self.transactions.rows(since), _as_csv, "text/csv", headers)

    @asynccontextmanager
    async def follow(self, station: str | None) -> AsyncIterator[NextChunk]:
        """Yield what returns the changes of the overview, or of a station's page. Raises AdminError."""
        async with follower_of(self.live, self.dossier, station) as follower:
            if station is None:
                yield OverviewFollower(follower, self.renderer, self.dossier).next_chunk
            else:
                identity = self.dossier.identity(station)
                yield StationFollower(follower, identity, self.captures, self.dossier, self.renderer).next_chunk

    async def _page(self, name: str, **content: object) -> Response:
        look = look_at(self.dossier)

        def render() -> str:
            return self.renderer.page(name, look=look, site=self.site, **content)

        return HTMLResponse(await trio.to_thread.run_sync(render))


def _as_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return transactions_csv(rows).encode()
