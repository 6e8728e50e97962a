"""The load generator against the agent and the yardstick: real processes, short rounds."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load_generator import frame
from benchmarks.machine import cpu_seconds, free_port
from benchmarks.messages import CALLS, ID_AT, ID_LENGTH, call_text
from benchmarks.relaying import agent, listening, yardstick

ROOT = Path(__file__).parent.parent.parent
WITHIN_S = 50.0


def generate_load(relay: int, supervision: socket.socket, pid: int) -> "subprocess.CompletedProcess[str]":
    places = ["--relay", str(relay), "--supervision", str(supervision.fileno()), "--pid", str(pid)]
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.load_generator", *places, "--stations", "3", "--seconds", "0.3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
        pass_fds=[supervision.fileno()],
    )


@pytest.mark.parametrize("kind", ["agent", "yardstick"])
def test_stations_exchange_messages_through_a_relay_and_its_cpu_time_is_counted(kind: str, tmp_path: Path) -> None:
    with agent(tmp_path) if kind == "agent" else yardstick() as relay:
        done = generate_load(relay.port, relay.supervision, relay.pid)
        used_s = cpu_seconds(relay.pid)

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["messages"] > 10
    assert 0 < seen["cpu_s"] <= used_s


def test_a_relay_that_is_not_there_is_a_failure_not_a_figure() -> None:
    with listening() as supervision:
        done = generate_load(free_port(), supervision, 1)

    assert done.returncode != 0
    assert done.stdout == ""


def test_message_ids_stand_where_the_generator_looks_for_them() -> None:
    message_id = "0" * ID_LENGTH
    texts = [call_text(position, message_id) for position in range(len(CALLS))]

    assert all(text[ID_AT : ID_AT + ID_LENGTH] == message_id for text in texts)
    assert all(re.match(r'\[2,"0{36}","[A-Z][A-Za-z]+",\{', text) for text in texts)


def test_frames_carry_their_length_as_rfc_6455_has_it() -> None:
    assert frame(b"ab", is_masked=False) == b"\x81\x02ab"
    assert frame(b"ab", is_masked=True) == b"\x81\x82\0\0\0\0ab"
    assert frame(b"x" * 126, is_masked=False)[:4] == b"\x81\x7e\x00\x7e"
