"""Expectations that are kept in files beside the cases."""

import os
from pathlib import Path


def recorded(path: Path, found: str) -> str:
    """Return what the file at `path` expects; with REGENERATE=1 `found` is written there first."""
    if os.environ.get("REGENERATE") == "1":
        path.write_text(found, encoding="utf-8")
    return path.read_text(encoding="utf-8")
