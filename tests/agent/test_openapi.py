"""The OpenAPI document: valid, and true of the routes that there are."""

import re
from typing import Any

import pytest
from pointsman_agent.web.openapi import OPERATIONS, document
from starlette.applications import Starlette
from starlette.routing import Route

openapi_spec_validator = pytest.importorskip("openapi_spec_validator", reason="the validator is not installed here")


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(document("1.0"))


def test_every_name_in_the_document_is_used_and_every_reference_leads_somewhere() -> None:
    made = document("1.0")
    references = set(re.findall(r"#/components/schemas/(\w+)", str(made)))

    spoken_of_in_words = {"Message", "Missed", "StationsEvent"}
    assert references | spoken_of_in_words == set(made["components"]["schemas"])


def test_operations_have_names_of_their_own() -> None:
    names = [each["operationId"] for path in document("1.0")["paths"].values() for each in path.values()]

    assert len(set(names)) == len(names) == len(OPERATIONS)
    assert "get_api_stations_station" in names


def operations_of(app: Any) -> set[tuple[str, str]]:
    """Return method and path of every route."""
    assert isinstance(app, Starlette)
    routes = [route for route in app.routes if isinstance(route, Route)]
    return {(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"}
