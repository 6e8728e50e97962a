"""Who is let in to the admin interface: names, tokens, sessions."""

import pytest
from pointsman_agent.web.access import (
    MOST_SESSIONS,
    SESSION_LASTS_S,
    TICKET_LASTS_S,
    BrowserSessions,
    Hosts,
    Role,
    Tokens,
)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:9100", True),
        ("localhost:9100", True),
        ("LOCALHOST:9100", True),
        ("controller.example:8443", True),
        ("controller.example:9100", False),
        ("127.0.0.1", False),
        ("127.0.0.1:", False),
        ("127.0.0.1:9100:9100", False),
        ("127.0.0.1:+9100", False),
        ("127.0.0.1:٩١٠٠", False),
        ("127.0.0.1:" + "9" * 5000, False),
        ("10.0.0.1:9100", False),
        ("", False),
        (":9100", False),
    ],
)
def test_a_host_is_ours_by_its_name_and_its_port(host: str, is_ours: bool) -> None:
    assert (host in Hosts(["127.0.0.1:9100", "localhost", "controller.example:8443"], 9100)) is is_ours


def test_a_port_that_browsers_leave_out_is_the_default_of_the_scheme() -> None:
    assert "controller.example" in Hosts(["controller.example"], 443, is_tls=True)
    assert "controller.example" not in Hosts(["controller.example"], 443)
    assert "controller.example" in Hosts(["controller.example"], 80)


@pytest.mark.parametrize("host", ["10.0.0.1", "10.0.0.1:1234", "[2001:db8::1]:9100", "[2001:db8::1]"])
def test_an_address_is_ours_where_others_reach_us_for_nobody_can_bind_it_to_us(host: str) -> None:
    assert host in Hosts([], 9100, takes_addresses=True)
    assert host not in Hosts([], 9100)


@pytest.mark.parametrize("host", ["evil.example:9100", "10.0.0.1.evil.example", "10.0.0.1:x", "10.0.0.1:"])
def test_a_name_is_never_an_address(host: str) -> None:
    assert host not in Hosts([], 9100, takes_addresses=True)


def test_a_token_opens_what_it_was_made_for() -> None:
    tokens = Tokens({"one": Role.READ, "two": Role.OPERATE})

    assert [tokens.role_of(shown) for shown in ("one", " two ", "three", "", "ône")] == [
        Role.READ,
        Role.OPERATE,
        None,
        None,
        None,
    ]


def test_a_session_ends_by_itself_and_when_it_is_closed() -> None:
    clock = Clock()
    sessions = BrowserSessions(clock)
    first, second = sessions.open(), sessions.open()

    sessions.close(second)
    assert [sessions.is_open(name) for name in (first, second, "guess")] == [True, False, False]
    clock.seconds += SESSION_LASTS_S
    assert not sessions.is_open(first)


def test_what_is_under_way_in_a_session_ends_when_that_session_is_closed() -> None:
    sessions, ended = BrowserSessions(Clock()), list[str]()
    names = [sessions.open() for _ in range(2)]

    with (
        sessions.under_way(names[0], lambda: ended.append("first")),
        sessions.under_way(names[0], lambda: ended.append("second")),
        sessions.under_way(names[1], lambda: ended.append("of another")),
    ):
        with sessions.under_way(names[0], lambda: ended.append("over")):
            pass
        sessions.close(names[0])
        assert ended == ["first", "second"]
        for _ in range(MOST_SESSIONS):
            sessions.open()
        assert ended == ["first", "second", "of another"]


def test_sessions_and_tickets_are_bounded_and_the_oldest_go_first() -> None:
    sessions = BrowserSessions(Clock())
    opened = [sessions.open() for _ in range(MOST_SESSIONS + 1)]
    tickets = [sessions.ticket() for _ in range(MOST_SESSIONS + 1)]

    assert [sessions.is_open(name) for name in opened] == [False] + [True] * MOST_SESSIONS
    assert not sessions.redeem(tickets[0])
    assert sessions.redeem(tickets[-1])


def test_a_ticket_is_good_once_and_soon() -> None:
    clock = Clock()
    sessions = BrowserSessions(clock)
    first, second = sessions.ticket(), sessions.ticket()

    assert sessions.redeem(first)
    assert not sessions.redeem(first)
    clock.seconds += TICKET_LASTS_S
    assert not sessions.redeem(second)
    assert not sessions.is_open(first)
