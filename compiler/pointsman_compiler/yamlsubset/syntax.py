"""libyaml's words for broken YAML → what a person did and what to do about it."""

from typing import Final

from yaml import Mark, MarkedYAMLError, YAMLError

from pointsman_compiler.problems import Place, Problem, Related

UNEXPECTED_COLON: Final = "a `: ` is not expected here"
# (what libyaml's problem or context contains, code, message, help); the first that fits counts.
_EXPLANATIONS: Final = (
    (
        "directive",
        "PM111",
        "a directive (a line that begins with %) stands here",
        "delete the line; no YAML directive is needed",
    ),
    ("incompatible YAML", "PM111", "a %YAML directive stands here", "delete the line; no YAML directive is needed"),
    (
        "tag",
        "PM109",
        "a tag (!) stands here",
        "delete the tag; quotes make a text, their absence a number or true/false",
    ),
    (
        "an anchor",
        "PM106",
        "an anchor (&) stands here",
        'delete it; a text that begins with & is written in quotes: "&…"',
    ),
    ("an alias", "PM107", "an alias (*) stands here", 'a text that begins with * is written in quotes: "*…"'),
    (
        "mapping values are not allowed",
        "PM101",
        UNEXPECTED_COLON,
        "is the line indented like its neighbours? A text that contains `: ` is written in quotes",
    ),
    (
        "block sequence entries are not allowed",
        "PM101",
        "a list item (`- `) is not expected here",
        "begin the list on a line of its own, or write it as [a, b]",
    ),
    (
        "could not find expected ':'",
        "PM101",
        "this line is neither `key: value` nor part of a list",
        "add the `:` and a space after the key, or indent the line as a part of what stands above it",
    ),
    (
        "cannot start any token",
        "PM101",
        "a value cannot begin with this character",
        "write the value in quotes",
    ),
    (
        "escape character",
        "PM101",
        "this backslash escape does not exist",
        "within double quotes write \\\\ for a backslash, or use single quotes",
    ),
    ("escape code", "PM101", "this escape names no character", "check the digits, or write the character itself"),
    ("expected ',' or ']'", "PM101", "the list in [ ] is not closed", "end it with ], and part its items by commas"),
    ("expected ',' or '}'", "PM101", "the map in { } is not closed", "end it with }, and part its entries by commas"),
    (
        "quoted scalar",
        "PM101",
        "a quoted text is not closed",
        "end it with the same quote; within single quotes a quote is written twice",
    ),
    (
        "expected '-' indicator",
        "PM101",
        "a list item (`- `) is expected here",
        "a list and a map do not stand side by side: indent the one that belongs to the other",
    ),
    (
        "expected key",
        "PM101",
        "the text ends above, and this is no key",
        "indent the line like its neighbours; after a closing quote only a comment may follow",
    ),
    (
        "expected <document start>",
        "PM101",
        "something follows after the end of the content",
        "is there a bracket too many, or a second document?",
    ),
    ("block scalar", "PM101", "after | or > only a line break may follow", "put the text on the next lines, indented"),
)
_AT_BEGINNING: Final = ("could not find expected ':'", "expected ',' or ']'", "expected ',' or '}'", "quoted scalar")
"""What is to be mended where it begins: libyaml notices only lines later that something was left open."""
_ELSE: Final = ("PM101", "this is not YAML", "compare with the lines around it")


def syntax_problem(file: str, error: YAMLError) -> Problem:
    """Return what `error` of libyaml means to a person."""
    if not isinstance(error, MarkedYAMLError):
        return Problem(_ELSE[0], "error", _ELSE[1], _ELSE[2], Place(file, 1, 1, 1, 1), "")
    said = f"{error.context or ''}: {error.problem or ''}"
    code, message, help = next((rest for part, *rest in _EXPLANATIONS if part in said), list(_ELSE))
    noticed = _point(file, error.problem_mark or error.context_mark)
    begins = _point(file, error.context_mark or error.problem_mark)
    if begins.line == noticed.line:
        return Problem(code, "error", message, help, noticed, "")
    if any(part in said for part in _AT_BEGINNING):
        return Problem(code, "error", message, help, begins, "", (Related("noticed here", noticed),))
    return Problem(code, "error", message, help, noticed, "", (Related("what is read here begins here", begins),))


def _point(file: str, mark: Mark | None) -> Place:
    if mark is None:
        return Place(file, 1, 1, 1, 1)
    return Place(file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 1)
