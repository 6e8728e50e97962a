"""A plan as workflow commands of GitHub Actions: annotations at the lines of a pull request, the gravest first.

GitHub shows ten notices, ten warnings and ten errors of a step, so what one line does to many sites is one annotation.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from pointsman_compiler.catalogue import CATALOGUE
from pointsman_compiler.plan.causes import Cause
from pointsman_compiler.plan.fleetplan import Plan
from pointsman_compiler.plan.risks import RISKS, Risk
from pointsman_compiler.report.github import workflow_command
from pointsman_compiler.report.paths import below
from pointsman_compiler.report.plan import consequences, headline

SHOWN_OF_A_LEVEL: Final = 10
LINES_SHOWN: Final = 10
"""Consequences of one annotation."""

Level = Literal["error", "warning", "notice"]

_GRAVE: Final = frozenset[Risk]({"risk/authority-move", "risk/security-downgrade"})


@dataclass(slots=True)
class _Note:
    """What a line does: labels, sites and consequences."""

    risks: set[Risk] = field(default_factory=set)
    sites: set[str] = field(default_factory=set)
    said: dict[str, None] = field(default_factory=dict)


def render_github(plan: Plan, *, root: str = "") -> str:
    """Return a line for each annotation; nothing for no change. `root` is the sites folder from the repository."""
    lines: list[str] = []
    for level in ("error", "warning", "notice"):
        lines += [line for kind, line in _annotations(plan, root) if kind == level][:SHOWN_OF_A_LEVEL]
    return "".join(f"{line}\n" for line in lines)


def _annotations(plan: Plan, root: str) -> Iterator[tuple[Level, str]]:
    for problem in plan.problems:
        title = f"{problem.code}: {CATALOGUE[problem.code].title}"
        properties = {"file": below(root, problem.place.file), "line": str(problem.place.line), "title": title}
        yield "error", workflow_command("error", properties, "this site does not compile; see pointsman check")
    if plan.missing:
        yield "error", workflow_command("error", {"title": "not acknowledged"}, headline.needed(plan))
    for (file, line), note in sorted(_notes(plan).items(), key=_gravity):
        risks = [risk for risk in RISKS if risk in note.risks]
        level: Level = "warning" if note.risks & _GRAVE else "notice"
        sites = f"{len(note.sites)} sites" if len(note.sites) > 1 else next(iter(note.sites))
        said = list(note.said)
        more = [f"and {len(said) - LINES_SHOWN} more"] if len(said) > LINES_SHOWN else []
        properties = {"file": below(root, file), "line": str(line or 1), "title": f"{sites}: {', '.join(risks)}"}
        yield level, workflow_command(level, properties, "\n".join([*said[:LINES_SHOWN], *more]))


def _notes(plan: Plan) -> dict[tuple[str, int | None], _Note]:
    notes: dict[tuple[str, int | None], _Note] = defaultdict(_Note)

    def add(cause: Cause, site: str, risk: Risk, said: str) -> None:
        if cause.file is not None:
            note = notes[cause.file, cause.line if cause.side == "after" else None]
            note.risks.add(risk)
            note.sites.add(site)
            note.said.setdefault(said)

    for site in plan.changed:
        for fate in site.fates:
            risk: Risk = "risk/authority-move" if fate.kind == "moves" else "risk/reconnect"
            for cause in fate.causes if fate.kind != "joins" else ():
                add(cause, site.site, risk, consequences.fate_sentence(site.site, fate))
        for downgrade in site.downgrades:
            row = consequences.downgrade_row(downgrade)
            add(downgrade.cause, site.site, "risk/security-downgrade", f"{row.subject}: {row.note}")
    for downgrade in plan.loosened:
        row = consequences.downgrade_row(downgrade)
        add(downgrade.cause, "the fleet", "risk/security-downgrade", f"{row.subject}: {row.note}")
    return notes


def _gravity(one: tuple[tuple[str, int | None], _Note]) -> tuple[int, int, str, int]:
    (file, line), note = one
    weight = sum(1 << list(RISKS).index(risk) for risk in note.risks)
    return -weight, -len(note.sites), file, line or 0
