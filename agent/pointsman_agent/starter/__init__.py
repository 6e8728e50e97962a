"""What `pointsman-agent init` lays down: a unit for systemd, a site's flags, the keys of its bundles.

    CONFIG/agent.env        flags of `run` as variables, read by the unit
    CONFIG/trust/           public keys that bundles are signed with, or the root of a rollout's repository
    CONFIG/secrets/         secrets, for root alone; systemd hands them to the agent as credentials
    CONFIG/site.bundle      is not made: the bundle comes from the build machine, or by the rollout
    UNITS/pointsman-agent.service

The state folder is not made: systemd makes it for the user that it invents (`StateDirectory=`).
"""

import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final

from pointsman_schema.envelope import load_public_key

UNIT: Final = "pointsman-agent.service"
ROOT: Final = "trust/root.json"
HIDDEN_FROM_SERVICES: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What ProtectHome= and PrivateTmp= hide from the agent."""

_SITE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_PLAIN_VALUE: Final = re.compile(r"[!#-&(-\[\]-~]+\Z")  # visible ASCII without quotes and backslash
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._/+-]*\Z")  # what needs no quoting, in units and in variables


class LayoutError(Exception):
    """What was asked for cannot be laid down; the message says why and what to do. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One site's controller: where its files are and what is in them.

    With `root`, the root of a rollout's repository, there is no bundle to be copied and no key in `trust`. `variables`
    are flags of `run` beyond those for which something is laid down.
    """

    site: str
    trust: Sequence[Path]
    config: Path
    units: Path | None
    executable: Path
    root: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def lay_down(self) -> list[Path]:
        """Write what is missing and return it; raises LayoutError where a file is there and differs."""
        texts = self._texts()
        differing = [path for path, text in texts.items() if path.exists() and path.read_bytes() != text]
        if differing:
            raise LayoutError(f"{differing[0]} is there and differs; move it away, or change it by hand")
        secrets = self.config / "secrets"
        for folder in (self.config, secrets, *(path.parent for path in texts)):
            if folder.exists() and not folder.is_dir():
                raise LayoutError(f"{folder} is there and is no folder; move it away")
        made = [] if secrets.is_dir() else [secrets]
        _make(self.config, 0o755)
        _make(secrets, 0o700)
        for path, text in texts.items():
            if not path.exists():
                _make(path.parent, 0o755)
                _write(path, text)
                made.append(path)
        return made

    def warnings(self) -> list[str]:
        """Return what will be in the way of the unit."""
        found = []
        if self.units is not None and str(self.executable).startswith(
            tuple(f"{each}/" for each in HIDDEN_FROM_SERVICES)
        ):
            found.append(f"{self.executable} is where services cannot look: install the agent below /opt or /usr/local")
        secrets = self.config / "secrets"
        if secrets.is_dir() and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
            found.append(f"{secrets} is open to others: chmod 700 {secrets}")
        return found

    def _texts(self) -> dict[Path, bytes]:
        if not _SITE.match(self.site):
            raise LayoutError(f"--site {self.site}: a site's id has lower-case letters, digits and hyphens")
        for path in (self.config, self.executable):
            if not _PLAIN_PATH.match(str(path)):
                raise LayoutError(f"{path}: write a whole path, of letters, digits, dots, hyphens and underscores")
        keys = {self.config / "trust" / path.name: _public_key(path) for path in self.trust}
        if len(keys) != len(self.trust):
            raise LayoutError("two files of --trust have the same name")
        texts = {**keys, self.config / "agent.env": self._environment(list(keys)).encode()}
        if self.root is not None:
            texts[self.config / ROOT] = _root(self.root)
        if self.units is not None:
            texts[self.units / UNIT] = unit_text(self.executable, self.config).encode()
        return texts

    def _environment(self, keys: Sequence[Path]) -> str:
        variables = {"POINTSMAN_SITE": self.site}
        if self.root is None:
            variables["POINTSMAN_BUNDLE"] = str(self.config / "site.bundle")
            variables["POINTSMAN_TRUST"] = os.pathsep.join(map(str, keys))
        else:
            variables["POINTSMAN_ROLLOUT_ROOT"] = str(self.config / ROOT)
        variables |= self.variables
        for value in variables.values():
            if not _PLAIN_VALUE.match(value):
                raise LayoutError(f"{value!r}: write it without white space, quotes and backslashes")
        comment = "# Flags of `pointsman-agent run`, read by systemd: NAME=VALUE, no quotes needed, no ~.\n"
        return comment + "".join(f"{name}={value}\n" for name, value in variables.items())


def unit_text(executable: Path, config: Path) -> str:
    """Return the unit for the agent that is installed at `executable`."""
    template = (files(__name__) / UNIT).read_text(encoding="utf-8")
    return template.replace("@EXECUTABLE@", str(executable)).replace("@CONFIG@", str(config))


def _public_key(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LayoutError(f"--trust {path}: {error.strerror}") from error
    if not _PLAIN_PATH.match(f"/{path.name}"):
        raise LayoutError(f"--trust {path}: a name of letters, digits, dots, hyphens and underscores is needed")
    try:
        load_public_key(content)
    except ValueError as error:
        raise LayoutError(f"--trust {path}: {error}; it is the file NAME.pub that `pointsman keygen` made") from error
    return content


def _root(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LayoutError(f"--rollout-root {path}: {error.strerror}") from error
    try:
        kind = json.loads(content)["signed"]["_type"]
    except (ValueError, TypeError, KeyError, RecursionError):
        kind = None
    if kind != "root":
        message = "no root; it is metadata/1.root.json of the repository that `pointsman rollout init` made"
        raise LayoutError(f"--rollout-root {path}: {message}")
    return content


def _make(folder: Path, mode: int) -> None:
    """Make a folder and those above it, with this mode whatever the umask: another user's agent reads there."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        each.chmod(mode)


def _write(path: Path, content: bytes) -> None:
    """Write a file that anybody may read, whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o644)
    os.replace(file.name, path)
