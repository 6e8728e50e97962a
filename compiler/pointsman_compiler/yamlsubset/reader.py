"""libyaml's events → plain data, and all that the subset refuses on the way.

The reader holds a stack of open collections instead of recursing. What leaves the data readable (a duplicate key, a
tag, an ambiguous value) is noted and reading goes on, so that all of it is shown at once; what does not, ends it.
"""

from dataclasses import replace
from typing import Any, Final, cast

from yaml import YAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

from pointsman_compiler.pointer import Path, pointer_of
from pointsman_compiler.problems import Place, Problem, Related, more_follow
from pointsman_compiler.secrecy import MASK, is_telling_key
from pointsman_compiler.yamlsubset.events import end_of, parse_events, start_of
from pointsman_compiler.yamlsubset.scalars import Refusal, plain_value, shortened
from pointsman_compiler.yamlsubset.syntax import UNEXPECTED_COLON, syntax_problem
from pointsman_compiler.yamlsubset.text import FAULTS_AT_MOST, find_hidden_character

DEEPEST: Final = 20

# (code, message, help)
_EMPTY = ("PM104", "the file holds nothing", "write what it is to say, beginning with `version: 1`, or delete the file")
_SECOND = ("PM110", "a second document begins here", "one file is one document: delete the `---` and what follows")
_DIRECTIVE = ("PM111", "a directive (a line that begins with %) stands here", "delete it; no YAML directive is needed")
_TOO_DEEP = ("PM117", f"more than {DEEPEST} levels stand in each other", "a site needs no more than seven")
_NESTED_KEY = (
    "PM113",
    "a key is a text, not a list or a map",
    'a value that begins with {{ or [ is written in quotes: "{{ … }}"',
)


def read_events(file: str, text: str) -> tuple[Any, list[Problem]]:
    """Return what `text` says as plain data, and all that is refused in it; the data counts only without any."""
    builder = _Builder(file)
    try:
        for event in parse_events(text):
            builder.take(event)
            if builder.is_done:
                break
    except YAMLError as error:
        builder.end(error)
    return builder.root, builder.problems


class _Builder:
    """Takes event after event; `is_done` after the last one, or where going on has no sense."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Any = None
        self.is_done = False
        self._documents = 0
        self._without_value: Event | None = None
        """The key before, if nothing stood behind it; its problem is then the last one."""
        # The innermost open collection, the key that waits for its value, and where each key was first written.
        self._open: dict[str, Any] | list[Any] | None = None
        self._key: str | None = None
        self._written: dict[str, Event] = {}
        self._outer: list[tuple[dict[str, Any] | list[Any] | None, str | None, dict[str, Event]]] = []

    def take(self, event: Event) -> None:
        match event:
            case ScalarEvent():
                self._take_scalar(event)
            case CollectionStartEvent():
                self._begin(event)
            case CollectionEndEvent():
                self._open, _, self._written = self._outer.pop()
                self._key = self._without_value = None
            case AliasEvent():
                self._take_alias(event)
            case DocumentStartEvent():
                self._begin_document(event)
            case StreamEndEvent():
                self.is_done = True
                if not self._documents:
                    self._refuse(event, *_EMPTY)
            case _:  # the start of the stream, the end of the document
                pass

    def end(self, error: YAMLError) -> None:
        """Note where the text ceases to be YAML, unless lines that are indented too little explain it."""
        problem = syntax_problem(self.file, error)
        is_of_indent = problem.message == UNEXPECTED_COLON and any(one.code == "PM119" for one in self.problems)
        if not is_of_indent:
            self.problems.append(problem)

    def _begin_document(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(event, *_SECOND)
        elif event.version or event.tags:
            self._refuse(event, *_DIRECTIVE)

    def _begin(self, event: CollectionStartEvent) -> None:
        if self._expects_key:
            self._stop(event, *_NESTED_KEY)
        elif len(self._outer) >= DEEPEST:
            self._stop(event, *_TOO_DEEP)
        else:
            self._refuse_decoration(event)
            new: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
            outer = self._open, self._key, self._written
            self._put(new)
            # The key stays with the outer collection until its value ends: it is part of the path.
            self._outer.append(outer)
            self._open, self._key, self._written = new, None, {}

    def _take_scalar(self, event: ScalarEvent) -> None:
        if event.anchor is not None or event.tag is not None:
            self._refuse_decoration(event)
        value: Any = event.value
        if event.implicit[0]:
            value = self._plain(event)
        elif found := find_hidden_character(value):
            code, what = found
            self._refuse(event, code, f"{what} stands in this text as an escape", "delete it")
        if self._expects_key:
            self._take_key(event, value)
        else:
            self._put(value)

    def _plain(self, event: ScalarEvent) -> Any:
        if not event.value and not self._outer:  # `---` and comments only: a document whose root is empty
            self._refuse(event, *_EMPTY)
            return None
        is_date_allowed = self._key == "until"
        value = plain_value(event.value, is_date_allowed=is_date_allowed)
        if not isinstance(value, Refusal):
            return value
        if event.value == "<<":
            return event.value
        if event.value:
            value = plain_value(event.value, is_date_allowed=is_date_allowed, shown=self._shown(event.value))
            assert isinstance(value, Refusal)
        self._refuse(event, value.code, value.message, value.help)
        if not event.value and self._key is not None:
            self._without_value = self._written.get(self._key)  # an alias in the place of a key was never written
        return event.value

    def _take_key(self, event: ScalarEvent, value: Any) -> None:
        name: str = event.value
        self._key = name
        if self._without_value is not None:
            self._ask_for_indent(self._without_value, event)
        if not isinstance(value, str):
            shown = shortened(name)
            self._refuse(event, "PM113", f"the key {shown} is not a text", f'write it in quotes: "{shown}"')
        elif name == "<<" and event.implicit[0]:
            self._refuse(event, "PM108", "a merge key (<<) stands here", _without_sharing("the keys"))
        if first := self._written.get(name):
            related = Related("first written here", self._place(first))
            shown = shortened(name)
            self._refuse(event, "PM105", f"the key `{shown}` is written twice", "keep one of the two", related)
        else:
            self._written[name] = event

    def _ask_for_indent(self, before: Event, event: ScalarEvent) -> None:
        """A key right below one without a value, in the same column: it may be a part of that value."""
        self._without_value = None
        if start_of(before)[1] == start_of(event)[1]:
            related = Related("does this line belong to it? Then indent it more", self._place(event))
            self.problems[-1] = replace(self.problems[-1], related=(related,))

    def _take_alias(self, event: AliasEvent) -> None:
        self._refuse(
            event, "PM107", f"an alias (*{self._shown(event.anchor or '')}) stands here", _without_sharing("the value")
        )
        if self._expects_key:
            self._key = f"*{event.anchor}"
        else:
            self._put(None)

    def _refuse_decoration(self, event: ScalarEvent | CollectionStartEvent) -> None:
        if event.anchor is not None:
            shown = self._shown(event.anchor or "")
            self._refuse(event, "PM106", f"an anchor (&{shown}) stands here", _without_sharing("the value"))
        if event.tag is not None:
            help = "delete the tag; quotes make a text, their absence a number or true/false"
            self._refuse(event, "PM109", f"a tag ({self._shown(event.tag)}) stands here", help)

    def _shown(self, text: str) -> str:
        """`text` as a message repeats it: not at all, where its key says that it is secret."""
        return MASK if self._key is not None and is_telling_key(self._key) else shortened(text)

    @property
    def _expects_key(self) -> bool:
        return self._key is None and isinstance(self._open, dict)

    def _put(self, value: Any) -> None:
        if isinstance(self._open, dict):
            self._open[cast(str, self._key)] = value
            self._key = None
        elif isinstance(self._open, list):
            self._open.append(value)
        else:
            self.root = value

    def _path(self) -> Path:
        path: list[str | int] = []
        for collection, key, _ in [*self._outer, (self._open, self._key, self._written)]:
            if isinstance(collection, list):
                # An item of an outer list that is still being read has its place in the list already.
                path.append(len(collection) - (collection is not self._open))
            elif key is not None:
                path.append(key)
        return tuple(path)

    def _place(self, event: Event) -> Place:
        return Place(self.file, *start_of(event), *end_of(event))

    def _refuse(self, event: Event, code: str, message: str, help: str, *related: Related) -> None:
        path = pointer_of(self._path())
        problem = Problem(code, "error", message, help, self._place(event), path, related)
        is_one_too_many = len(self.problems) == FAULTS_AT_MOST
        self.problems.append(more_follow(problem, FAULTS_AT_MOST) if is_one_too_many else problem)
        self.is_done |= is_one_too_many

    def _stop(self, event: Event, code: str, message: str, help: str) -> None:
        self._refuse(event, code, message, help)
        self.is_done = True


def _without_sharing(what: str) -> str:
    return f"write {what} out; what many sites share belongs into fleet.yaml"
