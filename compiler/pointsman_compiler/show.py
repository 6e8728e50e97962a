"""A bundle for people: payload → text of 80 columns, or JSON. Badges are shown only when asked for. Pure."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pointsman_schema.bundle import Bundle


def render_bundle(bundle: Bundle, key_ids: Sequence[str], *, show_badges: bool) -> str:
    """Return what `bundle` says as lines of text; `key_ids` are those of its signatures, unverified."""
    lines = [*_head(bundle, key_ids), "", *_supervisions(bundle), *_groups(bundle), *_stations(bundle)]
    lines += [*_listeners(bundle), *_badges(bundle, show_badges)]
    return "\n".join(_printable(line) for line in lines) + "\n"


def render_payload(bundle: Bundle, *, show_badges: bool) -> str:
    """Return the payload as indented JSON in ASCII; without `show_badges` it has no `config.badges`."""
    plain: dict[str, Any] = msgspec.to_builtins(bundle)
    if not show_badges:
        del plain["config"]["badges"]
    return json.dumps(plain, indent=2, sort_keys=True) + "\n"


def _head(bundle: Bundle, key_ids: Sequence[str]) -> Iterator[str]:
    config = bundle.config
    yield f"{bundle.site}: {config.title}" if config.title != bundle.site else bundle.site
    yield f"  mode        {config.mode}, {config.time_zone}"
    yield f"  sequence    {bundle.sequence}"
    yield f"  source      {bundle.source.file}"
    yield f"  revision    {bundle.source.revision or 'not given'}"
    yield f"  made with   pointsman {bundle.lock.compiler}, tzdata {bundle.lock.tzdata}"
    yield from _named_lines("inputs", [item.file for item in bundle.lock.inputs])
    yield from _named_lines("config", [bundle.config_digest.removeprefix("sha256:")])
    yield from _named_lines("signed by", key_ids or ["nobody"])


def _named_lines(name: str, values: Sequence[str]) -> Iterator[str]:
    for index, value in enumerate(values):
        yield f"  {name if index == 0 else '':<11} {value}"


def _supervisions(bundle: Bundle) -> Iterator[str]:
    for name, one in sorted(bundle.config.supervisions.items()):
        yield f"supervision {name}"
        yield f"  {one.url}"
        events = "forwarded" if one.forward_security_events else "kept here"
        yield f"  ping {one.ping_interval} s, answers within {one.message_timeout} s, security events {events}"
        yield ""


def _groups(bundle: Bundle) -> Iterator[str]:
    for name, group in sorted(bundle.config.groups.items()):
        how = group.authentication
        strategy = f", online {how.online}, offline {how.offline}, concurrent {how.concurrent}" if how else ""
        yield f"group {name}: {group.operator}{strategy}"
    if bundle.config.groups:
        yield ""


def _stations(bundle: Bundle) -> Iterator[str]:
    rows = [("station", "group", "operator", "protocols", "password")]
    for name, station in sorted(bundle.config.stations.items()):
        protocols = ",".join(station.protocols or ["any"])
        rows.append((name, station.group or "-", station.operator, protocols, "yes" if station.password else "no"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""


def _listeners(bundle: Bundle) -> Iterator[str]:
    for name, listener in sorted(bundle.config.listeners.items()):
        address = listener.address or "every address"
        yield f"listener {name}: {address}, port {listener.port}, security profile {listener.security_profile}"


def _badges(bundle: Bundle, show_badges: bool) -> Iterator[str]:
    badges, lists = bundle.config.badges, bundle.config.badge_lists
    if badges or lists:
        secret = f", and those in the secrets {', '.join(lists)}" if lists else ""
        yield f"badges: {len(badges)}{secret}"
    for number, badge in sorted(badges.items()) if show_badges else ():
        until = f", until {badge.until}" if badge.until else ""
        state = "authorized" if badge.authorized else "blocked"
        yield f"  {number}  {state}{until}  {', '.join(badge.groups)}  {badge.comment}".rstrip()


def _printable(line: str) -> str:
    """A bundle of a stranger may hold what a terminal would take for commands."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
