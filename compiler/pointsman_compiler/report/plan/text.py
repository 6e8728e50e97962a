"""A plan for a terminal. The first ten lines say which stations drop, and who owns them then.

2 of 3 sites change. 6 stations drop and come back, 1 of them to another operator.
risk/reconnect, risk/authority-move

    1  drop and move  acme → volt  LYO-05 (lyon-part-dieu)
    5  drop           acme         LYO-03, LYO-04 (lyon-part-dieu), and 3 more at 1 site
"""

import textwrap
from collections.abc import Iterator
from typing import Final

from pointsman_compiler.catalogue import CATALOGUE
from pointsman_compiler.plan.fleetplan import Plan
from pointsman_compiler.plan.siteplan import SitePlan
from pointsman_compiler.report.plan import view
from pointsman_compiler.report.plan.values import cut
from pointsman_compiler.report.snippets import visible

SITES_SHOWN: Final = 20
"""Sites whose consequences are told one by one; the other forms have them all."""
ROWS_SHOWN: Final = 40
STATIONS_SHOWN: Final = 6
OWNER_WIDTH: Final = 24
PROBLEMS_SHOWN: Final = 4
"""By their titles; whoever calls shows them whole."""
_WHAT_WIDTH: Final = len("less protected")

# ECMA-48 "select graphic rendition".
_RED, _YELLOW, _GREEN, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[1m", "\x1b[0m"
_GRAVE: Final = frozenset({"drop and move", "leave", "less protected", "mode"})


def render_text(plan: Plan, *, width: int = 80, colour: bool = False) -> str:
    """Return the plan in lines of `width` columns, as far as words allow; ends with a line break."""
    lines = [*_head(plan, width, colour), *_fleet(plan, width)]
    for site in plan.changed[:SITES_SHOWN]:
        lines += ["", *_site(site, width, colour)]
    left = len(plan.changed) - SITES_SHOWN
    if left > 0:
        lines += ["", f"and {left} more sites, which --format html and --format json have"]
    return "\n".join(lines) + "\n"


def _head(plan: Plan, width: int, colour: bool) -> Iterator[str]:
    paint = _RED if not plan.is_admitted else _YELLOW if plan.changed else _GREEN
    for line in textwrap.wrap(view.verdict(plan), width):
        yield _painted(line, paint if colour else "")
    yield from textwrap.wrap(", ".join(plan.risks), width, break_on_hyphens=False)
    if view.needed(plan):
        yield from textwrap.wrap(view.needed(plan), width, break_on_hyphens=False)
    for problem in plan.problems[:PROBLEMS_SHOWN]:
        title = f"{problem.code}, {CATALOGUE[problem.code].title}"
        yield from _wrapped(f"{view.where_of(problem.place.file, problem.place.line, 'after')}: {title}", width, "  ")
    rows = view.owner_rows(plan)
    if not rows:
        return
    yield ""
    shown = rows if len(rows) <= view.OWNER_ROWS else rows[: view.OWNER_ROWS - 1]
    count_width = max(len(str(row.count)) for row in rows) + 2
    owner_width = min(max(len(row.owner) for row in rows), OWNER_WIDTH)
    what_width = max(len(row.what) for row in rows)
    for row in shown:
        owner = cut(row.owner, owner_width).ljust(owner_width)
        line = f"{row.count:>{count_width}}  {row.what:<{what_width}}  {owner}  "
        yield cut(visible(line + view.stations_of(row, STATIONS_SHOWN)), width)
    left = rows[len(shown) :]
    if left:
        yield f"{sum(row.count for row in left):>{count_width}}  more stations, which the sites below name"


def _fleet(plan: Plan, width: int) -> Iterator[str]:
    others = view.other_consequences(plan)
    if others or plan.fan_out or plan.loosened:
        yield ""
    yield from others
    for one in plan.fan_out[: view.FAN_OUT_ROWS]:
        place, what = view.fan_out_line(one)
        yield from _wrapped(f"{place} {what}", width, "  ")
    for downgrade in plan.loosened:
        yield from _row(view.downgrade_row(downgrade), width, "")


def _site(site: SitePlan, width: int, colour: bool) -> Iterator[str]:
    head = f"{site.site} ({site.file}): {view.site_title(site)}; {', '.join(site.risks)}"
    for line in _wrapped(head, width, "  "):
        yield _painted(line, _BOLD if colour else "")
    rows = list(view.rows(site))
    for row in rows[:ROWS_SHOWN]:
        yield from _row(row, width, _RED if colour and row.what in _GRAVE else "")
    if len(rows) > ROWS_SHOWN:
        yield f"  and {len(rows) - ROWS_SHOWN} more"


def _row(row: view.Row, width: int, paint: str) -> Iterator[str]:
    indent = " " * (_WHAT_WIDTH + 4)
    text = row.subject
    if row.before or row.after:
        arrow = " → ".join(filter(None, dict.fromkeys((row.before, row.after))))
        text = f"{text}: {arrow}" if text else arrow
    parts = [part for part in (text, row.note, row.where) if part]
    first = True
    for part in parts:
        for line in _wrapped(part, width - len(indent), ""):
            head = _painted(f"  {row.what:<{_WHAT_WIDTH}}", paint) + "  " if first else indent
            yield head + line
            first = False


def _wrapped(text: str, width: int, hanging: str) -> list[str]:
    return textwrap.wrap(
        visible(text), width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _painted(text: str, paint: str) -> str:
    return f"{paint}{text}{_PLAIN}" if paint else text
