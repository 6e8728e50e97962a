"""Expressions over the site's own names, and nothing that a stranger could abuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.expressions import LARGEST_OUTPUT, LARGEST_TEMPLATE, TemplateFault, render
from pointsman_compiler.templates import is_template

NAMES = {"site": "one", "labels": {"region": "ara"}, "vars": {"n": 7, "flag": True, "long": "x" * (LARGEST_OUTPUT + 1)}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wss://{{ site }}.example", "wss://one.example"),
        ("{{ labels.region | upper }}", "ARA"),
        ("{{ labels['region'] }}-{{ vars.n }}", "ara-7"),
        ("{{ site ~ '-' ~ vars.n }}", "one-7"),
        ("{{ 'a' if labels.region == 'ara' else 'b' }}", "a"),
        ("{{ vars.missing | default('x') }}", "x"),
        ("{{ site | replace('o', '0') }}", "0ne"),
        ("{station}/{{ site }}\n", "{station}/one\n"),
    ],
)
def test_expressions_give_text(text: str, expected: str) -> None:
    assert render(text, NAMES) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ nothing }}", "`nothing` is undefined"),
        ("{{ vars.nothing }}", "`vars.nothing` is undefined"),
        ("{{ labels.items }}", "`labels.items` is undefined"),
        ("{{ labels._values }}", "undefined"),
        ("{{ labels.__class__ }}", "undefined"),
        ("{{ ''.__class__ }}", "undefined"),
        ("{{ labels }}", "a map of names"),
        ("{{ vars.flag }}", "bool"),
        ("{{ vars.long }}", "more than 8192"),
        ("{{ 'a' * 10 }}", "no arithmetic"),
        ("{{ 10 ** 10 ** 10 }}", "no arithmetic"),
        ("{{ site.upper() }}", "no call"),
        ("{% set a = 1 %}", "no statement"),
        ("{% include 'x' %}", "no statement"),
        ("{{ range(9) }}", "no call"),
        ("{{ site", "end of print statement"),
        ("{{ site | unknown }}", "unknown"),
        ("{{ site is defined }}", "no test"),
        ("{{ site | replace(1, 2) }}", "takes texts"),
        ("{{ 'x' | replace('x', vars.n) }}", "takes texts"),
        ("{{ " + "(" * 1500 + "site" + ")" * 1500 + " }}", "too deep"),
        ("{{ site }}" + "x" * LARGEST_TEMPLATE, "more than 4096"),
    ],
)
def test_what_gives_no_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(TemplateFault, match=reason.replace("*", r"\*")):
        render(text, NAMES)


def test_growth_by_repeated_replacement_is_bounded() -> None:
    grow = " | replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" * 8

    with pytest.raises(TemplateFault, match="more than 8192"):
        render("{{ 'a'" + grow + " }}", NAMES)


@given(st.text(alphabet="{}%# ~|.()[]'\"abcsitevarslabels0*-+\n", max_size=60))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    try:
        rendered = render(text, NAMES)
    except TemplateFault:
        return
    assert is_template(text) or rendered == text
