"""The hosts that a site goes to: in its configuration, in the fleet's catalogue, in the text of files. Pure."""

import re
from collections.abc import Collection, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import idna
from pointsman_schema.bundle import Config

from pointsman_compiler.document import Document
from pointsman_compiler.plan.differences import Path
from pointsman_compiler.urls import UrlFault, parse_proxy_url, parse_supervision_url

_AUTHORITY: Final = re.compile(r"((?:ws|wss|http)://[^/?#{}\s]+)(?:[/?#]|$)", re.IGNORECASE)
_TEMPLATED: Final = re.compile(r"(?:ws|wss|http)://[^/?#\s\"']*\{\{|[\"'\s:]\{\{", re.IGNORECASE)
"""A URL whose host is a template's, or a text that begins with a template and may be such a URL."""


def hosts(config: Config) -> dict[str, Path]:
    """Return every host that the controller goes to, in lower case, with the first value that names it."""
    found: dict[str, Path] = {}
    for name, supervision in sorted(config.supervisions.items()):
        path: Path = ("supervisions", name)
        found.setdefault(host_of(supervision.url), (*path, "url"))
        if supervision.proxy is not None:
            found.setdefault(host_of(supervision.proxy.url), (*path, "proxy", "url"))
    return found


def host_of(url: str) -> str:
    """Return the host of a compiled URL, in lower case."""
    return urlsplit(url).hostname or ""


def catalogue_hosts(fleet: Document | None) -> frozenset[str]:
    """Return the hosts that the fleet's catalogue names in so many words, whether a site goes there or not."""
    catalogue = _map(_map(fleet.data if fleet is not None else None).get("supervisions"))
    return frozenset(host for entry in catalogue.values() for host in _hosts_of_entry(_map(entry)))


def may_name(text: str, wanted: Collection[str]) -> bool:
    """Return whether a file's text may go to one of the hosts `wanted`; False is sure, but for escaped letters."""
    folded = text.casefold()
    return any(word in folded for host in wanted for word in _spellings(host)) or _TEMPLATED.search(text) is not None


def _hosts_of_entry(entry: dict[str, Any]) -> Iterator[str]:
    for url, parse in (
        (entry.get("url"), parse_supervision_url),
        (_map(entry.get("proxy")).get("url"), parse_proxy_url),
    ):
        match = _AUTHORITY.match(url) if isinstance(url, str) else None
        if match is None:
            continue
        try:
            yield host_of(str(parse(match[1])))
        except UrlFault:  # it has a problem of its own
            continue


def _spellings(host: str) -> Iterator[str]:
    """The forms in which a host may be written: that of DNS, and the one that people read."""
    yield host
    if "xn--" in host:
        try:
            yield idna.decode(host).casefold()
        except idna.IDNAError:
            return


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
