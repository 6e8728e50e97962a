"""Rules on OCPP versions: a station and its supervision have one in common."""

from collections.abc import Iterator

from pointsman_compiler.document import Path
from pointsman_compiler.grouping import Grouping
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem
from pointsman_compiler.rules.secrets import stations_of_supervision


def find_protocol_problems(site: LayeredSite, grouping: Grouping) -> Iterator[Problem]:
    """Yield a problem for each station that could agree with its supervision on no OCPP version."""
    for station in site.map_at(("stations",)):
        yield from _assumed(site, ("stations", station))
    for name in site.map_at(("supervisions",)):
        path: Path = ("supervisions", name, "protocols")
        offered = [str(item) for item in site.list_at(path)]
        for station in stations_of_supervision(site, grouping, name) if offered else ():
            yield from _common(site, station, name, offered)


def _assumed(site: LayeredSite, path: Path) -> Iterator[Problem]:
    assumed = site.text_at((*path, "assumeProtocol"))
    if assumed is None:
        return
    protocols = site.list_at((*path, "protocols"))
    if protocols and assumed not in protocols:
        yield site.problem(
            "PM381",
            f"`assumeProtocol` is {assumed}, which is not among the station's `protocols`",
            f"add {assumed} to `protocols`, or assume one of them",
            (*path, "assumeProtocol"),
            related=(site.related("its protocols", (*path, "protocols")),),
        )


def _common(site: LayeredSite, station: str, name: str, offered: list[str]) -> Iterator[Problem]:
    path: Path = ("stations", station)
    key = "protocols" if site.list_at((*path, "protocols")) else "assumeProtocol"
    spoken = [str(item) for item in site.list_at((*path, "protocols")) or [site.at((*path, "assumeProtocol"), "")]]
    if spoken == [""] or set(spoken) & set(offered):
        return
    yield site.problem(
        "PM380",
        f"the station {station} speaks {', '.join(spoken)}, its supervision `{name}` {', '.join(offered)}: "
        "they have no OCPP version in common",
        f"add a common one to the `{key}` of the station or the `protocols` of the supervision",
        (*path, key),
        related=(site.related(f"the protocols of `{name}`", ("supervisions", name, "protocols")),),
    )
