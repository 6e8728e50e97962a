"""Rules over all sites: no two of them may have the same station at the same supervision.

They see an extract of each site and not the site, so that a fleet of any size fits into memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pointsman_compiler.document import Path
from pointsman_compiler.grouping import Grouping
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.pointer import pointer_of
from pointsman_compiler.problems import Place, Problem, Related
from pointsman_compiler.rules.secrets import stations_of_supervision
from pointsman_compiler.rules.urls import supervision_url


@dataclass(frozen=True, slots=True)
class RemoteStations:
    """The stations of one site at one supervision, whose `endpoint` comes from its URL as it is after templates."""

    site: str
    file: str
    supervision: str
    endpoint: str
    stations: tuple[str, ...]


def remote_stations(site: LayeredSite, grouping: Grouping) -> Iterator[RemoteStations]:
    """Yield the extract of `site`; a station that no supervision sees harms nobody, and is left out."""
    known = site.map_at(("stations",))
    for name in site.map_at(("supervisions",)):
        url = supervision_url(site.text_at(("supervisions", name, "url")) or "")
        if url is not None:
            stations = [station for station in stations_of_supervision(site, grouping, name) if station in known]
            yield RemoteStations(site.site, site.file, name, url.endpoint, tuple(stations))


def find_fleet_problems(
    remotes: Iterable[RemoteStations], place_of_key: Callable[[str, Path], Place]
) -> Iterator[Problem]:
    """Yield a problem for each identity that two sites have: an error where the supervision is the same.

    `place_of_key` tells where the key of a path stands in a site's file.
    """
    first: dict[str, tuple[RemoteStations, ...]] = {}
    for remote in remotes:
        alone = (remote,)  # shared by all its stations: a fleet has hundreds of thousands
        for station in remote.stations:
            before = first.setdefault(station, alone)
            if before is not alone:
                others = [other for other in before if other.site != remote.site]
                if others:
                    yield _clash(station, remote, others, place_of_key)
                first[station] = (*before, remote)


def _clash(
    station: str, remote: RemoteStations, others: Sequence[RemoteStations], place_of_key: Callable[[str, Path], Place]
) -> Problem:
    path = ("stations", station)
    same = [other for other in others if other.endpoint == remote.endpoint]
    other = (same or others)[0]
    return Problem(
        "PM400",
        "error" if same else "warning",
        _same_supervision(station, remote, other) if same else _other_supervision(station, remote, other),
        "remove it where it no longer is, or give one of the two stations another identity",
        place_of_key(remote.file, path),
        pointer_of(path),
        (Related(f"on `{other.site}`", place_of_key(other.file, path)),),
    )


def _same_supervision(station: str, remote: RemoteStations, other: RemoteStations) -> str:
    return (
        f"the station {station} is on the sites `{other.site}` and `{remote.site}` with the same supervision "
        f"`{remote.supervision}`: each would evict the other there"
    )


def _other_supervision(station: str, remote: RemoteStations, other: RemoteStations) -> str:
    return (
        f"the station {station} is on the sites `{other.site}` (supervision `{other.supervision}`) and "
        f"`{remote.site}` (supervision `{remote.supervision}`)"
    )
