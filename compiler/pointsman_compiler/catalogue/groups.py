"""33x to 36x: groups and operators, badges, secrets."""

from typing import Final

from pointsman_compiler.catalogue.entry import Entry

GROUPS: Final = (
    Entry(
        "PM330",
        "station in two groups",
        "A station has exactly one operator; two groups would give it two.",
        "Remove it from all groups but one; both places are shown.",
    ),
    Entry(
        "PM331",
        "station in no group",
        "Nobody would operate this station.",
        "List it in one group, or let one group take the rest with `stations: all`.",
    ),
    Entry(
        "PM332",
        "group lists an unknown station",
        "The identity is not among the site's stations: it is misspelt, or the station is gone.",
        "Correct it, or add it under `stations`.",
    ),
    Entry(
        "PM333",
        "unknown operator",
        "An operator is the name of one of this site's supervisions, or `local`.",
        "Write one of the names that are shown, or add the supervision.",
    ),
    Entry(
        "PM334",
        "two groups take the rest",
        "`stations: all` and `stations: each` take every station that no other group lists; only one group can.",
        "List the stations of one of the two.",
    ),
    Entry(
        "PM335",
        "settings that belong to the operator",
        "With a remote operator, driver authentication and the stations' keys belong to the supervision; what the "
        "controller set would be overwritten, or worse, not.",
        "Remove the key, or make the group's operator `local`.",
    ),
    Entry(
        "PM336",
        "station key that Pointsman owns",
        "The key follows from `authentication` or from a password. Two sources for one key would undo each other.",
        "Remove it, and set `authentication` or `password` instead.",
    ),
    Entry(
        "PM337",
        "unused supervision",
        "No group has this supervision as its operator, so no station will ever connect to it.",
        "Remove it, or make it some group's `operator`.",
    ),
    Entry(
        "PM338",
        "supervision named local",
        "As an operator, `local` means the controller itself.",
        "Give the supervision another name.",
    ),
    Entry(
        "PM339",
        "group without stations",
        "The group takes the stations that no other group lists, and there are none left.",
        "Remove the group, or take a station out of another one.",
    ),
    Entry(
        "PM350",
        "badge written twice",
        "Badges are compared without regard to case; of two entries only one could count.",
        "Keep one of the two, with the groups of both.",
    ),
    Entry(
        "PM351",
        "badge of an unknown group",
        "The group is not one of this site's.",
        "Write one of the groups that are shown.",
    ),
    Entry(
        "PM352",
        "badge of a remote group",
        "In that group the supervision decides on badges; the controller never asks its own list.",
        "Hand the badge to the supervision's operator, and remove the group here.",
    ),
    Entry(
        "PM353",
        "badge too long for OCPP 1.6",
        "An idTag of OCPP 1.6 has 20 characters at most: such a station could never send this badge.",
        "Write the number as the stations send it.",
    ),
    Entry(
        "PM354",
        "badges without a local group",
        "No group of this site is operated by the controller, so its badges would never be asked.",
        "Remove `badges`, or give a group `operator: local`.",
    ),
    Entry(
        "PM355",
        "badge without a group",
        "A site with groups must say where a badge counts.",
        "Add `groups`.",
    ),
    Entry(
        "PM357",
        "badge numbers where policy forbids them",
        "The fleet's policy `badges: secretOnly` keeps badge numbers out of git and out of bundles.",
        "Put the list into a secret on the controller, and name it: `- secret: <name>`.",
    ),
    Entry(
        "PM358",
        "no such day",
        "The calendar does not have this day.",
        "Write the last day on which the badge is valid, as YYYY-MM-DD.",
    ),
    Entry("PM359", "list named twice", "Every badge in it would be there twice.", "Remove one of the two."),
    Entry(
        "PM360",
        "secret in clear",
        "Whoever can read the repository, now or in ten years, has this secret. Reports mask it.",
        "Remove it from the file and from git's history, change it where it is in use, and refer to a secret on the "
        "controller: `{secret: <name>}`.",
    ),
    Entry(
        "PM361",
        "not a secret's name",
        "A secret is a file in the controller's secrets folder, and its name has letters, digits, `.`, `_`, `-` only. "
        "What does not fit may be the secret itself.",
        "Write the file's name, at most 63 characters.",
    ),
    Entry(
        "PM362",
        "identity does not fit into a secret's name",
        "With this station's identity in the place of `{station}` no file of that name can exist.",
        "Give the station a password of its own, or rename it.",
    ),
    Entry(
        "PM363",
        "one secret for every station",
        "`secretPerStation` without `{station}` names the same secret for all of them.",
        "Put `{station}` into the name, or write `secret`.",
    ),
)
