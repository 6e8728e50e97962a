"""What becomes of each station when another bundle takes over (rules 43 and 44). Pure.

Nobody is compared with the bundle that was in force, but each station with what is in force for it: one that still
waits for its move may be back where it belongs by the next bundle.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from pointsman_schema.changes import changes, link_change

from pointsman_agent.inforce import InForce
from pointsman_agent.ports import SecretValues


class Transition(Struct, frozen=True):
    """What a switch does.

    `reconnecting` stations come again, of `gone` ones nobody knows any more. `waiting` ones move to another operator
    and are served by what is there for them until then. `touched` is whose uplink will be another one, by station: its
    supervision. Who came by a listener in `turned_out` has to come again. `renewed` supervisions are as if never tried.
    """

    reconnecting: frozenset[str]
    gone: frozenset[str]
    waiting: Mapping[str, InForce]
    touched: Mapping[str, str]
    turned_out: frozenset[str]
    renewed: frozenset[str]


NOTHING: Final = Transition(frozenset(), frozenset(), {}, {}, frozenset(), frozenset())


def transition(current: InForce, waiting: Mapping[str, InForce], after: InForce) -> Transition:
    """Return what becomes of the stations when `after` takes over from `current` and, for some, from `waiting`.

    With a drain limit of 0 a station that moves is one that reconnects.
    """
    changed = _ChangedSecrets(after.secrets)
    waits = after.routing.config.activation.drain_limit > 0
    reconnecting: list[str] = []
    gone: list[str] = []
    still_waiting: dict[str, InForce] = {}
    touched: dict[str, str] = {}
    for identity in sorted({*current.links, *waiting, *after.links}):
        before = waiting.get(identity, current)
        old, new = before.links.get(identity), after.links.get(identity)
        if old == new and not changed.since(before):
            continue
        change = link_change(identity, old, new, changed.since(before))
        if change is None:
            continue
        if change.kind == "moves" and waits:
            still_waiting[identity] = before
        elif change.kind == "disappears":
            gone.append(identity)
        else:
            if change.kind != "appears":
                reconnecting.append(identity)
            if new is not None and new.uplink is not None:
                touched[identity] = new.operator
    old_config, new_config = current.routing.config, after.routing.config
    return Transition(
        reconnecting=frozenset(reconnecting),
        gone=frozenset(gone),
        waiting=still_waiting,
        touched=touched,
        turned_out=changes(old_config, new_config).turned_out,
        renewed=frozenset(_renewed(current, after, changed.since(current))),
    )


def _renewed(current: InForce, after: InForce, changed_secrets: frozenset[str]) -> Iterator[str]:
    """The supervisions to which uplinks are made in another way now."""
    before = {link.operator: link.uplink for link in current.links.values()}
    for identity, link in after.links.items():
        if link.uplink is None:
            continue
        if before.get(link.operator) != link.uplink or (
            changed_secrets and link_change(identity, link, link, changed_secrets) is not None
        ):
            yield link.operator


class _ChangedSecrets:
    """The secrets whose content is another one than an older bundle's was."""

    def __init__(self, after: SecretValues) -> None:
        self._after = after
        self._known: dict[int, frozenset[str]] = {}

    def since(self, before: InForce) -> frozenset[str]:
        found = self._known.get(id(before))
        if found is None:
            found = frozenset(name for name, value in before.secrets.items() if self._after.get(name, value) != value)
            self._known[id(before)] = found
        return found
