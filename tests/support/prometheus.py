"""A real Prometheus (Debian's), on loopback, until its block ends."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import trio
from support.sites import free_port

UP_WITHIN_S: Final = 30.0
DOWN_WITHIN_S: Final = 10.0
SEEN_WITHIN_S: Final = 40.0
ASK_AGAIN_S: Final = 0.2

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt install prometheus)"
)
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not installed (Debian: apt install prometheus)"
)


class Prometheus:
    """A running Prometheus; ask it as Grafana does."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API; raises AssertionError where it refuses."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            answer = await client.get(f"{self._url}/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        result: list[dict[str, Any]] = (await self.ask("query", query=expression))["result"]
        return result

    async def wait_for(self, expression: str) -> list[dict[str, Any]]:
        """Return the first result that is not empty; raises trio.TooSlowError."""
        with trio.fail_after(SEEN_WITHIN_S):
            while not (result := await self.query(expression)):  # noqa: ASYNC110 - a foreign process tells no event
                await trio.sleep(ASK_AGAIN_S)
        return result


@asynccontextmanager
async def running_prometheus(configuration: Path) -> AsyncIterator[Prometheus]:
    """Run Prometheus on a configuration file; it stores beside that file."""
    port = free_port()
    command = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={configuration.parent / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (configuration.parent / "prometheus.log").open("w") as log:
        process = await trio.lowlevel.open_process(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        prometheus = Prometheus(f"http://127.0.0.1:{port}")
        with trio.fail_after(UP_WITHIN_S):
            await _until_ready(f"http://127.0.0.1:{port}/-/ready")
        yield prometheus
    finally:
        process.terminate()
        with trio.move_on_after(DOWN_WITHIN_S, shield=True):
            await process.wait()
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()  # it was killed


async def _until_ready(url: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await trio.sleep(ASK_AGAIN_S)
