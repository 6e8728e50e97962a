"""What `deploy/` ships for a fleet: rules and dashboard name what agents push, and no site speaks for another."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
import yaml
from pointsman_agent.push.exposition import expose
from pointsman_compiler.rollout.health import Report
from pointsman_compiler.rollout.store import ask
from pointsman_simulator.rollout.servers import missing_packages, nginx, victoria_metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "fleet.rules.yaml"
DASHBOARD = DEPLOY / "grafana" / "fleet.json"
NAME = re.compile(r"pointsman_[a-z_]+")
WITHIN_S = 40.0
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_servers = pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {missing_packages()}")


def status(site: str, **failed: Any) -> dict[str, Any]:
    bundle = {"digest": "sha256:aa", "sequence": 7, "at": ""}
    failure = {"digest": "sha256:bb", "sequence": 8, "code": "probation", "message": "acme: refused", **failed}
    row = {"name": "acme", "reachable": False, "stationsUp": 0, "clockOffsetSeconds": 0.5}
    return {
        "site": site,
        "version": "1.0",
        "state": "degraded",
        "bundle": {"desired": bundle, "active": bundle, "lastFailed": failure},
        "supervisions": [row],
        "stations": [],
        "stationsTotal": 2,
        "stationsConnected": 2,
    }


def pushed() -> set[str]:
    return {line.partition("{")[0] for line in expose(status("lyon"), datetime.now(UTC)).splitlines()}


def expressions() -> list[str]:
    rules = yaml.safe_load(RULES.read_text())
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return alerts + [target["expr"] for panel in panels for target in panel["targets"]]


def test_rules_and_dashboard_ask_for_what_agents_push() -> None:
    named = {name for text in expressions() for name in NAME.findall(text)}

    assert len(expressions()) > 15
    assert named <= pushed()


def test_labels_that_alerts_show_are_those_of_a_report() -> None:
    labels = set(re.findall(r"\$labels\.([a-z_]+)", RULES.read_text()))

    assert labels == {"site", "code", "reason", "supervision"}


@pytest.mark.skipif(shutil.which("vmalert") is None, reason="vmalert is not installed")
def test_vmalert_takes_the_rules() -> None:
    done = subprocess.run(["vmalert", "-dryRun", f"-rule={RULES}"], capture_output=True, timeout=WITHIN_S, check=False)

    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_its_example_with_the_tokens_of_a_large_fleet(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("fleet.example")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "fleet.pem")
    tokens = (f'"Bearer {hashlib.sha256(b"%d" % number).hexdigest()}" site-{number};\n' for number in range(20_000))
    (tmp_path / "tokens.map").write_text("".join(tokens))
    text = (DEPLOY / "nginx" / "fleet.conf").read_text().replace("fleet.key", "fleet.pem").replace(":443", ":8443")
    text = text.replace("/etc/nginx/pointsman/", f"{tmp_path}/").replace("listen 443", "listen 127.0.0.1:8443")
    paths = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
    )
    assert NGINX is not None

    command = [NGINX, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)

    assert done.returncode == 0, done.stderr
    assert "map_hash" not in done.stderr


@needs_servers
async def test_a_report_counts_for_the_site_whose_token_it_came_with(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with (
        victoria_metrics(tmp_path / "store") as (store, _),
        nginx(tmp_path / "nginx", tmp_path, store, {"lyon": "lyon-token", "oslo": "oslo-token"}) as url,
    ):
        forged = expose(status("oslo"), now).encode()
        await trio.to_thread.run_sync(post, f"{url}/push", "lyon-token", forged)
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            await trio.to_thread.run_sync(post, f"{url}/push", "nobody", forged)
        refused.value.close()
        reports = await reported(store)

    at = int(now.timestamp())
    assert reports == {"lyon": Report(at, "degraded", "sha256:aa", "sha256:bb", 8, "probation", "acme: refused")}


async def reported(store: int) -> dict[str, Report]:
    """What the store says once it says something: it writes what it took down within seconds."""
    with trio.fail_after(WITHIN_S):
        while True:
            reports = await trio.to_thread.run_sync(ask, f"http://127.0.0.1:{store}", None, 600)
            if reports:
                return reports
            await trio.sleep(0.2)


def post(url: str, token: str, content: bytes) -> None:
    request = urllib.request.Request(url, content, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=WITHIN_S):
        pass
