"""The texts that admit Jinja expressions: `url`, `title` and `comment`, over `site`, `supervision`, `labels`, `vars`.

What cannot be rendered is a problem at its place. YAML itself is never templated.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pointsman_compiler.document import Path
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem

if TYPE_CHECKING:
    from pointsman_compiler.expressions import TemplateFault

TEXTS_AT_MOST: Final = 1000
"""Different texts with expressions of one site: each is compiled, which takes a millisecond."""

MARKS: Final = ("{{", "{%", "{#")

_HELP: Final = "known names are `site`, `supervision` (in a supervision's texts), `labels.<key>` and `vars.<key>`"


def render_templates(site: LayeredSite) -> tuple[LayeredSite, list[Problem]]:
    """Return `site` with every expression replaced by what it gives, and a problem for each that gives nothing.

    The places of problems are those of the written texts, be they the site's or the catalogue's.
    """
    texts = list(_texts(site))
    if not texts:
        return site, []
    if len({text for _, text, _ in texts}) > TEXTS_AT_MOST:
        return replace(site, broken=frozenset(path for path, _, _ in texts)), [_too_many(site, texts[-1][0])]
    from pointsman_compiler.expressions import TemplateFault, render  # jinja2 takes 100 ms, and few texts need it

    problems: list[Problem] = []
    broken: set[Path] = set()
    rendered: dict[Path, str] = {}
    for path, text, names in texts:
        try:
            rendered[path] = render(text, names)
        except TemplateFault as fault:
            problems.append(_problem(site, path, fault))
            broken.add(path)
    return replace(site, data=_with(site.data, rendered), broken=frozenset(broken)), problems


def _problem(site: LayeredSite, path: Path, fault: "TemplateFault") -> Problem:
    """At the expression that is at fault, where it stands in one line of the file; else at the whole text."""
    shown = f" {fault.expression}" if fault.expression else ""
    problem = site.problem("PM301", f"the template{shown} cannot be rendered: {fault}", _HELP, path)
    document = site.origin(path).document or site.document
    place = document.place_within(problem.place, fault.expression) if fault.expression else problem.place
    return replace(problem, place=place)


def is_template(text: str) -> bool:
    """Return whether `text` holds anything that Jinja would take."""
    return any(mark in text for mark in MARKS)


def _texts(site: LayeredSite) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    names = {"site": site.site, "labels": site.map_at(("labels",)), "vars": site.map_at(("vars",))}
    paths: list[tuple[Path, dict[str, Any]]] = [(("title",), names)]
    for name in site.map_at(("supervisions",)):
        own = {**names, "supervision": name}
        paths += [(("supervisions", name, "url"), own), (("supervisions", name, "proxy", "url"), own)]
    badges = enumerate(site.list_at(("badges",)))
    paths += [
        (("badges", index, "comment"), names)
        for index, badge in badges
        if isinstance(badge, dict) and "comment" in badge
    ]
    for path, own in paths:
        text = site.text_at(path)
        if text is not None and is_template(text):
            yield path, text, own


def _with(value: Any, texts: Mapping[Path, str]) -> Any:
    """`value` with `texts` in their places; each map and list on the way is copied once."""
    if () in texts:
        return texts[()]
    below: dict[str | int, dict[Path, str]] = {}
    for path, text in texts.items():
        below.setdefault(path[0], {})[path[1:]] = text
    if isinstance(value, list):
        return [_with(item, below[index]) if index in below else item for index, item in enumerate(value)]
    return {key: _with(item, below[key]) if key in below else item for key, item in value.items()}


def _too_many(site: LayeredSite, path: Path) -> Problem:
    return site.problem(
        "PM302",
        f"more than {TEXTS_AT_MOST} different texts of the site hold expressions",
        "write out what differs from badge to badge",
        path,
    )
