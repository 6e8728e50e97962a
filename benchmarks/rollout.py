"""A rollout beside its goals: `python -m benchmarks.rollout`, about a minute; less with `--sites 2000`.

A fleet of 20,000 sites is published; then one site changes, then all. Measured are the commands as people run them,
processes and all, and what a controller's TUF client asks of a web server on the loopback when nothing is new.
"""

import argparse
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace
from pointsman_schema.bundle import write_payload
from pointsman_schema.canonical import canonical_bytes, digest_of
from pointsman_schema.envelope import seal
from tuf.ngclient import Updater

from benchmarks.compile_goals import Row
from benchmarks.fleet import site_name
from benchmarks.machine import describe

RUN_WITHIN_S: Final = 600.0
LAB_PROVEN_S: Final = 1000
"""The first ring's spread and soak, and more."""
_POINTSMAN: Final = [sys.executable, "-m", "pointsman_compiler"]
_KEYS: Final = [part for role in ("targets", "snapshot", "timestamp") for part in ("--key", f"keys/{role}.key")]
_RULES: Final = """\
version: 1
rings:
  - {name: lab, sites: ["site-0000*"], soak: 600}
  - {name: early, share: 5, soak: 3600, leastReports: 20, mostFailed: 2}
  - {name: rest, atOnce: 1000, soak: 3600, leastReports: 20, mostFailed: 2}
freezes:
  - {because: season, firstDay: "2030-12-20", lastDay: "2031-01-02"}
"""


def main() -> int:
    """Measure and print; returns 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout", description=__doc__)
    parser.add_argument("--sites", type=int, default=20_000)
    sites: int = parser.parse_args().sites
    with tempfile.TemporaryDirectory(prefix="pointsman-rollout-") as name:
        rows = list(measure(Path(name), sites))
    print(f"{sites} sites; {'; '.join(describe())}\n")
    for row in rows:
        print(row)
    return int(any(row.found > row.goal for row in rows))


def measure(folder: Path, sites: int) -> Iterator[Row]:
    """Yield the figures of a fleet of `sites`, made in `folder`."""
    write_sites(folder, sites)
    run(folder, "rollout", "init", "sites", "--repository", "repository", "--keys", "keys")
    publish = ["rollout", "publish", "bundles", *_KEYS]
    long_ago = ["--at", moment(int(time.time()) - 86400)]  # all have taken their first bundle since
    first = run(folder, *publish, *long_ago)
    run(folder, "rollout", "promote", "sites", *_KEYS, *long_ago)
    print(f"(the first publication of all took {first:.1f} s)")
    write_bundle(folder, 0, sequence=2, title="changed")
    before = size(folder / "repository")
    now = int(time.time()) - 3600
    yield Row("publish, one site changed", run(folder, *publish, "--at", moment(now)), 10, "s")
    print(f"(a publication adds {(size(folder / 'repository') - before) / 1e6:.1f} MB)")
    yield Row("promote, one site changed", promote(folder, now), 2, "s")
    with stores(health(folder, now)) as url:
        status = run(folder, "rollout", "status", "sites", "--health", url)
    yield Row("status, with the reports of all sites", status, 2, "s")
    for number in range(sites):
        write_bundle(folder, number, sequence=3, title=f"{number} changed")
    print(f"(a publication of all changes took {run(folder, *publish, '--at', moment(now)):.1f} s)")
    promote(folder, now)
    yield Row("promote, all sites changed, 500 move", promote(folder, now + LAB_PROVEN_S), 2, "s")
    run(folder, "rollout", "refresh", *_KEYS, "--command", "cat >/dev/null")
    yield Row("clean", run(folder, "rollout", "clean", "--at", moment(now + 3 * 86400)), 2, "s")
    print(f"(after that the folder has {size(folder / 'repository') / 1e6:.0f} MB)")
    gets, received = idle_poll(folder / "repository", folder / "client", site_name(0))
    yield Row("idle poll: requests", gets, 2, "GETs")
    yield Row("idle poll: metadata received", received, 1000, "B")


def write_sites(folder: Path, sites: int) -> None:
    """Write the bundles of a fleet, and its rules."""
    (folder / "bundles").mkdir()
    (folder / "sites").mkdir()
    (folder / "sites" / "rollout.yaml").write_text(_RULES)
    for number in range(sites):
        write_bundle(folder, number)


def write_bundle(folder: Path, number: int, *, sequence: int = 1, title: str = "") -> None:
    """Write the bundle of one site."""
    sys.path.insert(0, "tests")
    from support.small_bundle import small_bundle

    sys.path.pop(0)
    bundle, site = small_bundle(sequence), site_name(number)
    config = replace(bundle.config, title=title or site)
    bundle = replace(bundle, site=site, config=config, config_digest=digest_of(canonical_bytes(config)))
    (folder / "bundles" / f"{site}.bundle").write_bytes(seal(write_payload(bundle)))


def run(folder: Path, *arguments: str) -> float:
    """Run a command; return the seconds that it took."""
    began = time.perf_counter()
    done = subprocess.run(
        [*_POINTSMAN, *arguments], cwd=folder, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
    return time.perf_counter() - began


def size(folder: Path) -> int:
    """Return the bytes of all files in `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def promote(folder: Path, at: int) -> float:
    """Promote at the Unix time `at`, when every site says that all is well; return the seconds that it took."""
    with stores(health(folder, at)) as url:
        return run(folder, "rollout", "promote", "sites", *_KEYS, "--health", url, "--at", moment(at))


def moment(at: int) -> str:
    """Return a Unix time as commands take it."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def health(folder: Path, at: int) -> bytes:
    """The answer of a metrics store in which every site has what it is offered, at the Unix time `at`."""
    status = [*_POINTSMAN, "rollout", "status", "sites", "--json", "--at", moment(at)]
    done = subprocess.run(status, cwd=folder, capture_output=True, timeout=RUN_WITHIN_S, check=True)
    labels: dict[str, Any] = {"__name__": "pointsman_report", "state": "running", "failed": "", "code": ""}
    series = [
        {"metric": labels | {"site": site, "active": decision["offered"]}, "value": [at, str(at)]}
        for site, decision in json.loads(done.stdout)["sites"].items()
    ]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}}).encode()


@contextmanager
def stores(answer: bytes) -> Iterator[str]:
    """A server on the loopback that gives `answer` to every query; yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler) as url:
        yield url


def idle_poll(repository: Path, client: Path, site: str) -> tuple[int, int]:
    """Return how many requests a TUF client makes when nothing is new, and how many bytes of metadata it gets."""
    seen: list[int] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, directory=str(repository), **options)

        def copyfile(self, source: Any, outputfile: Any) -> None:
            content = source.read()
            seen[-1] += len(content)
            outputfile.write(content)

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            seen.append(0)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    client.mkdir()
    root = (repository / "metadata" / "1.root.json").read_bytes()
    with serving(Handler) as url:
        for _ in range(2):
            seen.clear()
            updater = Updater(str(client), f"{url}/metadata/", bootstrap=root)
            assert updater.get_targetinfo(f"{site}.bundle") is not None
    shutil.rmtree(client)
    return len(seen), sum(seen)


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on the loopback; yields its URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    sys.exit(main())
