"""Writes the parts of these pages that say what the code says: property tables, help, the overlay.

    python docs/generate.py           write them
    python docs/generate.py --check   exit 1 when a page is not what would be written, and name it

A part stands between `<!-- from NAME -->` and `<!-- end -->` in a page; what is around it is written by hand.
"""

import ast
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pointsman_agent
from pointsman_agent.cli import main as agent
from pointsman_agent.exposition import FAMILIES, SITE
from pointsman_agent.logevents import EVENTS
from pointsman_agent.web.openapi import OPERATIONS
from pointsman_compiler.cli import main as compiler
from pointsman_compiler.plan.downgrades import DOWNGRADES
from pointsman_compiler.plan.risks import FLEET_WIDE_SITES, RISKS
from pointsman_schema.schemas import schema_text
from pointsman_simulator.cli import main as simulator

FOLDER = Path(__file__).parent
WIDTH = 80
LINE = 120
PART = re.compile(r"(<!-- from ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
MODES = ("local", "unique", "multiple")

SITE_SECTIONS = {
    "supervision": "A supervision",
    "supervisionPassword": "Its password",
    "clientCertificate": "Its client certificate",
    "proxy": "Its proxy",
    "group": "A group",
    "groupAuthentication": "Authentication of a group",
    "badgeEntry": "A badge",
    "badgeFile": "A list of badges in a file",
    "badgeSecret": "A list of badges in a secret",
    "station": "A station",
    "ownPassword": "A station's own password",
    "stationPassword": "Passwords of all stations",
    "listener": "A listener",
    "listenerCertificate": "Its certificate",
    "activation": "Activation",
    "journal": "Journal",
}
"""The definitions that have a table, by name, and their headings."""

SAME_TABLE = {"authentication": "groupAuthentication", "localGroup": "group"}
"""Definitions whose keys are those of another one."""

ONE_OF_TWO = (
    "A plan, and each site in it, has every label that fits; `risk/reload` only where nobody drops. A plan of files "
    "that do not compile has none. "
    f"`risk/fleet-wide` is half of the fleet, if that is more than two sites, or {FLEET_WIDE_SITES} sites."
)

Schema = Mapping[str, Any]


def stale_pages() -> dict[Path, str]:
    """Return the pages that are not what the code says now, with the text that they should have."""
    wanted = {page: _with_parts(page) for page in sorted(FOLDER.glob("*.md"))}
    return {page: text for page, text in wanted.items() if page.read_text(encoding="utf-8") != text}


def _with_parts(page: Path) -> str:
    def written(part: re.Match[str]) -> str:
        return f"{part[1]}\n{PARTS[part[2]]().strip()}\n\n{part[3]}"

    return PART.sub(written, page.read_text(encoding="utf-8"))


def _site_tables() -> str:
    schema = json.loads(schema_text("site"))
    tables = [_site_table(schema["$defs"])]
    for name, heading in SITE_SECTIONS.items():
        definition = schema["$defs"][name]
        tables.append(f"### {heading}\n\n{definition['description']}\n\n{_table(definition)}")
    return "\n\n".join(tables)


def _fleet_tables() -> str:
    schema = json.loads(schema_text("fleet"))
    parts = {"fleet.yaml": schema, **{name: schema["properties"][name] for name in ("defaults", "policy")}}
    return "\n\n".join(f"### `{name}`\n\n{part['description']}\n\n{_table(part)}" for name, part in parts.items())


def _site_table(definitions: Schema) -> str:
    """The keys of a site, with the modes in which each is taken or needed."""
    by_mode = {mode: definitions[f"{mode}Site"] for mode in MODES}
    rows = ["| key | in mode | takes | what it is |", "| --- | --- | --- | --- |"]
    for key in definitions["anySite"]["properties"]:
        allowed = {mode: site["properties"][key] for mode, site in by_mode.items() if _is_allowed(site, key)}
        where = ", ".join(f"**{mode}**" if key in by_mode[mode]["required"] else mode for mode in allowed)
        every = f"**{'**, **'.join(MODES)}**"
        words = {every: "**every**", ", ".join(MODES): "every"}
        value = next(iter(allowed.values()))
        rows.append(f"| `{key}` | {words.get(where, where)} | {_takes(value)} | {_cell(value['description'])} |")
    return "\n".join([*rows, "", "Bold: the mode needs the key."])


def _is_allowed(site: Schema, key: str) -> bool:
    return "not" not in site["properties"][key]


def _table(definition: Schema) -> str:
    rows = ["| key | takes | default | what it is |", "| --- | --- | --- | --- |"]
    for key, value in definition["properties"].items():
        default = "needed" if key in definition.get("required", ()) else _default(value)
        rows.append(f"| `{key}` | {_takes(value)} | {default} | {_cell(value['description'])} |")
    return "\n".join(rows)


def _default(value: Schema) -> str:
    return f"`{json.dumps(value['default']).strip(chr(34))}`" if "default" in value else ""


def _takes(value: Schema) -> str:
    """Return in a few words what a key takes."""
    if "$ref" in value:
        return _link(value["$ref"].rpartition("/")[2])
    if "if" in value:
        return f"{_takes(value['then'])}, or {_takes(value['else'])}"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"] if each is not None)
    match _kind(value):
        case "integer":
            return f"{value['minimum']} to {value['maximum']}"
        case "boolean":
            return "`true`, `false`"
        case "array":
            return f"list: {_takes(value['items'])}"
        case "object" if isinstance(value.get("additionalProperties"), dict):
            return f"map: name → {_takes(value['additionalProperties'])}"
        case "object":
            return f"map: {', '.join(f'`{key}`' for key in value['properties'])}"
    return "text"


def _kind(value: Schema) -> str:
    """The type, without the null that removes an inherited key; several types are a text or a number."""
    kinds = [value["type"]] if isinstance(value["type"], str) else [kind for kind in value["type"] if kind != "null"]
    return str(kinds[0])


def _link(definition: str) -> str:
    match definition:
        case "zone":
            return "name of a time zone"
        case "badge":
            return ", or ".join(_link(form) for form in ("badgeEntry", "badgeFile", "badgeSecret"))
    heading = SITE_SECTIONS[SAME_TABLE.get(definition, definition)]
    anchor = re.sub(r"[^a-z0-9-]", "", heading.lower().replace(" ", "-"))
    return f"[{heading[0].lower()}{heading[1:]}](#{anchor})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _help_texts() -> str:
    programs = {"pointsman": compiler, "pointsman-agent": agent, "pointsman-sim": simulator}
    return "\n\n".join(text for name, program in programs.items() for text in _helps(name, program))


def _helps(name: str, program: click.Command, parent: click.Context | None = None) -> Iterator[str]:
    """Yield the help of a program and of all below it, each under its whole name."""
    own = click.Context(program, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH)
    heading = "##" if parent is None else "###"
    yield f"{heading} {own.command_path}\n\n```text\n{program.get_help(own)}\n```"
    if isinstance(program, click.Group):
        for command_name in program.list_commands(own):
            yield from _helps(command_name, program.commands[command_name], own)


def _overlay() -> str:
    overlay = FOLDER.parent / "simulator" / "pointsman_simulator" / "demo" / "overlay.json"
    return f"```json\n{overlay.read_text(encoding='utf-8').strip()}\n```"


def _metrics() -> str:
    rows = ["| metric | kind | labels | says |", "| --- | --- | --- | --- |"]
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in (SITE, *family.labels))
        rows.append(f"| `{family.name}` | {family.kind} | {labels} | {_cell(family.words)} |")
    return "\n".join(rows)


def _risks() -> str:
    rows = ["| label | says |", "| --- | --- |", *(f"| `{risk}` | {_cell(says)} |" for risk, says in RISKS.items())]
    return "\n".join([*rows, "", *textwrap.wrap(ONE_OF_TWO, LINE)])


def _downgrades() -> str:
    return "\n".join(f"* `{kind}`: {says}" for kind, says in DOWNGRADES.items())


def _api() -> str:
    rows = ["| request | role | answer |", "| --- | --- | --- |"]
    for each in OPERATIONS:
        query = "&".join(f"{name}=…" for name in each.query)
        path = each.path.replace("{", "<").replace("}", ">") + (f"[?{query}]" if query else "")
        also = f"; {', '.join(map(str, each.refusals))} where it cannot be" if each.refusals else ""
        rows.append(f"| `{each.method} {path}` | {each.role} | {each.summary}{also} |")
    return "\n".join(rows)


def logged(source: str) -> Iterator[tuple[str, str, set[str]]]:
    """Yield event, level and fields of each log line that `source` writes.

    Raises ValueError where an event is put together: it would stand in no index, and nobody could search for it.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=method), args=[event], keywords=fields):
                if not isinstance(event, ast.Constant):
                    raise ValueError(f"line {node.lineno}: the event of a log line has to be one literal")
                level = "error" if method == "exception" else method
                yield str(event.value), level, {field.arg or "" for field in fields} - {"", "exc_info"}


def _log_events() -> str:
    levels: dict[str, set[str]] = {}
    fields: dict[str, set[str]] = {}
    for module in Path(pointsman_agent.__file__).parent.rglob("*.py"):
        for event, level, named in logged(module.read_text(encoding="utf-8")):
            levels.setdefault(event, set()).add(level)
            fields.setdefault(event, set()).update(named)
    rows = ["| event | level | fields | means |", "| --- | --- | --- | --- |"]
    for event in sorted(levels):
        names = ", ".join(f"`{name}`" for name in sorted(fields[event]))
        rows.append(f"| {event} | {', '.join(sorted(levels[event]))} | {names} | {_cell(EVENTS[event])} |")
    return "\n".join(rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "site-schema": _site_tables,
    "fleet-schema": _fleet_tables,
    "help": _help_texts,
    "overlay": _overlay,
    "metrics": _metrics,
    "api": _api,
    "risks": _risks,
    "downgrades": _downgrades,
    "log-events": _log_events,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` only name those that are stale; returns the exit code."""
    stale = stale_pages()
    for page, text in stale.items():
        if arguments == ["--check"]:
            print(f"docs/{page.name} is not what the code says; run: make docs")
        else:
            page.write_text(text, encoding="utf-8")
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
