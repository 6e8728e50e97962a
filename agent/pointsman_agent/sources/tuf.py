"""A TUF repository that is polled: what it offers this site is taken, once it is the site's turn (the only tuf).

The repository's role `targets` is the trust in bundles: metadata is verified by python-tuf's client from the root that
the controller was given (https://theupdateframework.github.io/specification/, section 5.3), and kept on disk, so that
nothing older is ever believed again, also after a restart. Idle, a look takes two requests: the next root, which is not
there, and the timestamp.

Of a bundle, `notBefore` and `spread` are signed with it: sites that are promoted together take it one after another.

Metadata that has ended stops nothing: what is in force stays, nothing new is taken, and the agent reports `stale`.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
import trio
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES
from pointsman_schema.turns import turn_part
from tuf.api import exceptions
from tuf.api.metadata import Metadata, TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from pointsman_agent.ports import Clock
from pointsman_agent.sources import Fail, Offer
from pointsman_agent.sources.fetching import LARGEST_SNAPSHOT_BYTES, LARGEST_TARGETS_BYTES, BoundedFetcher

POLL_EVERY_S: Final = 60.0
JITTER: Final = 0.25
"""Of the poll, either way: a fleet that was started together does not ask together."""

BOUNDS: Final = UpdaterConfig(
    max_root_rotations=64,
    max_delegations=4,
    root_max_length=128 * 1024,
    timestamp_max_length=8 * 1024,
    snapshot_max_length=LARGEST_SNAPSHOT_BYTES,
    targets_max_length=LARGEST_TARGETS_BYTES,
)
"""Bytes that are read of metadata whose length nothing signed says."""

log = structlog.get_logger()


class Fault(Exception):
    """A look that gave nothing; `code` is stable, and the refusal's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TufSource:
    """Follows what the repository at `url` offers `site`.

    `folder` holds metadata and the bundle across restarts; `root` is the first trusted root. `on_look` is told at each
    look whether the repository's metadata has ended, and why the look gave nothing (code, words), None where all was
    well.
    """

    def __init__(
        self,
        url: str,
        site: str,
        folder: Path,
        root: bytes,
        clock: Clock,
        *,
        on_look: Callable[[bool, tuple[str, str] | None], None],
        fetcher: BoundedFetcher | None = None,
        poll_every_s: float = POLL_EVERY_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._url = url.rstrip("/")
        self._site = site
        self._folder = folder
        self._root = root
        self._clock = clock
        self._on_look = on_look
        self._fetcher = fetcher or BoundedFetcher()
        self._poll_every_s = poll_every_s
        self._chance = chance
        self._asked = trio.Event()
        self._offered: str | None = None
        self._told: tuple[str, str] | None = None
        self._is_stale = False

    @property
    def origin(self) -> str:
        """The address."""
        return self._url

    def reload(self) -> None:
        """Look at once, and offer what is there also when it was offered before."""
        self._offered = self._told = None
        self._asked.set()

    async def follow(self, offer: Offer, fail: Fail) -> None:
        """Call `offer` with each other bundle once it is this site's turn, `fail` once with each fault. Never ends."""
        try:
            await self._follow(offer, fail)
        finally:
            self._fetcher.close()

    async def _follow(self, offer: Offer, fail: Fail) -> None:
        while True:
            self._asked = trio.Event()
            wait_s = self._poll_every_s * (1 + JITTER * (2 * self._chance() - 1))
            try:
                found = await trio.to_thread.run_sync(self._look, abandon_on_cancel=True)
            except Fault as fault:
                await self._tell(fault, fail)
            else:
                self._told = None
                self._looked(False, None)
                if isinstance(found, bytes):
                    await offer(found)
                elif isinstance(found, datetime):
                    wait_s = min(wait_s, max((found - self._clock.now()).total_seconds(), 0.0))
            with trio.move_on_after(wait_s):
                await self._asked.wait()

    async def _tell(self, fault: Fault, fail: Fail) -> None:
        """A fault is told once, not at each look, until a look lifts it."""
        said = (fault.code, str(fault))
        self._looked(fault.code == "stale" or await trio.to_thread.run_sync(self._has_ended), said)
        if fault.code == "stale":
            self._told = None
            log.warning("the rollout's metadata has ended", why=str(fault))
        elif fault.code == "unreachable" and (self._folder / "timestamp.json").exists():
            log.warning("bundle server away", why=str(fault))  # networks go and come; `stale` tells where it lasts
        elif said != self._told:
            self._told = said
            await fail(*said)

    def _looked(self, is_stale: bool, trouble: tuple[str, str] | None) -> None:
        if is_stale and not self._is_stale:
            log.warning("rollout is stale", origin=self._url)
        elif self._is_stale and not is_stale:
            log.info("rollout is fresh again", origin=self._url)
        self._is_stale = is_stale
        self._on_look(is_stale, trouble)

    # --- In a thread ----------------------------------------------------------------------------------------------

    def _look(self) -> bytes | datetime | None:
        """Return a bundle that is to be offered now, when one is to be, or None; raises Fault."""
        self._fetcher.begin_look()
        try:
            return self._ask()
        except exceptions.ExpiredMetadataError as error:
            raise Fault("stale", str(error)) from error
        except exceptions.BadVersionNumberError as error:
            raise Fault("rollback", str(error)) from error
        except exceptions.UnsignedMetadataError as error:
            raise Fault("untrusted", str(error)) from error
        except exceptions.LengthOrHashMismatchError as error:
            raise Fault("tampered", str(error)) from error
        except exceptions.RepositoryError as error:
            raise Fault("metadata", str(error)) from error
        except exceptions.DownloadLengthMismatchError as error:
            raise Fault("too-large", str(error)) from error
        except exceptions.SlowRetrievalError as error:
            raise Fault("slow", str(error)) from error
        except exceptions.DownloadError as error:
            raise Fault("unreachable", str(error)) from error
        except OSError as error:
            raise Fault("unreadable", f"{self._folder}: {error.strerror or error}") from error

    def _ask(self) -> bytes | datetime | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        updater = Updater(
            str(self._folder),
            f"{self._url}/metadata/",
            str(self._folder),
            f"{self._url}/targets/",
            fetcher=self._fetcher,
            config=BOUNDS,
            bootstrap=self._root,
        )
        target = updater.get_targetinfo(f"{self._site}.bundle")
        if target is None:
            raise Fault("missing", f"{self._url} offers nothing to the site {self._site} yet")
        identity = target.hashes.get("sha256")
        if identity is None:
            raise Fault("metadata", f"{target.path} is named without its SHA-256")
        if identity == self._offered:
            return None
        if target.length > LARGEST_ENVELOPE_BYTES:
            raise Fault("too-large", f"the bundle has {target.length} bytes, more than {LARGEST_ENVELOPE_BYTES}")
        turn = turn_of(target, self._site)
        if self._clock.now() < turn:
            return turn
        cached = updater.find_cached_target(target) or updater.download_target(target)
        content = Path(cached).read_bytes()
        self._offered = identity
        return content

    def _has_ended(self) -> bool:
        """Whether the timestamp on disk has ended: the repository may be unreachable for longer than it lasts."""
        try:
            timestamp = Metadata.from_file(str(self._folder / "timestamp.json"))
        except (OSError, exceptions.StorageError, ValueError, exceptions.RepositoryError):
            return False  # nothing was ever fetched, so there is nothing that could have ended
        return bool(timestamp.signed.is_expired(self._clock.now()))


def turn_of(target: TargetFile, site: str) -> datetime:
    """Return when the site is to take `target`: at `notBefore`, plus its part of `spread`; raises Fault."""
    custom = target.custom or {}
    begin, spread = custom.get("notBefore", 0), custom.get("spread", 0)
    if not isinstance(begin, int) or not isinstance(spread, int) or not 0 <= spread <= 7 * 24 * 3600:
        raise Fault("metadata", f"the time of the bundle cannot be read: {custom}")
    part = turn_part(site, target.hashes["sha256"])
    try:
        return datetime.fromtimestamp(begin, UTC) + timedelta(seconds=spread * part)
    except (OverflowError, ValueError, OSError) as error:
        raise Fault("metadata", f"the time of the bundle cannot be read: {custom}") from error
