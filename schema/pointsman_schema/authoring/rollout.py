"""The schema of rollout.yaml: in which order, how fast and when changes reach the sites."""

from pointsman_schema.authoring.parts import NAME_MESSAGE
from pointsman_schema.authoring.site import DIALECT
from pointsman_schema.authoring.terms import NAME, Schema, choice, closed, listed, named, text, whole

ROLLOUT_ID = "https://pointsman.example/schema/rollout.v1.schema.json"

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAY_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
TIME_PATTERN = "^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"
SITE_PATTERN = "^[a-z0-9*-]{1,63}$"
DIGEST_PATTERN = "^sha256:[0-9a-f]{64}$"
WEEK_S = 7 * 24 * 3600


def rollout_schema() -> Schema:
    """Return the JSON Schema of rollout.yaml, format version 1."""
    version: Schema = {
        "title": "Version",
        "description": "Version of the rollout format.",
        "type": "integer",
        "enum": [1],
        "examples": [1],
    }
    rings = listed(
        "Rings",
        "The rings, from the first to the last. A site is in the first one that takes it; the last takes all the rest.",
        _ring(),
        [{"name": "lab", "sites": ["lab-*"], "soak": 3600}, {"name": "rest"}],
    )
    freezes = listed(
        "Freezes",
        "When nothing moves, in the time zone of each site.",
        _freeze(),
        [{"days": ["sat", "sun"], "because": "nobody is there"}],
    )
    rollout = closed(
        "Pointsman rollout, version 1",
        "In which order, how fast and when what is merged reaches the sites.",
        {
            "version": version,
            "rings": rings,
            "freezes": freezes,
            "pins": _pins(),
            "spread": whole(
                "Spread",
                "Seconds over which the sites that are promoted together take their bundles.",
                0,
                24 * 3600,
                300,
                900,
            ),
            "staleAfter": whole(
                "Stale after",
                "Seconds after which a site's last report says nothing of it any more.",
                60,
                24 * 3600,
                600,
                900,
            ),
        },
        ("version", "rings"),
    )
    return {"$schema": DIALECT, "$id": ROLLOUT_ID, **rollout}


def _ring() -> Schema:
    site = text("Site", "A site; * stands for any characters.", "lab-*", pattern=SITE_PATTERN, message=_SITE_MESSAGE)
    label = text("Label", "The label's value.", "north", most=200)
    return closed(
        "Ring",
        "Sites that move together. With none of `sites`, `labels` and `share` it takes all the rest.",
        {
            "name": text("Name", "The ring's name.", "lab", pattern=NAME, message=NAME_MESSAGE),
            "sites": listed("Sites", "Sites of it, * for any characters.", site, ["lab-*", "utrecht-kantoor"]),
            "labels": named(
                "Labels",
                "Labels that its sites have, all of them.",
                "^[A-Za-z0-9._-]{1,63}$",
                "a label's name has 1 to 63 characters of A-Z a-z 0-9 . _ -",
                label,
                {"region": "north"},
                1,
            ),
            "share": whole("Share", "Percent of the sites that it could take, always the same ones.", 1, 100, None, 10),
            "soak": whole(
                "Soak",
                "Seconds that a batch has to prove itself, from the end of its spread.",
                0,
                WEEK_S * 4,
                3600,
                600,
            ),
            "atOnce": whole("At once", "Most sites that are under way in it at one time.", 1, 1_000_000, 500, 50),
            "leastReports": whole(
                "Least reports",
                "Sites of a batch that must have reported before it counts; of a smaller batch all must.",
                1,
                1_000_000,
                1,
                20,
            ),
            "mostFailed": whole(
                "Most failed", "Percent of the sites that reported which may have failed.", 0, 100, 0, 2
            ),
        },
        ("name",),
    )


def _freeze() -> Schema:
    return closed(
        "Freeze",
        "A time when nothing moves: days of the week, hours of a day, a period, or what all that are given share.",
        {
            "because": text("Because", "Why; it is shown for every site that waits.", "season's greetings", most=200),
            "days": listed("Days", "Days of the week.", choice("Day", "A day of the week.", DAYS), ["sat", "sun"]),
            "from": text("From", "Begin of the hours.", "07:00", pattern=TIME_PATTERN, message=_TIME_MESSAGE),
            "to": text(
                "To",
                "End of the hours; earlier than `from`, it lies on the next day.",
                "19:00",
                pattern=TIME_PATTERN,
                message=_TIME_MESSAGE,
            ),
            "firstDay": text("First day", "Of the period.", "2026-12-20", pattern=DAY_PATTERN, message=_DAY_MESSAGE),
            "lastDay": text("Last day", "Of the period.", "2027-01-02", pattern=DAY_PATTERN, message=_DAY_MESSAGE),
            "rings": listed(
                "Rings",
                "Only these rings.",
                text("Ring", "A ring's name.", "rest", pattern=NAME, message=NAME_MESSAGE),
                ["rest"],
            ),
        },
        ("because",),
    )


def _pins() -> Schema:
    digest = text(
        "Digest",
        "The configDigest that the site stays at.",
        "sha256:" + 64 * "0",
        pattern=DIGEST_PATTERN,
        message="a digest is sha256: and 64 hex digits, as `pointsman show` prints it",
    )
    until = text(
        "Until", "Last day of the pin, in the site's zone.", "2026-12-31", pattern=DAY_PATTERN, message=_DAY_MESSAGE
    )
    pin = closed(
        "Pin",
        "A site that stays at one configuration, and until when and why.",
        {
            "digest": digest,
            "until": until,
            "because": text("Because", "Why.", "the operator's system is being replaced", most=200),
        },
        ("digest", "until", "because"),
    )
    example = {
        "lyon-part-dieu": {"digest": "sha256:" + 64 * "0", "until": "2026-12-31", "because": "works in the yard"}
    }
    return named("Pins", "Sites that stay at one configuration for a while.", NAME, NAME_MESSAGE, pin, example)


_SITE_MESSAGE = "a site's id has 1 to 63 characters of a-z 0-9 -, and * stands for any of them"
_TIME_MESSAGE = "a time of day is written 07:00"
_DAY_MESSAGE = "a day is written 2026-12-31"
