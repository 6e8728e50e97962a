"""2xx: what the JSON Schema of sites and fleets refuses."""

from typing import Final

from pointsman_compiler.catalogue.entry import Entry

SHAPE: Final = (
    Entry(
        "PM201",
        "wrong kind of value",
        "A map stands where a list is expected, a text where a number is, and so on. Texts are never turned into "
        "numbers, nor 30.0 into 30.",
        "Write the kind that is named: numbers without quotes, texts that look like numbers with quotes, `{}` for an "
        "entry with nothing set.",
    ),
    Entry(
        "PM202",
        "missing key",
        "Without this key the site would say less than it must; where there is a default, the key may be left out.",
        "Add the key at the place that is shown.",
    ),
    Entry(
        "PM203",
        "unknown key",
        "A key that means nothing here would be ignored by a lax reader, and its author would believe it works: it is "
        "misspelt, or it belongs into another section.",
        "Correct the spelling, or move the key to the section that is named.",
    ),
    Entry(
        "PM204",
        "word that is not on the list",
        "Only certain words have a meaning here; capitals count.",
        "Choose one of the words that are named.",
    ),
    Entry(
        "PM205",
        "number out of range",
        "Outside this range the value would not work: pings further apart than a minute let routers forget the "
        "connection, and a driver does not wait longer than a minute for an answer.",
        "Write a whole number within the range; the unit is always seconds, or days where the key says so.",
    ),
    Entry(
        "PM206",
        "text of the wrong form",
        "The text has a character or a length that its use does not admit.",
        "Write it in the form that is named.",
    ),
    Entry(
        "PM207",
        "name that cannot be one",
        "Names of stations travel in URLs and in HTTP Basic, names of supervisions and groups in file and metric "
        "names; only some characters survive that.",
        "Choose another name. A station's identity must be the one that the station itself sends.",
    ),
    Entry(
        "PM208",
        "key that has no use here",
        "The key exists, but the supervision mode or the operator leaves it without meaning: somebody else decides.",
        "Delete the key, or change the mode or operator that is named.",
    ),
    Entry(
        "PM209",
        "too few or too many entries",
        "A site without stations, or a unique site with two supervisions, cannot work.",
        "Add or delete entries until the number fits.",
    ),
    Entry(
        "PM210",
        "entry written twice in a list",
        "The second entry changes nothing, so one of the two is probably meant to be another.",
        "Delete or correct one of the two.",
    ),
    Entry(
        "PM211",
        "line break or tab in a text",
        "Line breaks and tabs have no use in names, URLs and comments, and hide what stands behind them.",
        "Write the text in one line; for a long one use `>-` and indented lines.",
    ),
)
