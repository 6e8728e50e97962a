"""The Autobahn suite's cases, each against the codec and against a running agent that relays to a supervision."""

from collections.abc import Iterator

import pytest
from pointsman_agent.websocket.codec import CloseReceived, FrameReader, Ping, Violation
from support.autobahn import LARGEST, Case, autobahn_cases
from support.relayedsite import RelayedSite, relayed_site

HEAD = b'[6,"a","A",'  # a SEND of OCPP 2.1: it is relayed at once and gets no answer; what stands behind may be odd
CODEC_CASES = autobahn_cases(b"")
AGENT_CASES = autobahn_cases(HEAD)


def test_the_list_is_whole() -> None:
    assert [case.number for case in CODEC_CASES] == [case.number for case in AGENT_CASES]
    assert len({case.number for case in CODEC_CASES}) == 301


@pytest.mark.parametrize("case", CODEC_CASES, ids=lambda case: case.number)
def test_the_codec_hears_and_judges_as_the_suite_says(case: Case) -> None:
    reader = FrameReader(is_masked=True, largest_message_bytes=LARGEST)

    items = [item for segment in case.send() for item in reader.feed(segment)]

    assert [item for item in items if isinstance(item, str)] == [text.decode() for text in case.texts]
    assert [item.payload for item in items if isinstance(item, Ping)] == list(case.pings)
    last = items[-1]
    assert isinstance(last, Violation if case.is_breach else CloseReceived)
    assert last.code == case.end


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayedSite]:
    """One agent, and one station a case."""
    with relayed_site(tmp_path_factory.mktemp("site"), *(case.number for case in AGENT_CASES)) as site:
        yield site


@pytest.mark.parametrize("case", AGENT_CASES, ids=lambda case: case.number)
def test_the_agent_relays_and_closes_as_the_suite_says(site: RelayedSite, case: Case) -> None:
    expected = [text.decode() for text in case.texts if text.startswith(HEAD)]

    with site.station(case.number) as station:
        uplink = site.uplink(case.number)
        for count, segment in enumerate(case.send()):
            if case.is_paced and expected:
                uplink.wait_texts(max(0, count - IN_FLIGHT))
            station.send(segment)
        pongs, code = station.read_to_close()
        station.shut_down()
        station.wait_end()

    assert code == case.end
    assert is_answered(list(case.pings), pongs)
    assert uplink.wait_closed() == (1001 if case.is_breach else case.end)
    assert uplink.texts == expected


IN_FLIGHT = 100
"""Messages between a sender and its far reader: a slow reader would be closed over 1 MiB."""


def is_answered(pings: list[bytes], pongs: list[bytes]) -> bool:
    """Whether the pongs answer the pings, of which some may be left out, but not the last (RFC 6455 section 5.5.3)."""
    left = iter(pings)
    return all(pong in left for pong in pongs) and pongs[-1:] == pings[-1:]
