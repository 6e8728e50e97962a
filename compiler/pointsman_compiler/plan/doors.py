"""Listeners before and after: through which stations are let in with less than was asked of them before. Pure.

Which station comes through which listener only the controller knows. A station dials an address and a port, so a
listener is held against the one that was there, whatever it was called; without one, against that of its name. A new
listener in the place of others is held against the strongest of these, since their stations have to come through it;
a new one beside them against the weakest. Where listeners close and none is new, the strongest that is left counts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pointsman_schema.bundle import Listener

from pointsman_compiler.plan.differences import Path

WeakerKind = Literal["profile-lowered", "tls-version-lowered", "weak-ciphers"]
_TLS_PROFILES: Final = (2, 3)


@dataclass(frozen=True, slots=True)
class Weaker:
    """A listener that asks for less: the value at `path`, as it was where the stations came through, and as it is."""

    kind: WeakerKind
    path: Path
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class _Measure:
    """How strong a listener is in one respect (higher is stronger); None where the respect is none of it."""

    kind: WeakerKind
    key: str
    value: Callable[[Listener], Any]
    strength: Callable[[Listener], float | None]


def _has_tls(listener: Listener) -> bool:
    return listener.security_profile in _TLS_PROFILES


_MEASURES: Final = (
    _Measure(
        "profile-lowered",
        "securityProfile",
        lambda listener: listener.security_profile,
        lambda listener: listener.security_profile,
    ),
    _Measure(
        "tls-version-lowered",
        "minimumTls",
        lambda listener: listener.minimum_tls,
        lambda listener: float(listener.minimum_tls) if _has_tls(listener) else None,
    ),
    _Measure(
        "weak-ciphers",
        "legacyCiphers",
        lambda listener: listener.legacy_ciphers,
        lambda listener: not listener.legacy_ciphers if _has_tls(listener) else None,
    ),
)


def weaker_doors(before: Mapping[str, Listener], after: Mapping[str, Listener]) -> Iterator[Weaker]:
    """Yield where `after` asks for less than `before`; each has one listener at least."""
    followed = {name: _forerunner(before, name, new) for name, new in after.items()}
    closed = {name: old for name, old in before.items() if name not in followed.values()}
    for measure in _MEASURES:
        for name, new in after.items():
            forerunner = followed[name]
            if forerunner is not None:
                old = _strongest(measure, [before[forerunner]])
            elif closed:
                old = _strongest(measure, closed.values())
            else:
                old = _weakest(measure, before.values())
            yield from _between(measure, name, old, new)
        if None not in followed.values():
            best = _strongest(measure, after.values())
            for name, left in closed.items():
                yield from _between(measure, name, left, best)


def weaker_elsewhere(before: Mapping[str, Listener], after: Mapping[str, Listener]) -> Iterator[Weaker]:
    """Yield where the listeners of another site ask for less than any did where stations come from."""
    for measure in _MEASURES:
        old = _weakest(measure, before.values())
        for name, new in after.items():
            yield from _between(measure, name, old, new)


def _between(measure: _Measure, name: str, old: Listener | None, new: Listener | None) -> Iterator[Weaker]:
    if old is None or new is None:
        return
    was, now = measure.strength(old), measure.strength(new)
    if was is not None and now is not None and now < was:
        yield Weaker(measure.kind, ("listeners", name, measure.key), measure.value(old), measure.value(new))


def _forerunner(before: Mapping[str, Listener], name: str, new: Listener) -> str | None:
    """The listener that stations which dial `new` came through, by its name."""
    here = [old for old, listener in before.items() if listener.port == new.port]
    exact = [old for old in here if before[old].address == new.address]
    found = exact or here or [old for old in before if old == name]
    return name if name in found else next(iter(found), None)


def _strongest(measure: _Measure, listeners: Iterable[Listener]) -> Listener | None:
    judged = [(strength, one) for one in listeners if (strength := measure.strength(one)) is not None]
    return max(judged, key=lambda one: one[0])[1] if judged else None


def _weakest(measure: _Measure, listeners: Iterable[Listener]) -> Listener | None:
    judged = [(strength, one) for one in listeners if (strength := measure.strength(one)) is not None]
    return min(judged, key=lambda one: one[0])[1] if judged else None
