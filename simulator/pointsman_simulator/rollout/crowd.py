"""Thousands of light controllers: each a real TUF client with metadata of its own on disk, and real reports.

They route nothing. A bundle that is taken is in force at once, or fails, by the toss that `fails` makes; what the site
then reports is what an agent would. All share one pool of connections, so that what the web server sees is the requests
of a fleet, not its connections.
"""

import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
import trio
from pointsman_schema.bundle import Bundle, read_payload
from pointsman_schema.envelope import open_unverified
from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from pointsman_simulator.clock import utc_now

REPORT_EVERY_S: Final = 60.0
JITTER: Final = 0.25
THREADS: Final = 8
ANSWER_WITHIN_S: Final = 60.0

Fails = Callable[[str, Bundle], bool]
"""Whether a bundle fails at a site."""


@dataclass
class Crowd:
    """The controllers, and what they saw. `url` is the web server's; `took` counts sites by the sequence they took."""

    url: str
    root: bytes
    folder: Path
    tokens: dict[str, str]
    fails: Fails
    poll_s: float
    took: Counter[int] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0

    async def run(self) -> None:
        """Run all of them. Never ends."""
        limits = httpx2.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
        limiter = trio.CapacityLimiter(THREADS)
        with httpx2.Client(limits=limits, timeout=ANSWER_WITHIN_S) as client:
            async with trio.open_nursery() as nursery:
                for site in self.tokens:
                    nursery.start_soon(self._control, _Controller(self, site, client), limiter)

    async def _control(self, controller: "_Controller", limiter: trio.CapacityLimiter) -> None:
        next_look = trio.current_time() + random.uniform(0, self.poll_s)
        next_report = trio.current_time() + random.uniform(0, REPORT_EVERY_S)
        while True:
            await trio.sleep_until(min(next_look, next_report))
            if trio.current_time() >= next_look:
                next_look += self.poll_s * random.uniform(1 - JITTER, 1 + JITTER)
                if await trio.to_thread.run_sync(controller.look, limiter=limiter, abandon_on_cancel=True):
                    next_report = trio.current_time()
            if trio.current_time() >= next_report:
                next_report = trio.current_time() + REPORT_EVERY_S * random.uniform(1 - JITTER, 1 + JITTER)
                await trio.to_thread.run_sync(controller.report, limiter=limiter, abandon_on_cancel=True)


class _Fetcher(FetcherInterface):
    def __init__(self, crowd: Crowd, client: httpx2.Client, token: str) -> None:
        self._crowd = crowd
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}

    def _fetch(self, url: str) -> Iterator[bytes]:
        answer = self._client.get(url, headers=self._headers)
        self._crowd.counts["requests"] += 1
        if answer.status_code != httpx2.codes.OK:
            raise DownloadHTTPError(f"{url}: HTTP {answer.status_code}", answer.status_code)
        self._crowd.counts["bytes"] += len(answer.content)
        yield answer.content


class _Controller:
    def __init__(self, crowd: Crowd, site: str, client: httpx2.Client) -> None:
        self._crowd = crowd
        self._site = site
        self._client = client
        self._fetcher = _Fetcher(crowd, client, crowd.tokens[site])
        self._folder = crowd.folder / site
        self._taken = ""
        self._active = self._desired = self._failed = ""
        self._failed_sequence = ""

    def look(self) -> bool:
        """Look once; return whether something new was taken."""
        began = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            updater = Updater(
                str(self._folder),
                f"{self._crowd.url}/rollout/metadata/",
                str(self._folder),
                f"{self._crowd.url}/rollout/targets/",
                fetcher=self._fetcher,
                bootstrap=self._crowd.root,
            )
            target = updater.get_targetinfo(f"{self._site}.bundle")
            if target is None or target.hashes["sha256"] == self._taken:
                return False
            content = Path(updater.download_target(target)).read_bytes()
        except DownloadError:
            self._crowd.counts["failed looks"] += 1
            return False
        finally:
            self._crowd.counts["looks"] += 1
            self._crowd.slowest_s = max(self._crowd.slowest_s, time.monotonic() - began)
        self._taken = target.hashes["sha256"]
        self._take(read_payload(open_unverified(content)))
        return True

    def report(self) -> None:
        """Push the state once."""
        stamp = utc_now().timestamp()
        labels = {
            "site": self._site,
            "state": "degraded" if self._failed else "running",
            "active": self._active,
            "desired": self._desired,
            "failed": self._failed,
            "failed_sequence": self._failed_sequence,
            "code": "probation" if self._failed else "",
        }
        said = ",".join(f'{name}="{value}"' for name, value in labels.items() if value)
        lines = [f"pointsman_report{{{said}}} {int(stamp)} {int(stamp * 1000)}"]
        lines.append(f'pointsman_report_timestamp_seconds{{site="{self._site}"}} {int(stamp)} {int(stamp * 1000)}')
        for name in ("stations", "stations_connected", "open_transactions", "supervision_reachable"):
            lines.append(f'pointsman_{name}{{site="{self._site}"}} 1 {int(stamp * 1000)}')
        headers = {"Authorization": f"Bearer {self._crowd.tokens[self._site]}"}
        try:
            answer = self._client.post(f"{self._crowd.url}/push", content="\n".join(lines) + "\n", headers=headers)
        except httpx2.HTTPError:
            self._crowd.counts["failed reports"] += 1
            return
        self._crowd.counts["reports" if answer.is_success else "failed reports"] += 1

    def _take(self, bundle: Bundle) -> None:
        self._desired = bundle.config_digest
        self._crowd.took[bundle.sequence] += 1
        if self._crowd.fails(self._site, bundle):
            self._failed, self._failed_sequence = bundle.config_digest, str(bundle.sequence)
        else:
            self._active, self._failed, self._failed_sequence = bundle.config_digest, "", ""


def share_of(percent: int, sequence: int) -> Fails:
    """Return the toss by which `percent` of the sites fail with the bundle of that sequence, always the same ones."""

    def fails(site: str, bundle: Bundle) -> bool:
        return bundle.sequence == sequence and hashlib.sha256(site.encode()).digest()[0] * 100 < percent * 256

    return fails


def names(count: int) -> Sequence[str]:
    """Return the ids of `count` sites."""
    return [f"site-{number:05}" for number in range(count)]
