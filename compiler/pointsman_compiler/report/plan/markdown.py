"""A plan as Markdown for one comment, which is replaced at each push: MARKER tells it from others.

The verdict comes first, then who drops and who owns them, then what is shared, then site by site as long as there is
room. GitHub takes 65,536 characters.
"""

from typing import Final

from pointsman_compiler.catalogue import CATALOGUE
from pointsman_compiler.plan.fleetplan import Plan
from pointsman_compiler.plan.siteplan import SitePlan
from pointsman_compiler.report.plan import consequences, headline
from pointsman_compiler.report.plan.rendering import render
from pointsman_compiler.report.plan.words import where_of

MARKER: Final = "<!-- pointsman-plan -->"
LONGEST: Final = 65_000
"""Characters; the rest is for whoever adds a line of their own."""
ROWS_SHOWN: Final = 40
"""Consequences of one site; a site in which more changes is read elsewhere."""
STATIONS_SHOWN: Final = 12
"""At each site."""
_HEADS: Final = ((50, 12), (20, 6), (5, 2), (1, 1))
"""How many problems, and stations of a row, are named above the sites: the first pair that leaves room for these."""
_ROOM_FOR_HEAD: Final = LONGEST // 2
LONGEST_PLACE: Final = 100
"""Characters of a file's name, or a revision's; each may take five or six when it is escaped."""


def render_markdown(plan: Plan) -> str:
    """Return the comment, at most LONGEST characters."""
    heads = (_head(plan, *counts) for counts in _HEADS)
    head = next((one for one in heads if len(one) <= _ROOM_FOR_HEAD), "") or _head(plan, *_HEADS[-1])
    parts, left = [head], LONGEST - len(head) - len(_end(plan, len(plan.changed)))
    shown = 0
    for site in plan.changed:
        part = _site(site)
        if len(part) > left:
            break
        parts.append(part)
        left -= len(part)
        shown += 1
    return "".join(parts) + _end(plan, len(plan.changed) - shown)


def _head(plan: Plan, problems: int, stations: int) -> str:
    return render(
        "markdown",
        "head",
        marker=MARKER,
        plan=plan,
        headline=headline,
        consequences=consequences,
        where_of=where_of,
        shortly=_shortly,
        rows=headline.owner_rows(plan),
        catalogue=CATALOGUE,
        stations_shown=stations,
        problems_shown=problems,
    )


def _end(plan: Plan, left: int) -> str:
    return render("markdown", "end", plan=plan, shortly=_shortly, left=left)


def _shortly(name: str) -> str:
    """The end of a long name, which tells more than its beginning."""
    return name if len(name) <= LONGEST_PLACE else f"…{name[1 - LONGEST_PLACE :]}"


def _site(site: SitePlan) -> str:
    rows = list(consequences.rows(site, stations=STATIONS_SHOWN))
    return render(
        "markdown",
        "site",
        site=site,
        consequences=consequences,
        rows=rows[:ROWS_SHOWN],
        left=max(0, len(rows) - ROWS_SHOWN),
    )
