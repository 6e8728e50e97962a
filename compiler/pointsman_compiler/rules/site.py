"""Rules on the site itself: its id and its time zone."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from pointsman_schema.timezones import canonical_zone, zone_names

from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem
from pointsman_compiler.wording import nearest

_ID: Final = re.compile(r"[a-z0-9-]{1,63}")


def find_site_problems(site: LayeredSite) -> Iterator[Problem]:
    """Yield a problem when the id is not the file's stem, and when the time zone is none of the pinned tzdata."""
    yield from _id(site)
    yield from _time_zone(site)


def _id(site: LayeredSite) -> Iterator[Problem]:
    written, stem = site.text_at(("site",)), PurePosixPath(site.file).stem
    if written is not None and written != stem:
        yield site.problem(
            "PM300",
            f"the site is called `{written}`, but its file {stem}.yaml",
            f"write `site: {stem}`" + (f", or rename the file to {written}.yaml" if _ID.fullmatch(written) else ""),
            ("site",),
        )


def _time_zone(site: LayeredSite) -> Iterator[Problem]:
    name = site.text_at(("timeZone",))
    if name is None or name in zone_names():
        return
    canonical = canonical_zone(name)
    zones = zone_names()
    meant = f"; did you mean `{canonical}`?" if canonical else nearest(name, zones, most=len(zones))
    remedy = "write the IANA name of a place, such as Europe/Paris, or UTC"
    yield site.problem(
        "PM385",
        f"there is no time zone {name!r}",
        f"{remedy}{meant}",
        ("timeZone",),
    )
