"""3xx: rules over one site, with what it inherits from the fleet."""

from typing import Final

from pointsman_compiler.catalogue.entry import Entry
from pointsman_compiler.catalogue.groups import GROUPS
from pointsman_compiler.catalogue.listeners import LISTENERS
from pointsman_compiler.catalogue.urls import URLS

_IDENTITY: Final = (
    Entry(
        "PM300",
        "id differs from the file's name",
        "A site's id is its file's stem, so that a path names a site and a bundle names its path.",
        "Rename the file, or correct `site`.",
    ),
    Entry(
        "PM301",
        "template that gives nothing",
        "A text with `{{ … }}` uses an unknown name, or more than a plain expression. Templates cannot loop, compute "
        "or call, so that nobody's pull request can run long.",
        "Use `site`, `supervision`, `labels.<key>`, `vars.<key>`, and the filters default, lower, replace, trim, "
        "upper. To write braces themselves, leave the template out.",
    ),
    Entry(
        "PM302",
        "too many templates",
        "Each text that holds an expression of its own costs time, and a site needs a handful.",
        "Write out what differs from badge to badge.",
    ),
)
_REST: Final = (
    Entry(
        "PM380",
        "no common version of OCPP",
        "The station speaks none of the versions that its supervision takes: they would never connect.",
        "Add a common version to one of the two `protocols`.",
    ),
    Entry(
        "PM381",
        "assumed version is not among the station's",
        "`assumeProtocol` is for a station that offers no subprotocol; it must be one that the station speaks.",
        "Add it to the station's `protocols`, or assume one of them.",
    ),
    Entry(
        "PM385",
        "unknown time zone",
        "Badges expire and days begin by the site's time zone. Aliases and abbreviations (CET, US/Pacific) change "
        "their meaning with the machine's data.",
        "Write the IANA name of a place, such as Europe/Paris, or UTC; the name that was probably meant is shown.",
    ),
    Entry(
        "PM390",
        "makes no bundle",
        "Controllers take bundles of up to 8 MiB; what is larger nearly always holds too many badges. Where a value is "
        "named, the bundle's strict model refuses what every rule let pass: that is a gap in the compiler's rules.",
        "Keep long lists of badges in secret files on the controllers. Where a value is named, correct it, and report "
        "the gap.",
    ),
)

SITE: Final = (*_IDENTITY, *URLS, *GROUPS, *LISTENERS, *_REST)
