"""The templates of reports (with `expressions` the only jinja2): each escapes by default whatever it is given.

`ours` marks text that holds nothing a person wrote. In Markdown all else becomes code, every character but letters,
digits and spaces as an entity: no table cell ends early, no name is mentioned, nothing is a link, an image or HTML.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pointsman_compiler.report.snippets import visible

Form = Literal["markdown", "html"]

_HARMLESS: Final = " -/,()"
"""Punctuation that makes no markup inside of a line; without `:`, `.` and `@` no link is made either."""


def render(form: Form, template: str, **values: Any) -> str:
    """Return the template `NAME.FORM.j2` filled with `values`."""
    return _environment(form).get_template(f"{template}.{form}.j2").render(values)


def markdown_code(text: str) -> Markup:
    """Return `text` as code in Markdown or in HTML; nothing for nothing."""
    if not text:
        return Markup()
    return Markup(f"<code>{''.join(map(_entity, visible(text)))}</code>")


def _entity(character: str) -> str:
    """Only ASCII's punctuation means anything to Markdown and HTML, and not all of it within a line."""
    is_plain = not character.isascii() or character.isalnum() or character in _HARMLESS
    return character if is_plain else f"&#{ord(character)};"


@lru_cache(maxsize=2)
def _environment(form: Form) -> Environment:
    finalize: dict[Form, Callable[[Any], Any]] = {"markdown": _as_code, "html": _printable}
    environment = Environment(
        loader=PackageLoader("pointsman_compiler.report.plan"),
        autoescape=True,
        finalize=finalize[form],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["ours"] = Markup
    return environment


def _as_code(value: Any) -> Any:
    return markdown_code(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _printable(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
