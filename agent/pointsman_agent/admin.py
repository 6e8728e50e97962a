"""The admin interface put together: what it answers, from whom it has that, and the tasks that it needs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from pointsman_agent.capture import Captures
from pointsman_agent.connectiontest import ConnectionTests
from pointsman_agent.door import Door
from pointsman_agent.dossier import Dossier
from pointsman_agent.exposition import CONTENT_TYPE
from pointsman_agent.following import Following
from pointsman_agent.journal import SqliteJournal
from pointsman_agent.live import Live
from pointsman_agent.lookingin import BundleLog, SecurityLog, Watching
from pointsman_agent.metrics import Metrics
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.redaction import Redactor
from pointsman_agent.remotecontrol import RemoteControl, TransactionReport
from pointsman_agent.snapshots import Snapshots
from pointsman_agent.station import House
from pointsman_agent.statuspage import StatusPage
from pointsman_agent.version import VERSION
from pointsman_agent.web.app import Routes, admin_app
from pointsman_agent.web.control import control_routes
from pointsman_agent.web.diagnosis import connection_test_route, tail_route
from pointsman_agent.web.events import events_route, inventory_route, station_route
from pointsman_agent.web.reports import ReportDesk, report_route
from pointsman_agent.web.scraping import metrics_route


@dataclass(frozen=True, slots=True)
class AdminInterface:
    """What the admin interface needs of the rest of the agent; `reload` is told whether to try what failed before."""

    site: str
    door: Door
    house: House
    journal: SqliteJournal
    snapshots: Snapshots
    redactor: Redactor
    tests: ConnectionTests
    reload: Callable[[bool], Awaitable[None]]

    async def start(self, root: trio.Nursery, stop: trio.Event) -> None:
        """Serve in `root` until `stop`; returns once the state folder says where."""
        house, snapshot = self.house, self.snapshots.take
        live = Live(snapshot)
        dossier = Dossier(house.holder, house.observer, house.clock, snapshot)
        transactions = TransactionReport(house.holder, self.journal.transactions_since)
        captures = Captures(house.tail, self.redactor, root, lambda: rfc3339(house.clock.now()))
        desk = ReportDesk()
        page = StatusPage(live, dossier, captures, snapshot, transactions, desk, self.door.admission, self.site)
        app = admin_app(
            admission=self.door.admission,
            snapshot=snapshot,
            is_ready=lambda: house.holder.current is not None,
            reload=self.reload,
            version=VERSION,
            routes=[*self._routes(dossier, live), *self._reports(transactions, desk), *page.routes()],
        )
        root.start_soon(live.run)
        await self.door.open(root, app, stop)

    def _routes(self, dossier: Dossier, live: Live) -> Routes:
        house, journal = self.house, self.journal
        metrics = Metrics(house.holder, house.status, journal.open_transactions, journal.commits)
        return [
            connection_test_route(self.tests.run),
            tail_route(Watching(house.holder, house.tail, self.redactor).watch),
            events_route("/api/events", Following(live, dossier).events),
            station_route(dossier.of),
            inventory_route(dossier.inventory),
            *control_routes(RemoteControl(house.holder, house.local, journal)),
            metrics_route(metrics.text, CONTENT_TYPE),
        ]

    def _reports(self, transactions: TransactionReport, desk: ReportDesk) -> Routes:
        security = SecurityLog(self.journal.security_events_since, self.redactor)
        bundles = BundleLog(self.journal.bundle_events_since)
        return [
            report_route("/api/transactions", transactions.rows, desk),
            report_route("/api/security-events", security.rows, desk),
            report_route("/api/activations", bundles.rows, desk),
        ]
