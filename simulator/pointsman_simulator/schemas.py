"""Is a payload what its standard's JSON schema says? The schema files are those that the `ocpp` package ships.

The files are opened by the simulator itself: `ocpp`'s own validator rounds numbers and opens whatever path an action
names, and importing its enumerations costs a second. Schemas and payloads are read with Decimal, because `multipleOf
0.1` refuses a third of all legal values in binary floats.
"""

import importlib.util
import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from pointsman_simulator.frames import Payload

FOLDER_OF_PROTOCOL = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
PROTOCOLS = tuple(FOLDER_OF_PROTOCOL)
FAULTS_SHOWN = 5


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
    found = _validator(protocol, name).iter_errors(payload)
    return sorted(f"{action}{error.json_path[1:]}: {error.message[:200]}" for error in found)[:FAULTS_SHOWN]


@cache
def _validator(protocol: str, name: str) -> Validator:
    schema: dict[str, Any] = json.loads(
        _schema_files(protocol)[name].read_text(encoding="utf-8-sig"),  # the files begin with a byte order mark
        parse_float=Decimal,
    )
    kind = validator_for(schema)
    validator: Validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    return validator


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
