"""Rules on URLs: a supervision's and its proxy's, and what TLS settings go with them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman_compiler.document import Document, Path
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem
from pointsman_compiler.shape_names import meant_by
from pointsman_compiler.templates import is_template
from pointsman_compiler.urls import STATION, Url, UrlFault, parse_proxy_url, parse_supervision_url

_CREDENTIAL: Final = re.compile(
    r"(?:^|[&;])[^=&;]*(?:pass(?:word|wd)?|pwd|secret|token|api[-_]?key|access[-_]?key|auth|credential|signature)"
    r"[^=&;]*=[^&;]",
    re.IGNORECASE,
)


def find_url_problems(site: LayeredSite) -> Iterator[Problem]:
    """Yield what is wrong with each supervision's URL, and with what stands beside it because of its scheme."""
    for name, entry in site.map_at(("supervisions",)).items():
        path: Path = ("supervisions", name)
        if "url" not in site.map_at(path) and isinstance(entry, dict | None) and not _has_misspelt_url(entry):
            yield _missing(site, name, path)
        if (text := site.text_at((*path, "url"))) is not None:
            yield from _one(site, path, text)
        if (text := site.text_at((*path, "proxy", "url"))) is not None:
            yield from _proxy(site, (*path, "proxy", "url"), text)


def find_catalogue_problems(fleet: Document) -> Iterator[Problem]:
    """Yield what is wrong with the URLs of the fleet's catalogue, be they used by a site or not.

    Those with templates are judged as each site renders them.
    """
    catalogue = fleet.data.get("supervisions") if isinstance(fleet.data, dict) else None
    for name, entry in catalogue.items() if isinstance(catalogue, dict) else ():
        text = entry.get("url") if isinstance(entry, dict) else None
        if isinstance(text, str) and not is_template(text):
            try:
                parse_supervision_url(text)
            except UrlFault as fault:
                yield fleet.problem(fault.code, str(fault), fault.help, ("supervisions", name, "url"))


def supervision_url(text: str) -> Url | None:
    """Return the parts of a supervision's URL, or None where some problem stands against it."""
    try:
        return parse_supervision_url(text)
    except UrlFault:
        return None


def _has_misspelt_url(entry: Mapping[str, Any] | None) -> bool:
    return any(meant_by(key, ["url"]) for key in entry or ())


def _missing(site: LayeredSite, name: str, path: Path) -> Problem:
    return site.problem(
        "PM322",
        f"the supervision `{name}` has no URL, neither here nor in the fleet's catalogue",
        "add `url: wss://…`, or correct the name if it should come from the catalogue in fleet.yaml",
        path,
        part="key",
    )


def _proxy(site: LayeredSite, path: Path, text: str) -> Iterator[Problem]:
    try:
        parse_proxy_url(text)
    except UrlFault as fault:
        yield site.problem(fault.code, str(fault), fault.help, path)


def _one(site: LayeredSite, path: Path, text: str) -> Iterator[Problem]:
    try:
        url = parse_supervision_url(text)
    except UrlFault as fault:
        yield site.problem(fault.code, str(fault), fault.help, (*path, "url"))
        return
    if url.scheme == "ws":
        yield from _plain_text(site, path, url)
    if url.query and _CREDENTIAL.search(url.query):
        yield site.problem(
            "PM318",
            "the URL's query looks like a credential; everyone who reads this file or a log sees it",
            "use `password: {secret: <name>}` if the supervision takes HTTP Basic",
            (*path, "url"),
            severity="warning",
        )
    yield from _ends_with_identity(site, path, url)


def _plain_text(site: LayeredSite, path: Path, url: Url) -> Iterator[Problem]:
    for key in ("trust", "clientCertificate"):
        if key in site.map_at(path):
            yield site.problem(
                "PM321",
                f"`{key}` has no meaning with a ws:// URL, which has no TLS",
                f"make the URL wss://, or remove `{key}`",
                (*path, key),
                part="key",
                related=(site.related("the URL", (*path, "url")),),
            )
    if url.is_loopback:
        return
    is_error = site.policy.get("requireTls") is True
    reason = "the fleet's policy requires TLS (`requireTls: true`)" if is_error else "badges and keys travel readable"
    yield site.problem(
        "PM319",
        f"ws:// to {url.host} is not encrypted: {reason}",
        "make the URL wss://; ws:// is meant for the loopback",
        (*path, "url"),
        severity="error" if is_error else "warning",
    )


def _ends_with_identity(site: LayeredSite, path: Path, url: Url) -> Iterator[Problem]:
    last = url.path.rstrip("/").rpartition("/")[2]
    if last and STATION not in url.path and last in site.map_at(("stations",)):
        yield site.problem(
            "PM320",
            f"the URL already ends with the identity of station {last}; the agent appends each station's own",
            f"remove /{last} from the URL, or put {{station}} in its place",
            (*path, "url"),
            severity="warning",
        )
