"""What did happen, held against the plan (pure): findings in a fixed order, each with its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pointsman_simulator.demo.plan import StationPlan
from pointsman_simulator.errors import FrameError
from pointsman_simulator.frames import Call, read_frame
from pointsman_simulator.station import SessionResult

SECURITY_EVENT = "SecurityEventNotification"
SHOWN = 4  # identities named in a finding, at most


@dataclass(frozen=True, slots=True)
class StationRecord:
    """What one station went through."""

    plan: StationPlan
    session: SessionResult | None
    refused_unknown: bool | None
    security_event_failure: str | None
    sent: tuple[str, ...]
    received: tuple[str, ...]
    faults: tuple[str, ...]
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class OperatorRecord:
    """What one supervision saw, by station: texts it received and texts it sent."""

    received: Mapping[str, tuple[str, ...]]
    sent: Mapping[str, tuple[str, ...]]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the verdict."""

    is_good: bool
    what: str
    figures: str


def findings(stations: Sequence[StationRecord], operators: Mapping[str, OperatorRecord]) -> list[Finding]:
    """Return the verdict's lines; all is as the configuration says when every one is good."""
    return [
        *(_reached(name, operators[name], stations) for name in sorted(operators)),
        _kept_local(stations, operators),
        _sessions(stations),
        _unknown_badges(stations),
        _protocols(stations),
        _relayed(stations, operators),
        _security_events(stations, operators, is_forwarded=True),
        _security_events(stations, operators, is_forwarded=False),
        _by_the_standard(stations, operators),
    ]


def _reached(name: str, operator: OperatorRecord, stations: Sequence[StationRecord]) -> Finding:
    expected = {record.plan.identity for record in stations if record.plan.operator == name}
    seen = set(operator.received)
    detail = _named("missing", expected - seen) + _named("not its own", seen - expected)
    return Finding(seen == expected, f"stations that reached {name}", f"{len(seen & expected)}/{len(expected)}{detail}")


def _kept_local(stations: Sequence[StationRecord], operators: Mapping[str, OperatorRecord]) -> Finding:
    local = {record.plan.identity for record in stations if record.plan.is_local}
    leaked = {identity for operator in operators.values() for identity in operator.received} & local
    figures = f"{len(local) - len(leaked)}/{len(local)}{_named('seen outside', leaked)}"
    return Finding(not leaked, "stations served on the site alone", figures)


def _sessions(stations: Sequence[StationRecord]) -> Finding:
    wrong = {each.plan.identity: _session_fault(each) for each in stations if _session_fault(each)}
    figures = f"{len(stations) - len(wrong)}/{len(stations)}"
    for identity, fault in sorted(wrong.items())[:SHOWN]:
        figures += f"; {identity}: {fault}"
    return Finding(not wrong, "charging sessions as configured", figures)


def _session_fault(record: StationRecord) -> str | None:
    if record.failure is not None or record.session is None:
        return record.failure or "no session"
    if record.session.completed != record.plan.charges:
        return record.session.reason or "charged, though its badge is not authorized"
    return None


def _unknown_badges(stations: Sequence[StationRecord]) -> Finding:
    strict = [record for record in stations if record.plan.refuses_unknown]
    let_in = {record.plan.identity for record in strict if record.refused_unknown is not True}
    figures = f"{len(strict) - len(let_in)}/{len(strict)}{_named('not refused', let_in)}"
    return Finding(not let_in, "unknown badges refused on the site", figures)


def _protocols(stations: Sequence[StationRecord]) -> Finding:
    spoken = {record.plan.identity: record.session.protocol if record.session else None for record in stations}
    wrong = {record.plan.identity for record in stations if spoken[record.plan.identity] != record.plan.speaks}
    versions = ", ".join(sorted({protocol for protocol in spoken.values() if protocol}))
    return Finding(not wrong, "protocols agreed on", f"{versions or 'none'}{_named('other than expected', wrong)}")


def _relayed(stations: Sequence[StationRecord], operators: Mapping[str, OperatorRecord]) -> Finding:
    """Both directions, text by text: what one end sent is what the other received, in the same order."""
    count = 0
    altered: set[str] = set()
    for record in stations:
        operator = operators.get(record.plan.operator)
        if operator is None:
            continue
        identity = record.plan.identity
        up, up_seen = _up(record), operator.received.get(identity, ())
        down, down_seen = operator.sent.get(identity, ()), _down(record)
        count += len(up_seen) + len(down_seen)
        if tuple(up) != tuple(up_seen) or tuple(down) != tuple(down_seen):
            altered.add(identity)
    return Finding(not altered, "messages relayed byte for byte", f"{count}{_named('altered or lost', altered)}")


def _up(record: StationRecord) -> list[str]:
    """What must reach the supervision: all but security events that the site keeps to itself."""
    keeps = not record.plan.forwards_security_events
    return [text for text in record.sent if not (keeps and _action(text) == SECURITY_EVENT)]


def _down(record: StationRecord) -> list[str]:
    """What must come from the supervision: all but the agent's own answers to security events."""
    if record.plan.forwards_security_events:
        return list(record.received)
    own = {_id(text) for text in record.sent if _action(text) == SECURITY_EVENT}
    return [text for text in record.received if _id(text) not in own]


def _security_events(
    stations: Sequence[StationRecord], operators: Mapping[str, OperatorRecord], *, is_forwarded: bool
) -> Finding:
    remote = [record for record in stations if not record.plan.is_local]
    concerned = [record for record in remote if record.plan.forwards_security_events is is_forwarded]
    wrong = {
        record.plan.identity
        for record in concerned
        if record.security_event_failure is not None or _is_seen(record, operators) is not is_forwarded
    }
    what = "security events forwarded" if is_forwarded else "security events held back"
    return Finding(not wrong, what, f"{len(concerned) - len(wrong)}/{len(concerned)}{_named('not', wrong)}")


def _is_seen(record: StationRecord, operators: Mapping[str, OperatorRecord]) -> bool:
    texts = operators[record.plan.operator].received.get(record.plan.identity, ())
    return any(_action(text) == SECURITY_EVENT for text in texts)


def _by_the_standard(stations: Sequence[StationRecord], operators: Mapping[str, OperatorRecord]) -> Finding:
    sides = [*(record.faults for record in stations), *(operator.faults for operator in operators.values())]
    faults = sorted({fault for side in sides for fault in side})
    figures = str(len(faults)) + "".join(f"; {fault}" for fault in faults[:2])
    return Finding(not faults, "payloads that break the standard", figures)


def _named(label: str, identities: set[str]) -> str:
    if not identities:
        return ""
    shown = ", ".join(sorted(identities)[:SHOWN])
    return f"; {label}: {shown}{' …' if len(identities) > SHOWN else ''}"


def _action(text: str) -> str | None:
    try:
        frame = read_frame(text)
    except FrameError:
        return None
    return frame.action if isinstance(frame, Call) else None


def _id(text: str) -> str | None:
    try:
        return read_frame(text).id
    except FrameError:
        return None
