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
PROBLEMS_SHOWN: Final = 50
STATIONS_SHOWN: Final = 12
_ROOM_FOR_END: Final = 500


def render_markdown(plan: Plan) -> str:
    """Return the comment, at most LONGEST characters."""
    head = render(
        "markdown",
        "head",
        marker=MARKER,
        plan=plan,
        headline=headline,
        consequences=consequences,
        where_of=where_of,
        rows=headline.owner_rows(plan),
        catalogue=CATALOGUE,
        stations_shown=STATIONS_SHOWN,
        problems_shown=PROBLEMS_SHOWN,
    )
    parts, left = [head], LONGEST - len(head) - _ROOM_FOR_END
    shown = 0
    for site in plan.changed:
        part = _site(site)
        if len(part) > left:
            break
        parts.append(part)
        left -= len(part)
        shown += 1
    return "".join(parts) + render("markdown", "end", plan=plan, left=len(plan.changed) - shown)


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
