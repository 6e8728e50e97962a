"""What a fleet has before the change: the hosts that it goes to, and which timers are usual in it. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pointsman_schema.bundle import Config

from pointsman_compiler.plan.differences import Path
from pointsman_compiler.plan.hosts import hosts

_SUPERVISION_TIMERS: Final = ("pingInterval", "messageTimeout", "connectTimeout")
_ACTIVATION_TIMERS: Final = ("spread", "probation", "drainLimit")

LEAST_VALUES: Final = 5
"""Fewer say nothing of what is usual (ours to choose)."""
LEFT_OUT: Final = 20
"""Of so many values the least and the largest are not usual: nine of ten are, and of fewer than that all."""

Timer = str
"""A timer's name, whatever supervision or station it belongs to, such as `supervisions/messageTimeout`."""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What one site adds to the facts: its hosts, and how often it has which timer with which value, in seconds."""

    hosts: frozenset[str]
    timers: tuple[tuple[Timer, int, int], ...]


def facts_of(config: Config) -> SiteFacts:
    """Return the facts of a site."""
    counted = Counter(_timers(config))
    return SiteFacts(frozenset(hosts(config)), tuple((*key, count) for key, count in sorted(counted.items())))


def timer_at(path: Path) -> Timer | None:
    """Return the timer whose value stands at `path`, if one does."""
    match path:
        case ("supervisions", _, name) if name in _SUPERVISION_TIMERS:
            return f"supervisions/{name}"
        case ("stations", _, "pingInterval"):
            return "stations/pingInterval"
        case ("activation", name) if name in _ACTIVATION_TIMERS:
            return f"activation/{name}"
    return None


class FleetFacts:
    """The facts of many sites."""

    def __init__(self, sites: Iterable[SiteFacts] = (), hosts: Iterable[str] = ()) -> None:
        """`hosts` are some that count as seen before."""
        self.hosts = set(hosts)
        self._timers: dict[Timer, Counter[int]] = {}
        for site in sites:
            self.add(site)

    def add(self, site: SiteFacts) -> None:
        """Take one more site in."""
        self.hosts |= site.hosts
        for timer, value, count in site.timers:
            self._timers.setdefault(timer, Counter())[value] += count

    def usual(self, timer: Timer) -> tuple[int, int] | None:
        """Return the least and the largest usual value of `timer`; None where there are too few to say."""
        found = self._timers.get(timer, Counter[int]())
        total = found.total()
        if total < LEAST_VALUES:
            return None
        left_out = total // LEFT_OUT
        return _rank(found, left_out), _rank(found, total - 1 - left_out)


def _rank(found: Counter[int], rank: int) -> int:
    """The value at `rank`, counted from 0, of all values in their order."""
    for value, count in sorted(found.items()):
        rank -= count
        if rank < 0:
            return value
    return max(found)


def _timers(config: Config) -> Iterator[tuple[Timer, int]]:
    for supervision in config.supervisions.values():
        yield "supervisions/pingInterval", supervision.ping_interval
        yield "supervisions/messageTimeout", supervision.message_timeout
        yield "supervisions/connectTimeout", supervision.connect_timeout
    for station in config.stations.values():
        yield "stations/pingInterval", station.ping_interval
    yield "activation/spread", config.activation.spread
    yield "activation/probation", config.activation.probation
    yield "activation/drainLimit", config.activation.drain_limit
