"""Log lines: JSON, and never a reason to stand still."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import structlog
from pointsman_agent.logs import FLUSH_WITHIN_S, MOST_QUEUED_LINES, LineWriter, redact_with, set_up
from pointsman_agent.redaction import Redactor

PROMPT_S = 5.0  # far below what writing to a full pipe takes, which is for ever


@pytest.fixture(autouse=True)
def _structlog_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_lines_are_json_with_sorted_keys_from_the_level_on() -> None:
    stream = io.StringIO()
    writer = set_up("warning", stream)
    log = structlog.get_logger()
    log.info("not told")
    log.warning("told", station="CP-1", why="ü\ud800\n")
    writer.close()

    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert line.isascii()
    assert list(fields) == sorted(fields)
    assert fields["timestamp"].endswith("Z")
    assert {key: fields[key] for key in ("event", "level", "station", "why")} == {
        "event": "told",
        "level": "warning",
        "station": "CP-1",
        "why": "ü\ud800\n",
    }


def test_an_exception_is_one_line() -> None:
    stream = io.StringIO()
    writer = set_up("info", stream)
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    writer.close()

    (line,) = stream.getvalue().splitlines()
    assert "ZeroDivisionError: by zero" in json.loads(line)["exception"]


def test_lines_leave_in_their_order_before_close_returns() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    for number in range(1000):
        writer.msg(str(number))
    writer.close()

    assert stream.getvalue().splitlines() == [str(number) for number in range(1000)]


class Gate(io.StringIO):
    """A stream that takes nothing until it is opened, as a full pipe does."""

    def __init__(self) -> None:
        super().__init__()
        self._read_end, self._write_end = os.pipe()

    def write(self, text: str) -> int:
        if self._read_end >= 0:
            os.read(self._read_end, 1)  # waits
            os.close(self._read_end)
            self._read_end = -1
        return super().write(text)

    def open(self) -> None:
        os.close(self._write_end)


def test_a_full_pipe_holds_nobody_up_and_what_was_lost_is_counted() -> None:
    stream = Gate()
    writer = LineWriter(stream)
    began = time.monotonic()
    for number in range(MOST_QUEUED_LINES + 500):
        writer.msg(str(number))
    assert time.monotonic() - began < PROMPT_S

    stream.open()
    writer.close()

    lines = stream.getvalue().splitlines()
    told = [json.loads(line) for line in lines if "lost" in line]
    written = [line for line in lines if "lost" not in line]
    assert lines[:100] == [str(number) for number in range(100)]
    assert {line["event"] for line in told} == {"log lines lost"}
    # When the writer's thread first came to run decides how many lines found a place, and in how many parts the rest
    # is told of; none goes missing untold.
    assert sum(line["lines"] for line in told) == MOST_QUEUED_LINES + 500 - len(written)
    assert len(written) <= MOST_QUEUED_LINES + 1


def test_r52_words_of_peers_and_exceptions_are_redacted_whoever_logs_them() -> None:
    stream = io.StringIO()
    writer = set_up("info", stream)
    redact_with(Redactor(bytes(32)).words)
    log = structlog.get_logger()
    log.info("link ended", station="CP-1", detail="badge 04A2B1C3D4E580 is not mine")
    log.warning("no uplink", why="got Authorization key: hunter2hunter2", digest="sha256:00112233445566778899")
    try:
        raise ValueError("idTag=04A2B1C3D4E580")
    except ValueError:
        log.exception("station dropped")
    writer.close()

    text = stream.getvalue()
    assert "04A2B1C3D4E580" not in text
    assert "hunter2" not in text
    assert "sha256:00112233445566778899" in text
    assert len(text.splitlines()) == 3


def test_the_name_of_a_missing_secret_is_no_secret() -> None:
    stream = io.StringIO()
    writer = set_up("info", stream)
    redact_with(Redactor(bytes(32)).words)
    structlog.get_logger().error("bundle refused", code="secret-missing", why="secret 'acme-key': No such file")
    writer.close()

    assert "'acme-key'" in stream.getvalue()


def test_lines_for_people_have_no_colour_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    writer = set_up("info", stream, "console")
    structlog.get_logger().info("station connected", station="CP-1")
    writer.close()

    (line,) = stream.getvalue().splitlines()
    assert "station connected" in line
    assert "station=CP-1" in line
    assert "\x1b" not in line


def test_a_stream_that_is_closed_ends_the_writing_and_nobody_else() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    stream.close()
    for _ in range(10):
        writer.msg("into the void")
    writer.close()


_LOGGER = """
import structlog
from pointsman_agent import logs
writer = logs.set_up("info")
log = structlog.get_logger()
for number in range(20_000):
    log.info("line", number=number, filler="x" * 100)
writer.close()
print("done", flush=True)
"""


def test_r54_a_process_whose_log_nobody_reads_still_ends_well() -> None:
    """Python aborts when it ends while a thread holds the lock of a full standard error."""
    process = subprocess.Popen(
        [sys.executable, "-c", _LOGGER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        try:
            said = process.stdout.read()
            code = process.wait(timeout=10 + 2 * FLUSH_WITHIN_S)
        finally:
            process.kill()

    assert said == "done\n"
    assert code == 0
