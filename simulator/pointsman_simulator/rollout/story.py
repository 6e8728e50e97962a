"""A change that is good, one that is bad, its halt and its fix, while stations charge all the while.

Every part is real: git, the commands of `pointsman`, nginx, VictoriaMetrics, vmalert, an agent a site, and stations
that charge one session after the other. Each step is told and checked; the first that does not come ends the demo.
"""

import secrets
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from pointsman_simulator.demo.processes import Agent, ProgramFailed, command_path, running_agent
from pointsman_simulator.errors import SimulatorError
from pointsman_simulator.rollout import servers
from pointsman_simulator.scenario import StationProfile
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import Supervision, open_supervision

SITES: Final = ("lab", "north", "south")
STEP_WITHIN_S: Final = 90.0
LOOK_EVERY_S: Final = 0.5
COMMAND_WITHIN_S: Final = 60.0
COME_AGAIN_S: Final = 0.5
NOBODY_LISTENS: Final = "ws://127.0.0.1:9/ocpp"
QUICK: Final = StationProfile(meter_values=2, meter_interval_s=0.5)
KEYS: Final = [part for role in ("targets", "snapshot", "timestamp") for part in ("--key", f"keys/{role}.key")]

_RULES: Final = """\
version: 1
rings:
  - {name: first, sites: [lab], soak: 3, leastReports: 1}
  - {name: rest, soak: 3, leastReports: 2}
spread: 2
"""
_FLEET: Final = """\
version: 1
defaults:
  activation: {{probation: 12, spread: 0}}
  authentication: {{online: any, offline: any}}
supervisions:
  acme: {{url: "{url}", messageTimeout: {timeout}}}
"""
_SITE: Final = """\
version: 1
site: {site}
timeZone: Europe/Paris
supervision: multiple
listeners: {{lan: {{address: "127.0.0.1", port: {port}}}}}
supervisions: {{acme: {{}}}}
groups:
  staff: {{operator: local, stations: [{station}-1]}}
  public: {{operator: acme, stations: [{station}-2]}}
stations:
  {station}-1: {{protocols: [ocpp1.6]}}
  {station}-2: {{protocols: [ocpp1.6]}}
"""


@dataclass
class Story:
    """The machine on which it plays."""

    folder: Path
    supervision: Supervision
    store: int
    alerts: str
    tell: Callable[[str], None]
    agents: dict[str, Agent] = field(default_factory=dict)
    charged: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    async def play(self) -> None:
        """Play all of it; raises ProgramFailed at the first step that does not come."""
        before = await self._digests()
        self.tell("1. a good change is merged and published; it goes ring by ring")
        await self._merge(self.supervision.url, timeout=21)
        await self._publish()
        await self._promote("1 site moved")
        await self._until("lab has it", self._has_moved(before, "lab"))
        assert (await self._digests())["north"] == before["north"]
        await self._promote_until("2 sites moved")
        await self._until("all have it", self._has_moved(before, *SITES))
        good = await self._digests()

        self.tell("2. a bad change: the operator's address is one where nobody listens")
        await self._merge(NOBODY_LISTENS, timeout=21)
        await self._publish()
        await self._promote_until("1 site moved")
        await self._until("lab took it, and went back by itself", self._has_failed("lab"))
        assert (await self._digests()) == good

        self.tell("3. its report reaches the store, an alert fires, and promote refuses")
        await self._until("the alert fires", self._has_alert("PointsmanBundleFailed"))
        await self._until("promote halts", self._is_halted)
        self._show(await self._pointsman("rollout", "status", "sites", *self._health()))

        self.tell("4. the fix is merged and published; the halt stays until a person lifts it")
        await self._merge(self.supervision.url, timeout=25)
        await self._publish()
        if not await self._is_halted():
            raise ProgramFailed("the halt did not stay")
        await self._pointsman("rollout", "resume", *KEYS)
        await self._promote("1 site moved")
        await self._until("lab has the fix", self._has_moved(good, "lab"))
        await self._promote_until("2 sites moved")
        await self._until("all have the fix", self._has_moved(good, *SITES))
        await self._promote_until("0 sites moved", "settled            3")
        self._show(await self._pointsman("rollout", "status", "sites", *self._health()))
        self._judge()

    async def charge(self, site: str, number: int, port: int) -> None:
        """A station that charges one session after the other, and comes again when its link ends."""
        identity = f"{site.upper()}-{number}"
        while True:
            try:
                async with connect_station(f"ws://127.0.0.1:{port}/ocpp/{identity}") as station:
                    while True:
                        result = await run_session(station, profile=QUICK)
                        if result.closed is not None:
                            break
                        if not result.completed:
                            raise ProgramFailed(f"{identity} could not charge: {result.reason}")
                        self.charged[identity] += 1
            except (SimulatorError, OSError):
                pass
            self.dropped[identity] += 1
            await trio.sleep(COME_AGAIN_S)

    def _judge(self) -> None:
        """Stations of groups that no change touched never dropped, and all have charged."""
        for site in SITES:
            local, remote = f"{site.upper()}-1", f"{site.upper()}-2"
            self.tell(
                f"   {site}: {self.charged[local]} sessions on the controller's own station, "
                f"{self.charged[remote]} on the operator's; links lost {self.dropped[local]} and {self.dropped[remote]}"
            )
            if self.dropped[local] or not self.charged[local] or not self.charged[remote]:
                raise ProgramFailed(f"{site} did not charge all the while")

    # --- What people and pipelines do -----------------------------------------------------------------------------

    async def _merge(self, url: str, timeout: int) -> None:
        await self._git("switch", "-qc", f"change-{secrets.token_hex(4)}")
        (self.folder / "sites" / "fleet.yaml").write_text(_FLEET.format(url=url, timeout=timeout))
        await self._git("commit", "-qam", f"acme: {url}, {timeout} s")
        await self._git("switch", "-q", "main")
        await self._git("merge", "-q", "--no-ff", "-m", "Merge", "@{-1}")

    async def _publish(self) -> None:
        await self._pointsman("compile", "sites", "--out", "bundles")
        revision = (await self._git("rev-parse", "HEAD")).strip()
        said = await self._pointsman("rollout", "publish", "bundles", *KEYS, "--revision", revision)
        self.tell(f"   published: {said.strip()}")

    async def _promote(self, *expected: str) -> None:
        said = await self._pointsman("rollout", "promote", "sites", *KEYS, *self._health())
        if not all(text in said for text in expected):
            raise ProgramFailed(f"promote was to say {expected}:\n{said}")
        self.tell(f"   promote: {said.splitlines()[-1]}")

    async def _promote_until(self, *expected: str) -> None:
        """As the scheduled pipeline does: again and again."""

        async def is_said() -> bool:
            said = await self._pointsman("rollout", "promote", "sites", *KEYS, *self._health())
            return all(text in said for text in expected)

        await self._until(f"promote: {expected[0]}", is_said)

    async def _is_halted(self) -> bool:
        done = await _run(
            self.folder, command_path("pointsman"), "rollout", "promote", "sites", *KEYS, *self._health(), check=False
        )
        if b"is halted" in done.stderr:
            self.tell(f"   {done.stderr.decode().splitlines()[0]}")
        return done.returncode == 1 and b"is halted" in done.stderr

    def _health(self) -> list[str]:
        return ["--health", f"http://127.0.0.1:{self.store}"]

    async def _pointsman(self, *arguments: str) -> str:
        return (await _run(self.folder, command_path("pointsman"), *arguments)).stdout.decode()

    async def _git(self, *arguments: str) -> str:
        return (await _run(self.folder, "git", *arguments)).stdout.decode()

    def _show(self, text: str) -> None:
        for line in text.splitlines():
            self.tell(f"   | {line}")

    # --- What is looked at ----------------------------------------------------------------------------------------

    async def _until(self, what: str, is_so: Callable[[], Awaitable[bool]]) -> None:
        began = trio.current_time()
        with trio.move_on_after(STEP_WITHIN_S):
            while not await is_so():  # noqa: ASYNC110  # other processes
                await trio.sleep(LOOK_EVERY_S)
            self.tell(f"   {what} ({trio.current_time() - began:.0f} s)")
            return
        raise ProgramFailed(f"this did not come within {STEP_WITHIN_S:g} s: {what}")

    async def _digests(self) -> dict[str, str]:
        return {site: _active((await agent.status())["bundle"]) for site, agent in self.agents.items()}

    def _has_moved(self, before: dict[str, str], *sites: str) -> Callable[[], Awaitable[bool]]:
        async def is_so() -> bool:
            rows = {site: await self.agents[site].status() for site in sites}
            return all(
                _active(row["bundle"]) not in ("", before.get(site)) and row["state"] == "running"
                for site, row in rows.items()
            )

        return is_so

    def _has_failed(self, site: str) -> Callable[[], Awaitable[bool]]:
        async def is_so() -> bool:
            failed = (await self.agents[site].status())["bundle"]["lastFailed"]
            return failed is not None and failed["code"] == "probation"

        return is_so

    def _has_alert(self, name: str) -> Callable[[], Awaitable[bool]]:
        async def is_so() -> bool:
            answer = await servers.get_json(f"{self.alerts}/api/v1/alerts")
            return any(one["name"] == name and one["state"] == "firing" for one in answer["data"]["alerts"])

        return is_so


async def play(folder: Path, rules: Path, tell: Callable[[str], None]) -> None:
    """Set all up in `folder`, an empty one, and play; `rules` are the fleet's alert rules. Raises ProgramFailed."""
    ports = {site: servers.free_port() for site in SITES}
    tokens = {site: secrets.token_hex(32) for site in SITES}
    async with AsyncExitStack() as stack:
        supervision = await stack.enter_async_context(open_supervision())
        store, _ = await stack.enter_async_context(servers.victoria_metrics(folder / "store"))
        await _found(folder, supervision.url, ports)
        url = await stack.enter_async_context(servers.nginx(folder / "nginx", folder / "repository", store, tokens))
        alerts = await stack.enter_async_context(servers.vmalert(folder / "vmalert", rules, store))
        story = Story(folder, supervision, store, alerts, tell)
        for site in SITES:
            story.agents[site] = await stack.enter_async_context(_agent(folder, site, tokens[site], url))
        await story._until("the first bundles are in force", story._has_moved({}, *SITES))
        async with trio.open_nursery() as nursery:
            for site in SITES:
                for number in (1, 2):
                    nursery.start_soon(story.charge, site, number, ports[site])
            await story.play()
            nursery.cancel_scope.cancel()


async def _found(folder: Path, url: str, ports: dict[str, int]) -> None:
    """A configuration repository, compiled, published and promoted once: a fleet's first bundles."""
    (folder / "sites").mkdir()
    (folder / "sites" / "rollout.yaml").write_text(_RULES)
    (folder / "sites" / "fleet.yaml").write_text(_FLEET.format(url=url, timeout=20))
    for site, port in ports.items():
        text = _SITE.format(site=site, port=port, station=site.upper())
        (folder / "sites" / f"{site}.yaml").write_text(text)
    pointsman = command_path("pointsman")
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.name", "demo"],
        ["git", "config", "user.email", "demo@example.org"],
        ["git", "add", "sites"],
        ["git", "commit", "-qm", "The fleet"],
        [pointsman, "check", "sites"],
        [pointsman, "compile", "sites", "--out", "bundles"],
        [pointsman, "rollout", "init", "sites", "--keys", "keys"],
        [pointsman, "rollout", "publish", "bundles", *KEYS],
        [pointsman, "rollout", "promote", "sites", *KEYS],
    ):
        await _run(folder, *command)


def _agent(folder: Path, site: str, token: str, url: str) -> Any:
    state, kept = folder / site, folder / f"{site}-secrets"
    kept.mkdir()
    (kept / "fleet-token").write_text(token)
    arguments = [
        *("--site", site, "--state", str(state), "--secrets", str(kept), "--admin", "127.0.0.1:0"),
        *("--rollout", f"{url}/rollout", "--rollout-root", str(folder / "repository/metadata/1.root.json")),
        *("--rollout-token", "fleet-token", "--rollout-poll", "1"),
        *("--push", f"{url}/push", "--push-token", "fleet-token"),
    ]
    return running_agent(arguments, state=state, log=folder / f"{site}.log")


async def _run(folder: Path, *command: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
    with trio.fail_after(COMMAND_WITHIN_S):
        done = await trio.run_process(command, cwd=folder, check=False, capture_stdout=True, capture_stderr=True)
    if check and done.returncode:
        raise ProgramFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode()}")
    return done


def _active(bundle: dict[str, Any]) -> str:
    active = bundle["active"]
    return "" if active is None else str(active["digest"])
