"""A real agent in this process, on real sockets, with a state folder and a signed bundle of its own."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_agent.bundleurl import BundleUrl
from pointsman_agent.client import Access, ask_reload, find_access, get_status
from pointsman_agent.run import SystemClock, run
from pointsman_agent.settings import Settings
from pointsman_schema.bundle import Config
from support.sites import LISTENER, SITE, a_bundle, a_listener, free_port, replace_file

SEEN_WITHIN_S = 10.0  # milliseconds on an idle machine


class RunningAgent:
    """The agent of a test: where it listens, what it says of itself, how it gets another bundle."""

    def __init__(self, folder: Path, port: int) -> None:
        self.state = folder / "state"
        self.secrets = folder / "secrets"
        self.bundle = folder / "site.bundle"
        self.place: Path | BundleUrl = self.bundle
        self.port = port
        self.site = SITE
        self.key = Ed25519PrivateKey.generate()
        self.flags: dict[str, Any] = {}
        """What is not as `settings` has it by default."""
        self.secrets.mkdir()

    @property
    def access(self) -> Access:
        """Where the admin interface is."""
        return find_access(self.state, None)

    def url(self, identity: str, scheme: str = "ws") -> str:
        """Return the URL at which a station connects."""
        return f"{scheme}://localhost:{self.port}/ocpp/{identity}"

    def settings(self) -> Settings:
        """Return the flags of this agent."""
        settings = Settings(
            bundle=self.place,
            site=self.site,
            trusted=(self.key.public_key(),),
            state=self.state,
            secrets=self.secrets,
            admin_host="127.0.0.1",
            admin_port=0,
        )
        return dataclasses.replace(settings, **self.flags)

    def write(self, config: Config, *, sequence: int = 1, **bundle: Any) -> bytes:
        """Sign a bundle of `config`, on this agent's port where it names the default listener, and lay it down."""
        fields = {"site": self.site, "sequence": sequence, **bundle}
        envelope = a_bundle(self.placed(config), keys=(self.key,), **fields)
        replace_file(self.bundle, envelope)
        return envelope

    def placed(self, config: Config) -> Config:
        """Return `config` with the default listener of tests moved to this agent's port."""
        if config.listeners != {LISTENER: a_listener(9000)}:
            return config
        return msgspec.structs.replace(config, listeners={LISTENER: a_listener(self.port)})

    async def status(self) -> dict[str, Any]:
        """Return what the admin interface says."""
        return await trio.to_thread.run_sync(get_status, self.access)

    async def wait_status(
        self, predicate: Callable[[dict[str, Any]], bool], within_s: float = SEEN_WITHIN_S
    ) -> dict[str, Any]:
        """Return the first status that fits; raises trio.TooSlowError."""
        with trio.fail_after(within_s):
            while not predicate(status := await self.status()):
                pass
        return status

    async def station(self, identity: str) -> dict[str, Any]:
        """Return the status of one station."""
        return next(row for row in (await self.status())["stations"] if row["station"] == identity)

    async def reload(self) -> None:
        """Let the agent look at its bundle file at once."""
        await trio.to_thread.run_sync(ask_reload, self.access)


@asynccontextmanager
async def running_agent(
    folder: Path,
    config: Config | None,
    *,
    port: int | None = None,
    secrets: dict[str, bytes] | None = None,
    flags: dict[str, Any] | None = None,
) -> AsyncIterator[RunningAgent]:
    """Run an agent on `config` (None: without a bundle) until the block ends; yields once the bundle is in force."""
    agent = RunningAgent(folder, port or free_port())
    agent.flags = flags or {}
    for name, content in (secrets or {}).items():
        (agent.secrets / name).write_bytes(content)
    if config is not None:
        agent.write(config)
    async with started(agent):
        if config is not None:
            await agent.wait_status(lambda status: status["state"] != "waiting")
        yield agent


@asynccontextmanager
async def started(agent: RunningAgent) -> AsyncIterator[None]:
    """Run `agent` (again) on the state that it has, until the block ends."""
    async with trio.open_nursery() as nursery:
        await nursery.start(run, agent.settings(), SystemClock())
        yield
        nursery.cancel_scope.cancel()
