"""Nothing in the relay waits without a bound: every wait stands inside a deadline, or here with what bounds it.

The waits are found in the source. One that is new, and in no deadline of its own function, turns this test red until it
gets one, or a line here that says what else ends it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pointsman_agent

ROOT = Path(pointsman_agent.__file__).parent
MODULES = [
    "listener", "local", "names", "owncalls", "plane/driver", "plane/reactor", "replay", "session", "station",
    "streams", "uplink", "upgrade", "wire",
]  # fmt: skip
WAITS = {
    "accept", "acquire", "receive", "receive_some", "send", "send_all", "sleep_forever", "sleep_until", "wait",
    "wait_readable", "wait_writable",
}  # fmt: skip

PINGS = "liveness: silence ends the wire, and so this wait"
STREAM = "OwnedStream.send_all has a deadline of its own"
CALLER = "the caller has a deadline round it"
SESSION = "as long as the session, whose nursery cancels it"
BOUNDED = {
    ("listener", "_accept_on", "wait_readable"): "as long as the bundle names the listener",
    ("local", "_answer", "send"): STREAM,
    ("local", "_await_end", "wait"): SESSION,
    ("local", "_serve", "receive"): PINGS,
    ("names", "getaddrinfo", "wait"): CALLER,
    ("owncalls", "_ask", "send"): STREAM,
    ("plane/reactor", "run", "wait_readable"): "as long as the agent; its sweep is a task beside it",
    ("replay", "_do", "wait"): "the link tells the end of each own CALL, or ends, and with it the telling",
    ("replay", "run", "wait"): "as above",
    ("session", "all_ended", "wait"): CALLER,
    ("session", "inherit", "wait"): "the predecessor's connectTimeout, and its end in any case",
    ("session", "keep_alive", "sleep_forever"): SESSION,
    ("session", "run", "sleep_forever"): "as the session, or until pings are configured",
    ("session", "keep_alive", "sleep_until"): "a ping interval, 60 s at most",
    ("station", "_close_without_protocol", "accept"): STREAM,
    ("station", "_relay", "accept"): STREAM,
    ("station", "_serve_locally", "accept"): STREAM,
    ("streams", "_connect_to", "wait_writable"): CALLER,
    ("streams", "_open_tunnel", "send_all"): CALLER,
    ("streams", "_proxy_status", "receive_some"): CALLER,
    ("streams", "_wait", "wait"): CALLER,
    ("streams", "receive_some", "receive_some"): PINGS,
    ("upgrade", "accept", "accept"): STREAM,
    ("upgrade", "receive_some", "receive_some"): CALLER,
    ("upgrade", "receive_some", "sleep_forever"): "the handshake's guard cancels the library's reader",
    ("upgrade", "send_all", "send_all"): STREAM,
    ("wire", "_await_close", "receive"): CALLER,
    ("wire", "_next", "receive_some"): PINGS,
    ("wire", "_write", "send_all"): STREAM,
}


def waits_without_deadline(node: ast.AST, module: str, function: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield module, function and call of every wait below `node` that stands in no deadline of its function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With | ast.AsyncWith) and any(is_deadline(item) for item in child.items):
            continue
        name = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(child, ast.Await) and isinstance(child.value, ast.Call):
            called = ast.unparse(child.value.func).rpartition(".")[2]
            if called in WAITS:
                yield module, name, called
        yield from waits_without_deadline(child, module, name)


def is_deadline(item: ast.withitem) -> bool:
    """Whether a `with` bounds what is in it."""
    text = ast.unparse(item.context_expr)
    return "fail_after" in text or "move_on_a" in text


def test_every_wait_in_the_relay_has_a_bound() -> None:
    found = {
        wait
        for module in MODULES
        for wait in waits_without_deadline(ast.parse((ROOT / f"{module}.py").read_text()), module)
    }

    assert found - BOUNDED.keys() == set(), "a wait without a deadline: bound it, or say here what ends it"
    assert BOUNDED.keys() - found == set(), "these waits are gone: remove their lines"
