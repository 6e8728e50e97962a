"""The table of what the agent takes out of a supervision's CALLs, row by row (rules 21 to 23)."""

import json
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.ocsp import OCSPRequestBuilder
from pointsman_agent.certificates import chains_to, hashes_of
from pointsman_agent.ocpp.frame import parse
from pointsman_agent.ocpp.intercepts import (
    AnswerItself,
    CertificateHash,
    Intercept,
    LinkSettings,
    Side,
    SplitVariables,
    StoreKey,
    intercept_of,
    merged_results,
)

HOST = "csms.acme.example"
PASSWORD = "a-password-of-20-chr"


def taken(action: str, payload: object, **settings: Any) -> Intercept | None:
    """Return what is done with a CALL of the supervision."""
    fields: dict[str, Any] = {
        "message_timeout": 30,
        "forward_security_events": True,
        "protocol": "ocpp2.1",
        "host": HOST,
    }
    link = LinkSettings(**(fields | settings))
    return intercept_of(Side.SUPERVISION, parse(json.dumps([2, "1", action, payload])), link)


def profile(**connection: Any) -> dict[str, Any]:
    """Return a SetNetworkProfile."""
    return {"configurationSlot": 1, "connectionData": {"ocppCsmsUrl": f"wss://{HOST}/ocpp", **connection}}


def test_r21_a_profile_of_the_same_host_with_a_password_sets_the_key_in_2_1() -> None:
    assert taken("SetNetworkProfile", profile(basicAuthPassword=PASSWORD)) == StoreKey(
        PASSWORD.encode(), {"status": "Accepted"}
    )


@pytest.mark.parametrize(
    ("payload", "settings"),
    [
        (profile(), {}),
        (profile(basicAuthPassword="short"), {}),
        (profile(basicAuthPassword=PASSWORD, ocppCsmsUrl="wss://elsewhere.example"), {}),
        (profile(basicAuthPassword=PASSWORD), {"protocol": "ocpp2.0.1"}),
        (profile(basicAuthPassword=PASSWORD), {"host": ""}),
        ({}, {}),
    ],
)
def test_r22_any_other_profile_is_rejected(payload: dict[str, Any], settings: dict[str, Any]) -> None:
    intercept = taken("SetNetworkProfile", payload, **settings)

    assert isinstance(intercept, AnswerItself)
    assert intercept.payload == {"status": "Rejected"}


@pytest.mark.parametrize(
    "payload",
    [None, [], "x", {}, {"key": 7}, {"key": "HeartbeatInterval", "value": "1"}, {"setVariableData": "x"}],
)
@pytest.mark.parametrize("action", ["ChangeConfiguration", "SetVariables", "InstallCertificate", "DeleteCertificate"])
def test_what_is_none_of_the_agents_business_is_relayed(action: str, payload: object) -> None:
    assert taken(action, payload) is None


def test_a_payload_that_cannot_be_read_is_relayed() -> None:
    settings = LinkSettings(message_timeout=30, forward_security_events=True, protocol="ocpp1.6")

    assert intercept_of(Side.SUPERVISION, parse('[2,"1","ChangeConfiguration",{"key":"Auth'), settings) is None


def element(component: str, name: str, value: str, **more: Any) -> dict[str, Any]:
    """Return a SetVariableData."""
    return {"attributeValue": value, "component": {"name": component}, "variable": {"name": name}, **more}


def test_r21_the_password_of_the_network_configuration_is_the_uplinks_key_too() -> None:
    data = [element("NetworkConfiguration", "BasicAuthPassword", PASSWORD)]

    assert isinstance(taken("SetVariables", {"setVariableData": data}), StoreKey)


def test_r22_the_rest_goes_out_and_results_are_merged_in_request_order() -> None:
    data = [
        element("A", "a", "1"),
        element("securityctrlr", "IDENTITY", "x", attributeType="Actual"),
        element("B", "b", "2"),
        element("NetworkConfiguration", "OcppCsmsUrl", "x"),
    ]
    split = taken("SetVariables", {"setVariableData": data})
    assert isinstance(split, SplitVariables)
    answered = [{"attributeStatus": "Accepted", **{key: data[0][key] for key in ("component", "variable")}}]
    merged = merged_results(split, answered)["setVariableResult"]

    assert split.key is None
    assert split.forwarded == {"setVariableData": [data[0], data[2]]}
    assert [each["attributeStatus"] for each in merged] == ["Accepted", "Rejected", "Rejected", "Rejected"]
    assert [each["variable"] for each in merged] == [each["variable"] for each in data]
    assert merged[1]["attributeType"] == "Actual"


def test_r23_only_roots_of_the_supervision_are_not_installed() -> None:
    assert isinstance(taken("InstallCertificate", {"certificateType": "CSMSRootCertificate"}), AnswerItself)
    assert taken("InstallCertificate", {"certificateType": "ManufacturerRootCertificate"}) is None
    assert taken("InstallCertificate", {"certificateType": "V2GRootCertificate"}) is None


def test_r23_the_certificates_of_the_listener_are_not_deleted() -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("controller.example")
    pem, root = leaf.cert_chain_pems[0].bytes(), authority.cert_pem.bytes()
    named = ocsp_name(x509.load_pem_x509_certificate(pem), x509.load_pem_x509_certificate(root))
    hashes = hashes_of(pem.decode(), [root.decode()])

    delete = {"certificateHashData": named}
    other = {"certificateHashData": {**named, "serialNumber": "01"}}
    kept = taken("DeleteCertificate", delete, listener_certificates=hashes)
    assert isinstance(kept, AnswerItself)
    assert kept.payload == {"status": "Failed"}
    assert taken("DeleteCertificate", other, listener_certificates=hashes) is None
    assert {each.algorithm for each in hashes} == {"SHA256", "SHA384", "SHA512"}
    assert all(isinstance(each, CertificateHash) for each in hashes)


def ocsp_name(certificate: x509.Certificate, issuer: x509.Certificate) -> dict[str, str]:
    """Name a certificate as OCSP does (RFC 6960), by another implementation than ours."""
    request = OCSPRequestBuilder().add_certificate(certificate, issuer, SHA256()).build()
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex().upper(),
        "serialNumber": f"00{request.serial_number:X}",
    }


def test_r23_a_chain_counts_from_its_leaf_to_a_root_over_the_others() -> None:
    root = trustme.CA()
    middle = root.create_child_ca()
    leaf = middle.issue_cert("cp.example")
    is_ours = chains_to([root.cert_pem.bytes().decode()])
    pems = [blob.bytes().decode() for blob in leaf.cert_chain_pems]

    assert is_ours("".join(pems))
    assert not is_ours(pems[0])
    assert not is_ours(trustme.CA().issue_cert("cp.example").cert_chain_pems[0].bytes().decode())
    assert not is_ours("no certificate")
    assert not is_ours("")
