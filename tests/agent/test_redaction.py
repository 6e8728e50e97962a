"""Rule 52: what people see of messages holds no badge number and no key, and is else the message as it passed."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.redaction import LONGEST_EXCERPT, LONGEST_PARSED, MASK, Redactor

BADGE = "04A2B1C3D4E580"
KEY = "0011223344556677889900112233445566778899"
ACTUAL = {"type": "Actual", "value": KEY}
PASSWORD = "correct horse battery"

ESCAPE = re.compile(r"\\u([0-9a-f]{4})")

redactor = Redactor(b"k" * 32)
HASH = redactor.badge(BADGE)


def test_a_badge_is_the_same_word_on_a_controller_and_another_on_the_next() -> None:
    assert redactor.badge(BADGE.lower()) == HASH
    assert redactor.badge("04A2B1C3D4E581") != HASH
    assert Redactor(b"j" * 32).badge(BADGE) != HASH
    assert len(HASH) == 9
    assert HASH[0] == "#"
    int(HASH[1:], 16)


@pytest.mark.parametrize(
    "payload",
    [
        {"idTag": BADGE},
        {"IDTAG": BADGE},
        {"id_tag": BADGE},
        {"connectorId": 1, "idTag": BADGE, "parentIdTag": BADGE},
        {"idTagInfo": {"status": "Accepted", "parentIdTag": BADGE}},
        {"idToken": {"idToken": BADGE, "type": "ISO14443", "additionalInfo": [{"additionalIdToken": BADGE}]}},
        {"idToken": {"value": BADGE, "type": "ISO14443"}},
        {"idTokenInfo": {"status": "Accepted", "groupIdToken": {"idToken": BADGE, "type": "Central"}}},
        {"listVersion": 2, "localAuthorizationList": [{"idTag": BADGE, "idTagInfo": {"status": "Accepted"}}]},
        {"localAuthorizationList": [{"idToken": {"idToken": BADGE, "type": "ISO14443"}}]},
        {"transactionInfo": {"transactionId": "t"}, "idToken": {"idToken": BADGE, "type": "ISO14443"}},
        {"setVariableData": [{"attributeValue": BADGE, "variable": {"name": "MasterPassGroupId"}}]},
        {"data": json.dumps({"idTag": BADGE, "n": 1})},
        {"data": json.dumps([{"idToken": BADGE}])},
        {"data": json.dumps({"inner": json.dumps({"idTag": BADGE})})},
        {"data": f"card {BADGE} seen"},
        {"techInfo": f"card {BADGE} seen"},
        {"info": f"idTag={BADGE}"},
        {"customerIdentifier": BADGE},
        {"meterValue": [{"sampledValue": [{"value": "OCMF|" + BADGE, "format": "SignedData"}]}]},
        {"sampledValue": [{"signedMeterValue": {"signedMeterData": BADGE, "signingMethod": ""}}]},
    ],
)  # fmt: skip
def test_r52_badges_are_hashed_or_masked_wherever_ocpp_has_them(payload: dict[str, Any]) -> None:
    shown = redactor.message(json.dumps([2, "19223201", "Anything", payload]))

    assert BADGE not in shown
    assert HASH in shown or MASK in shown
    assert json.loads(shown)[:3] == [2, "19223201", "Anything"]
    for word in ("ISO14443", "Accepted", "MasterPassGroupId", "SignedData"):
        assert (word in shown) == (word in json.dumps(payload))


@pytest.mark.parametrize(
    "payload",
    [
        {"key": "AuthorizationKey", "value": KEY},
        {"value": KEY, "key": "authorizationkey"},
        {"configurationKey": [{"key": "HeartbeatInterval", "value": "300"}, {"key": "AuthorizationKey", "value": KEY}]},
        {"setVariableData": [{"attributeValue": KEY, "variable": {"name": "BasicAuthPassword"}}]},
        {"getVariableResult": [{"attributeValue": KEY, "variable": {"name": "BASICAUTHPASSWORD", "instance": "1"}}]},
        {"reportData": [{"variable": {"name": "BasicAuthPassword"}, "variableAttribute": [ACTUAL]}]},
        {"eventData": [{"actualValue": KEY, "variable": {"name": "BasicAuthPassword"}}]},
        {"connectionData": {"ocppCsmsUrl": "wss://x/", "basicAuthPassword": KEY}},
        {"connectionData": {"apn": {"apn": "internet", "apnPassword": KEY, "simPin": 12345678}}},
        {"connectionData": {"vpn": {"server": "x", "user": "u", "password": KEY, "key": KEY}}},
        {"location": f"ftp://user:{KEY}@files.example/fw.bin"},
        {"remoteLocation": f"https://files.example/up?name=a&X-Sig={KEY}&b=c"},
        {"vendorSecret": {"deep": [KEY, {"er": KEY}]}},
    ],
)  # fmt: skip
def test_r52_keys_and_passwords_are_masked(payload: dict[str, Any]) -> None:
    shown = redactor.message(json.dumps([2, "1", "Anything", payload]))

    assert KEY not in shown
    assert "12345678" not in shown
    assert MASK in shown
    for word in ("300", "Actual", "internet", "files.example", "HeartbeatInterval", "wss://x/"):
        assert (word in shown) == (word in json.dumps(payload))


def test_r52_an_error_speaks_in_words_without_badges() -> None:
    shown = redactor.message(json.dumps([4, "1", "GenericError", f"no idTag {BADGE} here", {"a": {"b": BADGE}}]))

    assert json.loads(shown) == [4, "1", "GenericError", f"no idTag {HASH} here", {"a": {"b": HASH}}]


@pytest.mark.parametrize(
    "text",
    [
        ' [2, "a\\u0062c",\t"DataTransfer",{"vendorId":"é\\u00e9","n":1.10e+2,"n":-0.0,  "x":[ ]}]\n',
        '\ufeff[3,"1",{"currentTime":"2026-11-22T12:00:00Z","interval":300,"status":"Accepted"}]',
        '[2,"04A2B1C3D4E580","Heartbeat",{}]',
        '[3,"1",{"key":"value","value":"key","password":null,"idTag":true}]',
        '[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]',
        '[2,"1","X",{"a":"raw\x00nul"}]',
        "[]",
        "{}",
        '"word"',
    ],
)
def test_all_else_stays_as_it_came(text: str) -> None:
    assert redactor.message(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('[2,"id1","Authorize",{"idTag":"04A2', '[2,"•","Authorize",{"idTag":"•'),
        ('[2,"id1","Authorize",{"04A2":1,"a1":2,"idTag":"Ana Lu', '[2,"•","Authorize",{"•":•,"•":•,"idTag":"• •'),
        ("Authorization: Basic QWxhZGRpbg==", "•: • •"),
        ("", ""),
        ("\x00\x01", "•"),
    ],
)
def test_r52_what_cannot_be_parsed_keeps_its_structure_alone(text: str, shown: str) -> None:
    assert redactor.message(text) == shown


def test_r52_a_text_that_is_too_long_to_look_at_is_cut_too() -> None:
    text = json.dumps([2, "1", "X", {"x": "x" * LONGEST_PARSED, "idTag": BADGE}])

    assert redactor.message(text) == '[2, "•", "X", {"x": "•…'


def test_r52_a_long_text_that_cannot_be_parsed_is_cut() -> None:
    assert len(redactor.message('[2,"1","X",{' + '"a":1,' * 10_000)) == LONGEST_EXCERPT + 1
    deep = "[" * 100_000
    assert redactor.message(deep) == deep[:LONGEST_EXCERPT] + "…"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("going away", "going away"),
        (f"unknown badge {BADGE}", f"unknown badge {HASH}"),
        (f"idTag: {BADGE.lower()}.", f"idTag: {HASH}."),
        ("idTag Ana-Lu is unknown", f"idTag {redactor.badge('Ana-Lu')} is unknown"),
        (f"password={PASSWORD}", f"password={MASK} horse battery"),
        ("wss://me:pw@host/x?access_token=abc", f"wss://{MASK}@host/x?access_token={MASK}"),
        ("error 1001 in module 7 at 12:00:01", "error 1001 in module 7 at 12:00:01"),
        ("card 04:A2:B1:C3:D4:E5:80 read", f"card {redactor.badge('04A2B1C3D4E580')} read"),
        ("04 a2 b1 c3", redactor.badge("04A2B1C3")),
        ("tag: VIS-17", f"tag: {redactor.badge('VIS-17')}"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {MASK}"),
        ("password is hunter2", f"password is {MASK}"),
    ],
)
def test_words_of_peers_lose_what_looks_like_a_badge_or_a_key(words: str, shown: str) -> None:
    assert redactor.words(words) == shown
    assert redactor.words(shown) == shown  # words pass here more than once, and one badge is one word


# --- Properties ----------------------------------------------------------------------------------------------------

harmless = st.sampled_from(["status", "connectorId", "vendorId", "x", "type", "Größe", "list"])
badge_names = st.sampled_from(["idTag", "idToken", "groupIdToken", "parentIdTag", "IDTAG", "additionalIdToken"])
atoms = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10)
)
plain = st.recursive(atoms, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(harmless, inner, max_size=3))


def escaped(text: str, places: set[int]) -> str:
    """Write `text` as a JSON string with some of its characters escaped."""
    return "".join(f"\\u{ord(each):04x}" if place in places else each for place, each in enumerate(text))


@given(plain)
def test_messages_without_badges_and_keys_never_change(payload: Any) -> None:
    for text in (json.dumps([2, "1", "X", payload]), json.dumps([3, "1", payload], ensure_ascii=False, indent=1)):
        assert redactor.message(text) == text


@given(
    badge_names,
    st.integers(min_value=10**11, max_value=10**12),
    st.sets(st.integers(min_value=0, max_value=20)),
    st.lists(st.sampled_from(["list", "map", "text"]), max_size=6),
    plain,
)
def test_r52_no_badge_is_shown_however_deep_and_however_escaped(
    name: str, number: int, places: set[int], wraps: list[str], beside: Any
) -> None:
    badge = f"B{number}"
    text = f'{{"{escaped(name, places)}": "{escaped(badge, places)}", "x": {json.dumps(beside)}}}'
    for wrap in wraps:
        text = {"list": f"[1, {text}]", "map": f'{{"x": {text}}}', "text": f'{{"data": {json.dumps(text)}}}'}[wrap]
    shown = redactor.message(f'[2,"1","X",{text}]')

    decoded = shown
    for _ in range(8):  # an escape in a text in a text is undone by whoever looks closely
        assert badge not in decoded
        decoded = ESCAPE.sub(lambda found: chr(int(found[1], 16)), decoded.replace("\\\\", "\\").replace('\\"', '"'))


@given(st.text(max_size=300))
def test_any_text_is_redacted_without_an_error(text: str) -> None:
    redactor.message(text)
    redactor.message(f'[2,"1","X",{text}')
    redactor.words(text)


@given(st.text(alphabet='[]{}",:\\ 04A2idTag\ud800\n', max_size=200))
def test_any_punctuation_is_redacted_without_an_error(text: str) -> None:
    redactor.message(text)
    redactor.message('[2,"1","Authorize",{"idTag":"B123456789"}]' + text)
    assert "B123456789" not in redactor.message(text + '{"idTag":"B123456789"}')


@pytest.mark.parametrize(
    "payload",
    [
        '{"customData":{"vendorId":"v","uid":"%s"}}',
        '{"data":"{\\"cardNumber\\":\\"%s\\"}"}',
        '{"eventData":[{"actualValue":"%s","component":{"name":"TokenReader"},"variable":{"name":"Token"}}]}',
    ],
)
def test_r52_badges_in_the_words_of_vendors_and_of_readers_are_not_shown(payload: str) -> None:
    shown = redactor.message(f'[2,"1","X",{payload % BADGE}]')

    assert BADGE not in shown
    assert HASH in shown


def test_a_password_with_a_slash_in_a_url_is_not_shown() -> None:
    assert redactor.words("to ftp://me:pa/ss@host/x") == f"to ftp://{MASK}@host/x"
