"""Rules over all sites: no two of them may have the same station at the same supervision."""

from collections.abc import Iterable, Iterator

from pointsman_compiler.grouping import group_stations
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem
from pointsman_compiler.rules.secrets import stations_of_supervision
from pointsman_compiler.rules.urls import supervision_url


def find_fleet_problems(sites: Iterable[LayeredSite]) -> Iterator[Problem]:
    """Yield a problem for each identity that two sites have: an error where the supervision is the same.

    A supervision is its URL as it is after templates; a station that no supervision sees harms nobody.
    """
    first: dict[str, list[tuple[LayeredSite, str, str]]] = {}
    for site in sites:
        for station, name, url in _remote_stations(site):
            found = first.setdefault(station, [])
            yield from _compare(site, station, name, url, [one for one in found if one[0] is not site])
            found.append((site, name, url))


def _remote_stations(site: LayeredSite) -> Iterator[tuple[str, str, str]]:
    grouping = group_stations(site)
    for name in site.map_at(("supervisions",)):
        url = supervision_url(site.text_at(("supervisions", name, "url")) or "")
        for station in stations_of_supervision(site, grouping, name) if url is not None else ():
            if station in site.map_at(("stations",)):
                yield station, name, str(url).rstrip("/")


def _compare(
    site: LayeredSite, station: str, name: str, url: str, others: list[tuple[LayeredSite, str, str]]
) -> Iterator[Problem]:
    if not others:
        return
    same = [one for one in others if one[2] == url]
    other, other_name, _ = (same or others)[0]
    if same:
        message = (
            f"the station {station} is on the sites `{other.site}` and `{site.site}` with the same supervision "
            f"`{name}`: each would evict the other there"
        )
    else:
        message = (
            f"the station {station} is on the sites `{other.site}` (supervision `{other_name}`) and `{site.site}` "
            f"(supervision `{name}`)"
        )
    yield site.problem(
        "PM400",
        message,
        "remove it where it no longer is, or give one of the two stations another identity",
        ("stations", station),
        severity="error" if same else "warning",
        part="key",
        related=(other.related(f"on `{other.site}`", ("stations", station), "key"),),
    )
