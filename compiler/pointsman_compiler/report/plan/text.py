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
from pointsman_compiler.report.plan import consequences, headline
from pointsman_compiler.report.plan.values import cut
from pointsman_compiler.report.plan.words import where_of
from pointsman_compiler.report.snippets import visible

SITES_SHOWN: Final = 20
"""Sites whose consequences are told one by one; the other forms have them all."""
ROWS_SHOWN: Final = 40
STATIONS_SHOWN: Final = 60
FIRST_LINES: Final = 10
"""What a reviewer reads in any case."""
NARROWEST: Final = 20
"""Columns for the names of stations, whatever stands before them."""
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


def _head(plan: Plan, width: int, colour: bool) -> list[str]:
    """The first lines: FIRST_LINES of them, as long as there are no errors to tell."""
    paint = _RED if not plan.is_admitted else _YELLOW if plan.changed else _GREEN
    lines = [_painted(line, paint if colour else "") for line in textwrap.wrap(headline.verdict(plan), width)]
    lines += textwrap.wrap(", ".join(plan.risks), width, break_on_hyphens=False)
    lines += textwrap.wrap(headline.needed(plan), width, break_on_hyphens=False)
    for problem in plan.problems[:PROBLEMS_SHOWN]:
        title = f"{problem.code}, {CATALOGUE[problem.code].title}"
        lines += _wrapped(f"{where_of(problem.place.file, problem.place.line, 'after')}: {title}", width, "  ")
    rows = headline.owner_rows(plan)
    if rows:
        lines.append("")
        lines += _owners(rows, width, max(FIRST_LINES - len(lines), headline.OWNER_ROWS))
    return lines


def _owners(rows: list[headline.OwnerRow], width: int, room: int) -> Iterator[str]:
    """Who drops, and whose they are then, in at most `room` lines: all rows that fit, and of each as many stations."""
    shown = rows if len(rows) <= room else rows[: room - 1]
    count_width = max(len(str(row.count)) for row in rows) + 2
    owner_width = min(max(len(row.owner) for row in rows), OWNER_WIDTH)
    what_width = max(len(row.what) for row in rows)
    blocks = []
    for row in shown:
        owner = cut(visible(row.owner), owner_width).ljust(owner_width)
        head = f"{row.count:>{count_width}}  {row.what:<{what_width}}  {owner}  "
        names = _wrapped(headline.stations_of(row, STATIONS_SHOWN), max(width - len(head), NARROWEST), "")
        blocks.append([head + names[0], *(" " * len(head) + line for line in names[1:])])
    _shorten(blocks, room - (len(rows) > len(shown)), width)
    for block in blocks:
        yield from block
    left = rows[len(shown) :]
    if left:
        yield f"{sum(row.count for row in left):>{count_width}}  more stations, which the sites below name"


def _shorten(blocks: list[list[str]], room: int, width: int) -> None:
    """Take lines from the longest of `blocks` until all of them fit into `room` lines, or have one each."""
    while sum(map(len, blocks)) > room:
        longest = max(blocks, key=len)
        if len(longest) == 1:
            return
        longest.pop()
        longest[-1] = cut(f"{longest[-1]} …", width)


def _fleet(plan: Plan, width: int) -> Iterator[str]:
    others = headline.other_consequences(plan)
    if others or plan.fan_out or plan.loosened:
        yield ""
    yield from others
    for one in plan.fan_out[: headline.FAN_OUT_ROWS]:
        place, what = headline.fan_out_line(one)
        yield from _wrapped(f"{place} {what}", width, "  ")
    for downgrade in plan.loosened:
        yield from _row(consequences.downgrade_row(downgrade), width, "")


def _site(site: SitePlan, width: int, colour: bool) -> Iterator[str]:
    head = f"{site.site} ({site.file}): {consequences.site_title(site)}; {', '.join(site.risks)}"
    for line in _wrapped(head, width, "  "):
        yield _painted(line, _BOLD if colour else "")
    rows = list(consequences.rows(site))
    for row in rows[:ROWS_SHOWN]:
        yield from _row(row, width, _RED if colour and row.what in _GRAVE else "")
    if len(rows) > ROWS_SHOWN:
        yield f"  and {len(rows) - ROWS_SHOWN} more"


def _row(row: consequences.Row, width: int, paint: str) -> Iterator[str]:
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
