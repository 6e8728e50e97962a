"""A look at a supervision, step by step: DNS, TCP, proxy, TLS, HTTP, each with its time, verdict and what to do.

It makes connections of its own and touches nothing that stations use. Whatever fails is a step, not an exception.
"""

import base64
import contextlib
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import h11
import trio
from cryptography import x509

from pointsman_agent import advice
from pointsman_agent.routing import UplinkTarget
from pointsman_agent.streams import DialError, OwnedStream, ProxyAddress, RawStream, dial

LARGEST_ANSWER_BYTES: Final = 16 * 1024
_SWITCHING: Final = 101

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Step:
    """What was tried, how it went, what was seen, and what to do about it; `milliseconds` it took."""

    name: str
    verdict: Verdict
    seen: str
    milliseconds: int
    remedy: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the object of the API."""
        return {
            "step": self.name,
            "verdict": self.verdict,
            "seen": self.seen,
            "milliseconds": self.milliseconds,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """The certificate that a server showed, whether it was good or not."""

    subject: str
    issuer: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where a supervision is and how it is reached. `within_s` bounds a connection, its handshakes included."""

    target: UplinkTarget
    proxy: ProxyAddress | None
    tls: ssl.SSLContext | None
    within_s: float


@dataclass(slots=True)
class Findings:
    """The steps so far, in their order; `date` is what the server's own Date header said."""

    steps: list[Step] = field(default_factory=list)
    certificate: ShownCertificate | None = None
    date: datetime | None = None
    _began: float = field(default_factory=time.perf_counter)

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return all(step.verdict != "fail" for step in self.steps)

    def note(self, name: str, verdict: Verdict, seen: str, remedy: str = "") -> None:
        """Add a step that ends at this moment and began when the one before ended."""
        now = time.perf_counter()
        self.steps.append(Step(name, verdict, seen, round((now - self._began) * 1000), remedy))
        self._began = now


async def look_at(place: Place, protocols: list[str]) -> Findings:
    """Return what was found on the way to `place`, the answer to a WebSocket handshake included.

    It is asked for the identity in `place.target`, which no station should have, without credentials: any refusal is a
    good sign. Bounded by three times `place.within_s`.
    """
    findings = Findings()
    stream = await connect(place, findings)
    if stream is None:
        return findings
    try:
        with trio.fail_after(place.within_s):
            await _ask(stream, place.target, protocols, findings)
    except trio.TooSlowError:
        findings.note("http", "fail", f"no answer within {place.within_s:g} s", advice.of_silence())
    finally:
        stream.close()
    return findings


async def connect(place: Place, findings: Findings) -> RawStream | None:
    """Return a connection to `place`, TLS included, with its steps noted; None when one failed."""
    expected = ["dns", "tcp", *(["proxy"] if place.proxy else []), *(["tls"] if place.tls else [])]
    where = _where(place)

    def passed(step: str) -> None:
        expected.remove(step)
        findings.note(step, "ok", where[step])

    try:
        with trio.fail_after(place.within_s):
            stream = await _dial(place, place.tls, passed)
    except DialError as error:
        findings.note(error.error, "fail", str(error), advice.of_connection(error.error, str(error)))
    except trio.TooSlowError:
        seen = f"{where[expected[0]]}: no answer within {place.within_s:g} s"
        findings.note(expected[0], "fail", seen, advice.of_connection(expected[0], seen))
    else:
        findings.certificate = _certificate_of(stream)
        return stream
    if findings.steps[-1].name == "tls":
        findings.certificate = await _certificate_without_proof(place)
    return None


def _where(place: Place) -> dict[str, str]:
    target, proxy = place.target, place.proxy
    first = f"{proxy.host}:{proxy.port}" if proxy else f"{target.host}:{target.port}"
    return {
        "dns": first.rpartition(":")[0],
        "tcp": first,
        "proxy": f"tunnel to {target.host}:{target.port}",
        "tls": f"chain and name {target.host} are good",
    }


async def _dial(place: Place, tls: ssl.SSLContext | None, on_step: Callable[[str], None]) -> RawStream:
    return await dial(place.target.host, place.target.port, proxy=place.proxy, tls=tls, on_step=on_step)


async def _certificate_without_proof(place: Place) -> ShownCertificate | None:
    """Return what a server that was not believed shows. Nothing is sent to it behind the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with trio.move_on_after(place.within_s), contextlib.suppress(DialError):
        stream = await _dial(place, context, lambda step: None)
        try:
            return _certificate_of(stream)
        finally:
            stream.close()
    return None


def _certificate_of(stream: RawStream) -> ShownCertificate | None:
    if not isinstance(stream.sock, ssl.SSLSocket):
        return None
    der = stream.sock.getpeercert(binary_form=True)
    if der is None:
        return None
    certificate = x509.load_der_x509_certificate(der)
    return ShownCertificate(
        certificate.subject.rfc4514_string() or "no subject",
        certificate.issuer.rfc4514_string() or "no issuer",
        certificate.not_valid_after_utc,
    )


async def _ask(stream: RawStream, target: UplinkTarget, protocols: list[str], findings: Findings) -> None:
    """Ask for a WebSocket as a station would (RFC 6455 section 4.1) and note the HTTP status."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_ANSWER_BYTES)
    headers = [
        ("Host", target.authority),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", base64.b64encode(secrets.token_bytes(16)).decode()),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", ", ".join(protocols)),
    ]
    asked = http.send(h11.Request(method="GET", target=target.resource, headers=headers)) or b""
    asked += http.send(h11.EndOfMessage()) or b""
    owned = OwnedStream(stream)
    try:
        await owned.send_all(asked)
        answer = await _answer(owned, http)
    except (h11.RemoteProtocolError, trio.BrokenResourceError) as error:
        findings.note("http", "fail", f"no HTTP: {error}", advice.of_silence())
        return
    if answer is None:
        findings.note("http", "fail", "the connection was ended without an answer", advice.of_silence())
        return
    findings.date = _date(answer)
    location = next((value.decode("ascii", "replace") for name, value in answer.headers if name == b"location"), None)
    verdict, remedy = advice.of_status(answer.status_code, location)
    findings.note("http", verdict, f"HTTP {answer.status_code} to an identity of no station", remedy)


async def _answer(stream: OwnedStream, http: h11.Connection) -> h11.Response | h11.InformationalResponse | None:
    """Return the head of the answer; None when there is none."""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Response):
            return event
        elif isinstance(event, h11.InformationalResponse):
            if event.status_code == _SWITCHING:
                return event
        else:
            return None


def _date(answer: h11.Response | h11.InformationalResponse) -> datetime | None:
    text = next((value.decode("ascii", "replace") for name, value in answer.headers if name == b"date"), None)
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
