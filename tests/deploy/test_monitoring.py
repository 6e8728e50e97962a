"""Dashboard and alert rules of deploy/: each rule fires when it should and else not, and a real Prometheus that scrapes
a real agent has data for every panel."""

import json
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import trio
import trustme
import yaml
from pointsman_agent.exposition import FAMILIES
from pointsman_simulator.errors import HandshakeRefused
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent
from support.prometheus import Prometheus, needs_prometheus, needs_promtool, running_prometheus
from support.sites import STAFF_BADGE, a_config, a_local_group, a_remote_group, a_station, a_supervision

DEPLOY: Final = Path(__file__).parent.parent.parent / "deploy"
RULES: Final = DEPLOY / "prometheus" / "controller.rules.yaml"
WITHIN_S: Final = 50.0

HEALTHY: Final = {
    'up{job="pointsman"}': "1x120",
    'pointsman_state{site="a",state="waiting"}': "0x120",
    'pointsman_bundle_quarantined{site="a"}': "0x120",
    'pointsman_supervision_reachable{site="a",supervision="acme"}': "1x120",
    'pointsman_stations{site="a",operator="acme"}': "10x120",
    'pointsman_stations_connected{site="a",operator="acme"}': "9x120",
    'pointsman_links_ended_total{site="a",operator="acme",reason="closed"}': "0+1x120",
    'pointsman_answer_seconds_bucket{site="a",operator="acme",asker="station",le="1.024"}': "0+60x120",
    'pointsman_answer_seconds_bucket{site="a",operator="acme",asker="station",le="16.384"}': "0+60x120",
    'pointsman_answer_seconds_bucket{site="a",operator="acme",asker="station",le="+Inf"}': "0+60x120",
    'pointsman_messages_dropped_total{site="a",why="envelope"}': "0+1x120",
    'pointsman_journal_fault{site="a"}': "0x120",
    'pointsman_journal_commit_seconds_bucket{site="a",le="0.1024"}': "0+60x120",
    'pointsman_journal_commit_seconds_bucket{site="a",le="6.5536"}': "0+60x120",
    'pointsman_journal_commit_seconds_bucket{site="a",le="+Inf"}': "0+60x120",
    'pointsman_listener_faults{site="a"}': "0x120",
    'pointsman_clock_behind{site="a"}': "0x120",
    'pointsman_supervision_clock_offset_seconds{site="a",supervision="acme"}': "-2x120",
    'pointsman_certificate_expiry_timestamp_seconds{site="a",kind="supervision",name="acme"}': f"{90 * 86400}x120",
}
"""A site where all is well, by the minute; Prometheus' tests begin at the Unix time 0."""

FAULTS: Final = {
    "PointsmanAgentDown": {'up{job="pointsman"}': "0x120"},
    "PointsmanNoBundle": {'pointsman_state{site="a",state="waiting"}': "1x120"},
    "PointsmanBundleRefused": {'pointsman_bundle_refused{site="a",code="unsigned"}': "1x120"},
    "PointsmanBundleWentBack": {'pointsman_bundle_quarantined{site="a"}': "1x120"},
    "PointsmanSupervisionUnreachable": {
        'pointsman_supervision_reachable{site="a",supervision="acme"}': "0x120",
    },
    "PointsmanStationsMissing": {'pointsman_stations_connected{site="a",operator="acme"}': "7x120"},
    "PointsmanLinksFlap": {'pointsman_links_ended_total{site="a",operator="acme",reason="closed"}': "0+3x120"},
    "PointsmanAnswersSlow": {
        'pointsman_answer_seconds_bucket{site="a",operator="acme",asker="station",le="1.024"}': "0+6x120",
    },
    "PointsmanMessagesDropped": {'pointsman_messages_dropped_total{site="a",why="envelope"}': "0+10x120"},
    "PointsmanJournalFault": {'pointsman_journal_fault{site="a"}': "1x120"},
    "PointsmanJournalSlow": {'pointsman_journal_commit_seconds_bucket{site="a",le="0.1024"}': "0+6x120"},
    "PointsmanListenerFault": {'pointsman_listener_faults{site="a"}': "1x120"},
    "PointsmanClockBehind": {'pointsman_clock_behind{site="a"}': "1x120"},
    "PointsmanClocksDiffer": {
        'pointsman_supervision_clock_offset_seconds{site="a",supervision="acme"}': "-45x120",
    },
    "PointsmanCertificateExpires": {
        'pointsman_certificate_expiry_timestamp_seconds{site="a",kind="supervision",name="acme"}': f"{86400 * 7}x120",
    },
}
"""What is otherwise when an alert is to fire."""


def rules() -> list[dict[str, Any]]:
    """Return the alert rules."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> dict[str, str]:
    """Return what the panels of the dashboard ask, by title, with the dashboard's variables filled in."""
    dashboard = json.loads((DEPLOY / "grafana" / "controller.json").read_text(encoding="utf-8"))
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    return {title: expr.replace("$site", ".*").replace("$__rate_interval", "10s") for title, expr in found.items()}


def promtool(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run promtool."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=WITHIN_S, check=False)


def test_every_alert_has_a_summary_a_remedy_and_a_fault_to_test_it_with() -> None:
    assert sorted(rule["alert"] for rule in rules()) == sorted(FAULTS)
    for rule in rules():
        assert {"summary", "description"} == set(rule["annotations"])
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_rules_and_dashboard_ask_for_metrics_that_there_are() -> None:
    asked = " ".join([*(rule["expr"] for rule in rules()), *queries().values()])
    known = {family.name for family in FAMILIES} | {
        f"{family.name}_bucket" for family in FAMILIES if family.kind == "histogram"
    }

    assert set(re.findall(r"pointsman_\w+", asked)) <= known


@needs_promtool
def test_each_alert_fires_over_its_fault_alone(tmp_path: Path) -> None:
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr

    path = tmp_path / "rules.test.yaml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": _cases()}))
    tested = promtool("test", "rules", path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def _cases() -> list[dict[str, Any]]:
    """One case a fault, and one without any; what is expected is the names alone."""
    cases = []
    for fault, changes in [("none", {}), *FAULTS.items()]:
        series = [{"series": name, "values": values} for name, values in (HEALTHY | changes).items()]
        counts = [
            {
                "expr": f'count(ALERTS{{alertname="{rule["alert"]}", alertstate="firing"}}) or vector(0)',
                "eval_time": "100m",
                "exp_samples": [{"labels": "{}", "value": int(rule["alert"] == fault)}],
            }
            for rule in rules()
        ]
        cases.append({"interval": "1m", "name": fault, "input_series": series, "promql_expr_test": counts})
    return cases


@needs_prometheus
@needs_promtool
@pytest.mark.timeout(120)
async def test_a_real_prometheus_has_data_for_every_panel_and_tells_of_a_lost_supervision(tmp_path: Path) -> None:
    authority = trustme.CA()
    async with trio.open_nursery() as nursery:
        supervisions = trio.CancelScope()
        url = await nursery.start(_supervise, authority, supervisions)
        config = a_config(
            supervisions={"acme": a_supervision(url, trust=[authority.cert_pem.bytes().decode()])},
            groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
            stations={"R-1": a_station("acme", "visitors"), "L-1": a_station()},
        )
        async with running_agent(tmp_path, config) as agent:
            configuration = _configuration(tmp_path, agent)
            checked = promtool("check", "config", configuration)
            assert checked.returncode == 0, checked.stdout + checked.stderr
            async with running_prometheus(configuration) as prometheus:
                await _charge(agent, prometheus)
                for title, expression in queries().items():
                    assert await prometheus.wait_for(expression), title
                supervisions.cancel()
                await _not_let_in(agent, "R-1")
                alert = 'ALERTS{alertname="PointsmanSupervisionUnreachable", alertstate="firing"}'
                fired = await prometheus.wait_for(alert)

        assert fired[0]["metric"]["supervision"] == "acme"
        assert fired[0]["metric"]["site"] == "test-site"


async def _supervise(authority: trustme.CA, scope: trio.CancelScope, *, task_status: trio.TaskStatus[str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with scope:
        async with open_supervision(ssl_context=context) as supervision:
            task_status.started(supervision.url.replace("127.0.0.1", "localhost"))
            await trio.sleep_forever()


def _configuration(folder: Path, agent: RunningAgent) -> Path:
    """The example of deploy/, with this agent's address and token, at a test's pace."""
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = configuration["scrape_configs"]
    job["static_configs"] = [{"targets": [agent.access.url.removeprefix("http://")]}]
    (folder / job["authorization"]["credentials_file"]).write_text((agent.state / "read-token").read_text())
    (folder / configuration["rule_files"][0]).write_text(re.sub(r"for: \d+m", "for: 0s", RULES.read_text()))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    return path


async def _charge(agent: RunningAgent, prometheus: Prometheus) -> None:
    """Let both stations charge once it is scraped, so that counters rise between two scrapes."""
    await prometheus.wait_for('up{job="pointsman"} == 1')
    async with (
        connect_station(agent.url("R-1")) as remote,
        connect_station(agent.url("L-1")) as local,
    ):
        assert (await run_session(remote)).completed
        assert (await run_session(local, STAFF_BADGE)).completed
        await remote.send_text("[2,")  # goes nowhere
        await _not_let_in(agent, "NOBODY")
        await prometheus.wait_for("pointsman_messages_dropped_total and on (site) pointsman_stations_refused_total")


async def _not_let_in(agent: RunningAgent, identity: str) -> None:
    with pytest.raises(HandshakeRefused):
        async with connect_station(agent.url(identity)):
            pass
