"""Secrets that stand in a file by mistake: no report repeats them, neither in a message nor in a snippet."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.build import check
from pointsman_compiler.report.github import render_github
from pointsman_compiler.report.gitlab import render_gitlab
from pointsman_compiler.report.json import render_json
from pointsman_compiler.report.sarif import render_sarif
from pointsman_compiler.report.text import render_text
from pointsman_compiler.secrecy import MASK, is_telling_key, masked, secret_spans
from support.trees import UNIQUE, lay_out

AT = datetime(2026, 11, 22, tzinfo=UTC)
URL = 'url: "wss://csms.acme.example/ocpp"'
SECRET = "hunter2"
HEX = "0123456789abcdef0123456789abcdef"


def site_with(rest: str) -> str:
    return UNIQUE.replace(URL, rest)


LEAKS = {
    "password in clear": site_with(f"{URL}, password: {SECRET}"),
    "password in quotes": site_with(f'{URL}, password: "{SECRET} x"'),
    "password in a map": site_with(f"{URL}, password: {{value: {SECRET}}}"),
    "password in a list": site_with(f"{URL}, password: [{SECRET}]"),
    "password with another mistake beside it": site_with(f"{URL}, pingInterval: 99, password: {SECRET}"),
    "password and a name that is misspelt": site_with(f"{URL}, passwort: {SECRET}"),
    "password with a tag": site_with(f"{URL}, password: !{SECRET} x"),
    "password with an anchor": site_with(f"{URL}, password: &{SECRET} x"),
    "password as an alias": site_with(f"{URL}, password: *{SECRET}"),
    "password in broken YAML": site_with(f"{URL}, password: {SECRET}}}"),
    "password in a file that is indented by tabs": UNIQUE + f"\tpassword: {SECRET}\n",
    "user info": site_with(f'url: "wss://acme:{SECRET}@csms.acme.example/"'),
    "user info in a template": site_with(f'url: "wss://acme:{SECRET}@{{{{ site }}}}.example/"'),
    "credential in the query": site_with(f'url: "wss://csms.acme.example/?api_key={SECRET}"'),
    "credential in a query that is wrong": site_with(f'url: "wss://csms.acme.example/ x?api_key={SECRET}"'),
    "proxy with a password": site_with(f'{URL}, proxy: {{url: "http://u:{SECRET}@proxy:3128"}}'),
    "secret that is no name": site_with(f'{URL}, password: {{secret: "{SECRET} x"}}'),
    "value of a variable": UNIQUE + f"vars: {{apiToken: {SECRET}}}\n",
    "value of a label": UNIQUE + f"labels: {{password: {SECRET}}}\n",
    "key that the password owns": UNIQUE.replace("unique", "local").replace(
        'supervisions:\n  acme: {url: "wss://csms.acme.example/ocpp"}\n',
        f"groups: {{g: {{stations: all, stationKeys: {{AuthorizationKey: {SECRET}}}}}}}\n",
    ),
    "several lines": UNIQUE + f"vars:\n  password: |\n    {SECRET}\n    x\n",
    "station's own": UNIQUE.replace("CP-1: {}", f"CP-1: {{password: {SECRET}, pingInterval: 61}}"),
    "at the wrong place": UNIQUE + f"password: {SECRET}\n",
}


@pytest.mark.parametrize("name", LEAKS)
def test_no_report_repeats_a_secret(tmp_path: Path, name: str) -> None:
    tree = lay_out(tmp_path, {"one.yaml": LEAKS[name]})

    result = check(tree, AT)

    assert result.problems
    assert SECRET in LEAKS[name]
    text = render_text(result.problems, lambda file: tree.read(file).decode())
    for report in (text, render_json(result.problems, 1), render_github(result.problems)):
        assert SECRET not in report
    for report in (render_gitlab(result.problems), render_sarif(result.problems, "1")):
        assert SECRET not in report


def test_a_key_that_is_hexadecimal_is_not_shown_as_a_secrets_name(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, {"one.yaml": site_with(f"{URL}, password: {{secret: {HEX}}}")})

    problems = check(tree, AT).problems

    shown = render_text(problems, lambda file: tree.read(file).decode())
    assert [problem.code for problem in problems] == ["PM360"]
    assert HEX not in shown
    assert f"secret: {MASK}" in shown


def test_the_caret_stands_under_the_mask(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, {"one.yaml": site_with(f"{URL}, password: {SECRET}")})

    shown = render_text(check(tree, AT).problems, lambda file: tree.read(file).decode()).splitlines()

    line, caret = shown[2], shown[3]
    assert line[caret.index("^") : caret.rindex("^") + 1] == MASK


def test_a_key_in_pem_form_shows_no_line_of_it(tmp_path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\n    MC4CAQAwBQYDK2VwBCIEIHunter2xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n    -----END"
    tree = lay_out(tmp_path, {"one.yaml": UNIQUE + f"vars:\n  x: |\n    {pem}\n"})

    shown = render_text(check(tree, AT).problems, lambda file: tree.read(file).decode())

    assert "PM360" in shown
    assert "MC4C" not in shown


@pytest.mark.parametrize(
    "line",
    [
        "password: {secret: acme-password}",
        "password: {secret: acme-password, format: hex}",
        'stationPassword: {secretPerStation: "station-{station}"}',
        "  A: {password: none, certificateName: SN0815}",
        "trust: [../certificates/acme-root.pem]",
        "url: wss://csms.acme.example/ocpp/{station}?tenant=7",
        "badge: 04A2B1C3D4E580",
        "title: Lyon Part-Dieu, level P2",
    ],
)
def test_a_line_without_a_secret_is_shown_as_it_is(line: str) -> None:
    assert masked(line) == line


@pytest.mark.parametrize(
    "key", ["password", "stationPassword", "api_key", "apiKey", "authToken", "PWD", "client-secret"]
)
def test_keys_that_say_that_they_are_secret_are_known(key: str) -> None:
    assert is_telling_key(key)


@pytest.mark.parametrize("key", ["compass", "tokens", "monkey", "region", "keyCode", "certificateName"])
def test_keys_that_only_look_like_it_are_not(key: str) -> None:
    assert not is_telling_key(key)


@given(st.text("ab:{}[]'\"password ,=/@?-", max_size=80))
def test_what_is_outside_of_secrets_is_kept_word_for_word(line: str) -> None:
    hidden = {offset for start, end in secret_spans(line) for offset in range(start, end)}

    kept = "".join(character for offset, character in enumerate(line) if offset not in hidden)

    assert masked(line).replace(MASK, "") == kept


@pytest.mark.parametrize(
    "part", ["pass", "password: ", "password: {", "//", "//a@", "?key=", "?a;key", "0a", "{", "A1b/"]
)
def test_a_line_of_a_mebibyte_is_searched_in_less_than_a_second(part: str) -> None:
    import time

    line = part * (2**20 // len(part))
    began = time.process_time()
    secret_spans(line)
    assert time.process_time() - began < 1


def test_json_stays_json(tmp_path: Path) -> None:
    problems = check(lay_out(tmp_path, {"one.yaml": LEAKS["several lines"]}), AT).problems

    assert json.loads(render_json(problems, 1))["errors"] == 1
