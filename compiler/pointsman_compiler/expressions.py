"""Jinja expressions (the only jinja2 of the data path): text and names → text, or why not. Pure.

Expressions and nothing else: no statements, no arithmetic, no calls, so that no template of a stranger's pull request
can run long or grow large. `templates` says which texts admit them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LARGEST_TEMPLATE = 4096
"""Characters of a text with expressions; no URL, title or comment is longer."""
LARGEST_OUTPUT = 8192
"""Characters of any text that an expression gives."""
CACHED_TEMPLATES = 1024

_ADMITTED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.Concat,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
)
_CALLED: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Call: "call",
    nodes.List: "list",
    nodes.Tuple: "list",
    nodes.Dict: "map",
    nodes.Slice: "slice",
    nodes.Test: "test with `is`",
}
"""What people call the nodes that are not admitted; all others are arithmetic or statements."""
_EXPRESSION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_FILTERS: Final = ("default", "lower", "replace", "trim", "upper")


class TemplateFault(ValueError):
    """A text whose expressions give no text; the message is for its author.

    `expression` is the one at fault, with its braces, where it is one of several or not the whole text.
    """

    expression = ""


def render(text: str, names: Mapping[str, Any]) -> str:
    """Return `text` with its expressions over `names` replaced; raises TemplateFault."""
    try:
        return _render(text, names)
    except TemplateFault as fault:
        fault.expression = _expression_at_fault(text, names)
        raise


def _expression_at_fault(text: str, names: Mapping[str, Any]) -> str:
    """The first expression of `text` that cannot be rendered alone, or nothing."""
    for found in _EXPRESSION.finditer(text[:LARGEST_TEMPLATE]):
        try:
            _render(found[0], names)
        except TemplateFault:
            return found[0]
    return ""


def _render(text: str, names: Mapping[str, Any]) -> str:
    if len(text) > LARGEST_TEMPLATE:
        raise TemplateFault(f"it has {len(text)} characters, more than {LARGEST_TEMPLATE}")
    template = _compiled(text)
    known = {name: _Names(name, value) if isinstance(value, Mapping) else value for name, value in names.items()}
    try:
        rendered = template.render(known)
    except TemplateFault:
        raise
    except UndefinedError as error:
        raise TemplateFault(str(error)) from error
    except SecurityError as error:
        raise TemplateFault(str(error).rstrip(".")) from error
    except (TemplateError, TypeError, ValueError, LookupError, OverflowError) as error:
        raise TemplateFault("its values do not fit together, such as a text and a number") from error
    return _bounded(rendered)


class _Names:
    """A map of `labels` or `vars`: its keys, and none of a dictionary's methods."""

    __slots__ = ("_name", "_values")

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self._name = name
        self._values = values

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        return _bounded(value) if isinstance(value, str) else value


class _Undefined(StrictUndefined):
    """Says what is missing in the author's words."""

    @property
    def _undefined_message(self) -> str:
        owner = getattr(self._undefined_obj, "_name", None)
        return f"`{owner}.{self._undefined_name}` is undefined" if owner else f"`{self._undefined_name}` is undefined"


@lru_cache(maxsize=CACHED_TEMPLATES)
def _compiled(text: str) -> Template:
    try:
        tree = _ENVIRONMENT.parse(text)
        for node in _nodes(tree):
            if not isinstance(node, _ADMITTED):
                raise TemplateFault(f"only plain expressions are admitted, no {_called(node)}")
        return _ENVIRONMENT.from_string(tree)
    except TemplateSyntaxError as error:
        raise TemplateFault((error.message or "its syntax is wrong").rstrip(".")) from error
    except RecursionError as error:
        raise TemplateFault("it is nested too deep") from error


def _called(node: nodes.Node) -> str:
    return _CALLED.get(type(node), "arithmetic" if isinstance(node, nodes.BinExpr | nodes.UnaryExpr) else "statement")


def _nodes(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _nodes(child)


def _bounded(text: str) -> str:
    if len(text) > LARGEST_OUTPUT:
        raise TemplateFault(f"it holds or gives more than {LARGEST_OUTPUT} characters")
    return text


def _finalize(value: Any) -> Any:
    """Only texts and numbers are printed: a map's form would be none that its author chose."""
    if isinstance(value, _Undefined) or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise TemplateFault(f"an expression gives {_kind(value)}, not a text")


def _kind(value: Any) -> str:
    return "a map of names" if isinstance(value, _Names) else f"a value of type {type(value).__name__}"


def _replace(text: str, old: str, new: str) -> str:
    if not all(isinstance(part, str) for part in (text, old, new)):
        raise TemplateFault("`replace` takes texts")
    return _bounded(text.replace(old, new))


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=_Undefined, finalize=_finalize, autoescape=False, keep_trailing_newline=True, cache_size=0
    )
    environment.filters = {name: environment.filters[name] for name in _FILTERS} | {"replace": _replace}
    environment.tests = {}
    environment.globals = {}
    return environment


_ENVIRONMENT: Final = _environment()
