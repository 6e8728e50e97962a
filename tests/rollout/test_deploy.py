"""What `deploy/` ships for a fleet: rules and dashboard name what agents push, and no site speaks for another."""

import gzip
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
import yaml
from pointsman_agent.push.exposition import expose
from pointsman_compiler.rollout.health import Report
from pointsman_compiler.rollout.store import ask
from pointsman_simulator.rollout.servers import (
    free_port,
    missing_packages,
    program_path,
    query,
    running,
    victoria_metrics,
)
from support.prometheus import needs_promtool

DEPLOY = Path(__file__).parents[2] / "deploy"
ACTIVE = f"sha256:{'a' * 64}"
FAILED = f"sha256:{'b' * 64}"
RELABEL = DEPLOY / "victoria-metrics" / "fleet-relabel.yaml"
RULES = DEPLOY / "prometheus" / "fleet.rules.yaml"
DASHBOARD = DEPLOY / "grafana" / "fleet.json"
NAME = re.compile(r"pointsman_[a-z_]+")
WITHIN_S = 40.0
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_servers = pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {missing_packages()}")


def status(site: str, **failed: Any) -> dict[str, Any]:
    bundle = {"digest": ACTIVE, "sequence": 7, "at": ""}
    failure = {"digest": FAILED, "sequence": 8, "code": "probation", "message": "acme: refused", **failed}
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


@needs_promtool
def test_a_silent_site_is_told_for_a_week(tmp_path: Path) -> None:
    day = 24 * 60  # minutes
    series = [
        {"series": 'pointsman_report_timestamp_seconds{site="silent"}', "values": "0+300x10"},
        {"series": 'pointsman_report_timestamp_seconds{site="well"}', "values": f"0+300x{8 * day // 5}"},
    ]
    labels = 'alertname="PointsmanSiteSilent",alertstate="firing",severity="warning",site="silent"'
    firing = {"labels": f"ALERTS{{{labels}}}", "value": 1}
    expected = {"60m": [], "90m": [firing], "2d": [firing], f"{7 * day}m": [firing], f"{7 * day + 60}m": []}
    asked = 'ALERTS{alertstate="firing"}'
    checks = [{"expr": asked, "eval_time": at, "exp_samples": told} for at, told in expected.items()]
    assert_rules(tmp_path, {"interval": "5m", "input_series": series, "promql_expr_test": checks})


@needs_promtool
def test_a_site_that_says_far_too_much_is_told(tmp_path: Path) -> None:
    reports = [("flood", number) for number in range(101)] + [("well", number) for number in range(100)]
    series = [{"series": f'pointsman_report{{site="{site}",reason="{n}"}}', "values": "0x10"} for site, n in reports]
    annotations = {
        "summary": "flood has said 101 different things within minutes",
        "description": "No agent does. Its token may be stolen: take it out of the proxy, and give it a new one.",
    }
    told = {"exp_labels": {"severity": "critical", "site": "flood"}, "exp_annotations": annotations}
    check = {"eval_time": "5m", "alertname": "PointsmanSiteFloods", "exp_alerts": [told]}
    assert_rules(tmp_path, {"interval": "1m", "input_series": series, "alert_rule_test": [check]})


def assert_rules(folder: Path, test: dict[str, Any]) -> None:
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "5m", "tests": [test]}))

    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, timeout=WITHIN_S, check=False)

    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def configured(folder: Path, tokens: dict[str, str], port: int = 8443, store: int = 8428) -> Path:
    """Lay down the shipped configuration of nginx with a certificate and `tokens` by site, and return its file."""
    folder.mkdir()
    certificate = trustme.CA().issue_cert("fleet.example")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "fleet.pem")
    (folder / "tokens.map").write_text("".join(f'"Bearer {token}" {site};\n' for site, token in tokens.items()))
    text = (DEPLOY / "nginx" / "fleet.conf").read_text().replace("fleet.key", "fleet.pem").replace(":8428", f":{store}")
    text = text.replace("/etc/nginx/pointsman/", f"{folder}/").replace("listen 443", f"listen 127.0.0.1:{port}")
    names = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in names)
    user = "user root;" if os.geteuid() == 0 else ""
    main = f"{user}pid {folder}/pid;\nerror_log stderr error;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
    (folder / "nginx.conf").write_text(main)
    return folder / "nginx.conf"


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_its_example_with_the_tokens_of_a_large_fleet(tmp_path: Path) -> None:
    tokens = {f"site-{number}": token(f"site-{number}") for number in range(20_000)}
    file = configured(tmp_path / "nginx", tokens)
    assert NGINX is not None

    command = [NGINX, "-t", "-p", str(file.parent), "-c", str(file), "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)

    assert done.returncode == 0, done.stderr
    assert "map_hash" not in done.stderr


def lately() -> datetime:
    """Some time ago: a store says of the last seconds nothing yet."""
    return datetime.now(UTC) - timedelta(seconds=60)


def token(site: str) -> str:
    return hashlib.sha256(site.encode()).hexdigest()


@dataclass
class Doors:
    """The shipped proxy before a metrics store with the shipped rules, as processes."""

    port: int
    store: int

    async def push(self, content: bytes, bearer: str, **headers: str) -> int:
        return await trio.to_thread.run_sync(self._post, content, {"Authorization": bearer, **headers})

    def _post(self, content: bytes, headers: dict[str, str]) -> int:
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/push", content, headers)
        context = ssl._create_unverified_context()
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_S, context=context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code


@asynccontextmanager
async def doors(folder: Path, *sites: str) -> AsyncIterator[Doors]:
    port = free_port()
    async with victoria_metrics(folder / "store", RELABEL) as (store, _):
        file = configured(folder / "nginx", {site: token(site) for site in sites}, port, store)
        command = [program_path("nginx"), "-p", str(file.parent), "-c", str(file), "-g", "daemon off;"]
        async with running(command, port, folder / "nginx.log"):
            yield Doors(port, store)


@needs_servers
async def test_a_report_counts_for_the_site_whose_token_it_came_with(tmp_path: Path) -> None:
    now = lately()
    forged = expose(status("oslo"), now).encode()
    async with doors(tmp_path, "lyon", "oslo") as fleet:
        codes = [await fleet.push(forged, bearer) for bearer in (f"Bearer {token('lyon')}", "Bearer nobody", "")]
        reports = await reported(fleet.store)

    assert codes == [204, 401, 401]
    at = int(now.timestamp())
    assert reports == {"lyon": Report(at, "degraded", ACTIVE, FAILED, 8, "probation", "acme: refused")}


@needs_servers
async def test_the_door_of_reports_takes_no_more_than_a_controller_sends(tmp_path: Path) -> None:
    text = expose(status("lyon"), datetime.now(UTC)).encode()
    bearer = f"Bearer {token('lyon')}"
    async with doors(tmp_path, "lyon", "oslo") as fleet:
        packed = await fleet.push(gzip.compress(text), bearer, **{"Content-Encoding": "gzip"})
        large = await fleet.push(text + b"#" * 200_000, bearer)
        other_case = await fleet.push(text, bearer.upper().replace("BEARER", "Bearer"))
        often = [await fleet.push(text, bearer) for _ in range(50)]
        neighbour = await fleet.push(text, f"Bearer {token('oslo')}")

    assert (packed, large, other_case) == (415, 413, 401)
    assert set(often) == {204, 429}
    assert often.index(429) >= 20
    assert neighbour == 204


@needs_servers
async def test_of_what_a_controller_makes_up_the_store_keeps_no_series_that_hides_others(tmp_path: Path) -> None:
    now = lately()
    stamp = int(now.timestamp() * 1000)
    junk = "".join(f'label{number:02}="x",' for number in range(40))
    many = [f'pointsman_stations{{{junk}number="{number}"}} 1 {stamp}' for number in range(50)]
    many += [f'pointsman_report{{state="running",number="{number}"}} 1 {stamp}' for number in range(50)]
    many += [f'pointsman_report{{active="sha256:x{number}"}} 1 {stamp}' for number in range(50)]
    many += [f"invented_{number} 1 {stamp}" for number in range(50)]
    async with doors(tmp_path, "lyon", "oslo") as fleet:
        assert await fleet.push("\n".join(many).encode(), f"Bearer {token('lyon')}") == 204
        assert await fleet.push(expose(status("oslo"), now).encode(), f"Bearer {token('oslo')}") == 204
        reports = await reported(fleet.store)
        series = await query(fleet.store, 'last_over_time({__name__=~".+", site="lyon"}[10m])')
        nobodys = await query(fleet.store, 'last_over_time({__name__=~".+", site=""}[10m])')
        kept = await query(fleet.store, 'last_over_time({__name__=~".+", site="oslo"}[10m])')

    assert reports["oslo"].failed == FAILED
    assert sorted(tuple(sorted(labels)) for labels, _ in series) == [
        ("__name__", "site"),
        ("__name__", "site", "state"),
    ]
    assert nobodys == []
    assert {labels["__name__"] for labels, _ in kept} == pushed()
    assert "acme: refused" in {labels.get("reason") for labels, _ in kept}


async def reported(store: int) -> dict[str, Report]:
    """What the store says, of all that it took down until now."""
    await trio.to_thread.run_sync(flush, store)
    return await trio.to_thread.run_sync(ask, f"http://127.0.0.1:{store}", None, 600)


def flush(store: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{store}/internal/force_flush", timeout=WITHIN_S):
        pass
