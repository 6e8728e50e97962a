"""6xx: rollout.yaml."""

from typing import Final

from pointsman_compiler.catalogue.entry import Entry

ROLLOUT: Final = (
    Entry(
        "PM601",
        "not one last ring for the rest",
        "A site is in the first ring that takes it. Only when the last ring takes all the rest is every site in one, "
        "and a ring before it that did so would leave nothing for those behind it.",
        "Give every ring but the last `sites`, `labels` or `share`, and the last one none of them.",
    ),
    Entry(
        "PM602",
        "ring twice",
        "Halts, reports and freezes name a ring by its name.",
        "Give each ring a name of its own.",
    ),
    Entry(
        "PM603",
        "unknown site or ring",
        "A pin or a freeze that names nothing protects nothing.",
        "Correct the name, or remove the entry.",
    ),
    Entry(
        "PM604",
        "time that cannot be",
        "A day is not in the calendar, a period ends before it begins, or only one end of it is given.",
        "Correct the day, or give both ends.",
    ),
    Entry(
        "PM605",
        "freeze without end",
        "With neither days, hours nor a period it would freeze for ever; a rollout that is to stop is halted instead.",
        "Say when it holds, or use `pointsman rollout halt`.",
    ),
    Entry(
        "PM606",
        "ring of no site",
        "A pattern that fits no site's id is a slip, or a site that is gone: the ring proves nothing with it.",
        "Correct the pattern, or remove it.",
    ),
    Entry(
        "PM607",
        "ring that takes none",
        "A share of a small fleet may be no site at all, and a site is in the first ring that takes it. What is merged "
        "then goes to the next ring at once, and nothing has proven itself before.",
        "Raise `share`, or name some sites, which may be test stands, with `sites`.",
    ),
)
