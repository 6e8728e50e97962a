"""The token that only reads: STATE/read-token, made once, for monitoring and for people who look."""

import secrets
from pathlib import Path
from typing import Final

from pointsman_agent.slots import write_durably

READ_TOKEN_FILE: Final = "read-token"
SHORTEST: Final = 16  # characters; shorter ones, by hand, could be guessed
_TOKEN_BYTES: Final = 32


def open_read_token(state: Path) -> str:
    """Return the token in the state folder; one that is missing or too short is made anew.

    Raises OSError. Reads and may write a file, so it belongs in a thread.
    """
    path = state / READ_TOKEN_FILE
    try:
        token = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        token = ""
    if len(token) < SHORTEST:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        write_durably(path, f"{token}\n".encode())
    return token
