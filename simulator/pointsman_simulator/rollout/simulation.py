"""A fleet of thousands through a good change and a bad one: does the brake hold, and what do the servers need?"""

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import trio
from pointsman_schema.bundle import Bundle, bundle_of, read_payload, write_payload
from pointsman_schema.envelope import open_unverified, seal

from pointsman_simulator.demo.processes import ProgramFailed, command_path
from pointsman_simulator.rollout import servers
from pointsman_simulator.rollout.crowd import Crowd, names, share_of
from pointsman_simulator.rollout.story import KEYS

COMMAND_WITHIN_S: Final = 900.0
STEP_WITHIN_S: Final = 3600.0
PROMOTE_EVERY_S: Final = 5.0
FIRST, GOOD, BAD = 1, 2, 3
"""Sequences of the three publications."""

_RULES: Final = """\
version: 1
rings:
  - {{name: first, share: 2, soak: {soak}, leastReports: 10, mostFailed: 5}}
  - {{name: early, share: 20, soak: {soak}, leastReports: 50, mostFailed: 5}}
  - {{name: rest, atOnce: 100000, soak: {soak}, leastReports: 50, mostFailed: 5}}
spread: 0
staleAfter: 600
"""
_SITE: Final = """\
version: 1
site: {site}
timeZone: Europe/Paris
supervision: unique
supervisions: {{acme: {{url: "wss://csms.acme.example/ocpp"}}}}
listeners: {{lan: {{port: 9000}}}}
stations:
  S-1: {{}}
  S-2: {{}}
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated: how many sites, percent that fail with the bad bundle, seconds between looks."""

    sites: int
    bad: int
    poll_s: float


async def simulate(plan: Plan, folder: Path, tell: Callable[[str], None]) -> bool:
    """Run it in `folder`, an empty one; return whether the brake held. Raises ProgramFailed."""
    sites = names(plan.sites)
    tokens = {site: secrets.token_hex(32) for site in sites}
    model = await _model(folder)
    _lay_down(folder, sites, model, FIRST)
    (folder / "sites" / "rollout.yaml").write_text(_RULES.format(soak=int(plan.poll_s)))
    await _pointsman(folder, "rollout", "init", "sites", "--keys", "keys")
    took_s = await _pointsman(folder, "rollout", "publish", "bundles", *KEYS)
    tell(f"{plan.sites} sites published in {took_s:.1f} s")
    await _pointsman(folder, "rollout", "promote", "sites", *KEYS)
    async with AsyncExitStack() as stack:
        store, process = await stack.enter_async_context(servers.victoria_metrics(folder / "store"))
        url = await stack.enter_async_context(servers.nginx(folder / "nginx", folder / "repository", store, tokens))
        root = (folder / "repository" / "metadata" / "1.root.json").read_bytes()
        crowd = Crowd(url, root, folder / "crowd", tokens, share_of(plan.bad, BAD), plan.poll_s)
        health = ["--health", f"http://127.0.0.1:{store}"]
        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.start_soon(crowd.run)
        tell(f"all took the first bundle in {await _until(lambda: crowd.took[FIRST] == plan.sites):.0f} s")
        await _until(lambda: crowd.counts["reports"] >= plan.sites)
        await _figures(crowd, plan.poll_s, store, process.pid, tell)

        _lay_down(folder, sites, model, GOOD)
        tell(f"good change: published in {await _pointsman(folder, 'rollout', 'publish', 'bundles', *KEYS):.1f} s")
        began, slowest = time.monotonic(), 0.0
        while crowd.took[GOOD] < plan.sites:
            slowest = max(slowest, await _pointsman(folder, "rollout", "promote", "sites", *KEYS, *health))
            await trio.sleep(PROMOTE_EVERY_S)
            if time.monotonic() - began > STEP_WITHIN_S:
                raise ProgramFailed(f"the good change reached {crowd.took[GOOD]} sites only")
        tell(f"good change: at all sites after {time.monotonic() - began:.0f} s; slowest promote {slowest:.1f} s")

        _lay_down(folder, sites, model, BAD)
        await _pointsman(folder, "rollout", "publish", "bundles", *KEYS)
        began, is_halted = time.monotonic(), False
        while not is_halted and time.monotonic() - began < STEP_WITHIN_S:
            is_halted = await _pointsman(folder, "rollout", "promote", "sites", *KEYS, *health, may_be=1) < 0
            await trio.sleep(PROMOTE_EVERY_S)
        tell(f"bad change ({plan.bad} % fail): halted after {time.monotonic() - began:.0f} s")
        await trio.sleep(plan.poll_s * 1.5)
        tell(f"bad change: {crowd.took[BAD]} of {plan.sites} sites ever took it; the rest was never offered it")
        nursery.cancel_scope.cancel()
    return is_halted and crowd.took[BAD] < plan.sites / 10


async def _figures(crowd: Crowd, poll_s: float, store: int, pid: int, tell: Callable[[str], None]) -> None:
    """What an idle fleet costs, over one interval of looks."""
    before, began = crowd.counts.copy(), time.monotonic()
    cpu = _cpu_s(pid)
    crowd.slowest_s = 0.0
    await trio.sleep(poll_s)
    passed = time.monotonic() - began
    seen = crowd.counts - before
    looks = max(seen["looks"], 1)
    tell(
        f"idle: {seen['looks'] / passed:.0f} looks/s of {seen['requests'] / looks:.1f} requests and "
        f"{seen['bytes'] / looks:.0f} B, slowest {crowd.slowest_s:.2f} s; {seen['reports'] / passed:.0f} reports/s; "
        f"failed: {crowd.counts['failed looks']} looks, {crowd.counts['failed reports']} reports"
    )
    rows = await servers.query(store, "count({__name__=~'pointsman_.*'})")
    series = int(rows[0][1]) if rows else 0
    tell(
        f"metrics store: {series} series, {_resident_mib(pid):.0f} MiB resident, "
        f"{(_cpu_s(pid) - cpu) / passed * 100:.1f} % of a core"
    )


async def _model(folder: Path) -> Bundle:
    """One compiled site, after which all are made."""
    (folder / "sites").mkdir()
    (folder / "sites" / "model.yaml").write_text(_SITE.format(site="model"))
    await _pointsman(folder, "compile", "sites", "--out", "model", "--sequence", "1")
    return read_payload(open_unverified((folder / "model" / "model.bundle").read_bytes()))


def _lay_down(folder: Path, sites: Sequence[str], model: Bundle, sequence: int) -> None:
    (folder / "bundles").mkdir(exist_ok=True)
    for site in sites:
        config = msgspec.structs.replace(model.config, title=f"{site} {sequence}")
        bundle = bundle_of(config, site=site, sequence=sequence, source=model.source, lock=model.lock)
        (folder / "bundles" / f"{site}.bundle").write_bytes(seal(write_payload(bundle)))


async def _until(is_so: Callable[[], bool]) -> float:
    began = time.monotonic()
    with trio.fail_after(STEP_WITHIN_S):
        while not is_so():  # noqa: ASYNC110  # threads tell it
            await trio.sleep(0.2)
    return time.monotonic() - began


async def _pointsman(folder: Path, *arguments: str, may_be: int = 0) -> float:
    """Run a command; return the seconds it took, negative where it ended with `may_be`. Raises ProgramFailed."""
    began = time.monotonic()
    with trio.fail_after(COMMAND_WITHIN_S):
        done = await trio.run_process(
            [command_path("pointsman"), *arguments], cwd=folder, check=False, capture_stdout=True, capture_stderr=True
        )
    if done.returncode not in (0, may_be):
        raise ProgramFailed(f"pointsman {' '.join(arguments)}: {done.stderr.decode()}")
    passed = time.monotonic() - began
    return passed if done.returncode == 0 else -passed


def _resident_mib(pid: int) -> float:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096 / 2**20


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
