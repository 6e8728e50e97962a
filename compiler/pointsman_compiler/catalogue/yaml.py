"""1xx: what the YAML subset refuses, because another reader could take it for something else."""

from typing import Final

from pointsman_compiler.catalogue.entry import Entry

YAML: Final = (
    Entry(
        "PM101",
        "not YAML",
        "The text breaks YAML's own rules at this place, most often because a line is indented by other than its "
        "neighbours, or a bracket or quote is not closed.",
        "Indent the line like its neighbours, close what is open, and put texts that contain `: ` or begin with a "
        "special character in quotes.",
    ),
    Entry(
        "PM102",
        "not UTF-8",
        "The bytes of the file are no UTF-8, so two machines could read different letters.",
        "Save the file as UTF-8 in your editor.",
    ),
    Entry(
        "PM103",
        "file too large",
        "A site's file has 4 MiB at most; what is larger is a list of badges in the wrong place.",
        "Move badges into a CSV file, and name it under `badges`.",
    ),
    Entry(
        "PM104",
        "empty file",
        "A file that says nothing is a site that was forgotten, or a commit that went wrong.",
        "Write the site, or delete the file. A name that begins with `_` is not read.",
    ),
    Entry(
        "PM105",
        "key written twice",
        "Of two equal keys most YAML readers silently keep the last one. A station that is written twice is most "
        "often a copied line whose identity was not changed.",
        "Keep one of the two; both places are shown.",
    ),
    Entry(
        "PM106",
        "anchor",
        "Anchors (`&name`) make a reviewer look somewhere else for what a line says.",
        "Write the value out; what many sites share belongs into fleet.yaml.",
    ),
    Entry(
        "PM107",
        "alias",
        "Aliases (`*name`) repeat what stands elsewhere; nested ones let a small file grow without limit.",
        "Write the value out. A text that begins with `*` is written in quotes.",
    ),
    Entry(
        "PM108",
        "merge key",
        "The merge key `<<` left YAML with version 1.2, and readers differ in how they merge.",
        "Write the keys out; what many sites share belongs into fleet.yaml.",
    ),
    Entry(
        "PM109",
        "tag",
        "A tag (`!name`) tells a reader to build a type of its own; a site has texts, numbers and true or false only.",
        "Delete the tag. Quotes make a text; a secret is a reference, `{secret: <name>}`.",
    ),
    Entry(
        "PM110",
        "second document",
        "One file is one site. Most readers would take the first document and drop the rest.",
        "Delete the `---` and what follows, or put it into a file of its own.",
    ),
    Entry(
        "PM111",
        "directive",
        "A line that begins with `%` asks for another version of YAML, or gives tags another meaning.",
        "Delete the line.",
    ),
    Entry(
        "PM112",
        "ambiguous value",
        "YAML 1.1 and 1.2 read this unquoted word differently: `no` (Norway) may be false, `12:30` a number to the "
        "base 60, `0123` an octal number, `1_000` a thousand.",
        "Write a text in quotes, a truth value as true or false, a number in plain decimal digits.",
    ),
    Entry(
        "PM113",
        "key is not a text",
        "A key is a text. An unquoted number is none, and `{{ … }}` without quotes is a map in a map.",
        "Put the key, or the value with the template, in quotes.",
    ),
    Entry(
        "PM114",
        "tab as indent",
        "YAML indents with spaces only; how wide a tab is differs from editor to editor.",
        "Replace the tab by spaces, two a level.",
    ),
    Entry(
        "PM115",
        "character that changes direction",
        "Bidirectional control characters show a reviewer another text than the one that is read (CVE-2021-42574).",
        "Delete the character; it stands at the column that is shown.",
    ),
    Entry(
        "PM116",
        "character that does not show",
        "Control characters are invisible in a review.",
        "Delete the character; it stands at the column that is shown.",
    ),
    Entry(
        "PM117",
        "nested too deep",
        "A site needs seven levels; more than 20 are an accident or an attack.",
        "Look for a bracket that is opened again and again.",
    ),
    Entry(
        "PM118",
        "number too large",
        "Above 2^53 - 1 many JSON readers round, so an identifier written as a number would change.",
        "Write an identifier in quotes.",
    ),
    Entry(
        "PM119",
        "no value",
        "Nothing stands behind the colon or dash. To some readers that is null, to some an empty text; most often the "
        "lines below are indented too little.",
        "Indent the lines that belong to it, or write `{}` for nothing set, `null` to remove what is inherited.",
    ),
    Entry(
        "PM120",
        "bare date",
        "YAML 1.1 turns an unquoted date into a date, YAML 1.2 into a text. Only `until` takes one, as YYYY-MM-DD.",
        "Write the date in quotes; in `until` write it as 2027-01-31.",
    ),
    Entry(
        "PM199",
        "more than is shown",
        "A file has more than a thousand errors, or warnings, of one topic (fifty, as YAML). Nobody reads so many; the "
        "rest is left out.",
        "Mend those that are shown, most often by one change to the program that wrote the file, then check again.",
    ),
)
