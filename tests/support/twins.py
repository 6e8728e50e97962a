"""Files that say the same in other words: comments, order, other quotes, and nothing inherited that a site can say."""

import json
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path as DiskPath
from pathlib import PurePosixPath
from typing import Any

from pointsman_compiler.document import Document, Path, read_document
from pointsman_compiler.layers import LayeredSite, lay
from pointsman_compiler.sources import FLEET_FILE
from pointsman_compiler.stores.folder import Folder

Files = Mapping[str, bytes]


def files_of(root: DiskPath) -> dict[str, bytes]:
    """Return the files below `root` by name."""
    store = Folder(root)
    return {found.name: store.read(found.name) for found in store.walk(hidden=True)}


def in_other_order(files: Files) -> dict[str, bytes]:
    """Return the files with comments, and every map, list of badges and row of a list the other way round."""
    return {name: _reordered(name, content) for name, content in files.items()}


def spelt_out(files: Files) -> dict[str, bytes]:
    """Return the files with all that a site inherits written into it; the fleet's file keeps what only it can say."""
    fleet = _document(FLEET_FILE, files)
    found = dict(files)
    for name in files:
        document = _document(name, files) if name.endswith(".yaml") and name != FLEET_FILE else None
        if document is None or not isinstance(document.data, dict):
            continue
        site = lay(PurePosixPath(name).stem, document, fleet)
        found[name] = b"".join(_yaml(_from_its_own_folder(site, site.data, ()), ""))
    if fleet is not None:
        kept = {key: value for key, value in fleet.data.items() if key in ("version", "policy")}
        found[FLEET_FILE] = b"".join(_yaml(kept, ""))
    return found


def _from_its_own_folder(site: LayeredSite, value: Any, path: Path) -> Any:
    """What the fleet's file names is named from the root, and what a site names from its own folder."""
    match value:
        case dict():
            return {key: _from_its_own_folder(site, item, (*path, key)) for key, item in value.items()}
        case list():
            return [_from_its_own_folder(site, item, (*path, number)) for number, item in enumerate(value)]
        case str() if value.endswith(".pem"):
            origin = site.origin(path).document
            named_in = origin.file if origin is not None else site.file
            return posixpath.relpath(
                posixpath.join(posixpath.dirname(named_in), value), posixpath.dirname(site.file) or "."
            )
    return value


def _reordered(name: str, content: bytes) -> bytes:
    if name.endswith(".csv"):
        head, *rows = content.decode().splitlines()
        return "\n".join([head, *reversed(rows), ""]).encode()
    if name.endswith(".pem"):
        return b"A comment above the certificate\n" + content
    document = read_document(name, content) if name.endswith(".yaml") else None
    if not isinstance(document, Document):
        return content
    return b"# the other way round\n" + b"".join(_yaml(_reversed(document.data), "", comment="   # said"))


def _reversed(value: Any) -> Any:
    match value:
        case dict():
            return {key: _reversed(item) for key, item in reversed(value.items())}
        case [{"badge": _}, *_] | [{"file": _}, *_]:
            return [_reversed(item) for item in reversed(value)]
        case list():
            return [_reversed(item) for item in value]
    return value


def _yaml(value: Mapping[str, Any], indent: str, comment: str = "") -> Iterator[bytes]:
    """Block style for maps, and JSON, which is YAML too, for all else."""
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield f"{indent}{json.dumps(key)}:{comment}\n".encode()
            yield from _yaml(item, f"{indent}  ", comment)
        else:
            yield f"{indent}{json.dumps(key)}: {json.dumps(item)}{comment}\n".encode()


def _document(name: str, files: Files) -> Document | None:
    found = read_document(name, files[name]) if name in files else None
    return found if isinstance(found, Document) else None
