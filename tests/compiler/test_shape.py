"""The shape of documents: one problem for a mistake, at its place, in words that say what to do."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.document import Document, read_document
from pointsman_compiler.problems import Problem
from pointsman_compiler.shape import Kind, find_shape_problems

SITE = """\
version: 1
site: lyon
timeZone: Europe/Paris
supervision: multiple
supervisions:
  acme: {url: "wss://csms.acme.example/ocpp"}
groups:
  visitors: {operator: acme, stations: [A]}
  staff: {operator: local, stations: all}
stations:
  A: {}
  B: {}
"""


def document(text: str) -> Document:
    found = read_document("lyon.yaml", text.encode())
    assert isinstance(found, Document), found
    return found


def problems_of(text: str, kind: Kind = "site") -> list[Problem]:
    return find_shape_problems(document(text), kind)


def only_problem(text: str, kind: Kind = "site") -> Problem:
    (problem,) = problems_of(text, kind)
    return problem


def changed(old: str, new: str) -> str:
    assert old in SITE
    return SITE.replace(old, new, 1)


def with_url_and(rest: str) -> str:
    return changed('acme: {url: "wss://csms.acme.example/ocpp"}', f"acme: {{{rest}}}")


def test_a_site_of_each_mode_has_no_problem() -> None:
    local = "version: 1\nsite: a\ntimeZone: UTC\nsupervision: local\nstations: {A: {}}\nauthentication: {online: any}\n"
    unique = "version: 1\nsite: a\ntimeZone: UTC\nsupervision: unique\nsupervisions: {acme: {}}\nstations: {A: {}}\n"

    assert [problems_of(text) for text in (SITE, local, unique)] == [[], [], []]


@pytest.mark.parametrize("value", ["30.5", '"30"', "true", "0", "61", "30.0", "-1", "{}", "[30]"])
def test_a_ping_interval_out_of_bounds_has_one_problem_that_says_what_is_allowed(value: str) -> None:
    problem = only_problem(with_url_and(f"pingInterval: {value}"))

    assert problem.path == "/supervisions/acme/pingInterval"
    assert (problem.place.line, problem.place.column) == (6, 24)
    assert "a whole number from 1 to 60 is expected" in problem.message
    assert value == '"30"' or "WebSocket pings" in problem.help


def test_a_quoted_number_is_told_to_lose_its_quotes() -> None:
    assert only_problem(with_url_and('pingInterval: "30"')).help == "write it without quotes: 30"


@pytest.mark.parametrize("value", ["1", "30", "60", "null"])
def test_bounds_belong_to_the_range_and_null_removes(value: str) -> None:
    assert problems_of(with_url_and(f"pingInterval: {value}")) == []


@pytest.mark.parametrize("key", ["messageTimeout", "connectTimeout"])
def test_the_other_waits_of_a_supervision_have_the_same_bounds(key: str) -> None:
    assert [len(problems_of(with_url_and(f"{key}: {value}"))) for value in (0, 1, 60, 61)] == [1, 0, 0, 1]


def test_a_stations_own_ping_may_be_off() -> None:
    own = [problems_of(changed("A: {}", f"A: {{pingInterval: {value}}}")) for value in (0, 60, 61)]

    assert [len(found) for found in own] == [0, 0, 1]


MISTAKES = [
    # (change, code, path, part of the message, part of the help)
    (("timeZone:", "timezone:"), "PM203", "/timezone", "`timezone` is no key", "did you mean `timeZone`?"),
    (("timeZone: Europe/Paris\n", ""), "PM202", "/timeZone", "has no `timeZone`", "IANA name"),
    (("Europe/Paris", "Europe/Pariss"), "PM204", "/timeZone", "Europe/Pariss", "did you mean Europe/Paris?"),
    (("version: 1", 'version: "1"'), "PM201", "/version", '"1"', ""),
    (("version: 1", "version: 1.0"), "PM201", "/version", "1.0", ""),
    (("version: 1", "version: true"), "PM201", "/version", "true", ""),
    (("version: 1", "version: 2"), "PM204", "/version", "1 is expected", ""),
    (("site: lyon", "site: Lyon"), "PM206", "/site", "a-z 0-9 and -", "lyon-part-dieu"),
    (("site: lyon", "site: 12"), "PM201", "/site", "12", 'write it in quotes: "12"'),
    (("multiple", "Multiple"), "PM204", "/supervision", "local, unique or multiple", "did you mean multiple?"),
    (("operator: acme, ", ""), "PM202", "/groups/visitors/operator", "has no `operator`", "add `operator: acme`"),
    (("stations: all", "stations: every"), "PM204", "/groups/staff/stations", "or the word each", ""),
    (("stations: [A]", "stations: [A, A]"), "PM210", "/groups/visitors/stations/1", "twice", "delete"),
    (("stations: [A]", "stations: 3"), "PM201", "/groups/visitors/stations", "a list is expected", "all"),
    (("A: {}", "'A:1': {}"), "PM207", "/stations/A:1", "neither `:` nor `/`", ""),
    (("A: {}", "'A/1': {}"), "PM207", "/stations/A~11", "neither `:` nor `/`", ""),
    (("A: {}", "'..': {}"), "PM207", "/stations/..", "", ""),
    (("A: {}", f"{'A' * 49}: {{}}"), "PM207", f"/stations/{'A' * 49}", "1 to 48", ""),
    (("A: {}", "A: null"), "PM201", "/stations/A", "null", "write {}"),
    (("A: {}", "A: {password: hunter2}"), "PM204", "/stations/A/password", "never the password", ""),
    (("A: {}", "A: {password: {secret: 'a b'}}"), "PM206", "/stations/A/password/secret", "63 characters", ""),
    (("A: {}", "A: {protocols: [ocpp2.0]}"), "PM204", "/stations/A/protocols/0", "ocpp2.0", "ocpp2.0.1?"),
    (("acme: {url", "local: {url"), "PM207", "/supervisions/local", "is not `local`", ""),
    (("stations:\n  A: {}\n  B: {}\n", "stations: {}\n"), "PM209", "/stations", "at least 1", ""),
    (("site: lyon", 'site: "lyon\\n"'), "PM211", "/site", "line break", ""),
    (("site: lyon", 'site: "ly\\non"'), "PM211", "/site", "line break", ""),
]


@pytest.mark.parametrize(("change", "code", "path", "message", "help"), MISTAKES)
def test_a_mistake_has_one_problem_with_its_remedy(
    change: tuple[str, str], code: str, path: str, message: str, help: str
) -> None:
    problem = only_problem(changed(*change))

    assert (problem.code, problem.path) == (code, path)
    assert message in problem.message
    assert help in problem.help
    assert problem.help


@pytest.mark.parametrize(
    ("mode", "key", "reason"),
    [
        ("local", "supervisions: {a: {}}", "the controller is the only operator"),
        ("unique", "groups: {g: {stations: all}}", "authentication groups belong to it"),
        ("unique", "badges: []", "badges belong to it"),
        ("unique", "authentication: {}", "authentication rules belong to it"),
    ],
)
def test_a_key_that_the_mode_has_no_use_for_is_refused_with_the_reason(mode: str, key: str, reason: str) -> None:
    supervisions = "" if mode == "local" else "supervisions: {a: {}}\n"

    text = f"version: 1\nsite: a\ntimeZone: UTC\nsupervision: {mode}\n{supervisions}stations: {{A: {{}}}}\n{key}\n"

    problem = only_problem(text)
    assert problem.code == "PM208"
    assert reason in problem.message
    assert problem.place.column == 1


@pytest.mark.parametrize("entries", ["{}", "{a: {}, b: {}}"])
def test_unique_has_exactly_one_supervision(entries: str) -> None:
    text = f"version: 1\nsite: a\ntimeZone: UTC\nsupervision: unique\nsupervisions: {entries}\nstations: {{A: {{}}}}\n"

    assert "exactly one supervision" in only_problem(text).message


def test_strategies_belong_to_local_groups_only() -> None:
    problem = only_problem(changed("operator: acme, ", "operator: acme, authentication: {online: any}, "))

    assert problem.path == "/groups/visitors/authentication"
    assert "only where `operator` is `local`" in problem.message


def test_serving_a_lost_link_is_refused_until_it_works() -> None:
    assert "does not work yet" in only_problem(with_url_and("whenLost: serve")).message


def test_a_password_is_one_secret_or_one_a_station_but_not_both() -> None:
    both = "password: {secret: a, secretPerStation: 'b-{station}'}"

    assert "not both" in only_problem(with_url_and(both)).message
    assert "`secret`" in only_problem(with_url_and("password: {}")).message
    assert problems_of(with_url_and("password: {secretPerStation: 'b-{station}', format: hex}")) == []


@pytest.mark.parametrize("key", ["password: hunter2", "password: {secret: 'hunter2 '}", "password: [hunter2]"])
def test_what_may_be_a_password_is_not_repeated(key: str) -> None:
    for found in (problems_of(with_url_and(key)), problems_of(changed("A: {}", f"A: {{{key}}}"))):
        assert found
        assert "hunter2" not in "".join(problem.message + problem.help for problem in found)


def test_a_badge_entry_is_one_of_three() -> None:
    text = SITE + "badges:\n- {file: a.csv}\n- {secret: a}\n- {badge: A1, groups: [staff/A], until: 2027-01-31}\n"

    assert problems_of(text) == []
    assert problems_of(text + "- {comment: x}\n")[0].message == "an entry is a `badge`, a `file` or a `secret`"
    assert only_problem(text + "- {badge: 12}\n").help == 'write it in quotes: "12"'
    assert only_problem(text + "- {badge: A2, until: 2027-13-01}\n").code == "PM206"


def test_a_fleet_shares_the_definitions() -> None:
    fleet = "version: 1\ndefaults: {journal: {keepDays: 400}}\nsupervisions: {acme: {pingInterval: 61}}\n"

    assert only_problem(fleet, "fleet").path == "/supervisions/acme/pingInterval"
    assert only_problem("version: 1\npolicy: {requireTLS: true}\n", "fleet").help == "did you mean `requireTls`?"


@pytest.mark.parametrize("text", ["[]", "text", "12", "true", "[{a: 1}]"])
def test_a_root_that_is_no_map_is_one_problem(text: str) -> None:
    assert only_problem(text).code == "PM201"


def test_problems_are_sorted_and_the_same_for_every_order_of_keys() -> None:
    text = "b: 1\na: 2\nzz: 3\nsite: A\nsupervision: unique\nstations: {x/y: null, q: 3}\n"

    found = problems_of(text)

    assert [problem.place for problem in found] == sorted(problem.place for problem in found)
    assert len(found) == len({(problem.path, problem.code) for problem in found})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats(0, 99) | st.text("ab:/{}", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["supervision", "stations", "groups", "badges", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["local", "unique", "multiple", "other"]), st.sampled_from(["site", "fleet"]))
def test_data_of_any_shape_gives_problems_and_never_an_exception(data: Any, mode: str, kind: Kind) -> None:
    written = {"supervision": mode, "stations": data, "groups": data, "badges": [data], "supervisions": data}

    found = read_document("a.yaml", json.dumps(written).encode())

    if isinstance(found, Document):
        assert find_shape_problems(found, kind)
