"""A repository made in the process of a test, and a source with what it was told."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from pointsman_agent.sources.fetching import BoundedFetcher
from pointsman_agent.sources.tuf import TufSource, turn_of
from pointsman_compiler.rollout.creation import create
from pointsman_compiler.rollout.ledger import Content, Ledger, Newcomer, publish
from pointsman_compiler.rollout.promotion import promote
from pointsman_compiler.rollout.repository import Repository, bundle_name
from pointsman_compiler.rollout.rules import Ring, Rules
from pointsman_schema.bundle import Config, write_payload
from pointsman_schema.canonical import canonical_bytes, digest_of
from pointsman_schema.envelope import seal
from support.sites import SITE
from support.small_bundle import small_bundle
from tuf.api.metadata import TargetFile

OTHER = "x"
RULES = Rules(1, (Ring("all", soak=0),), spread=0)
LOOK_WITHIN_S = 20.0


class Fleet:
    """A repository, and all its keys."""

    def __init__(self, folder: Path, spread: int = 0) -> None:
        self.folder = folder
        self.keys = {role: Ed25519PrivateKey.generate() for role in ("targets", "snapshot", "timestamp")}
        self.roots = [Ed25519PrivateKey.generate() for _ in range(3)]
        self.rules = replace(RULES, spread=spread)
        self.configs: dict[str, Config] = {}
        create(folder / "repository", self.roots, 2, self.keys, datetime.now(UTC), bits=2)
        self.root = (folder / "repository" / "metadata" / "1.root.json").read_bytes()

    @property
    def metadata(self) -> Path:
        """The folder of the metadata."""
        return self.folder / "repository" / "metadata"

    @property
    def targets(self) -> Path:
        """The folder of the bundles."""
        return self.folder / "repository" / "targets"

    def offer(self, sequence: int, now: datetime | None = None, **configs: Config) -> dict[str, bytes]:
        """Publish and promote a bundle of each site; return them by site."""
        now = now or datetime.now(UTC)
        repository = Repository(self.folder / "repository")
        bundles = {site: self._bundle(site, sequence, configs.get(site)) for site in (SITE, OTHER)}
        newcomers = [newcomer for newcomer, _ in bundles.values()]
        stamp = int(now.timestamp())
        ledger = publish(repository.ledger(), newcomers, stamp, None)
        promoted = promote(ledger, self.rules, {}, stamp)
        repository.add_bundles(
            (bundle_name(site, newcomer.content.sha256), content) for site, (newcomer, content) in bundles.items()
        )
        repository.save(promoted.ledger, list(self.keys.values()), now, moved=promoted.moved)
        return {site: content for site, (_, content) in bundles.items()}

    def offer_swapped(self, sequence: int) -> None:
        """Offer the bundle of the other site to the test's one, properly signed: what a thief of `targets` can do."""
        newcomer, content = self._bundle(OTHER, sequence, None)
        repository, now = Repository(self.folder / "repository"), datetime.now(UTC)
        ledger = publish(repository.ledger(), [replace(newcomer, site=SITE)], int(now.timestamp()), None)
        promoted = promote(ledger, self.rules, {}, int(now.timestamp()))
        repository.add_bundles([(bundle_name(SITE, newcomer.content.sha256), content)])
        repository.save(promoted.ledger, list(self.keys.values()), now, moved=promoted.moved)

    def offer_next(self) -> dict[str, bytes]:
        """Publish and promote something new to each site."""
        known = self.ledger().sites[SITE].desired.sequence
        return self.offer(known + 1)

    def ledger(self) -> Ledger:
        """What the repository remembers."""
        return Repository(self.folder / "repository").ledger()

    def turn(self) -> datetime:
        """When the test's site is to take what it is offered."""
        offer = self.ledger().sites[SITE].offered
        assert offer is not None
        custom = {"notBefore": offer.since, "spread": self.rules.spread}
        return turn_of(TargetFile(1, {"sha256": offer.content.sha256}, f"{SITE}.bundle", {"custom": custom}), SITE)

    def refresh(self, now: datetime) -> None:
        """Sign the timestamp anew, as of `now`."""
        Repository(self.folder / "repository").refresh(list(self.keys.values()), now)

    def _bundle(self, site: str, sequence: int, config: Config | None) -> tuple[Newcomer, bytes]:
        bundle = small_bundle(sequence)
        config = config or replace(bundle.config, title=f"{site} {sequence}")
        bundle = replace(bundle, site=site, config=config, config_digest=digest_of(canonical_bytes(config)))
        content = seal(write_payload(bundle))
        sha256 = hashlib.sha256(content).hexdigest()
        known = Content(bundle.config_digest, sequence, sha256, len(content))
        return Newcomer(site, config.time_zone, config.labels, known), content


class SettableClock:
    """A clock that stands where it was put, as an agent's."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    def now(self) -> datetime:
        """Return the time."""
        return self.at or datetime.now(UTC)


class Follower:
    """A source, and what it offered and told; each `look` is one poll."""

    def __init__(
        self, fleet: Fleet, url: str, *, file_within_s: float = 10.0, look_within_s: float = 60.0, site: str = SITE
    ) -> None:
        self.offered: list[bytes] = []
        self.told: list[str] = []
        self.messages: list[str] = []
        self._trouble: tuple[str, str] | None = None
        self._is_stale = False
        self._looked = trio.Event()
        self.clock = SettableClock()
        self._fetcher = BoundedFetcher(file_within_s=file_within_s, look_within_s=look_within_s)
        self.source = TufSource(
            url,
            site,
            fleet.folder / "state" / "rollout",
            fleet.root,
            self.clock,
            on_look=self._on_look,
            fetcher=self._fetcher,
            poll_every_s=3600,
        )

    async def look(self) -> None:
        """Let the source look once; once it says whether it is stale, it tells and offers without another wait."""
        self._looked = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.source.follow, self._offer, self._fail)
            with trio.fail_after(LOOK_WITHIN_S):
                await self._looked.wait()
            nursery.cancel_scope.cancel()

    def stale(self) -> bool:
        """What was told last."""
        return self._is_stale

    def trouble(self) -> tuple[str, str] | None:
        """Why the last look gave nothing."""
        return self._trouble

    async def _offer(self, envelope: bytes) -> None:
        self.offered.append(envelope)

    async def _fail(self, code: str, message: str) -> None:
        self.told.append(code)
        self.messages.append(message)

    def _on_look(self, is_stale: bool, trouble: tuple[str, str] | None) -> None:
        self._is_stale = is_stale
        self._trouble = trouble
        self._looked.set()
