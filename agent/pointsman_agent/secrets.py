"""Secrets as files of that name in one folder: systemd credentials, Kubernetes secrets and SOPS lay them down so."""

import re
from pathlib import Path
from typing import Final

from pointsman_agent.ports import SecretMissing

LARGEST_SECRET_BYTES: Final = 16 * 1024 * 1024  # a badge list; keys and passwords are far smaller
CREDENTIAL_PREFIX: Final = "secrets_"
"""What systemd puts before the file's name where `LoadCredential=secrets:FOLDER` loads a folder (systemd.exec(5))."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,63}\Z")


class SecretFolder:
    """The secrets of a controller (see `ports.Secrets`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes:
        """Return the secret, one trailing newline cut.

        Raises SecretMissing when there is no such file, or it cannot be read, is a folder, or is too large.
        """
        if not _NAME.match(name) or name in (".", ".."):
            raise SecretMissing(name, f"{name!r} is no name of a secret")
        path = self.path(name)
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST_SECRET_BYTES + 1)
        except OSError as error:
            raise SecretMissing(name, f"secret {name!r}: {path}: {error.strerror}") from error
        if len(content) > LARGEST_SECRET_BYTES:
            raise SecretMissing(name, f"secret {name!r}: {path}: larger than {LARGEST_SECRET_BYTES} bytes")
        return content.removesuffix(b"\n").removesuffix(b"\r") if content.endswith(b"\n") else content

    def path(self, name: str) -> Path:
        """Return the file of a secret, whether there is one or not."""
        loaded = self._folder / f"{CREDENTIAL_PREFIX}{name}"
        return loaded if loaded.exists() else self._folder / name
