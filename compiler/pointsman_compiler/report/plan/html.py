"""A plan as one page that needs nothing else: no script, no image, no font; what it may load is said in its own policy.

Its style is admitted by its digest, so that nothing that a person wrote can bring a style along.
"""

import base64
import hashlib
from importlib import resources
from typing import Final

from pointsman_compiler.catalogue import CATALOGUE
from pointsman_compiler.plan.fleetplan import Plan
from pointsman_compiler.plan.risks import RISKS
from pointsman_compiler.report.plan import consequences, headline
from pointsman_compiler.report.plan.picture import BAR, LEFT, RIGHT, WIDTH, draw
from pointsman_compiler.report.plan.rendering import render
from pointsman_compiler.report.plan.words import where_of

SITES_SHOWN: Final = 1000
"""Sites; of more, no browser makes a page that anybody reads."""
PICTURES_SHOWN: Final = 200
ROWS_SHOWN: Final = 500
FAN_OUT_SHOWN: Final = 100
STATIONS_SHOWN: Final = 200


def render_html(plan: Plan) -> str:
    """Return the page."""
    style = (resources.files(__package__) / "templates" / "plan.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sites = [
        {
            "site": site,
            "rows": list(consequences.rows(site, stations=STATIONS_SHOWN)),
            "picture": draw([site]) if number < PICTURES_SHOWN else None,
        }
        for number, site in enumerate(plan.changed[:SITES_SHOWN])
    ]
    return render(
        "html",
        "plan",
        plan=plan,
        headline=headline,
        consequences=consequences,
        where_of=where_of,
        style=style,
        digest=digest,
        owners=headline.owner_rows(plan),
        picture=draw(plan.changed),
        width=WIDTH,
        columns=(LEFT - BAR, RIGHT),
        bar_width=BAR,
        sites=sites,
        left=max(0, len(plan.changed) - SITES_SHOWN),
        meanings=RISKS,
        catalogue=CATALOGUE,
        rows_shown=ROWS_SHOWN,
        fan_out_shown=FAN_OUT_SHOWN,
        stations_shown=STATIONS_SHOWN,
    )
