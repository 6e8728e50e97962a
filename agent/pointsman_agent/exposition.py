"""The metrics of an agent by name, and the text in which Prometheus reads them. Who counts what is in `metrics`.

The names are a contract: dashboards and alert rules ask for them. Labels are bounded by the bundle (operators,
supervisions, listeners) or by the code (reasons, kinds); no station and no badge is one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import CollectorRegistry

from pointsman_agent.tallies import Durations

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SITE: Final = "site"
"""The label that every metric has, so that one question can be asked of a fleet."""

_ANSWER_BUCKETS: Final = 17  # 1 ms to 65 s; a supervision may take ten
_COMMIT_BUCKETS: Final = 17  # 0.1 ms to 6.5 s; at ten the journal is at fault


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name, what it says, its labels beside the site."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    words: str
    labels: tuple[str, ...] = ()
    buckets: int = 0


AGENT: Final = Family("pointsman_agent_info", "gauge", "1, with the agent's version", ("version",))
STATE: Final = Family("pointsman_state", "gauge", "1 for the state that the agent is in, 0 for the others", ("state",))
SEQUENCE: Final = Family("pointsman_bundle_sequence", "gauge", "Sequence of a bundle; `active` runs", ("bundle",))
BUNDLE: Final = Family("pointsman_bundle_info", "gauge", "1, with the digest of a bundle", ("bundle", "digest"))
BUNDLE_SINCE: Final = Family(
    "pointsman_bundle_active_since_timestamp_seconds", "gauge", "When the bundle in force was put there, Unix time"
)
REFUSED_BUNDLE: Final = Family(
    "pointsman_bundle_refused",
    "gauge",
    "1 while the last bundle was refused, with its code",
    ("code",),
)
QUARANTINE: Final = Family(
    "pointsman_bundle_quarantined", "gauge", "1 while a bundle that failed on probation is kept from being tried again"
)
STATIONS: Final = Family("pointsman_stations", "gauge", "Stations of the bundle in force", ("operator",))
CONNECTED: Final = Family("pointsman_stations_connected", "gauge", "Stations that are connected", ("operator",))
MOVES: Final = Family("pointsman_moves_pending", "gauge", "Stations that have yet to move to another operator")
OPENED: Final = Family("pointsman_links_opened_total", "counter", "Stations that connected", ("operator",))
ENDED: Final = Family(
    "pointsman_links_ended_total", "counter", "Stations' links that ended, by reason class", ("operator", "reason")
)
REFUSED: Final = Family(
    "pointsman_stations_refused_total",
    "counter",
    "Stations that were not let in, by reason class",
    ("reason",),
)
MESSAGES: Final = Family(
    "pointsman_messages_total",
    "counter",
    "Messages that came (`from_…`) or that the agent itself wrote (`to_station`), by kind: call, result, error, other",
    ("operator", "direction", "kind"),
)
DROPPED: Final = Family("pointsman_messages_dropped_total", "counter", "Messages that went nowhere, by why", ("why",))
NOTICED: Final = Family(
    "pointsman_messages_noticed_total", "counter", "Messages that the agent took for itself or took note of", ("what",)
)
ANSWERS: Final = Family(
    "pointsman_answer_seconds",
    "histogram",
    "From a CALL's leaving to its answer, by who asked: `station` waits for its operator, `operator` for the station",
    ("operator", "asker"),
    _ANSWER_BUCKETS,
)
QUEUED: Final = Family(
    "pointsman_calls_queued", "gauge", "CALLs that wait until an earlier one is answered", ("operator",)
)
REACHABLE: Final = Family(
    "pointsman_supervision_reachable", "gauge", "1 where the last try reached it, 0 where not", ("supervision",)
)
OFFSET: Final = Family(
    "pointsman_supervision_clock_offset_seconds",
    "gauge",
    "How far its clock is ahead of the controller's",
    ("supervision",),
)
SLOWEST: Final = Family(
    "pointsman_supervision_slowest_answer_seconds",
    "gauge",
    "The longest that a boot or heartbeat waited for its answer since the bundle came",
    ("supervision",),
)
CERTIFICATE: Final = Family(
    "pointsman_certificate_expiry_timestamp_seconds",
    "gauge",
    "When a certificate ends, Unix time: a supervision's (or the controller's own to it, `client`), or a listener's",
    ("kind", "name"),
)
LISTENER_FAULTS: Final = Family("pointsman_listener_faults", "gauge", "Listeners that do not listen")
OPEN_TRANSACTIONS: Final = Family("pointsman_transactions_open", "gauge", "Open transactions of local groups")
JOURNAL_FAULT: Final = Family("pointsman_journal_fault", "gauge", "1 while the journal cannot store")
COMMITS: Final = Family(
    "pointsman_journal_commit_seconds", "histogram", "How long commits of the journal took", (), _COMMIT_BUCKETS
)
CLOCK_BEHIND: Final = Family(
    "pointsman_clock_behind", "gauge", "1 while the controller's clock is behind what has happened already"
)

FAMILIES: Final = (
    AGENT, STATE, SEQUENCE, BUNDLE, BUNDLE_SINCE, REFUSED_BUNDLE, QUARANTINE,
    STATIONS, CONNECTED, MOVES, OPENED, ENDED, REFUSED,
    MESSAGES, DROPPED, NOTICED, ANSWERS, QUEUED,
    REACHABLE, OFFSET, SLOWEST, CERTIFICATE, LISTENER_FAULTS,
    OPEN_TRANSACTIONS, JOURNAL_FAULT, COMMITS, CLOCK_BEHIND,
)  # fmt: skip


class Exposition:
    """The metrics of one site at one moment. Say each with `say` or `say_durations`, then ask for the `text`."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._metrics: list[Metric] = []

    def say(self, family: Family, samples: Iterable[tuple[Sequence[str], float]]) -> None:
        """Add a gauge or a counter: the values of its labels, in their order, and the number."""
        kind = GaugeMetricFamily if family.kind == "gauge" else CounterMetricFamily
        metric = kind(family.name, family.words, labels=[SITE, *family.labels])
        for labels, value in samples:
            metric.add_metric([self._site, *labels], value)
        self._metrics.append(metric)

    def say_one(self, family: Family, value: float) -> None:
        """Add a gauge that has no label of its own."""
        self.say(family, [((), value)])

    def say_durations(self, family: Family, samples: Iterable[tuple[Sequence[str], Durations]]) -> None:
        """Add a histogram."""
        metric = HistogramMetricFamily(family.name, family.words, labels=[SITE, *family.labels])
        for labels, durations in samples:
            metric.add_metric([self._site, *labels], _buckets(durations, family.buckets), durations.seconds)
        self._metrics.append(metric)

    def text(self) -> bytes:
        """Return all that was said, and what the process itself takes (Prometheus text format 0.0.4)."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def collect(self) -> list[Metric]:
        """As prometheus_client has it."""
        return self._metrics


def _buckets(durations: Durations, count: int) -> list[tuple[str, float]]:
    """Return the cumulated counts, by their upper bounds."""
    counts = list(durations.counts)  # another thread may add to them
    bounds = [(repr(durations.first_s * 2**power), float(sum(counts[: power + 1]))) for power in range(count)]
    return [*bounds, ("+Inf", float(sum(counts)))]
