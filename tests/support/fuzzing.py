"""Files that no person would write, and what must hold for each: shortly in the suite, for long by `make fuzz`.

    PYTHONPATH=tests python -m support.fuzzing --minutes 10

Nothing may crash or hang, and every problem has a place in the file, a message and a remedy. What has no error is
compiled, and its bundle is read back.
"""

import argparse
import faulthandler
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pointsman_compiler.build import check
from pointsman_compiler.emit import emit, make_bundle
from pointsman_compiler.problems import Problem
from pointsman_compiler.report.github import render_github
from pointsman_compiler.report.gitlab import render_gitlab
from pointsman_compiler.report.json import render_json
from pointsman_compiler.report.sarif import render_sarif
from pointsman_compiler.report.text import render_text
from pointsman_compiler.sources import SourceTree
from pointsman_schema.bundle import read_payload
from pointsman_schema.envelope import open_unverified

AT = datetime(2026, 11, 22, tzinfo=UTC)
REPOSITORY = Path(__file__).parents[2]
BATCH = 400
"""Inputs of one hypothesis run; then the next one begins with another seed."""
HANGS_AFTER_S = 60
CPU_AT_MOST_S = 3.0
"""CPU seconds of one input, of a few kB; the promise is a second for each MiB, the rest is room for imports."""

WORDS = [
    *[
        "version",
        "site",
        "timeZone",
        "supervision",
        "supervisions",
        "groups",
        "badges",
        "stations",
        "listeners",
        "vars",
    ],
    *["url", "operator", "local", "unique", "multiple", "all", "each", "authentication", "password", "secret", "none"],
    *["port", "securityProfile", "trust", "protocols", "ocpp1.6", "certificate", "stationPassword", "until", "null"],
    *[
        "{station}",
        "{{ site }}",
        "{{ vars.x }}",
        "{{",
        "}}",
        "{%",
        "wss://",
        "ws://localhost",
        "://",
        "Europe/Paris",
        "one",
    ],
    *[
        "-",
        "- ",
        ": ",
        ":",
        "{",
        "}",
        "[",
        "]",
        ",",
        "'",
        '"',
        "#",
        " #",
        "&a",
        "*a",
        "!x",
        "<<",
        "|",
        ">-",
        "%",
        "---",
        "...",
    ],
    *[
        "0",
        "1",
        "61",
        "-1",
        "1.5",
        "1e9",
        "0x1",
        "9" * 40,
        "true",
        "no",
        "~",
        "2027-01-31",
        "\t",
        "\n",
        "\r\n",
        "  ",
        "é",
        "日",
    ],
    *[
        "\u202e",
        "\ufeff",
        "\x00",
        "\\",
        "\\u0000",
        "-----BEGIN PRIVATE KEY-----",
        "../x.pem",
        "/etc/passwd",
        "CP-1",
        "a" * 300,
    ],
]


@cache
def valid_files() -> tuple[str, ...]:
    """The texts of the corpus and of the example fleet, sorted by where they lie."""
    found = [*(REPOSITORY / "tests/compiler/cases").glob("*/sites/*.yaml"), *(REPOSITORY / "sites").glob("*/*.yaml")]
    texts = [path.read_bytes().decode("utf-8", errors="ignore") for path in sorted(found)]
    return tuple(sorted({text for text in texts if len(text) < 5000}))


def yaml_like() -> st.SearchStrategy[bytes]:
    """Words and marks of site files in any order."""
    return st.lists(st.sampled_from(WORDS), max_size=60).map(lambda words: "".join(words).encode())


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    """A file of the corpus with up to five changes: of lines, of words, of indents."""
    lines = draw(st.sampled_from(valid_files())).splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 5))):
        if not lines:
            break
        at = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(CHANGES))
        lines[at : at + 1] = change(draw, lines[at], lines)
    return "".join(lines).encode()


def _delete(draw: st.DrawFn, line: str, lines: Sequence[str]) -> list[str]:
    return []


def _repeat(draw: st.DrawFn, line: str, lines: Sequence[str]) -> list[str]:
    return [line, line]


def _indent(draw: st.DrawFn, line: str, lines: Sequence[str]) -> list[str]:
    return [" " * draw(st.integers(0, 6)) + line.lstrip(" ")]


def _another(draw: st.DrawFn, line: str, lines: Sequence[str]) -> list[str]:
    return [line, draw(st.sampled_from(lines))]


def _of_another_file(draw: st.DrawFn, line: str, lines: Sequence[str]) -> list[str]:
    other = draw(st.sampled_from(valid_files())).splitlines(keepends=True) or ["\n"]
    return [line, draw(st.sampled_from(other))]


def _insert(draw: st.DrawFn, line: str, lines: Sequence[str]) -> list[str]:
    at = draw(st.integers(0, len(line)))
    return [line[:at] + draw(st.sampled_from(WORDS)) + line[at:]]


def _replace(draw: st.DrawFn, line: str, lines: Sequence[str]) -> list[str]:
    start = draw(st.integers(0, len(line)))
    end = draw(st.integers(start, min(len(line), start + 12)))
    return [line[:start] + draw(st.sampled_from([*WORDS, ""])) + line[end:]]


def _value(draw: st.DrawFn, line: str, lines: Sequence[str]) -> list[str]:
    key, colon, _ = line.partition(":")
    return [f"{key}{colon} {draw(st.sampled_from(WORDS))}\n"]


Change = Callable[[st.DrawFn, str, Sequence[str]], list[str]]
CHANGES: tuple[Change, ...] = (_delete, _repeat, _indent, _another, _of_another_file, _insert, _replace, _value)

SHARES = {"bytes": 0.1, "text": 0.3, "mutated": 0.6}
"""Of the time: what is nearest to a real file finds most."""
TARGETS: dict[str, st.SearchStrategy[bytes]] = {
    "bytes": st.binary(max_size=400),
    "text": st.text(max_size=200).map(str.encode) | yaml_like(),
    "mutated": mutated_files(),
}


def hold_what_is_promised(raw: bytes, folder: Path, name: str = "one.yaml") -> Sequence[Problem]:
    """Check `raw` as the file `name` of a tree in `folder`, and raise AssertionError where a promise is broken."""
    (folder / name).write_bytes(raw)
    tree = SourceTree(folder)
    began = time.process_time()
    result = check(tree, AT)
    took_s = time.process_time() - began
    assert took_s < CPU_AT_MOST_S, f"{took_s:.1f} s for {len(raw)} bytes"
    # A file without a line break at its end is read as if it had one, so the end may be in the line after it.
    lines = 2 + raw.count(b"\n") + raw.count(b"\r")
    for problem in result.problems:
        _is_told(problem, lines if problem.place.file == name else None)
    _is_rendered(result.problems, tree)
    for site in result.resolved:
        envelope = emit(make_bundle(site, tree, sequence=1, revision=None), [])
        assert read_payload(open_unverified(envelope)).site == site.site
    return result.problems


def _is_told(problem: Problem, lines: int | None) -> None:
    assert problem.message, problem
    assert problem.help, problem
    assert problem.code != "PM390", f"the model knows what no rule does: {problem.message}"
    for place in (problem.place, *(one.place for one in problem.related)):
        assert (1, 1) <= (place.line, place.column) <= (place.end_line, place.end_column), problem
        assert lines is None or place.line <= lines, problem


def _is_rendered(problems: Sequence[Problem], tree: SourceTree) -> None:
    def text(file: str) -> str | None:
        return tree.read(file).decode("utf-8-sig", errors="replace")

    shown = render_text(problems, text)
    assert shown.isprintable() or all(line.isprintable() for line in shown.split("\n"))
    assert render_github(problems).count("\n") == len(problems)
    for report in (render_json(problems, 1), render_gitlab(problems), render_sarif(problems, "1")):
        assert report.endswith("\n")


def fuzz(target: str, until: float, first_seed: int) -> Counter[str]:
    """Try inputs of `target` until the monotonic time `until`; return how often each code came up."""
    seen: Counter[str] = Counter()
    number = first_seed
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < until:
            seen["inputs"] += _batch(target, until, number, Path(folder), seen)
            number += 1
    return seen


def _batch(target: str, until: float, number: int, folder: Path, seen: Counter[str]) -> int:
    tried = 0

    @seed(number)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(raw=TARGETS[target])
    def one(raw: bytes) -> None:
        nonlocal tried
        if time.monotonic() > until:
            return
        faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
        seen.update({problem.code for problem in hold_what_is_promised(raw, folder)})
        faulthandler.cancel_dump_traceback_later()
        tried += 1

    one()
    return tried


def main(arguments: Sequence[str]) -> None:
    """Fuzz every target for its share of the minutes; a broken promise ends it with the smallest input found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    given_ = parser.parse_args(arguments)
    first = given_.seed if given_.seed is not None else random.SystemRandom().randrange(10**9)
    print(f"fuzzing {', '.join(TARGETS)} for {given_.minutes:g} minutes, seed {first}", flush=True)
    for target in TARGETS:
        seen = fuzz(target, time.monotonic() + given_.minutes * 60 * SHARES[target], first)
        inputs = seen.pop("inputs")
        print(f"{target}: {inputs} inputs, {len(seen)} codes ({' '.join(sorted(seen))})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
