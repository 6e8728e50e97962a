"""The whole examination, in the order in which a start would fail."""

from functools import partial

import trio
from pointsman_schema.bundle import BundleFormatError, read_payload
from pointsman_schema.envelope import EnvelopeError, open_unverified

from pointsman_agent.doctor.bundle import check_bundle, check_secrets
from pointsman_agent.doctor.checks import Check
from pointsman_agent.doctor.listeners import check_admin, check_certificates, check_ports
from pointsman_agent.doctor.network import check_clock, check_supervisions
from pointsman_agent.doctor.source import read_bundle
from pointsman_agent.doctor.state import check_state, is_in_use, load_state
from pointsman_agent.ports import Clock, StoredState
from pointsman_agent.secrets import SecretFolder
from pointsman_agent.settings import Settings
from pointsman_agent.slots import Slots


async def examine(settings: Settings, clock: Clock) -> list[Check]:
    """Return every check; takes at most two minutes for a bundle from a URL, three times the longest
    `connectTimeout`, and what look-ups take."""
    checks = await trio.to_thread.run_sync(list, check_state(settings.state))
    stored = await trio.to_thread.run_sync(load_state, settings.state)
    if isinstance(stored, Check):
        checks.append(stored)
        stored = StoredState()
    is_running = await trio.to_thread.run_sync(is_in_use, settings.state)
    checks.append(
        await trio.to_thread.run_sync(
            partial(check_admin, settings.admin_host, settings.admin_port, is_held=is_running)
        )
    )
    assert settings.bundle is not None  # the command demands one
    envelope, found = await read_bundle(settings.bundle, settings.secrets, clock.now())
    checks += found
    bundle = None
    if envelope is not None:
        bundle, verdict = await trio.to_thread.run_sync(check_bundle, envelope, settings, stored)
        checks.append(verdict)
    checks.append(check_clock(bundle, stored, clock.now()))
    if bundle is None:
        return checks
    checks += await trio.to_thread.run_sync(list, check_secrets(bundle, settings.secrets))
    held = await trio.to_thread.run_sync(_held_sockets, settings, stored)
    checks += await trio.to_thread.run_sync(list, check_ports(bundle.config, held))
    checks += check_certificates(bundle.config, clock.now())
    checks += await check_supervisions(bundle.config, SecretFolder(settings.secrets), clock)
    return checks


def _held_sockets(settings: Settings, stored: StoredState) -> frozenset[tuple[str | None, int]]:
    """The sockets of the agent that runs on this state folder: those of the bundle that it has in force."""
    if stored.bundle is None or not is_in_use(settings.state):
        return frozenset()
    try:
        in_force = read_payload(open_unverified(Slots(settings.state).read(stored.bundle)))
    except (OSError, EnvelopeError, BundleFormatError):
        return frozenset()
    return frozenset((each.address, each.port) for each in in_force.config.listeners.values())
