"""A plan for programs: one object. Nothing in it is shortened; secrets by mistake are hidden, badges are counted."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pointsman_compiler.plan.badgechanges import BadgeChanges
from pointsman_compiler.plan.causes import Cause
from pointsman_compiler.plan.fates import Fate
from pointsman_compiler.plan.fleetplan import Plan
from pointsman_compiler.plan.siteplan import CausedDowngrade, SitePlan, ValueChange
from pointsman_compiler.pointer import pointer_of
from pointsman_compiler.problems import Problem
from pointsman_compiler.report.plan import headline
from pointsman_compiler.report.plan.values import without_secrets


def render_json(plan: Plan, *, compiler: str, tzdata: str) -> str:
    """Return the plan; `lock` makes it one that `compile --locked` takes. The versions say what made it."""
    plain = {
        "before": plan.before,
        "after": plan.after,
        "verdict": headline.verdict(plan),
        "risks": plan.risks,
        "acknowledge": {
            "demanded": plan.consent.demanded,
            "given": plan.consent.given,
            "missing": plan.missing,
        },
        "summary": _summary(plan),
        "policy": [_downgrade(one) for one in plan.loosened],
        "fanOut": [
            {"file": one.file, "line": one.line, "side": one.side, "sites": one.sites, "reconnects": one.stations}
            for one in plan.fan_out
        ],
        "problems": [_problem(problem) for problem in plan.problems],
        "broken": plan.broken,
        "sites": [_site(site) for site in plan.sites],
        "lock": plan.lock,
        **({"files": plan.files} if plan.files is not None else {}),
        "compiler": compiler,
        "tzdata": tzdata,
    }
    return _written(plain) + "\n"


def _written(plain: dict[str, Any]) -> str:
    """Plans of large fleets are large, and the standard library takes seconds; it knows names that are no UTF-8."""
    try:
        return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
    except UnicodeEncodeError:
        return json.dumps(plain, indent=2)


def _summary(plan: Plan) -> dict[str, Any]:
    counts = plan.counts
    return {
        "sites": plan.total,
        "added": plan.having("added"),
        "removed": plan.having("removed"),
        "renamed": plan.having("renamed"),
        "changed": plan.having("changed"),
        "same": plan.having("same") + plan.untouched,
        "broken": len(plan.broken),
        "differingFiles": plan.differing_files,
        "reconnects": counts.drops,
        "mayReconnect": counts.may_reconnect,
        "moves": counts.moves,
        "leaves": counts.leaves,
        "joins": counts.joins,
        "operatorsGained": _by_operator(site.gained for site in plan.sites),
        "operatorsLost": _by_operator(site.lost for site in plan.sites),
        "unusualTimers": sum(len(site.unusual) for site in plan.sites),
        "downgrades": sum(len(site.downgrades) for site in plan.sites) + len(plan.loosened),
        "badges": {
            "gained": counts.badges_gained,
            "lost": counts.badges_lost,
            "changed": counts.badges_changed,
        },
    }


def _by_operator(of_sites: Iterable[tuple[str, ...]]) -> dict[str, int]:
    """At how many sites."""
    return dict(sorted(Counter(operator for operators in of_sites for operator in operators).items()))


def _site(site: SitePlan) -> dict[str, Any]:
    moves = [fate for fate in site.fates if fate.kind == "moves"]
    return {
        "site": site.site,
        "file": site.file,
        "change": site.change,
        "renamedFrom": site.renamed_from,
        "digestBefore": site.digest_before,
        "digestAfter": site.digest_after,
        "unknownBefore": site.is_unknown_before,
        "risks": site.risks,
        "reconnects": sorted(_stations(site, "moves", "reconnects")),
        "mayReconnect": sorted(_stations(site, "may reconnect")),
        "moves": sorted(
            (_move(fate, one) for fate in moves for one in fate.stations),
            key=lambda move: str(move["station"]),
        ),
        "joins": sorted(_stations(site, "joins")),
        "leaves": sorted(_stations(site, "leaves")),
        "operators": {
            "before": site.owners_before,
            "after": site.owners_after,
            "gained": site.gained,
            "lost": site.lost,
        },
        "listeners": site.listeners,
        "downgrades": [_downgrade(one) for one in site.downgrades],
        "unusual": [
            {
                "path": pointer_of(one.path),
                "after": one.value,
                "usual": one.usual,
                "origin": _origin(one.cause),
            }
            for one in site.unusual
        ],
        "badges": _badges(site.badges),
        "changes": [*map(_change, site.changes), *_badge_changes(site.badges)],
    }


def _move(fate: Fate, station: str) -> dict[str, Any]:
    move = {"station": station, "from": fate.before, "to": fate.after}
    return move if fate.site is None else {**move, "fromSite": fate.site}


def _stations(site: SitePlan, *kinds: str) -> Iterator[str]:
    for fate in site.fates:
        if fate.kind in kinds:
            yield from fate.stations


def _change(change: ValueChange) -> dict[str, Any]:
    return {
        "path": pointer_of(change.path),
        "kind": change.kind,
        "before": without_secrets(change.before),
        "after": without_secrets(change.after),
        "origin": _origin(change.cause),
    }


def _badge_changes(badges: BadgeChanges) -> Iterator[dict[str, Any]]:
    """As one value, the count: what differs in it is counted under `badges`."""
    for cause in badges.causes:
        yield {
            "path": "/badges",
            "kind": "changed",
            "before": badges.before,
            "after": badges.after,
            "origin": _origin(cause),
        }


def _badges(badges: BadgeChanges) -> dict[str, Any]:
    counted: dict[str, Any] = {"gained": badges.gained, "lost": badges.lost, "changed": badges.changed}
    numbers = (badges.gained_numbers, badges.lost_numbers, badges.changed_numbers)
    if any(numbers):
        counted["numbers"] = dict(zip(("gained", "lost", "changed"), numbers, strict=True))
    return counted


def _downgrade(one: CausedDowngrade) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "path": pointer_of(one.path),
        "before": without_secrets(one.before),
        "after": without_secrets(one.after),
        "stations": one.stations,
        "origin": _origin(one.cause),
    }


def _origin(cause: Cause) -> dict[str, Any]:
    return {"side": cause.side, "layer": cause.layer, "file": cause.file, "line": cause.line}


def _problem(problem: Problem) -> dict[str, Any]:
    """Without its message; `pointsman check` tells it to whoever has the files."""
    return {"code": problem.code, "file": problem.place.file, "line": problem.place.line, "path": problem.path}
