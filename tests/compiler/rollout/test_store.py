"""The query for health, against stores that answer as they should not, over real sockets."""

import pytest
from pointsman_compiler.rollout import store as stores
from pointsman_compiler.rollout.health import Report
from pointsman_compiler.rollout.store import StoreFailed, ask
from support.stores import Answer, answered, dripping, dripping_head, series, store

GOOD = series("lyon", "1700000000", state="running", active="sha256:aa")
REPORT = Report(1_700_000_000, "running", "sha256:aa")
UNREADABLE = Report(0, "", "", is_unreadable=True)


def test_the_latest_report_of_each_site_counts() -> None:
    old = series("lyon", "1600000000", state="degraded")
    with store(answered(old, GOOD, old)) as made:
        assert ask(made.url, None, 600) == {"lyon": REPORT}
    assert b"last_over_time%28pointsman_report%5B600s%5D%29" in made.requests[0]


def test_a_token_is_sent_without_the_white_space_around_it() -> None:
    with store(answered(GOOD)) as made:
        ask(made.url, " my-token\n", 600)
    assert b"\r\nAuthorization: Bearer my-token\r\n" in made.requests[0]


@pytest.mark.parametrize("token", ["my\ntoken", "my token", "t\u00f6ken", "my\x00token", " \n"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(StoreFailed) as refused:
        ask("http://127.0.0.1:9", token, 600)
    assert str(refused.value) == "the token is empty, or has characters that no token has"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_with_the_token(status: int) -> None:
    with store(answered(GOOD)) as other:
        moved = f"HTTP/1.1 {status} Moved\r\nLocation: {other.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
        with store(moved) as made, pytest.raises(StoreFailed, match="redirects, which is not followed"):
            ask(made.url, "my-token", 600)
    assert other.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hidden@metrics.example",
        "https://hidden@metrics.example",
        "https://metrics.example/?token=hidden",
        "https://metrics.example/hidden path",
        "http://[::1/hidden",
        "https://metrics.example:99999/hidden",
        "https://metrics..example/hidden",
        "ftp://metrics.example/hidden",
        "https:///hidden",
        "hidden",
        "",
    ],
)
def test_an_address_that_cannot_be_asked_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(StoreFailed, match="the address") as refused:
        ask(url, "my-token", 600)
    assert "hidden" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 500 Out of\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff",
    ],
)
def test_an_answer_that_is_none_is_told_in_one_line(answer: bytes) -> None:
    with store(answer) as made, pytest.raises(StoreFailed) as refused:
        ask(made.url, None, 600)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("answer", [dripping, dripping_head])
def test_a_store_that_drips_is_left_in_time(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "ANSWERED_WITHIN_S", 0.3)
    with store(answer) as made, pytest.raises(StoreFailed, match="did not answer within"):
        ask(made.url, None, 600)


def test_an_answer_that_is_too_large_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LARGEST_ANSWER_BYTES", 10)
    with store(answered(GOOD)) as made, pytest.raises(StoreFailed, match="more than 10 bytes"):
        ask(made.url, None, 600)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "1e300", "soon", ""])
def test_a_time_that_is_none_is_an_unreadable_report_of_that_site_alone(value: str) -> None:
    for order in ((GOOD, series("oslo", value), series("oslo", "1700000000")), (series("oslo", value), GOOD)):
        with store(answered(*order)) as made:
            assert ask(made.url, None, 600) == {"lyon": REPORT, "oslo": UNREADABLE}


@pytest.mark.parametrize("sequence", ["9" * 5000, "-1", "\u00b2", "1.5", "x"])
def test_a_sequence_that_is_none_is_an_unreadable_report_of_that_site_alone(sequence: str) -> None:
    with store(answered(series("oslo", "1", failed_sequence=sequence), GOOD)) as made:
        assert ask(made.url, None, 600) == {"lyon": REPORT, "oslo": UNREADABLE}


def test_what_a_controller_says_does_not_reach_a_terminal_as_it_is() -> None:
    with store(answered(series("oslo", "1", reason="\x1b[2J" + "x" * 9999))) as made:
        assert ask(made.url, None, 600)["oslo"].reason == "?[2J" + "x" * 496
