"""The way to each supervision, and the controller's clock beside theirs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import trio
from pointsman_schema.bundle import Bundle, Config

from pointsman_agent.clockoffset import WARN_FROM_S, read_rfc3339
from pointsman_agent.doctor.checks import Check
from pointsman_agent.ports import Clock, SecretMissing, Secrets, StoredState
from pointsman_agent.probing import Findings, Place, look_at
from pointsman_agent.routing import KNOWN_PROTOCOLS, uplink_target
from pointsman_agent.tls import TlsMaterialError, supervision_context
from pointsman_agent.uplink import proxy_address

IDENTITY_OF_NOBODY: Final = "pointsman-doctor"
_SET_CLOCK: Final = "set the controller's clock, and let it follow a time server (timedatectl set-ntp true)"
# Sequences are commit times unless somebody chose them; a smaller number is none.
_FIRST_TIME_AS_SEQUENCE: Final = 1_600_000_000
_CLOCKS_DIFFER_S: Final = 86_400  # more than that, no clock of a build machine is ahead


async def check_supervisions(config: Config, secrets: Secrets, clock: Clock) -> list[Check]:
    """Return the steps towards every supervision, by name, and how its clock goes. All are tried at once."""
    results: dict[str, list[Check]] = {}

    async def check(name: str) -> None:
        results[name] = await _supervision(config, name, secrets, clock)

    async with trio.open_nursery() as nursery:
        for name in config.supervisions:
            nursery.start_soon(check, name)
    return [check for name in sorted(results) for check in results[name]]


def check_clock(bundle: Bundle | None, stored: StoredState, now: datetime) -> Check:
    """Return whether the clock can be right: later than what has happened already."""
    activated = read_rfc3339(stored.activated_at)
    if activated is not None and now < activated:
        return Check("clock", "fail", f"it is before the last activation, {stored.activated_at}", _SET_CLOCK)
    if bundle is not None and bundle.sequence > _FIRST_TIME_AS_SEQUENCE and now.timestamp() < bundle.sequence:
        is_far = bundle.sequence - now.timestamp() > _CLOCKS_DIFFER_S
        seen = f"{now:%Y-%m-%dT%H:%M:%SZ} is before the bundle's sequence, {bundle.sequence}, taken as a time"
        return Check("clock", "fail" if is_far else "warn", seen, _SET_CLOCK)
    return Check("clock", "ok", f"{now:%Y-%m-%dT%H:%M:%SZ}, later than bundle and state")


async def _supervision(config: Config, name: str, secrets: Secrets, clock: Clock) -> list[Check]:
    try:
        place = await trio.to_thread.run_sync(_place, config, name, secrets)
    except (SecretMissing, TlsMaterialError) as error:
        return [Check(f"{name} tls", "fail", f"not tried: {error}", "mend the secret first")]
    findings = await look_at(place, list(KNOWN_PROTOCOLS))
    checks = [Check(f"{name} {step.name}", step.verdict, step.seen, step.remedy) for step in findings.steps]
    return [*checks, *_certificate(name, findings), *_offset(name, findings, clock)]


def _place(config: Config, name: str, secrets: Secrets) -> Place:
    supervision = config.supervisions[name]
    target = uplink_target(supervision.url, IDENTITY_OF_NOBODY)
    wanted = [
        *([supervision.client_certificate.key] if supervision.client_certificate else []),
        *([supervision.proxy.password] if supervision.proxy and supervision.proxy.password else []),
    ]
    values = {each: secrets.read(each) for each in wanted}
    context = supervision_context(supervision, values) if target.is_tls else None
    return Place(target, proxy_address(supervision.proxy, values), context, supervision.connect_timeout)


def _certificate(name: str, findings: Findings) -> Iterator[Check]:
    shown = findings.certificate
    if shown is not None:
        yield Check(f"{name} certificate", "ok", f"{shown.subject}, expires {shown.expires:%Y-%m-%d}")


def _offset(name: str, findings: Findings, clock: Clock) -> Iterator[Check]:
    """The Date header has whole seconds and is as old as the answer's way: enough to see a clock that is wrong."""
    if findings.date is None:
        return
    offset = (findings.date - clock.now()).total_seconds()
    if abs(offset) < WARN_FROM_S:
        yield Check(f"{name} clock", "ok", "as ours, within 30 s")
    else:
        yield Check(
            f"{name} clock", "warn", f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} ours", _SET_CLOCK
        )
