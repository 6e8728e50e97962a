"""The schema of a site's file: one closed definition a supervision mode, chosen by if/then.

`oneOf` over the modes would answer "not valid under any of the given schemas"; this way each mistake has one error.
"""

from pointsman_schema.authoring.parts import (
    IDENTITY,
    IDENTITY_MESSAGE,
    NAME_MESSAGE,
    PROTOCOLS,
    authentication,
    listeners,
    own_password,
    protocols,
    shared_definitions,
    variables,
)
from pointsman_schema.authoring.terms import (
    NAME,
    Schema,
    choice,
    closed,
    flag,
    forbidden,
    listed,
    named,
    reference,
    removable,
    removable_keys,
    secret,
    text,
    whole,
)
from pointsman_schema.badgelist import LONGEST_BADGE, TOKEN_TYPES
from pointsman_schema.timezones import zone_names

SITE_ID = "https://pointsman.example/schema/site.v1.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
GROUP_NAME = "^[A-Za-z0-9._-]{1,63}$"
GROUP_MESSAGE = "a group's name has 1 to 63 characters of A-Z a-z 0-9 . _ -"
_REQUIRED = ("version", "site", "timeZone", "supervision", "stations")


def site_schema() -> Schema:
    """Return the JSON Schema of a site's file, format version 1."""
    return {
        "$schema": DIALECT,
        "$id": SITE_ID,
        "title": "Pointsman site, version 1",
        "description": "A charging site: its supervision mode, supervisions, groups, badges and stations.",
        **_by_mode("local", "unique", "multiple"),
        "$defs": {
            "localSite": _local(),
            "uniqueSite": _unique(),
            "multipleSite": _multiple(),
            "anySite": _site("A site", "A site whose supervision mode is not told.", {}),
            "station": _station(),
            "group": _group(),
            "localGroup": _local_group(),
            "groupAuthentication": removable(removable_keys(authentication())),
            "badge": _badge(),
            "badgeFile": _badge_source("file", "badges/lyon-staff.csv"),
            "badgeSecret": _badge_source("secret", "lyon-staff-badges"),
            "badgeEntry": _badge_entry(),
            "ownPassword": own_password(),
            "zone": _zone(),
            **shared_definitions(),
        },
    }


def _by_mode(*modes: str) -> Schema:
    if not modes:
        return {"$ref": "#/$defs/anySite"}
    return {
        "if": {"type": "object", "properties": {"supervision": {"const": modes[0]}}, "required": ["supervision"]},
        "then": {"$ref": f"#/$defs/{modes[0]}Site"},
        "else": _by_mode(*modes[1:]),
    }


def _local() -> Schema:
    reason = "in `local` mode the controller is the only operator: there are no supervisions"
    groups = _groups("localGroup", {"staff": {"stations": "all"}})
    site = _site(
        "Local site",
        "The controller manages authentication rules and badges for every station.",
        {"supervisions": forbidden("Supervisions", reason), "groups": groups},
    )
    # With groups each of them has strategies of its own; a global one would have no group to belong to.
    grouped = forbidden("Authentication", "a site with `groups` sets `authentication` in each group")
    return site | {"if": {"required": ["groups"]}, "then": {"properties": {"authentication": grouped}}}


def _unique() -> Schema:
    reason = "in `unique` mode one supervision manages the whole installation: {} belong to it"
    forbids = {
        "groups": forbidden("Groups", reason.format("authentication groups")),
        "badges": forbidden("Badges", reason.format("badges")),
        "authentication": forbidden("Authentication", reason.format("authentication rules")),
    }
    supervisions = _supervisions(1) | {"maxProperties": 1, "errorMessage": "`unique` mode has exactly one supervision"}
    title, description = "Unique site", "One supervision manages the whole installation."
    return _site(title, description, {"supervisions": supervisions, **forbids}, ("supervisions",))


def _multiple() -> Schema:
    reason = "in `multiple` mode each group whose operator is `local` sets its own `authentication`"
    return _site(
        "Multiple site",
        "Every station is in exactly one group; a group's operator is a supervision or the controller (local).",
        {
            "supervisions": _supervisions(1),
            "groups": _groups("group", {"visitors": {"operator": "acme", "stations": ["LYO-03"]}}, 1),
            "authentication": forbidden("Authentication", reason),
        },
        ("supervisions", "groups"),
    )


def _site(title: str, description: str, mode: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    properties = {
        "version": {
            "title": "Version",
            "description": "Version of the site format.",
            "type": "integer",
            "enum": [1],
            "examples": [1],
        },
        "site": text(
            "Site",
            "The site's id, equal to the file's name without .yaml.",
            "lyon-part-dieu",
            pattern=NAME,
            message="a site's id has 1 to 63 characters of a-z 0-9 and -",
        ),
        "title": text("Title", "For people. May hold Jinja expressions.", "Lyon Part-Dieu, level P2", most=500),
        "labels": _labels(),
        "timeZone": reference("zone", "Time zone", "IANA name of the site's time zone, or UTC.", "Europe/Paris"),
        "supervision": choice(
            "Supervision mode",
            "local: the controller manages all stations. unique: one supervision does. multiple: each group of "
            "stations has its own operator.",
            ["local", "unique", "multiple"],
        ),
        "supervisions": _supervisions(0),
        "groups": _groups("group", {"visitors": {"operator": "acme", "stations": ["LYO-03"]}}),
        "authentication": reference(
            "authentication", "Authentication", "Strategies of a `local` site without groups.", {"online": "any"}
        ),
        "badges": _badges(),
        "stationPassword": reference(
            "stationPassword",
            "Station password",
            "Basic password of stations towards the controller, unless a station has its own.",
            {"secretPerStation": "station-{station}"},
        ),
        "stations": named(
            "Stations",
            "The charging stations by OCPP identity, at least one.",
            IDENTITY,
            IDENTITY_MESSAGE,
            reference("station", "Station", "A charging station.", {}),
            {"LYO-01": {}},
            1,
        ),
        "listeners": listeners(),
        "activation": reference("activation", "Activation", "How a new bundle comes into force.", {"spread": 60}),
        "journal": reference("journal", "Journal", "What the controller keeps.", {"keepDays": 400}),
        "vars": variables(),
    }
    return closed(title, description, properties | mode, _REQUIRED + required)


def _zone() -> Schema:
    return {
        "title": "Time zone",
        "description": "A name of the IANA database's zone.tab, or UTC.",
        "type": "string",
        "enum": list(zone_names()),
        "examples": ["Europe/Paris"],
    }


def _labels() -> Schema:
    value = text("Label", "A label's value.", "ara", most=200)
    message = "a label's name has 1 to 63 characters of A-Z a-z 0-9 . _ -"
    description = "For rollout rings, reports and templates."
    return named("Labels", description, "^[A-Za-z0-9._-]{1,63}$", message, value, {"region": "ara"})


def _supervisions(least: int) -> Schema:
    value = reference("supervision", "Supervision", "A remote operator's system; {} takes it from fleet.yaml.", {})
    return named(
        "Supervisions",
        "Remote operators' systems by name; an entry takes what it leaves out from fleet.yaml.",
        "^(?!local$)[a-z0-9-]{1,63}$",
        f"{NAME_MESSAGE}, and is not `local`",
        value,
        {"acme": {"url": "wss://csms.acme.example/ocpp"}},
        least,
    )


def _groups(definition: str, example: Schema, least: int = 0) -> Schema:
    value = reference(definition, "Group", "An authentication group.", {"operator": "local", "stations": "all"})
    return named("Groups", "Authentication groups by name.", GROUP_NAME, GROUP_MESSAGE, value, example, least)


def _group() -> Schema:
    operator = text("Operator", "Name of a supervision, or local.", "acme", pattern=NAME, message=NAME_MESSAGE)
    remote = "with a remote operator {} to the supervision: it is set only where `operator` is `local`"
    return closed(
        "Group", "Stations that share one operator.", {"operator": operator, **_group_keys()}, ("operator", "stations")
    ) | {
        "if": {"properties": {"operator": {"const": "local"}}},
        "else": {
            "properties": {
                "authentication": forbidden("Authentication", remote.format("driver authentication belongs")),
                "stationKeys": forbidden("Station keys", remote.format("station keys belong")),
            }
        },
    }


def _local_group() -> Schema:
    operator = choice("Operator", "In `local` mode always local, which may be left out.", ["local"], "local")
    operator["errorMessage"] = "in `local` mode the operator of every group is `local`"
    description = "Stations that share authentication rules and badges."
    return closed("Group", description, {"operator": operator, **_group_keys()}, ("stations",))


def _group_keys() -> dict[str, Schema]:
    key = text("Value", "The value as OCPP carries it: a text.", "60", most=2500) | {"minLength": 0}
    stations_message = "`stations` is a list of identities, or the word all, or the word each"
    stations_help = (
        "Identities; or all: every station that no other group lists; or each: one group per such station, named "
        "GROUP/STATION."
    )
    message = "a key is of 1.6, as ConnectionTimeOut, or of 2.x, as TxCtrlr.EVConnectionTimeOut"
    return {
        "stations": {
            "title": "Stations",
            "description": stations_help,
            "if": {"type": "string"},
            "then": {
                "enum": ["all", "each"],
                "errorMessage": stations_message,
                "description": stations_help,
                "examples": [["LYO-01"], "all"],
            },
            "else": {
                "type": "array",
                "items": text("Station", "A station's identity.", "LYO-01", pattern=IDENTITY, message=IDENTITY_MESSAGE),
                "minItems": 1,
                "uniqueItems": True,
                "errorMessage": stations_message,
                "description": stations_help,
                "examples": [["LYO-01"]],
            },
            "examples": [["LYO-01", "LYO-02"], "all", "each"],
        },
        "authentication": reference(
            "groupAuthentication", "Authentication", "Strategies; only where the operator is local.", {"online": "any"}
        ),
        "stationKeys": named(
            "Station keys",
            "Configuration keys (1.6) and variables (2.x, Component.Variable[instance]) that the controller keeps in "
            "force; only where the operator is local.",
            "^[!-~](?:[ -~]{0,198}[!-~])?$",
            message,
            key,
            {"ConnectionTimeOut": "60"},
        ),
    }


def _badges() -> Schema:
    entry = reference("badge", "Entry", "A badge, a CSV file or a secret that holds one.", {"badge": "04A2B1C3D4E580"})
    return {
        "title": "Badges",
        "description": "Badges that the controller knows: one by one, from CSV files, or from secrets that hold CSV.",
        "type": "array",
        "items": entry,
        "examples": [[{"file": "badges/lyon-staff.csv"}]],
    }


def _badge() -> Schema:
    return {
        "title": "Badge",
        "description": "One badge (`badge`), a CSV file (`file`) or a secret that holds CSV (`secret`).",
        "if": {"type": "object", "required": ["file"]},
        "then": {"$ref": "#/$defs/badgeFile"},
        "else": {
            "if": {"type": "object", "required": ["secret"]},
            "then": {"$ref": "#/$defs/badgeSecret"},
            "else": {"$ref": "#/$defs/badgeEntry"},
        },
    }


def _badge_source(kind: str, example: str) -> Schema:
    if kind == "file":
        value = text("File", "Path of a CSV file, relative to the file that names it.", example)
    else:
        value = secret("Secret", "Name of a secret on the controller that holds the same CSV.", example)
    return closed(f"Badge list ({kind})", f"A list of badges from a {kind}.", {kind: value}, (kind,))


def _badge_entry() -> Schema:
    number = text(
        "Badge",
        "The badge's number (idTag, idToken), compared without regard to ASCII case.",
        "04A2B1C3D4E580",
        pattern="^[!-~](?:[ -~]{0,34}[!-~])?$",
        message=f"a badge has 1 to {LONGEST_BADGE} printable ASCII characters",
    )
    until = text(
        "Until",
        "The last day on which it is valid, in the site's time zone.",
        "2027-01-31",
        pattern="^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$",
        message="a day is written as 2027-01-31",
    )
    group = text(
        "Group",
        "A group, or GROUP/STATION of a group with `stations: each`.",
        "staff",
        pattern=r"^[A-Za-z0-9._-]{1,63}(?:/[!-.0-9;-~][ -.0-9;-~]{0,47})?$",
        message="the name of a group, or GROUP/STATION",
    )
    entry = closed(
        "Badge",
        "A badge that the controller knows.",
        {
            "badge": number,
            "groups": listed("Groups", "Groups in which it counts; absent only without groups.", group, ["staff"]),
            "type": choice("Type", "Token type of OCPP 2.x.", list(TOKEN_TYPES), "ISO14443"),
            "authorized": flag("Authorized", "It may charge where `online` or `offline` is known.", False),
            "vip": flag("VIP", "Priority in load management; it gives no authorization.", False),
            "until": until,
            "comment": text("Comment", "For people. May hold Jinja expressions.", "Front desk", most=500),
        },
        ("badge",),
    )
    return entry | {"errorMessage": "an entry is a `badge`, a `file` or a `secret`"}


def _station() -> Schema:
    assumed = choice("Assume protocol", "For a station that offers no WebSocket subprotocol.", PROTOCOLS)
    own = "The CN of the station's certificate on a listener of profile 3; default: its identity."
    return closed(
        "Station",
        "A charging station; the key is its OCPP identity.",
        {
            "protocols": protocols("Protocols", "Versions of OCPP that it may speak; default: all."),
            "assumeProtocol": assumed,
            "pingInterval": whole(
                "Ping interval", "Seconds between pings on the station's own link, 0 to 60; 0 is off.", 0, 60, 30, 0
            ),
            "certificateName": text("Certificate name", own, "SN0815", most=64),
            "password": {
                "title": "Password",
                "description": "Its Basic password towards the controller, by reference; or none.",
                "if": {"type": "string"},
                "then": {
                    "enum": ["none"],
                    "description": "Put the password among the controller's secrets, and its name here.",
                    "errorMessage": "a password is a reference, `{secret: NAME}`, or the word none; never the password",
                },
                "else": {"$ref": "#/$defs/ownPassword"},
                "examples": [{"secret": "lyo-02", "format": "hex"}, "none"],
            },
        },
    )
