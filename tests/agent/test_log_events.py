"""The index of log events has all that the code writes, and nothing that it does not write any more."""

import ast
from pathlib import Path

import pointsman_agent
from pointsman_agent.logevents import EVENTS

FOLDER = Path(pointsman_agent.__file__).parent
METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


def events() -> set[str]:
    """Return the events of all log lines; one that is put together is told by its place."""
    found = set()
    for module in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=method), args=[event, *_]):
                    if method in METHODS:
                        place = f"{module.name}:{node.lineno}: not a literal"
                        found.add(str(event.value) if isinstance(event, ast.Constant) else place)
    return found


def test_every_log_event_has_an_entry_in_the_index_and_no_other_has() -> None:
    assert sorted(events()) == sorted(EVENTS)


def test_entries_are_sorted_sentences() -> None:
    assert list(EVENTS) == sorted(EVENTS)
    assert all(meaning.endswith(".") or meaning.endswith("`.") for meaning in EVENTS.values())
