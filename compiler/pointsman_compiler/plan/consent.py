"""What a fleet's policy wants acknowledged before a change may be merged, and what has been. Pure.

Both sides' policies count: a change that takes a demand out of the policy must still meet it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pointsman_compiler.document import Document
from pointsman_compiler.plan.causes import Cause
from pointsman_compiler.plan.risks import RISKS, Risk
from pointsman_compiler.plan.siteplan import CausedDowngrade

TRAILER: Final = "Acknowledge"
"""The key of the trailer in a commit's message."""
_PARTED_BY: Final = re.compile(r"[\s,]+")
_STRICT: Final[Mapping[str, Any]] = {"requireTls": True, "badges": "secretOnly"}
"""The values that demand something."""


@dataclass(frozen=True, slots=True)
class Consent:
    """The labels that the policy demands, of which the plan has some, and those that were acknowledged."""

    demanded: tuple[Risk, ...] = ()
    given: tuple[Risk, ...] = ()

    def missing(self, risks: Iterable[Risk]) -> tuple[Risk, ...]:
        """Return which of `risks`, those of the plan, are demanded and not given."""
        return tuple(risk for risk in risks if risk in self.demanded and risk not in self.given)


def consent(before: Document | None, after: Document | None, given: Iterable[str]) -> Consent:
    """Return what the fleet's files on both sides demand, and what `given` acknowledges; see `read_labels`."""
    demanded = {*_demands(before), *_demands(after)}
    return Consent(_ordered(demanded), _ordered(set(read_labels(given)[0])))


def read_labels(texts: Iterable[str]) -> tuple[tuple[Risk, ...], tuple[str, ...]]:
    """Return the labels that `texts` hold, parted by commas or white space, and what else stands there; sorted."""
    words = {word for text in texts for word in _PARTED_BY.split(text) if word}
    return _ordered(words), tuple(sorted(words - RISKS.keys()))


def loosened(before: Document | None, after: Document | None) -> tuple[CausedDowngrade, ...]:
    """Return what the policy demanded before, and demands no more."""
    return tuple(_loosened(before, after))


def _loosened(before: Document | None, after: Document | None) -> Iterator[CausedDowngrade]:
    old, new = _policy(before), _policy(after)
    for key, strict in _STRICT.items():
        if old.get(key) == strict and new.get(key) != strict:
            yield _downgrade(key, old.get(key), new.get(key), before, after)
    if set(_demands(before)) - set(_demands(after)):
        yield _downgrade("acknowledge", old.get("acknowledge"), new.get("acknowledge"), before, after)


def _downgrade(key: str, old: Any, new: Any, before: Document | None, after: Document | None) -> CausedDowngrade:
    path = ("policy", key)
    cause = Cause("before", "fleet default", None, None)
    if after is not None and key in _policy(after):
        place = after.place_of(path)
        cause = Cause("after", "fleet default", place.file, place.line)
    elif before is not None:
        place = before.place_of(path)
        cause = Cause("before", "fleet default", place.file, place.line)
    return CausedDowngrade("policy-loosened", path, old, new, cause)


def _demands(document: Document | None) -> Iterator[Risk]:
    listed = _policy(document).get("acknowledge")
    for label in RISKS:
        if isinstance(listed, list) and label in listed:
            yield label


def _policy(document: Document | None) -> Mapping[str, Any]:
    data = document.data if document is not None else None
    policy = data.get("policy") if isinstance(data, dict) else None
    return policy if isinstance(policy, dict) else {}


def _ordered(labels: Iterable[str]) -> tuple[Risk, ...]:
    wanted = set(labels)
    return tuple(label for label in RISKS if label in wanted)
