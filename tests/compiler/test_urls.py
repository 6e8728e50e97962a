"""URLs: what is taken means the same to every reader, and is written in one form."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.urls import UrlFault, parse_proxy_url, parse_supervision_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wss://csms.example", "wss://csms.example"),
        ("WSS://CSMS.Example/Ocpp", "wss://csms.example/Ocpp"),
        ("wss://bücher.example/x", "wss://xn--bcher-kva.example/x"),
        ("wss://例え.example:8443", "wss://xn--r8jz45g.example:8443"),
        ("ws://[2001:DB8:0:0::1]:80/", "ws://[2001:db8::1]:80/"),
        ("wss://csms.example/a/{station}/b?x=1", "wss://csms.example/a/{station}/b?x=1"),
        ("wss://under_score.example/", "wss://under_score.example/"),
    ],
)
def test_a_url_has_one_form(text: str, expected: str) -> None:
    assert str(parse_supervision_url(text)) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("http://x", "PM310"),
        ("wss:/x", "PM310"),
        ("", "PM310"),
        ("wss://", "PM311"),
        ("wss://[]", "PM311"),
        ("wss://x:", "PM312"),
        ("wss://x:+80", "PM312"),
        ("wss://x:٣", "PM312"),
        ("wss://x:99999999999999999999", "PM312"),
        ("wss://a@b", "PM313"),
        ("wss://@b", "PM313"),
        ("wss://x#", "PM314"),
        ("wss://x\n", "PM315"),
        ("wss://x/\x7f", "PM315"),
        ("wss://x/ü", "PM315"),
        ("wss://x/%zz", "PM315"),
        ("wss://x/{station}{station}", "PM316"),
        ("wss://x/{id}", "PM316"),
        ("wss://{station}.example/", "PM317"),
        ("wss://fe80::1%25eth0", "PM317"),
        ("wss://[fe80::1%25eth0]/", "PM317"),
        ("wss://[127.0.0.1]/", "PM317"),
        ("wss://a..b/", "PM317"),
        ("wss://-a.example", "PM317"),
        ("wss://1.2.3", "PM317"),
        ("wss://" + "a." * 127 + "example", "PM317"),
        ("wss://\u00ad/", "PM317"),
    ],
)
def test_what_is_no_url_is_refused_with_one_reason(text: str, code: str) -> None:
    with pytest.raises(UrlFault) as caught:
        parse_supervision_url(text)

    assert caught.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        "wss://csms.example/ocpp/",
        "wss://CSMS.example:443/ocpp",
        "wss://csms.example./ocpp/{station}",
        "WSS://csms.example:443/ocpp/{station}/",
    ],
)
def test_an_endpoint_is_the_same_however_it_is_written(text: str) -> None:
    assert parse_supervision_url(text).endpoint == "wss://csms.example/ocpp"


@pytest.mark.parametrize(
    "text", ["ws://csms.example/ocpp", "wss://csms.example:80/ocpp", "wss://csms.example/ocpp?a=1"]
)
def test_another_supervision_is_another_endpoint(text: str) -> None:
    assert parse_supervision_url(text).endpoint != "wss://csms.example/ocpp"


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("ws://localhost", True),
        ("ws://csms.localhost:1", True),
        ("ws://127.8.0.1", True),
        ("ws://[::1]", True),
        ("ws://localhost.example", False),
        ("ws://0.0.0.0", False),
    ],
)
def test_the_loopback_is_told_from_the_network(text: str, is_loopback: bool) -> None:
    assert parse_supervision_url(text).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("text", "expected"), [("http://p.lan:3128", "http://p.lan:3128"), ("http://me@P.lan:1/", "http://me@p.lan:1")]
)
def test_a_proxy_is_a_host_a_port_and_a_user_at_most(text: str, expected: str) -> None:
    assert str(parse_proxy_url(text)) == expected


@pytest.mark.parametrize("text", ["http://p.lan", "http://p.lan:1/x", "https://p.lan:1", "http://a:b@p.lan:1"])
def test_other_proxies_are_refused(text: str) -> None:
    with pytest.raises(UrlFault):
        parse_proxy_url(text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_form_is_stable_and_the_standard_library_sees_the_same_host(host: str, path: str) -> None:
    try:
        url = parse_supervision_url(f"wss://{host}/{path}")
    except UrlFault:
        return
    assert parse_supervision_url(str(url)) == url
    seen = urlsplit(str(url))
    assert (seen.hostname, seen.port, seen.username, seen.fragment) == (url.host, url.port, None, "")
