"""Checks as people read them, within 80 columns: verdict, name, what was seen, what to do. Pure."""

from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Any, Final

from pointsman_agent.tables import WIDTH, printable

Row = Mapping[str, Any]

_WORDS: Final = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
_COLOURS: Final = {"ok": "\x1b[32m", "warn": "\x1b[33m", "fail": "\x1b[1;31m"}
_PLAIN: Final = "\x1b[0m"


def connection_test_text(report: Row, *, colour: bool = False) -> str:
    """Return a connection test, as of `POST /api/test`."""
    who = f" as {report['station']}" if report["station"] is not None else ""
    lines = wrap(printable(f"{report['supervision']}{who}  {report['url']}"), WIDTH, subsequent_indent="  ")
    lines += check_lines(
        (
            {
                "check": step["step"],
                "verdict": step["verdict"],
                "seen": f"{step['seen']} ({step['milliseconds']} ms)",
                "remedy": step["remedy"],
            }
            for step in report["steps"]
        ),
        colour=colour,
    )
    certificate = report["certificate"]
    if certificate is not None:
        lines += _wrapped("certificate  ", f"{certificate['subject']}, expires {certificate['expires']}")
        lines += _wrapped(" " * 13, f"issued by {certificate['issuer']}")
    return "\n".join(lines) + "\n"


def doctor_text(found: Row, *, colour: bool = False) -> str:
    """Return the doctor's findings, as of `doctor --json`."""
    checks = found["checks"]
    count = {verdict: sum(1 for check in checks if check["verdict"] == verdict) for verdict in _WORDS}
    lines = check_lines(checks, colour=colour)
    lines.append(f"{count['ok']} ok, {count['warn']} to look at, {count['fail']} failed")
    return "\n".join(lines) + "\n"


def check_lines(rows: Iterable[Row], *, colour: bool = False) -> list[str]:
    """Return one block a check, in the order given, the names in a column."""
    listed = list(rows)
    width = max((len(row["check"]) for row in listed), default=0)
    return [line for row in listed for line in _check(row, width, colour=colour)]


def _check(row: Row, width: int, *, colour: bool) -> list[str]:
    word = _WORDS[row["verdict"]]
    lines = _wrapped(f"{word}  {row['check']:{width}}  ", row["seen"])
    if row["remedy"]:
        lines += _wrapped(" " * (width + 8), f"→ {row['remedy']}")
    if colour:
        lines[0] = _COLOURS[row["verdict"]] + word + _PLAIN + lines[0][len(word) :]
    return lines


def _wrapped(title: str, text: str) -> list[str]:
    indent = " " * len(title)
    return [
        line.rstrip()
        for line in wrap(printable(text), WIDTH, initial_indent=title, subsequent_indent=indent, break_on_hyphens=False)
    ] or [title.rstrip()]
