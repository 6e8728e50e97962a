"""The schema of fleet.yaml: what all sites share."""

from pointsman_schema.authoring.parts import NAME_MESSAGE, listeners, shared_definitions, variables
from pointsman_schema.authoring.site import DIALECT
from pointsman_schema.authoring.terms import Schema, choice, closed, flag, listed, named, reference

FLEET_ID = "https://pointsman.example/schema/fleet.v1.schema.json"
ACKNOWLEDGED = ["risk/reload", "risk/reconnect", "risk/authority-move", "risk/security-downgrade", "risk/fleet-wide"]


def fleet_schema() -> Schema:
    """Return the JSON Schema of fleet.yaml, format version 1."""
    version: Schema = {
        "title": "Version",
        "description": "Version of the fleet format.",
        "type": "integer",
        "enum": [1],
        "examples": [1],
    }
    supervision = reference("supervision", "Supervision", "A remote operator's system.", {"messageTimeout": 20})
    catalogue = named(
        "Supervisions",
        "Catalogue of remote operators' systems; a site takes one by naming it under its own `supervisions`.",
        "^(?!local$)[a-z0-9-]{1,63}$",
        f"{NAME_MESSAGE}, and is not `local`",
        supervision,
        {"acme": {"url": "wss://csms.acme.example/ocpp/{{ site }}"}},
    )
    fleet = closed(
        "Pointsman fleet, version 1",
        "What the sites of a fleet share: a catalogue of supervisions, defaults and policy.",
        {"version": version, "defaults": _defaults(), "supervisions": catalogue, "policy": _policy()},
        ("version",),
    )
    return {"$schema": DIALECT, "$id": FLEET_ID, **fleet, "$defs": shared_definitions()}


def _defaults() -> Schema:
    defaults = closed(
        "Defaults",
        "What every site has unless it says otherwise; maps merge key by key.",
        {
            "listeners": listeners(),
            "authentication": reference(
                "authentication",
                "Authentication",
                "Strategies where the controller is the operator.",
                {"online": "any"},
            ),
            "stationPassword": reference(
                "stationPassword",
                "Station password",
                "Basic password of stations towards the controller.",
                {"secretPerStation": "station-{station}"},
            ),
            "activation": reference("activation", "Activation", "How a new bundle comes into force.", {"spread": 60}),
            "journal": reference("journal", "Journal", "What the controller keeps.", {"keepDays": 400}),
            "vars": variables(),
        },
    )
    return defaults | {"examples": [{"listeners": {"lan": {"port": 9000, "securityProfile": 1}}}]}


def _policy() -> Schema:
    policy = closed(
        "Policy",
        "What no site may do otherwise.",
        {
            "requireTls": flag("Require TLS", "ws:// to any but a loopback host is an error.", False),
            "badges": choice(
                "Badges",
                "any: badges may stand in files. secretOnly: only secrets may hold badge numbers.",
                ["any", "secretOnly"],
                "any",
            ),
            "acknowledge": listed(
                "Acknowledge",
                "Labels of a plan that somebody must acknowledge before it is merged: by a trailer such as "
                "`Acknowledge: risk/authority-move` in a commit's message.",
                choice("Label", "A label of a plan.", ACKNOWLEDGED),
                ["risk/authority-move", "risk/security-downgrade"],
            ),
        },
    )
    return policy | {"examples": [{"requireTls": True, "badges": "secretOnly"}]}
