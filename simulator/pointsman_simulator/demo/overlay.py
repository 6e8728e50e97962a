"""A copy of the fleet with loopback in place of the operators' hosts and the site's own network.

What is changed stands in `overlay.json`. Files are read with the compiler's own reader and written back as JSON, which
is YAML too.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pointsman_compiler.document import Document, read_document

FLEET = "fleet.yaml"
ROOT_CERTIFICATE = "certificates/pointsman-sim-demo.pem"
HOST = re.compile(r"^wss?://[^/]*")


class OverlayError(Exception):
    """The fleet cannot be used: a file is missing or no YAML. The message names the place and the remedy."""


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A site of the fleet: its id, its file relative to the root, and its supervision mode."""

    site: str
    file: str
    mode: str


def find_sites(root: Path) -> list[SiteFile]:
    """Return the sites below `root` in the order of their ids; raises OverlayError when there are none."""
    sites = sorted(_sites_in(root), key=lambda each: each.site)
    if not sites:
        raise OverlayError(f"{root} has no site files; name the fleet's folder with --sites DIR")
    return sites


def choose_site(sites: list[SiteFile], wanted: str | None) -> SiteFile:
    """Return the site called `wanted`, or else the first of mode `multiple`, or else the first."""
    if wanted is None:
        return next((each for each in sites if each.mode == "multiple"), sites[0])
    found = next((each for each in sites if each.site == wanted), None)
    if found is None:
        raise OverlayError(f"there is no site {wanted!r}; there are: {', '.join(each.site for each in sites)}")
    return found


def supervision_names(root: Path, site: SiteFile) -> list[str]:
    """Return the names of all supervisions of the fleet's catalogue and of the site, sorted."""
    documents = [_read(root, file) for file in (FLEET, site.file) if (root / file).exists()]
    return sorted({name for document in documents for name in document.get("supervisions") or {}})


def lay_over(root: Path, site: SiteFile, *, ports: Mapping[str, int], listener_port: int, root_pem: bytes) -> None:
    """Change the copy of a fleet at `root` in place, as `overlay.json` says."""
    overlay = json.loads(files("pointsman_simulator.demo").joinpath("overlay.json").read_text(encoding="utf-8"))
    certificate = root / ROOT_CERTIFICATE
    certificate.parent.mkdir(parents=True, exist_ok=True)
    certificate.write_bytes(root_pem)
    for file in (FLEET, site.file):
        if (root / file).exists():
            data = _read(root, file)
            values: dict[str, object] = {"root": os.path.relpath(certificate, (root / file).parent)}
            _lay_over_supervisions(data.get("supervisions") or {}, overlay["supervision"], ports, values)
            (data.get("defaults") or {}).pop("listeners", None)
            if file == site.file:
                data["listeners"] = _filled(overlay["listeners"], {"port": listener_port})
            (root / file).write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")


def copy_fleet(source: Path, target: Path) -> None:
    """Copy the fleet's folder; raises OverlayError when there is none."""
    if not source.is_dir():
        raise OverlayError(f"{source} is no folder; name the fleet's folder with --sites DIR")
    shutil.copytree(source, target)


def _sites_in(root: Path) -> Iterator[SiteFile]:
    for path in sorted(root.rglob("*.yaml")):
        file = path.relative_to(root).as_posix()
        is_hidden = any(part.startswith((".", "_")) for part in path.relative_to(root).parts)
        if is_hidden or file in (FLEET, "rollout.yaml"):
            continue
        yield SiteFile(path.stem, file, str(_read(root, file).get("supervision")))


def _read(root: Path, file: str) -> dict[str, Any]:
    document = read_document(file, (root / file).read_bytes())
    if isinstance(document, Document) and isinstance(document.data, dict):
        return document.data
    raise OverlayError(f"{file} cannot be read; `pointsman check {root}` says why")


def _lay_over_supervisions(
    supervisions: dict[str, Any], overlay: dict[str, Any], ports: Mapping[str, int], values: dict[str, object]
) -> None:
    for name, supervision in supervisions.items():
        if isinstance(supervision, dict) and isinstance(supervision.get("url"), str):
            path = HOST.sub("", supervision["url"])
            for key, value in overlay.items():
                supervision.pop(key, None)
                if value is not None:
                    supervision[key] = _filled(value, values | {"port": ports[name], "path": path})


def _filled(value: Any, values: Mapping[str, object]) -> Any:
    """Put `values` in the place of `{name}`; a text that is nothing but one place keeps the value's own type."""
    match value:
        case str():
            whole = next((given for name, given in values.items() if value == f"{{{name}}}"), None)
            if whole is not None:
                return whole
            for name, given in values.items():
                value = value.replace(f"{{{name}}}", str(given))
            return value
        case list():
            return [_filled(item, values) for item in value]
        case dict():
            return {key: _filled(item, values) for key, item in value.items()}
    return value
