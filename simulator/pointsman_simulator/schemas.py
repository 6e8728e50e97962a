"""Is a payload what its standard's JSON schema says? The schema files are those that the `ocpp` package ships.

The files are opened by the simulator itself: `ocpp`'s own validator rounds numbers and opens whatever path an action
names, and importing its enumerations costs a second. Payloads are read with Decimal, because `multipleOf 0.1` refuses a
third of all legal values in binary floats. `jsonschema_rs` decides where it exists (5 µs a payload, 20 ms to import);
`jsonschema` says the same elsewhere (armv7), and the tests hold one against the other.
"""

import importlib.util
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from pathlib import Path

from pointsman_simulator.frames import Payload

FOLDER_OF_PROTOCOL = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
PROTOCOLS = tuple(FOLDER_OF_PROTOCOL)
FAULTS_SHOWN = 5

Checker = Callable[[Payload], list[tuple[str, str]]]


def actions_of(protocol: str) -> frozenset[str]:
    """Return the names of all actions of `protocol` ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")."""
    return frozenset(
        name.removesuffix("Response") for name in _schema_files(protocol) if name.endswith("Response")
    ) | frozenset(name for name in _schema_files(protocol) if not name.endswith(("Request", "Response")))


def faults_of_call(protocol: str, action: str, payload: Payload) -> list[str]:
    """Return how the payload of a CALL or SEND breaks its schema, sorted; an empty list when it does not."""
    name = f"{action}Request" if f"{action}Request" in _schema_files(protocol) else action
    return _faults(protocol, name, action, payload)


def faults_of_result(protocol: str, action: str, payload: Payload) -> list[str]:
    """Return how the payload of a CALLRESULT to `action` breaks its schema, sorted; empty when it does not."""
    return _faults(protocol, f"{action}Response", action, payload)


def _faults(protocol: str, name: str, action: str, payload: Payload) -> list[str]:
    if name not in _schema_files(protocol):
        return [f"{action}: {protocol} has no such message"]
    try:
        found = _checker(protocol, name)(payload)
    except ValueError as error:  # a lone surrogate, or hundreds of levels: the sender's fault as well
        return [f"{action}: cannot be judged: {error}"]
    return sorted(f"{action}{place}: {message[:200]}" for place, message in found)[:FAULTS_SHOWN]


@cache
def _checker(protocol: str, name: str) -> Checker:
    text = _schema_files(protocol)[name].read_text(encoding="utf-8-sig")  # the files begin with a byte order mark
    return (fast_checker if importlib.util.find_spec("jsonschema_rs") else slow_checker)(text)


def fast_checker(schema: str) -> Checker:
    """Return the check of `schema` by jsonschema_rs: pairs of place and message."""
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(json.loads(schema), validate_formats=True)
    return lambda payload: [(_place(error.instance_path), error.message) for error in validator.iter_errors(payload)]


def slow_checker(schema: str) -> Checker:
    """Return the check of `schema` by jsonschema, which takes a second to import: pairs of place and message."""
    from jsonschema.validators import validator_for

    read = json.loads(schema, parse_float=Decimal)
    kind = validator_for(read)
    validator = kind(read, format_checker=kind.FORMAT_CHECKER)
    return lambda payload: [(_place(error.absolute_path), error.message) for error in validator.iter_errors(payload)]


def _place(path: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


@cache
def _schema_files(protocol: str) -> dict[str, Path]:
    folder = _ocpp_folder() / FOLDER_OF_PROTOCOL[protocol] / "schemas"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


@cache
def _ocpp_folder() -> Path:
    spec = importlib.util.find_spec("ocpp")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the package `ocpp`, which ships the schemas of OCPP, is not installed")
    return Path(spec.submodule_search_locations[0])
