"""What stations of local groups are brought to: against simulated stations of all versions, link by broken link."""

import json
from typing import Any

import pytest
from pointsman_agent.routing import Routing
from pointsman_agent.strategy.dialects import dialect_of
from pointsman_agent.strategy.keep import BEFORE_FACT, OPERATOR_FACT, keep, leave
from pointsman_agent.strategy.locallist import LIST_FACT
from pointsman_agent.strategy.steps import Ask, Remember, Report
from pointsman_agent.strategy.wanted import ListEntry, Wanted, wanted_of
from pointsman_schema.bundle import LOCAL, Authentication, Badge, Group, read_payload
from pointsman_schema.envelope import open_unverified
from pointsman_simulator.memory import LIST_PER_MESSAGE, StationMemory
from support.fakes import NOON
from support.plans import Bench, LinkBroke
from support.sites import a_badge, a_bundle, a_config

PROTOCOLS = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
STRATEGY = {
    "ocpp1.6": [
        "LocalAuthListEnabled",
        "LocalAuthorizeOffline",
        "AllowOfflineTxForUnknownId",
        "LocalPreAuthorize",
        "AuthorizationCacheEnabled",
    ],
    "ocpp2": [
        "LocalAuthListCtrlr.Enabled",
        "AuthCtrlr.LocalAuthorizeOffline",
        "AuthCtrlr.OfflineTxForUnknownIdEnabled",
        "AuthCtrlr.LocalPreAuthorize",
        "AuthCacheCtrlr.Enabled",
    ],
}


def entries(number: int, *, vip: bool = False, first: int = 0) -> dict[str, ListEntry]:
    names = [f"{index:08x}" for index in range(first, first + number)]
    return {name: ListEntry(name, "ISO14443", None, vip) for name in names}


def wanted(
    offline: str = "known", badges: dict[str, ListEntry] | None = None, keys: dict[str, str] | None = None
) -> Wanted:
    return Wanted(
        uses_list=offline == "known",
        authorizes_offline=offline != "none",
        admits_unknown=offline == "any",
        entries=(badges if badges is not None else entries(3)) if offline == "known" else {},
        keys=keys or {},
        clock={},
    )


def settings(bench: Bench) -> list[str]:
    """List, offline, unknown, pre-authorize, cache: as they are on the station."""
    is_16 = bench.protocol == "ocpp1.6"
    names = STRATEGY["ocpp1.6" if is_16 else "ocpp2"]
    found = bench.memory.keys if is_16 else bench.memory.variables
    return [found[name] for name in names]


def bring(bench: Bench, goal: Wanted) -> Report:
    return bench.run(keep(goal, dialect_of(bench.protocol), bench.facts))


def large(protocol: str, capacity: int = 2000) -> Bench:
    bench = Bench(protocol)
    bench.memory.keys["LocalAuthListMaxLength"] = str(capacity)
    bench.memory.variables["LocalAuthListCtrlr.Entries#MaxSet"] = str(capacity)
    return bench


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("offline", "expected"),
    [
        ("known", ["true", "true", "false", "false", "false"]),
        ("any", ["false", "true", "true", "false", "false"]),
        ("none", ["false", "false", "false", "false", "false"]),
    ],
)
def test_r37_each_strategy_ends_in_its_settings(protocol: str, offline: str, expected: list[str]) -> None:
    bench = Bench(protocol)
    bench.memory.keys["LocalPreAuthorize"] = bench.memory.variables["AuthCtrlr.LocalPreAuthorize"] = "true"

    report = bring(bench, wanted(offline))

    assert (report.state, report.refused) == ("in force", ())
    assert settings(bench) == expected
    assert bench.memory.cache_cleared > 0
    assert len(bench.memory.local_list) == (3 if offline == "known" else 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_r37_a_station_that_has_all_is_asked_and_told_nothing(protocol: str) -> None:
    bench = Bench(protocol)
    bring(bench, wanted())

    bring(bench, wanted())

    reading = "GetConfiguration" if protocol == "ocpp1.6" else "GetVariables"
    assert set(bench.actions()) == {reading, "GetLocalListVersion"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_r37_the_list_goes_in_the_stations_portions_and_is_enabled_after_the_last(protocol: str) -> None:
    bench = large(protocol)

    bring(bench, wanted(badges=entries(60)))

    sent = [ask for ask in bench.asked if ask.action == "SendLocalList"][1:]  # the first one clears
    sizes = [len(ask.payload["localAuthorizationList"]) for ask in sent]
    versions: list[int] = [ask.payload.get("listVersion") or ask.payload["versionNumber"] for ask in sent]
    assert sizes == [LIST_PER_MESSAGE, LIST_PER_MESSAGE, 60 - 2 * LIST_PER_MESSAGE]
    assert [ask.payload["updateType"] for ask in sent] == ["Full", "Differential", "Differential"]
    assert versions == sorted(set(versions))
    assert position(bench, "true", STRATEGY) > bench.asked.index(sent[-1])
    assert len(bench.memory.local_list) == 60


def position(bench: Bench, value: str, names: dict[str, list[str]]) -> int:
    """Where the list was switched."""
    enabled = [names["ocpp1.6"][0], "Enabled"]
    for index, ask in enumerate(bench.asked):
        for item in ask.payload.get("setVariableData", [ask.payload]):
            about = item.get("key") or item.get("variable", {}).get("name")
            is_list = item.get("component", {}).get("name", "LocalAuthListCtrlr") == "LocalAuthListCtrlr"
            if about in enabled and is_list and item.get("value", item.get("attributeValue")) == value:
                return index
    raise AssertionError("never switched")


def test_r37_a_message_keeps_the_stations_bytes() -> None:
    bench = large("ocpp2.0.1")
    bench.memory.variables["LocalAuthListCtrlr.ItemsPerMessage"] = "1000"
    bench.memory.variables["LocalAuthListCtrlr.BytesPerMessage"] = "2000"

    bring(bench, wanted(badges=entries(100)))

    sizes = [len(json.dumps(ask.payload)) for ask in bench.asked if ask.action == "SendLocalList"]
    assert max(sizes) <= 2000
    assert len(bench.memory.local_list) == 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_r37_a_changed_badge_goes_as_a_difference(protocol: str) -> None:
    bench = large(protocol)
    badges = entries(60)
    bring(bench, wanted(badges=badges))
    gone, changed = "00000000", "00000001"
    until = ListEntry(changed, "ISO14443", "2027-01-31T23:00:00Z", False)

    bring(
        bench, wanted(badges={**{n: e for n, e in badges.items() if n != gone}, changed: until, **entries(1, first=99)})
    )

    (sent,) = [ask for ask in bench.asked if ask.action == "SendLocalList"]
    assert sent.payload["updateType"] == "Differential"
    assert len(sent.payload["localAuthorizationList"]) == 3
    assert gone not in bench.memory.local_list
    assert "2027-01-31T23:00:00Z" in bench.memory.local_list[changed].values()
    assert len(bench.memory.local_list) == 60


def test_r34_a_badge_of_another_type_is_another_token() -> None:
    bench = Bench("ocpp2.0.1")
    bring(bench, wanted())
    name = "00000001"

    bring(bench, wanted(badges={**entries(3), name: ListEntry(name, "ISO15693", None, False)}))

    (sent,) = [ask for ask in bench.asked if ask.action == "SendLocalList"]
    tokens = [(row["idToken"]["type"], "idTokenInfo" in row) for row in sent.payload["localAuthorizationList"]]
    assert tokens == [("ISO14443", False), ("ISO15693", True)]


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_r37_after_a_version_mismatch_the_list_goes_whole(protocol: str) -> None:
    bench = large(protocol)
    bring(bench, wanted(badges=entries(30)))
    bench.memory.local_list_version += 7  # somebody else was there
    bench.memory.local_list.clear()

    report = bring(bench, wanted(badges=entries(31)))

    sent = [ask.payload["updateType"] for ask in bench.asked if ask.action == "SendLocalList"]
    assert sent == ["Full", "Differential"]
    assert (report.state, len(bench.memory.local_list)) == ("in force", 31)


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
@pytest.mark.parametrize("loses", ["call", "answer"])
def test_r37_a_list_of_1000_arrives_whole_when_the_link_breaks_at_any_message(protocol: str, loses: str) -> None:
    whole = large(protocol)
    bring(whole, wanted(badges=entries(1000)))
    calls = len(whole.asked)
    assert calls > 40

    for at in range(calls):
        bench = large(protocol)
        bench.breaks_at, bench.loses = at, loses
        with pytest.raises(LinkBroke):
            bring(bench, wanted(badges=entries(1000)))
        bench.breaks_at = None
        report = bring(bench, wanted(badges=entries(1000)))

        assert (report.state, report.refused) == ("in force", ())
        assert settings(bench) == settings(whole)
        assert bench.memory.local_list == whole.memory.local_list


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_r37_a_list_that_broke_off_goes_on_where_it_was(protocol: str) -> None:
    bench = large(protocol)
    bench.breaks_at = 30
    with pytest.raises(LinkBroke):
        bring(bench, wanted(badges=entries(1000)))
    arrived = len(bench.memory.local_list)
    bench.breaks_at = None

    bring(bench, wanted(badges=entries(1000)))

    sent = [ask for ask in bench.asked if ask.action == "SendLocalList"]
    assert 0 < arrived < 1000
    assert {ask.payload["updateType"] for ask in sent} == {"Differential"}
    assert sum(len(ask.payload["localAuthorizationList"]) for ask in sent) == 1000 - arrived


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_r37_a_list_that_is_too_long_is_reported_and_stays_off(protocol: str) -> None:
    bench = large(protocol, capacity=50)

    report = bring(bench, wanted(badges=entries(51)))

    assert report.state == "refused"
    assert report.refused == ("local list: 51 badges, and the station holds 50",)
    assert settings(bench)[0] == "false"
    assert bench.memory.local_list == {}


@pytest.mark.parametrize(("limit", "state"), [(50, "refused"), (51, "in force"), (None, "in force")])
def test_r37_a_station_that_tells_its_capacity_in_reports_only_is_asked_for_one(limit: int | None, state: str) -> None:
    bench = Bench("ocpp2.0.1")
    del bench.memory.variables["LocalAuthListCtrlr.Entries#MaxSet"]
    if limit is not None:
        bench.memory.reported_limits["LocalAuthListCtrlr.Entries"] = limit

    report = bring(bench, wanted(badges=entries(51)))

    assert (report.state, "GetReport" in bench.actions()) == (state, True)
    assert report.refused == (() if state == "in force" else ("local list: 51 badges, and the station holds 50",))


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_r37_a_list_that_the_station_cannot_hold_though_it_did_not_say_so_stays_off(protocol: str) -> None:
    bench = Bench(protocol)
    del bench.memory.keys["LocalAuthListMaxLength"], bench.memory.variables["LocalAuthListCtrlr.Entries#MaxSet"]

    report = bring(bench, wanted(badges=entries(101)))

    assert report.state == "refused"
    assert report.refused == ("local list: SendLocalList: Failed",)
    assert settings(bench)[0] == "false"


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_r37_a_station_that_takes_lists_only_while_enabled_gets_it_so(protocol: str) -> None:
    bench = Bench(protocol)
    bench.memory.lists_while_enabled = True

    report = bring(bench, wanted(badges=entries(60)))

    assert report.state == "in force"
    assert settings(bench) == ["true", "true", "false", "false", "false"]
    assert len(bench.memory.local_list) == 60


def test_r37_a_station_without_a_local_list_is_reported() -> None:
    bench = Bench("ocpp1.6")
    for name in ("LocalAuthListEnabled", "LocalAuthListMaxLength"):
        del bench.memory.keys[name]

    report = bring(bench, wanted())

    assert report.refused == ("local list: the station has none",)
    assert bring(bench, wanted("none")).state == "in force"


@pytest.mark.parametrize("word", ["Rejected", "NotSupported"])
def test_r37_what_is_refused_is_reported_and_not_asked_again_until_a_boot(word: str) -> None:
    bench = Bench("ocpp1.6")
    bench.memory.refused["LocalAuthorizeOffline"] = word

    first = bring(bench, wanted("none"))
    second = bring(bench, wanted("none"))
    again = bench.actions("ChangeConfiguration")

    assert first.refused == (f"LocalAuthorizeOffline=false: {word}",)
    assert second.refused == ("LocalAuthorizeOffline=false: refused before",)
    assert again == []
    bench.facts.pop("refused")  # as a boot does
    bench.memory.refused.clear()
    assert bring(bench, wanted("none")).state == "in force"


def test_r37_what_needs_a_restart_is_pending() -> None:
    bench = Bench("ocpp1.6")
    bench.memory.refused["LocalAuthorizeOffline"] = "RebootRequired"

    report = bring(bench, wanted("none"))

    assert report.state == "pending"
    assert report.waits == ("LocalAuthorizeOffline=false after a restart of the station",)


@pytest.mark.parametrize(
    ("protocol", "name"), [("ocpp1.6", "ConnectionTimeOut"), ("ocpp2.0.1", "TxCtrlr.EVConnectionTimeOut")]
)
def test_r37_station_keys_are_set_read_back_and_reported(protocol: str, name: str) -> None:
    bench = Bench(protocol)

    assert bring(bench, wanted("any", keys={name: "60"})).state == "in force"
    found = bench.memory.keys if protocol == "ocpp1.6" else bench.memory.variables
    assert found[name] == "60"
    bench.memory.refused[name] = "Rejected"
    assert bring(bench, wanted("any", keys={name: "90"})).refused == (f"{name}=90: Rejected",)
    missing = "No.Such" if protocol != "ocpp1.6" else "NoSuch"
    assert bring(bench, wanted("any", keys={missing: "1"})).refused == (f"{missing}=1: the station does not have it",)


def test_r37_a_station_that_accepts_and_does_not_set_is_found_out() -> None:
    bench = Bench("ocpp1.6")
    bench.memory.keys = Stubborn(bench.memory.keys)

    assert bring(bench, wanted("none")).refused == ("LocalAuthorizeOffline=false: accepted, and still true",)


class Stubborn(dict[str, str]):
    """Keys of a station that says Accepted and does nothing, for one of them."""

    def __setitem__(self, name: str, value: str) -> None:
        if name != "LocalAuthorizeOffline":
            super().__setitem__(name, value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_r37_a_station_that_takes_one_setting_a_message_gets_them_so(protocol: str) -> None:
    bench = Bench(protocol)
    bench.memory = OneAtATime()

    assert bring(bench, wanted()).state == "in force"
    assert settings(bench) == ["true", "true", "false", "false", "false"]


class OneAtATime(StationMemory):
    """A station that answers a message with several settings by an error."""

    def react(self, protocol: str, call: Any) -> Any:
        from pointsman_simulator.frames import CallError
        from pointsman_simulator.memory import Reaction

        several = max(len(call.payload.get(name, ())) for name in ("key", "getVariableData", "setVariableData"))
        if several > 1 and call.action != "ChangeConfiguration":
            return Reaction(CallError(call.id, "OccurrenceConstraintViolation", "one at a time"))
        return super().react(protocol, call)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_r39_leaving_clears_the_list_and_gives_back_what_was_there_before(protocol: str) -> None:
    bench = Bench(protocol)
    before_keys, before_variables = dict(bench.memory.keys), dict(bench.memory.variables)
    bring(bench, wanted("known"))
    bring(bench, wanted("none"))

    report = bench.run(leave(dialect_of(protocol), bench.facts))

    assert report.refused == ()
    assert bench.memory.local_list == {}
    assert bench.memory.keys == before_keys
    assert bench.memory.variables == before_variables
    assert not {BEFORE_FACT, OPERATOR_FACT, LIST_FACT} & bench.facts.keys()


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
@pytest.mark.parametrize("loses", ["call", "answer"])
def test_r39_leaving_is_whole_when_the_link_breaks_at_any_message(protocol: str, loses: str) -> None:
    whole = Bench(protocol)
    bring(whole, wanted())
    whole.run(leave(dialect_of(protocol), whole.facts))

    for at in range(len(whole.asked)):
        bench = Bench(protocol)
        bring(bench, wanted())
        bench.breaks_at, bench.loses = at, loses
        with pytest.raises(LinkBroke):
            bench.run(leave(dialect_of(protocol), bench.facts))
        bench.breaks_at = None
        assert BEFORE_FACT in bench.facts  # so it is tried again
        bench.run(leave(dialect_of(protocol), bench.facts))

        assert bench.memory.local_list == {}
        assert settings(bench) == settings(whole)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_r39_a_station_of_another_operator_is_cleared_first_and_its_left_overs_are_named(protocol: str) -> None:
    bench = Bench(protocol)
    bench.memory.local_list = {"ffff": {"status": "Accepted"}}
    bench.memory.local_list_version = 12

    report = bring(bench, wanted("any"))

    assert bench.memory.local_list == {}
    assert bench.memory.cache_cleared > 0
    assert "charging profiles" in report.notes[0]
    assert bring(bench, wanted("any")).notes == ()


def test_r37_what_was_there_is_remembered_before_the_first_write() -> None:
    bench = Bench("ocpp1.6")
    plan = keep(wanted("none"), dialect_of("ocpp1.6"), bench.facts)
    writes = ("ChangeConfiguration", "SendLocalList", "ClearCache")

    step = next(plan)
    while not (isinstance(step, Ask) and step.action in writes):
        match step:
            case Ask():
                answer = bench._ask(step)
            case Remember(name, value):
                bench.facts[name] = value or ""
        step = plan.send(answer)

    assert json.loads(bench.facts[BEFORE_FACT])["LocalAuthorizeOffline"] == "true"


# --- What is wanted ----------------------------------------------------------------------------------------------


def a_routing(badges: dict[str, Badge] | None = None, online: str = "known", zone: str = "Europe/Paris") -> Routing:
    authentication = Authentication(online=online, offline="known", concurrent="allow")  # type: ignore[arg-type]  # plain words in tests
    keys = {"ConnectionTimeOut": "60", "TxCtrlr.EVConnectionTimeOut": "61", "A.B[c]": "1"}
    group = Group(operator=LOCAL, authentication=authentication, station_keys=keys)
    config = a_config(groups={"staff": group}, badges=badges or {}, time_zone=zone)
    return Routing(read_payload(open_unverified(a_bundle(config))))


BADGES = {
    "good": a_badge("staff", until="2026-11-22", vip=True),
    "blocked": a_badge("staff", authorized=False),
    "expired": a_badge("staff", until="2026-11-21"),
    "elsewhere": a_badge("other"),
    "x" * 30: a_badge("staff"),
}


def test_r37_the_list_holds_who_would_be_accepted_online() -> None:
    known = wanted_of(a_routing(BADGES), "staff", "ocpp2.0.1", NOON)
    loose = wanted_of(a_routing(BADGES, online="any"), "staff", "ocpp2.0.1", NOON)

    assert list(known.entries) == ["good", "x" * 30]
    assert list(loose.entries) == ["blocked", "good", "x" * 30]
    assert known.entries["good"] == ListEntry("good", "ISO14443", "2026-11-22T23:00:00Z", True)


def test_r37_a_badge_that_16_cannot_say_is_left_out_and_noted() -> None:
    found = wanted_of(a_routing(BADGES), "staff", "ocpp1.6", NOON)

    assert list(found.entries) == ["good"]
    assert found.notes == ("1 badges are too long for OCPP 1.6 and not in the list",)


def test_station_keys_go_to_the_version_that_has_them() -> None:
    assert wanted_of(a_routing(), "staff", "ocpp1.6", NOON).keys == {"ConnectionTimeOut": "60"}
    assert wanted_of(a_routing(), "staff", "ocpp2.1", NOON).keys == {
        "A.B[c]": "1",
        "TxCtrlr.EVConnectionTimeOut": "61",
    }
