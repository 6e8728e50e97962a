"""Sites folders on disk, from their files' texts."""

from collections.abc import Mapping
from pathlib import Path

from pointsman_compiler.sources import SourceTree

UNIQUE = """\
version: 1
site: one
timeZone: Europe/Paris
supervision: unique
supervisions:
  acme: {url: "wss://csms.acme.example/ocpp"}
stations:
  CP-1: {}
"""


def lay_out(root: Path, files: Mapping[str, str | bytes]) -> SourceTree:
    """Write `files` (relative names) below `root`, in their order, and return the tree."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return SourceTree(root)
