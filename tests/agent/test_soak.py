"""The soak's own judgement: what it must notice; and the soak itself in a form that is short and small."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.soakledger import Ledger, Link

TESTS = Path(__file__).parent.parent


def a_link(ledger: Ledger) -> Link:
    """Return a link on which two texts are under way up."""
    link = Link("S-1/0", "station closes", ledger)
    link.up.sent(b"first")
    link.up.sent(b"second")
    link.is_ending = True
    return link


def test_a_text_that_was_altered_is_a_fault() -> None:
    ledger = Ledger()
    link = a_link(ledger)

    link.arrived(link.up, b"first")
    link.arrived(link.up, b"secOnd")

    assert ledger.ends["faults"] == 1
    assert "secOnd" in ledger.faults[0]


@pytest.mark.parametrize("texts", [[b"second"], [b"first", b"first"], [b"first", b"second", b"second"]])
def test_a_text_out_of_its_row_or_twice_is_a_fault(texts: list[bytes]) -> None:
    ledger = Ledger()
    link = a_link(ledger)

    for text in texts:
        link.arrived(link.up, text)

    assert ledger.ends["faults"] >= 1


def test_a_text_that_never_came_is_a_fault_where_the_sender_closed_in_order() -> None:
    ledger = Ledger()
    closed, vanished = a_link(ledger), a_link(ledger)
    closed.complete = [closed.up]

    closed.judge()
    vanished.judge()

    assert ledger.faults == ["S-1/0 (station closes): 2 texts lost up"]
    assert ledger.cut_off == 4


def test_a_link_that_ends_by_itself_is_a_fault() -> None:
    ledger = Ledger()
    link = Link("S-1/0", "station closes", ledger)
    link.ended_by = "the station's end closed with 1001 slow"

    link.judge()

    assert ledger.ends == {"faults": 1, "unexpected: the station's end closed with 1001 slow": 1}


@pytest.mark.timeout(150)
def test_sixty_stations_soak_for_a_while_and_nothing_is_lost() -> None:
    command = [sys.executable, "-m", "support.soak", "--minutes", "0.2", "--stations", "60"]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing lost, nothing altered, nothing grew" in done.stdout
