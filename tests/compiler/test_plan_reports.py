"""Reports of plans: bounded, the verdict first, and nothing that a person wrote is markup in them."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from pointsman_compiler.plan.causes import Cause
from pointsman_compiler.plan.fates import Fate
from pointsman_compiler.plan.fleetplan import FanOut, Plan, fan_outs
from pointsman_compiler.plan.siteplan import CausedDowngrade, SitePlan, ValueChange
from pointsman_compiler.planning import Wish, make_plan
from pointsman_compiler.problems import Place, Problem
from pointsman_compiler.report.plan.github import SHOWN_OF_A_LEVEL, render_github
from pointsman_compiler.report.plan.html import render_html
from pointsman_compiler.report.plan.json import render_json
from pointsman_compiler.report.plan.markdown import LONGEST, MARKER, render_markdown
from pointsman_compiler.report.plan.picture import WIDTH, draw
from pointsman_compiler.report.plan.rendering import markdown_code
from pointsman_compiler.report.plan.text import render_text
from pointsman_compiler.stores.folder import Folder

PLANS = Path(__file__).parent / "plans"
AT = datetime(2026, 11, 22, tzinfo=UTC)
CASES = sorted(path.name for path in PLANS.iterdir() if path.is_dir())
TABLE = {"table", "thead", "tbody", "tr", "th", "td"}
HOSTILE = (
    "| @everyone <img src=x onerror=alert(1)> [a](http://b.example) ![i](x) `x` #1 www.b.example https://b.example "
    ":tada: **b** _i_ ~~s~~ &amp; </code></details><script>alert(1)</script> --> {{ 7 * 7 }} a@b.example \\| \\` $x$"
)


def plan_of(case: str) -> Plan:
    before, after = (Folder(PLANS / case / side) for side in ("before", "after"))
    return make_plan(before, after, ("main", "HEAD"), Wish(AT), lambda found, _: iter(found))


def hostile(sites: int = 1) -> Plan:
    """A plan in which all that people can write is HOSTILE."""
    cause = Cause("after", "site", HOSTILE, 7)
    change = ValueChange(("labels", HOSTILE), "changed", HOSTILE, f"{HOSTILE}!", cause)
    fates = (Fate("moves", (HOSTILE,), HOSTILE, HOSTILE[::-1], (cause,)),)
    made = tuple(
        SitePlan(
            f"{number}{HOSTILE}",
            HOSTILE,
            "changed",
            fates=fates,
            listeners={HOSTILE: "closes"},
            owners_before={HOSTILE: 1},
            owners_after={HOSTILE[::-1]: 1},
            changes=(change,),
        )
        for number in range(sites)
    )
    return Plan(HOSTILE, HOSTILE, made, fan_out=fan_outs(made))


class Page(HTMLParser):
    """The elements of a page, with their attributes, what stands in code, and what stands outside of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.code: list[str] = []
        self.prose = ""
        self._depth = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "code":
            self._depth += 1
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "code"

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.code[-1] += data
        else:
            self.prose += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def rendered(markdown: str) -> Page:
    """Markdown as a forge renders it: tables, struck text and HTML are admitted."""
    return Page(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


def test_in_a_comment_what_people_wrote_is_code_and_nothing_else() -> None:
    page = rendered(render_markdown(hostile(2)))

    tags = {tag for tag, _ in page.elements}
    assert tags <= {"h3", "p", "code", "ul", "li", "details", "summary", "sub", *TABLE}
    assert {name for _, attributes in page.elements for name in attributes} <= {"style"}
    assert page.comments == [" pointsman-plan "]
    assert HOSTILE in page.code
    assert not re.search(r"@|http|www|alert|tada|#1|everyone|\{\{", page.prose)


@pytest.mark.parametrize("text", [HOSTILE, "\n| --- |\n# x", "`", "a\tb", "\u202eevil", "ünïcödé → 漢字", " "])
def test_code_says_letter_by_letter_what_was_written(text: str) -> None:
    (paragraph,) = (rendered(f"before {markdown_code(text)} after"),)

    shown = "".join(letter if letter.isprintable() else " " if letter == "\t" else "\ufffd" for letter in text)
    assert paragraph.code == [shown]
    assert [tag for tag, _ in paragraph.elements] == ["p", "code"]


@pytest.mark.parametrize("case", CASES)
def test_a_comment_begins_with_the_verdict_and_is_whole(case: str) -> None:
    plan = plan_of(case)
    comment = render_markdown(plan)

    assert comment.splitlines()[0].startswith("### ")
    assert comment.splitlines()[0].endswith(MARKER)
    page = rendered(comment)
    assert sum(tag == "details" for tag, _ in page.elements) == len(plan.changed)
    assert comment.count("<details>") == comment.count("</details>")


@pytest.mark.parametrize("sites", [1, 30, 3000])
def test_a_comment_is_never_too_long_and_says_what_was_left_out(sites: int) -> None:
    comment = render_markdown(hostile(sites))

    assert len(comment) <= LONGEST
    assert comment.count("<details>") == comment.count("</details>")
    shown = comment.count("<details>")
    assert shown == sites or f"{sites - shown} more sites change" in comment
    assert "stations" in "\n".join(comment.splitlines()[:10])


def test_a_comment_is_never_too_long_whatever_files_and_revisions_are_called() -> None:
    folder = "/".join(["_" * 200] * 4)
    problems = tuple(
        Problem("PM310", "error", "", "", Place(f"{folder}/{number}.yaml", 7, 1, 7, 2), "") for number in range(60)
    )
    cause = Cause("after", "site", f"{folder}/fleet.yaml", 12)
    plan = hostile(60)
    broken = Plan(
        before=folder,
        after=folder,
        sites=plan.sites,
        problems=problems,
        broken=tuple(f"s{number}" for number in range(60)),
        loosened=(CausedDowngrade("policy-loosened", ("policy", "requireTls"), True, False, cause),) * 3,
        fan_out=tuple(FanOut(f"{folder}/{number}.yaml", 1, "after", ("a", "b"), 2) for number in range(12)),
    )

    comment = render_markdown(broken)

    assert len(comment) <= LONGEST
    assert comment.count("<details>") == comment.count("</details>")
    assert "60 sites do not compile" in comment.splitlines()[0]
    assert "PM310" in comment
    assert comment.endswith("</sub>\n")


@pytest.mark.parametrize("asked", [False, True])
def test_a_comment_says_whether_numbers_of_badges_are_left_out(asked: bool) -> None:
    before, after = (Folder(PLANS / "badges-gained-lost-changed" / side) for side in ("before", "after"))
    plan = make_plan(before, after, ("main", "HEAD"), Wish(AT, show_badges=asked), lambda found, _: iter(found))

    comment = render_markdown(plan)

    assert ("Badge numbers are left out." in comment) is not asked
    assert ("badges gained" in comment) is asked


def test_a_page_loads_nothing_and_admits_no_style_but_its_own() -> None:
    html = render_html(hostile(3))
    page = Page(html)

    policy = next(one["content"] for tag, one in page.elements if tag == "meta" and "http-equiv" in one) or ""
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img", "link", "iframe", "form", "a", "base"})
    names = {name for _, attributes in page.elements for name in attributes}
    assert names.isdisjoint({"src", "href", "style"})
    assert not any(name.startswith("on") for name in names)
    assert HOSTILE in page.code


@pytest.mark.parametrize("case", CASES)
def test_a_page_is_well_formed_and_has_a_picture_where_owners_can_be_compared(case: str) -> None:
    plan = plan_of(case)
    html = render_html(plan)
    page = Page(html)

    for tag in ("svg", "table", "details", "div", "ul", "p", "main", "body"):
        assert len(re.findall(f"<{tag}[ >]", html)) == html.count(f"</{tag}>"), tag
    compared = [site for site in plan.changed if not site.is_unknown_before]
    pictures = [attributes for tag, attributes in page.elements if tag == "svg" and attributes.get("role") == "img"]
    assert len(pictures) == (len(compared) + 1 if compared else 0)
    assert all(picture["aria-label"] for picture in pictures)


def stations_of(fates: list[Fate]) -> int:
    return sum(len(fate.stations) for fate in fates)


def test_who_goes_from_site_to_site_is_drawn_once() -> None:
    plan = plan_of("station-goes-to-another-site")

    picture = draw(plan.changed)

    assert picture is not None
    assert sum(bar.stations for bar in picture.before) == sum(sum(site.owners_before.values()) for site in plan.sites)
    assert sum(bar.stations for bar in picture.after) == sum(sum(site.owners_after.values()) for site in plan.sites)


@pytest.mark.parametrize("case", CASES)
def test_a_picture_has_every_station_on_each_side_and_stays_in_its_frame(case: str) -> None:
    plan = plan_of(case)
    for site in plan.changed:
        picture = draw([site])
        if picture is None:
            assert site.is_unknown_before
            continue
        comes = [fate for fate in site.fates if fate.kind == "joins" or (fate.kind == "moves" and fate.site)]
        leaves = [fate for fate in site.fates if fate.kind == "leaves"]
        assert sum(bar.stations for bar in picture.before) == sum(site.owners_before.values()) + stations_of(comes)
        assert sum(bar.stations for bar in picture.after) == sum(site.owners_after.values()) + stations_of(leaves)
        assert all(bar.y > 0 and bar.y + bar.height <= picture.height for bar in (*picture.before, *picture.after))
        numbers = [float(number) for band in picture.bands for number in re.findall(r"[\d.]+", band.outline)]
        assert all(0 <= number <= max(WIDTH, picture.height) for number in numbers)


def test_many_small_owners_are_drawn_as_one() -> None:
    owners = {f"cpo-{number:02}": 1 + number for number in range(40)}
    site = SitePlan("s", "s.yaml", "changed", owners_before=owners, owners_after=owners)

    picture = draw([site])

    assert picture is not None
    assert len(picture.before) <= 13
    assert sum(bar.stations for bar in picture.before) == sum(owners.values())


@pytest.mark.parametrize("case", CASES)
def test_a_terminal_gets_no_control_character_and_at_most_80_columns(case: str) -> None:
    for line in render_text(plan_of(case)).splitlines():
        assert line.isprintable()
        assert len(line) <= 80


def test_a_hostile_plan_does_not_reach_the_terminal() -> None:
    site = SitePlan("s\x1b[2J", "f\x07", "changed", fates=(Fate("leaves", ("\x1b]0;x",), "a\x1b", None, ()),))

    text = render_text(Plan("a", "b", (site,)))

    assert "\x1b" not in text
    assert "\x07" not in text


def test_annotations_are_few_and_one_line_each() -> None:
    sites = []
    for number in range(40):
        cause = Cause("after", "site", f"s{number}.yaml", 3)
        fate = Fate("reconnects", ("A\n::error::x",), "a", "a", (cause,))
        sites.append(SitePlan(f"s{number}", "f", "changed", fates=(fate,)))

    lines = render_github(Plan("a", "b", tuple(sites)), root="sites").splitlines()

    assert len(lines) == SHOWN_OF_A_LEVEL
    wanted = r"::notice file=sites/s\d+\.yaml,line=3,title=s\d+%3A risk/reconnect::.*"
    assert all(re.fullmatch(wanted, line) for line in lines)


def test_json_hides_what_looks_like_a_secret() -> None:
    plan = plan_of("url-query-with-a-secret")

    text = render_json(plan, compiler="1", tzdata="2")

    assert "abc1" not in text
    (change,) = json.loads(text)["sites"][0]["changes"]
    assert change["before"] == change["after"] == "wss://csms.acme.example/ocpp?token=•••"
