"""nginx, VictoriaMetrics and vmalert as processes on the loopback, as Debian packages them."""

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from pointsman_simulator.demo.processes import ProgramFailed, tail_of

UP_WITHIN_S: Final = 20.0
DOWN_WITHIN_S: Final = 10.0
LOOK_EVERY_S: Final = 0.1
ANSWER_WITHIN_S: Final = 20.0
PROGRAMS: Final = {"nginx": "nginx-light", "victoria-metrics": "victoria-metrics", "vmalert": "victoria-metrics"}
"""What is needed, and the Debian package that has it."""

_NGINX: Final = """\
{user}
pid {folder}/nginx.pid;
error_log stderr warn;
worker_processes 2;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map_hash_bucket_size 256;
    map_hash_max_size 65536;
    map $http_authorization $pointsman_token {{
        default "";
        "~^Bearer [0-9a-f]{{64}}$" $http_authorization;
    }}
    map $pointsman_token $pointsman_site {{
        default "";
        include {folder}/tokens.map;
    }}
    limit_req_zone $pointsman_site zone=pointsman_push:10m rate=4r/m;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /rollout/ {{
            if ($pointsman_site = "") {{ return 401; }}
            alias {web}/;
        }}
        location = /push {{
            if ($pointsman_site = "") {{ return 401; }}
            if ($http_content_encoding != "") {{ return 415; }}
            limit_except POST {{ deny all; }}
            limit_req zone=pointsman_push burst=20 nodelay;
            limit_req_status 429;
            client_max_body_size 128k;
            proxy_set_header Authorization "";
            proxy_set_header Content-Encoding "";
            proxy_pass http://127.0.0.1:{store}/api/v1/import/prometheus?extra_label=site=$pointsman_site;
        }}
    }}
}}
"""
"""The locations of deploy/nginx/fleet.conf, without TLS."""


def missing_packages() -> list[str]:
    """Return the Debian packages that are to be installed first."""
    paths = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program, path=paths) is None})


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def nginx(folder: Path, web: Path, store: int, tokens: Mapping[str, str]) -> AsyncIterator[str]:
    """Serve `web` below /rollout/, and take reports at /push; `tokens`, of 64 hex digits, by site. Yields the URL."""
    port = free_port()
    folder.mkdir()  # noqa: ASYNC240  # a local disk, before anything runs
    user = "user root;" if os.geteuid() == 0 else ""  # as root, nginx would give up the right to read the folder
    (folder / "tokens.map").write_text("".join(f'"Bearer {token}" {site};\n' for site, token in tokens.items()))
    (folder / "nginx.conf").write_text(_NGINX.format(user=user, folder=folder, port=port, web=web, store=store))
    command = [program_path("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    async with running(command, port, folder / "nginx.log"):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def victoria_metrics(folder: Path, relabel: Path | None = None) -> AsyncIterator[tuple[int, trio.Process]]:
    """Run a metrics store, which takes what `relabel` lets through; yields its port and its process."""
    port = free_port()
    folder.mkdir()  # noqa: ASYNC240  # a local disk, before anything runs
    command = [
        program_path("victoria-metrics"),
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder}/data",
        "-search.latencyOffset=1s",  # people at a demo do not wait for the usual 30 s
        "-retentionPeriod=1d",
        "-search.maxUniqueTimeseries=1000000",
    ]
    if relabel is not None:
        command.append(f"-relabelConfig={relabel}")
    async with running(command, port, folder / "store.log") as process:
        yield port, process


@asynccontextmanager
async def vmalert(folder: Path, rules: Path, store: int) -> AsyncIterator[str]:
    """Evaluate `rules` every two seconds; yields the URL of its API."""
    port = free_port()
    folder.mkdir()  # noqa: ASYNC240  # a local disk, before anything runs
    text = rules.read_text()  # noqa: ASYNC240
    (folder / "fleet.rules.yaml").write_text(text.replace("interval: 1m", "interval: 2s"))
    command = [
        program_path("vmalert"),
        f"-rule={folder}/fleet.rules.yaml",
        f"-datasource.url=http://127.0.0.1:{store}",
        "-notifier.url=http://127.0.0.1:9",  # Debian's vmalert wants one; nobody is to be called
        f"-httpListenAddr=127.0.0.1:{port}",
    ]
    async with running(command, port, folder / "vmalert.log"):
        yield f"http://127.0.0.1:{port}"


async def get_json(url: str) -> Any:
    """Return what `url` says; raises ProgramFailed."""
    return json.loads(await trio.to_thread.run_sync(_get, url))


async def query(store: int, expression: str) -> list[tuple[dict[str, str], float]]:
    """Return the series of an instant query, with their values; raises ProgramFailed."""
    asked = urllib.parse.urlencode({"query": expression})
    answer = await get_json(f"http://127.0.0.1:{store}/api/v1/query?{asked}")
    return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_WITHIN_S) as answer:
            content: bytes = answer.read()
            return content
    except OSError as error:
        raise ProgramFailed(f"{url}: {error}") from error


def program_path(program: str) -> str:
    """Return where a server is; raises ProgramFailed."""
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        raise ProgramFailed(f"{program} is not installed; on Debian: apt-get install {PROGRAMS[program]}")
    return found


@asynccontextmanager
async def running(command: Sequence[str], port: int, log: Path) -> AsyncIterator[trio.Process]:
    """Run a server until the end of the context, from when it listens on `port`; raises ProgramFailed."""
    with log.open("wb") as output:
        process = await trio.lowlevel.open_process(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        await _until_listening(process, port, log)
        yield process
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


async def _until_listening(process: trio.Process, port: int, log: Path) -> None:
    with trio.move_on_after(UP_WITHIN_S):
        while process.poll() is None:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(LOOK_EVERY_S)
                continue
            await stream.aclose()
            return
    raise ProgramFailed(f"{log.stem} did not come up:\n{tail_of(log)}")


async def _end(process: trio.Process) -> None:
    if process.poll() is None:
        process.terminate()
        with trio.move_on_after(DOWN_WITHIN_S):
            await process.wait()
        if process.poll() is None:
            process.kill()
            await process.wait()
