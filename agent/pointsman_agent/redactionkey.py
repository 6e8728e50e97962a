"""The key of a controller's redaction: STATE/redaction.key, made once, readable by the agent's user alone."""

import secrets
from pathlib import Path
from typing import Final

from pointsman_agent.redaction import KEY_BYTES, Redactor
from pointsman_agent.slots import write_durably

REDACTION_KEY_FILE: Final = "redaction.key"


def open_redactor(state: Path) -> Redactor:
    """Return the redactor of the controller with this state folder; a key that is missing or damaged is made anew.

    Raises OSError. Reads and may write a file, so it belongs in a thread.
    """
    path = state / REDACTION_KEY_FILE
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != KEY_BYTES:
        key = secrets.token_bytes(KEY_BYTES)
        write_durably(path, key)
    return Redactor(key)
