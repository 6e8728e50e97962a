"""What to do about a connection that fails, or a bundle that is refused: words for people, by what was seen. Pure."""

from typing import Final, Literal

_TLS: Final = (
    ("unable to get local issuer", "add the root that signed the supervision's certificate to its `trust`"),
    ("self-signed certificate", "add that root, or the certificate itself, to the supervision's `trust`"),
    ("self signed certificate", "add that root, or the certificate itself, to the supervision's `trust`"),
    ("has expired", "its operator has to renew the certificate; check the controller's clock too"),
    ("not yet valid", "check the controller's clock"),
    ("mismatch", "`url` has to name a host that the certificate is for; ask the supervision's operator which"),
    ("alert", "the supervision refuses our side: check `clientCertificate`, and what its operator expects of it"),
    ("version", "the supervision speaks no TLS 1.2 or 1.3: its operator has to change that"),
    ("wrong_version_number", "that port speaks no TLS: check the port, or whether `url` should begin with ws:"),
)
_COMPILE: Final = "compile the bundle again and copy it whole"
REFUSALS: Final = {
    "too-large": "move badges into lists that come as secrets",
    "no-envelope": _COMPILE,
    "unsigned": "sign it (`pointsman sign`), or run with --allow-unsigned",
    "untrusted": "compile it with a key whose public half is given with --trust",
    "unknown-format": "update the agent, or compile for an older one",
    "not-canonical": _COMPILE,
    "breaks-model": _COMPILE,
    "digest-mismatch": _COMPILE,
    "wrong-site": "give this controller its own bundle; check --site",
    "old-sequence": "compile again: going back is a new, higher sequence with old content",
    "sequence-conflict": "compile again with a higher sequence",
    "secret-missing": "lay the secret down, as a file of that name in the secrets folder",
    "badge-list": "mend that line of the list",
    "tls-material": "check that certificate chain and key belong together, and that the key has no passphrase",
    "unresolved": "check the host in `url`, and which DNS servers the controller asks (resolvectl status)",
    "listener": "free the port, or choose another one (ss -ltnp tells who has it)",
    "storage": "make room on the disk of the state folder, and check that it is writable",
    "quarantined": "mend the site and release again; `pointsman-agent reload --retry` tries this one once more",
    "probation": "stations did not get through: mend what the reason names, then release again",
    "missing": "copy the site's bundle to where --bundle says",
    "unreadable": "let the agent's user read the bundle file",
    "slow": "check the way to the rollout's web server: something there takes too long",
    "rollback": "tell whoever publishes: the web server gives out what is older than it gave before",
    "tampered": "tell whoever publishes: a file on the web server is not the one that was signed",
    "metadata": "tell whoever publishes: the rollout's metadata does not hold together",
    "unreachable": "check the way to the server of --bundle, and its certificate; `pointsman-agent doctor` tries it",
}
"""What to do about each code of a refused bundle (see `verification.CODES`)."""
_HTTP_REFUSALS: Final = range(400, 500)
_REDIRECTS: Final = range(300, 400)
_NO_WEBSOCKET: Final = (405, 426)


def of_connection(step: str, seen: str) -> str:
    """Return what to do when `step` (dns, tcp, proxy, tls) of a connection failed so."""
    match step:
        case "dns":
            return "check the host in `url`, and which DNS servers the controller asks (resolvectl status)"
        case "tcp" if "refused" in seen.lower():
            return "nothing listens there: check host and port of `url`, and ask the supervision's operator"
        case "tcp":
            return "the network does not let it through: check routes, and ask for a rule in the firewall"
        case "proxy" if "407" in seen:
            return "check user and password of `proxy`"
        case "proxy":
            return "check `proxy`, and whether it may connect to that host and port"
    folded = seen.lower().replace(" ", "_")
    found = next((remedy for word, remedy in _TLS if word.replace(" ", "_") in folded), None)
    return found or "check that the port speaks TLS, and ask the supervision's operator"


def of_refusal(code: str) -> str:
    """Return what to do about a bundle that was refused with `code`."""
    return REFUSALS.get(code, _COMPILE)


def of_silence() -> str:
    """Return what to do when a server takes the connection and says nothing that is HTTP."""
    return "something listens there, but not a WebSocket server: check the port of `url`"


def of_status(status: int, location: str | None) -> tuple[Literal["ok", "warn", "fail"], str]:
    """Return verdict and remedy for the answer to a handshake of an identity that no station has.

    A refusal is what a supervision should say; it cannot tell a wrong path from an unknown identity.
    """
    if status == 101:
        return "warn", "the supervision takes a station that does not exist; `--station` tells about one that does"
    if status in _REDIRECTS:
        return "fail", f"redirects are never followed; put the address into `url`: {location or 'it names none'}"
    if status == 429:
        return "warn", "the supervision asks to slow down; try again later"
    if status in _NO_WEBSOCKET:
        return "fail", "no WebSocket server at that path: check the path of `url`"
    if status in _HTTP_REFUSALS:
        return "ok", ""
    if status >= 500:
        return "fail", "the supervision itself, or what stands before it, is in trouble: ask its operator"
    return "fail", "a web server answers, but no WebSocket at that path: check the path of `url`"


def of_handshake(status: int | None) -> str:
    """Return what to do when a real station's handshake got `status` (None: no HTTP answer)."""
    match status:
        case 401 | 403:
            return "check the station's password at the supervision, and `password` of the supervision in the site"
        case 404:
            return "the supervision does not know this station, or the path of `url` is wrong: ask its operator"
        case None:
            return of_silence()
    return of_status(status, None)[1] or "ask the supervision's operator"
