"""The labels of a change: from facts to labels, pure, and documented by `RISKS`."""

from collections.abc import Mapping
from typing import Final, Literal

Risk = Literal[
    "risk/none",
    "risk/reload",
    "risk/reconnect",
    "risk/authority-move",
    "risk/security-downgrade",
    "risk/fleet-wide",
]

RISKS: Final[Mapping[Risk, str]] = {
    "risk/none": "Every site compiles to what it compiled to before: the same digest, byte for byte.",
    "risk/reload": "Controllers load another configuration; no connection of a station is touched by it.",
    "risk/reconnect": "Stations lose their connection and come back, or may do so; or they leave the configuration.",
    "risk/authority-move": "Stations get another site or operator, who decides from then on who may charge there.",
    "risk/security-downgrade": "Something is less protected than before, or goes to a host that the fleet never used.",
    "risk/fleet-wide": "Half of the fleet changes at once, or a hundred sites.",
}
"""Each label and what it says, by rising weight. `risk/none` and `risk/reload` stand for themselves or not at all."""

FLEET_WIDE_SITES: Final = 100
"""So many sites at once are no single site's affair, whatever the size of the fleet (ours to choose)."""
_LEAST: Final = 2
"""A fleet of one site, or two, changes as a whole whenever one of them does."""


def risks_of(
    *, is_change: bool, reconnects: bool, moves: bool, downgrades: bool, fleet_wide: bool = False
) -> tuple[Risk, ...]:
    """Return the labels of a change to a site or to a fleet, in the order of RISKS, at least one.

    `is_change`: some digest is another one. `reconnects`: some station drops, or may. `moves`: some station gets
    another operator. `downgrades`: something is less protected. `fleet_wide`: see `is_fleet_wide`.
    """
    found: list[Risk] = []
    if reconnects or moves:
        found.append("risk/reconnect")
    elif is_change:
        found.append("risk/reload")
    if moves:
        found.append("risk/authority-move")
    if downgrades:
        found.append("risk/security-downgrade")
    if fleet_wide:
        found.append("risk/fleet-wide")
    return tuple(found) or ("risk/none",)


def is_fleet_wide(changed: int, sites: int) -> bool:
    """Return whether `changed` sites out of `sites` are more than some sites' affair."""
    return changed > _LEAST and (changed >= FLEET_WIDE_SITES or 2 * changed >= sites)
