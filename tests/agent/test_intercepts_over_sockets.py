"""What a supervision cannot do through the agent, and what it does to its own leg (rules 21 to 23), on real sockets."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from pointsman_schema.bundle import KeyPair, UplinkPassword
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import Supervision, open_supervision
from support.agents import RunningAgent, running_agent, started
from support.sites import LISTENER, a_listener, a_station, a_unique_config, free_port

OLD_KEY, NEW_KEY = bytes(range(16)), bytes(range(100, 120))
PASSWORD = UplinkPassword(secret="acme-{station}", format="hex")
SECRETS = {"acme-CP-1": OLD_KEY.hex().encode()}
SET_KEY = {"key": "AuthorizationKey", "value": NEW_KEY.hex()}


def variable(component: str, name: str, value: str, **more: Any) -> dict[str, Any]:
    """Return a SetVariableData."""
    return {"attributeValue": value, "component": {"name": component}, "variable": {"name": name}, **more}


async def expect_key(supervision: Supervision, agent: RunningAgent, key: bytes) -> None:
    """A session that only succeeds when the uplink shows `key`."""
    supervision.behaviour.password = {"CP-1": key}
    async with connect_station(agent.url("CP-1")) as station:
        assert (await run_session(station)).completed


async def test_r21_a_key_set_by_the_supervision_is_the_uplinks_from_then_on(tmp_path: Path) -> None:
    async with open_supervision(password={"CP-1": OLD_KEY}) as supervision:
        config = a_unique_config(supervision.url, password=PASSWORD)
        async with running_agent(tmp_path, config, secrets=SECRETS) as agent:
            async with connect_station(agent.url("CP-1")) as station:
                await supervision.wait_connected("CP-1")
                answer = await supervision.call("CP-1", "ChangeConfiguration", SET_KEY)
                closed = await station.wait_closed()

                assert answer.payload == {"status": "Accepted"}
                assert closed.code == 1012
                assert station.received.actions == []
            await expect_key(supervision, agent, NEW_KEY)
            assert (await agent.status())["supervisions"][0]["keyDiffers"] is True
        async with started(agent):
            await expect_key(supervision, agent, NEW_KEY)
        log = "".join(path.read_text(errors="replace") for path in agent.state.glob("*.json"))
        assert NEW_KEY.hex() not in log


async def test_r21_a_supervision_that_still_wants_the_old_key_gets_it(tmp_path: Path) -> None:
    async with open_supervision(password={"CP-1": OLD_KEY}) as supervision:
        config = a_unique_config(supervision.url, password=PASSWORD)
        async with running_agent(tmp_path, config, secrets=SECRETS) as agent:
            async with connect_station(agent.url("CP-1")) as station:
                await supervision.wait_connected("CP-1")
                await supervision.call("CP-1", "ChangeConfiguration", SET_KEY)
                await station.wait_closed()
            await expect_key(supervision, agent, OLD_KEY)
            await expect_key(supervision, agent, NEW_KEY)


@pytest.mark.parametrize("value", ["", "00", "0g" * 16, "00" * 15, "00" * 21, "0" * 33, " " + "00" * 16])
async def test_r21_a_key_of_wrong_length_or_form_is_rejected_and_nothing_is_stored(tmp_path: Path, value: str) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
    ):
        await supervision.wait_connected("CP-1")
        answer = await supervision.call("CP-1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": value})

        assert answer.payload == {"status": "Rejected"}
        assert not (agent.state / "keys").exists()
        assert station.closed is None


async def test_r21_a_2x_password_ends_with_both_legs_made_anew(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        connect_station(agent.url("CP-1"), protocols=["ocpp2.0.1"]) as station,
    ):
        await supervision.wait_connected("CP-1")
        password = variable("SecurityCtrlr", "BasicAuthPassword", "a-password-of-20-chr")
        interval = variable("OCPPCommCtrlr", "HeartbeatInterval", "60")
        answer = await supervision.call("CP-1", "SetVariables", {"setVariableData": [interval, password]})
        asked = [entry for entry in station.received if entry.action == "SetVariables"]

        assert answer.faults == ()
        assert [each["attributeStatus"] for each in answer.payload["setVariableResult"]] == ["Accepted", "Accepted"]
        assert [each["variable"]["name"] for each in answer.payload["setVariableResult"]] == [
            "HeartbeatInterval",
            "BasicAuthPassword",
        ]
        assert len(asked) == 1
        assert "BasicAuthPassword" not in asked[0].text
        assert (await station.wait_closed()).code == 1012


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}),
        ("ChangeConfiguration", {"key": "CentralSystemURL", "value": "ws://elsewhere.example"}),
        (
            "InstallCertificate",
            {"certificateType": "CentralSystemRootCertificate", "certificate": "-----BEGIN CERTIFICATE-----"},
        ),
    ],
)
async def test_r22_and_r23_a_supervision_cannot_move_a_station_away(
    tmp_path: Path, action: str, payload: dict[str, Any]
) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
    ):
        await supervision.wait_connected("CP-1")
        answer = await supervision.call("CP-1", action, payload)

        assert answer.payload == {"status": "Rejected"}
        assert answer.faults == ()
        assert len(station.received) == 0
        assert sum((await agent.station("CP-1"))["noticed"].values()) == 1


async def test_r22_set_network_profile_is_rejected(tmp_path: Path) -> None:
    profile = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "wss://elsewhere.example",
        "messageTimeout": 30,
        "securityProfile": 2,
        "ocppInterface": "Wired0",
    }
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        connect_station(agent.url("CP-1"), protocols=["ocpp2.0.1"]) as station,
    ):
        await supervision.wait_connected("CP-1")
        payload = {"configurationSlot": 1, "connectionData": profile}
        answer = await supervision.call("CP-1", "SetNetworkProfile", payload)

        assert answer.payload == {"status": "Rejected"}
        assert len(station.received) == 0


async def test_r22_only_the_agents_own_elements_of_set_variables_are_taken(tmp_path: Path) -> None:
    data = [
        variable("SecurityCtrlr", "Identity", "STOLEN"),
        variable("OCPPCommCtrlr", "HeartbeatInterval", "60"),
        variable("OCPPCommCtrlr", "NetworkConfigurationPriority", "1"),
        variable("AuthCtrlr", "LocalPreAuthorize", "true"),
    ]
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        connect_station(agent.url("CP-1"), protocols=["ocpp2.0.1"]) as station,
    ):
        await supervision.wait_connected("CP-1")
        answer = await supervision.call("CP-1", "SetVariables", {"setVariableData": data})
        results = answer.payload["setVariableResult"]

        assert answer.faults == ()
        assert [each["variable"]["name"] for each in results] == [each["variable"]["name"] for each in data]
        assert [each["attributeStatus"] for each in results][::2] == ["Rejected", "Rejected"]
        assert station.received.actions == ["SetVariables"]
        assert "STOLEN" not in station.received.texts[0]
        assert station.closed is None


async def test_r23_a_certificate_that_the_listener_would_not_take_is_not_installed(tmp_path: Path) -> None:
    authority, stranger, port = trustme.CA(), trustme.CA(), free_port()
    served = authority.issue_cert("localhost")
    listener = a_listener(
        port,
        security_profile=3,
        certificate=KeyPair(chain=served.cert_chain_pems[0].bytes().decode(), key="agent-key"),
        station_trust=[authority.cert_pem.bytes().decode()],
    )
    good, bad = (each.issue_cert("cp-1.example", common_name="CP-1") for each in (authority, stranger))
    async with open_supervision() as supervision:
        config = a_unique_config(supervision.url)
        config.stations["CP-1"] = a_station("acme", None, certificate_name="CP-1")
        config.listeners[LISTENER] = listener
        secrets = {"agent-key": served.private_key_pem.bytes()}
        async with running_agent(tmp_path, config, port=port, secrets=secrets) as agent:
            context = station_context(authority, good)
            async with connect_station(
                agent.url("CP-1", "wss"), protocols=["ocpp2.0.1"], ssl_context=context
            ) as station:
                await supervision.wait_connected("CP-1")
                answers = [
                    await supervision.call("CP-1", "CertificateSigned", {"certificateChain": chain_of(each)})
                    for each in (bad, good)
                ]

                assert answers[0].payload == {"status": "Rejected"}
                assert [entry.action for entry in station.received] == ["CertificateSigned"]
                assert chain_of(good).replace("\n", "\\n") in station.received.texts[0]


def chain_of(certificate: trustme.LeafCert) -> str:
    """Return the PEM text of a leaf certificate."""
    return certificate.cert_chain_pems[0].bytes().decode()


def station_context(authority: trustme.CA, certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return the TLS context of a station that shows `certificate`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    certificate.configure_cert(context)
    return context


async def test_r20_to_23_the_stations_answers_to_all_else_return_untouched(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
    ):
        await supervision.wait_connected("CP-1")
        payload = {"key": "WebSocketPingInterval", "value": "20"}
        answer = await supervision.call("CP-1", "ChangeConfiguration", payload)

        assert answer.text == station.sent.texts[-1]
        with trio.fail_after(5):
            assert (await agent.station("CP-1"))["noticed"] == {"leg-local-setting": 1}
