"""Fleet defaults + catalogue + site → one tree of written values, each of which knows where it was written.

Maps merge key by key; choices (`password`, `clientCertificate`, `certificate`, `proxy`, `stationPassword`) and lists
replace whole; `null` removes an inherited key. Data of the wrong shape is carried along as it is: the rules read the
tree through accessors that skip it, because the shape's own problems say what is wrong there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pointsman_schema.bundle import LOCAL

from pointsman_compiler.document import Document, Path
from pointsman_compiler.problems import Place, Problem, Related, Severity

Layer = Literal["site", "fleet default", "catalogue", "built-in"]
Part = Literal["key", "value"]

CHOICES: Final = frozenset({"password", "clientCertificate", "certificate", "proxy", "stationPassword"})
"""Maps that mean one choice of several: half of one and half of another would be neither."""

SITE_DEFAULTS: Final = ("listeners", "stationPassword", "activation", "journal", "vars")
"""The fleet's defaults that lie under every site's key of the same name; `authentication` lies under local groups."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: the layer, and the document with the path in it (absent for built-in values).

    `line` is set for values that stand in no YAML document: a row of a badge list (`file`, line from 1).
    """

    layer: Layer
    document: Document | None = None
    path: Path = ()
    file: str | None = None
    line: int | None = None

    @property
    def place(self) -> Place | None:
        """The place of the value, or None for a built-in one."""
        if self.document is not None:
            return self.document.place_of(self.path)
        if self.file is not None and self.line is not None:
            return Place(self.file, self.line, 1, self.line, 1)
        return None

    def below(self, path: Path) -> "Origin":
        """Return the origin of what stands at `path` inside this value."""
        return Origin(self.layer, self.document, self.path + path, self.file, self.line)


BUILT_IN: Final = Origin("built-in")


@dataclass(frozen=True)
class LayeredSite:
    """One site with everything that it inherits: `data` in the terms of the site format, nothing resolved.

    `origins` has an entry for each subtree that came whole from one layer; `broken` are the paths of values that a
    template spoilt, which no rule should judge again.
    """

    site: str
    document: Document
    data: Mapping[str, Any]
    origins: Mapping[Path, Origin]
    policy: Mapping[str, Any] = field(default_factory=dict)
    broken: frozenset[Path] = frozenset()

    @property
    def file(self) -> str:
        """The site's file, relative to the root."""
        return self.document.file

    def origin(self, path: Path) -> Origin:
        """Return where the value at `path` was written; for a path that does not exist, its nearest ancestor."""
        for length in range(len(path), -1, -1):
            origin = self.origins.get(path[:length])
            if origin is not None:
                return origin.below(path[length:])
        return BUILT_IN

    def at(self, path: Path, default: Any = None) -> Any:
        """Return the value at `path`, or `default` where there is none."""
        value: Any = self.data
        for step in path:  # the most frequent question of all: a `match` over abstract types doubles a check's time
            if isinstance(value, dict):
                if step not in value:
                    return default
            elif not isinstance(value, list) or not isinstance(step, int) or step >= len(value):
                return default
            value = value[step]
        return value

    def map_at(self, path: Path) -> Mapping[str, Any]:
        """Return the map at `path`, or an empty one where there is none."""
        value = self.at(path)
        return value if isinstance(value, dict) else {}

    def list_at(self, path: Path) -> Sequence[Any]:
        """Return the list at `path`, or an empty one where there is none."""
        value = self.at(path)
        return value if isinstance(value, list) else ()

    def text_at(self, path: Path) -> str | None:
        """Return the text at `path`, or None where there is none, or none that may be judged."""
        value = self.at(path)
        return value if isinstance(value, str) and path not in self.broken else None

    def problem(
        self,
        code: str,
        message: str,
        help: str,
        path: Path,
        *,
        severity: Severity = "error",
        part: Part = "value",
        related: tuple[Related, ...] = (),
    ) -> Problem:
        """Return a problem at the place where the value at `path` was written, be it the site's file or the fleet's."""
        origin = self.origin(path)
        document = origin.document or self.document
        return document.problem(code, message, help, origin.path, severity=severity, part=part, related=related)

    def related(self, message: str, path: Path, part: Part = "value") -> Related:
        """Return a pointer to the place where the value at `path` was written."""
        origin = self.origin(path)
        return Related(message, (origin.document or self.document).place_of(origin.path, part))

    def strings(self, path: Path = ()) -> Iterator[tuple[Path, str]]:
        """Yield every string value at or below `path` with its path."""
        yield from strings_below(self.at(path), path)


def lay(site: str, document: Document, fleet: Document | None) -> LayeredSite:
    """Return `document` with the defaults and the catalogue of `fleet` under it."""
    merger = _Merger(document, fleet)
    data = merger.site()
    return LayeredSite(
        site,
        document,
        data,
        merger.origins,
        policy=_map(merger.fleet.get("policy")),
    )


def strings_below(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every string in `value` with its path."""
    match value:
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                yield from strings_below(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                yield from strings_below(item, (*path, index))


class _Merger:
    """Merges one site; collects the origins on the way."""

    def __init__(self, document: Document, fleet: Document | None) -> None:
        self.document = document
        self.fleet_document = fleet
        self.fleet = _map(fleet.data if fleet is not None else None)
        self.defaults = _map(self.fleet.get("defaults"))
        self.origins: dict[Path, Origin] = {(): Origin("site", document)}

    def site(self) -> dict[str, Any]:
        written = _map(self.document.data)
        data = {
            key: _without_nulls(value) if key in SITE_DEFAULTS else value
            for key, value in written.items()
            if value is not None
        }
        for key in SITE_DEFAULTS:
            self._put_default(data, written, key, (key,))
        self._authentication(data, written)
        if isinstance(supervisions := written.get("supervisions"), Mapping):
            data["supervisions"] = {name: self._supervision(name, entry) for name, entry in supervisions.items()}
        return data

    def _authentication(self, data: dict[str, Any], written: Mapping[str, Any]) -> None:
        """Lays the fleet's `authentication` under each group that the controller itself operates."""
        is_local = written.get("supervision") == "local"
        groups = written.get("groups")
        if isinstance(groups, Mapping):
            data["groups"] = {name: self._group(name, group, is_local) for name, group in groups.items()}
        elif is_local:
            self._put_default(data, written, "authentication", ("authentication",))

    def _group(self, name: str, group: Any, is_local: bool) -> Any:
        if not isinstance(group, Mapping) or group.get("operator", LOCAL if is_local else None) != LOCAL:
            return group
        data = dict(group)
        self._put_default(data, group, "authentication", ("groups", name, "authentication"))
        return data

    def _put_default(self, data: dict[str, Any], written: Mapping[str, Any], key: str, path: Path) -> None:
        if key in self.defaults:
            under = Origin("fleet default", self.fleet_document, ("defaults", key))
            self._merge_key(data, written, key, path, self.defaults[key], under)
        elif isinstance(written.get(key), dict):
            data[key] = _without_nulls(written[key])

    def _supervision(self, name: str, entry: Any) -> Any:
        catalogue = _map(self.fleet.get("supervisions"))
        path: Path = ("supervisions", name)
        if name not in catalogue or not isinstance(entry, Mapping | None):
            return _without_nulls(entry)
        under = Origin("catalogue", self.fleet_document, path)
        return self._merged(entry or {}, path, catalogue[name], under)

    def _merge_key(
        self, data: dict[str, Any], written: Mapping[str, Any], key: str, path: Path, below: Any, under: Origin
    ) -> None:
        if key not in written:
            if below is not None:
                data[key] = _without_nulls(below)
                self.origins[path] = under
        elif written[key] is None:
            data.pop(key, None)
        elif isinstance(written[key], Mapping) and isinstance(below, Mapping) and key not in CHOICES:
            data[key] = self._merged(written[key], path, below, under)
        else:
            data[key] = _without_nulls(written[key])

    def _merged(self, written: Mapping[str, Any], path: Path, below: Any, under: Origin) -> Any:
        data = {key: _without_nulls(value) for key, value in written.items() if value is not None}
        for key, value in _map(below).items():
            self._merge_key(data, written, key, (*path, key), value, under.below((key,)))
        return data


def _without_nulls(value: Any) -> Any:
    """A `null` says "not inherited"; where nothing is inherited it says nothing."""
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
