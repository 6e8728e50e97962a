"""Every code that a problem can have, with its cause and its remedy: for docs/problems.md and for SARIF.

`python -m pointsman_compiler.catalogue` writes the page; a test fails where a code has no entry here, or where the page
is not what would be written.
"""

from collections.abc import Mapping
from typing import Final

from pointsman_compiler.catalogue.entry import Entry
from pointsman_compiler.catalogue.files import FILES, FLEET
from pointsman_compiler.catalogue.rollout import ROLLOUT
from pointsman_compiler.catalogue.shape import SHAPE
from pointsman_compiler.catalogue.site import SITE
from pointsman_compiler.catalogue.yaml import YAML

__all__ = ["CATALOGUE", "TOPICS", "Entry"]

TOPICS: Final[Mapping[str, tuple[Entry, ...]]] = {
    "YAML": YAML,
    "Shape": SHAPE,
    "One site": SITE,
    "The fleet": FLEET,
    "Files": FILES,
    "The rollout": ROLLOUT,
}
"""The entries by topic, in the order of their codes."""

CATALOGUE: Final[Mapping[str, Entry]] = {entry.code: entry for entries in TOPICS.values() for entry in entries}
