"""TLS of both legs, judged by whole handshakes in memory between the contexts that the agent makes."""

import ssl
import tempfile
import warnings
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from pointsman_agent.ports import SecretMissing
from pointsman_agent.tls import TlsMaterialError, listener_context, supervision_context
from pointsman_schema.bundle import KeyPair, Listener
from support.sites import a_listener, a_supervision

HOST = "csms.example"
MUTUAL_TLS = 3
AUTHORITY = trustme.CA(key_type=trustme.KeyType.RSA)
ROOT = AUTHORITY.cert_pem.bytes().decode()
OTHER_ROOT = trustme.CA().cert_pem.bytes().decode()
SERVER = AUTHORITY.issue_cert(HOST, key_type=trustme.KeyType.RSA)
CLIENT = AUTHORITY.issue_cert("station", common_name="SN0815", key_type=trustme.KeyType.RSA)
SECRETS = {
    "server": SERVER.private_key_pem.bytes().removesuffix(b"\n"),
    "client": CLIENT.private_key_pem.bytes(),
    "garbage": b"no key",
    "empty": b"",
}
SERVER_PAIR = KeyPair(chain=b"".join(pem.bytes() for pem in SERVER.cert_chain_pems).decode(), key="server")
CLIENT_PAIR = KeyPair(chain=b"".join(pem.bytes() for pem in CLIENT.cert_chain_pems).decode(), key="client")


def locked_key() -> bytes:
    key = serialization.load_pem_private_key(SERVER.private_key_pem.bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )


def a_tls_listener(profile: int = 2, **changes: object) -> Listener:
    trust = [ROOT] if profile == MUTUAL_TLS else []
    fields = {"security_profile": profile, "certificate": SERVER_PAIR, "station_trust": trust} | changes
    return a_listener(9443, **fields)


def server(profile: int = 2, **changes: object) -> ssl.SSLContext:
    context = listener_context(a_tls_listener(profile, **changes), SECRETS)
    assert context is not None
    return context


def client(**changes: object) -> ssl.SSLContext:
    return supervision_context(a_supervision(f"wss://{HOST}/", **({"trust": [ROOT]} | changes)), SECRETS)


def a_station(*, maximum: ssl.TLSVersion | None = None, ciphers: str | None = None) -> ssl.SSLContext:
    """A station's own context, old where a test wants it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ROOT)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if maximum is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old on purpose
            context.minimum_version = context.maximum_version = maximum
    return context


def shake(at_client: ssl.SSLContext, at_server: ssl.SSLContext, host: str = HOST) -> ssl.SSLObject:
    """Make a whole handshake, client certificate included, and return the server's side. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = at_client.wrap_bio(to_client, to_server, server_hostname=host)
    far = at_server.wrap_bio(to_server, to_client, server_side=True)
    ends, done = [near, far], set[ssl.SSLObject]()
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
        if len(done) == 2:
            far.write(b"x")  # under TLS 1.3 the client's certificate is judged after its own handshake ended
            assert near.read(1) == b"x"
            return far
    raise AssertionError("the handshake does not end")


def test_r9_a_supervision_of_the_trusted_root_is_reached() -> None:
    assert shake(client(), server()).version() == "TLSv1.3"


@pytest.mark.parametrize(
    ("trust", "host"),
    [([OTHER_ROOT], HOST), ([ROOT], "evil.example"), (None, HOST)],
    ids=["another root", "another host", "the system's roots"],
)
def test_r9_chain_and_host_name_are_verified(trust: list[str] | None, host: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client(trust=trust), server(), host)


def test_r9_one_of_several_roots_is_enough() -> None:
    assert shake(client(trust=[OTHER_ROOT, ROOT]), server()).version() == "TLSv1.3"


def test_the_clients_certificate_is_shown_where_it_is_configured() -> None:
    peer = shake(client(client_certificate=CLIENT_PAIR), server(MUTUAL_TLS)).getpeercert()

    assert peer is not None
    assert (("commonName", "SN0815"),) in peer["subject"]


def test_r8_profile_3_refuses_a_station_without_a_certificate_of_its_roots() -> None:
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake(client(), server(MUTUAL_TLS))
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(client(client_certificate=CLIENT_PAIR), server(MUTUAL_TLS, station_trust=[OTHER_ROOT]))


def test_r8_profile_2_asks_no_station_for_a_certificate() -> None:
    assert shake(client(client_certificate=CLIENT_PAIR), server()).getpeercert() is None


@pytest.mark.parametrize("profile", [0, 1])
def test_r8_the_profiles_0_and_1_have_no_tls(profile: int) -> None:
    assert listener_context(a_tls_listener(profile), SECRETS) is None
    assert listener_context(a_tls_listener(profile, certificate=None), SECRETS) is None


@pytest.mark.parametrize("profile", [2, MUTUAL_TLS])
def test_r8_a_profile_with_tls_is_never_served_without_it(profile: int) -> None:
    with pytest.raises(TlsMaterialError, match="without a certificate"):
        listener_context(a_tls_listener(profile, certificate=None), SECRETS)


def test_r8_tls_below_12_is_refused_unless_the_listener_allows_it_by_name() -> None:
    old_station = a_station(maximum=ssl.TLSVersion.TLSv1, ciphers="ALL:@SECLEVEL=0")

    with pytest.raises(ssl.SSLError):
        shake(old_station, server())
    old = shake(old_station, server(minimum_tls="1.0", legacy_ciphers=True))
    assert old.version() == "TLSv1"


def test_r8_a_listener_may_demand_tls_13() -> None:
    with pytest.raises(ssl.SSLError):
        shake(a_station(maximum=ssl.TLSVersion.TLSv1_2), server(minimum_tls="1.3"))
    assert shake(a_station(), server(minimum_tls="1.3")).version() == "TLSv1.3"


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "AES256-GCM-SHA384"])
def test_r8_tls_rsa_ciphers_are_for_listeners_that_allow_them_by_name(cipher: str) -> None:
    station = a_station(maximum=ssl.TLSVersion.TLSv1_2, ciphers=cipher)

    with pytest.raises(ssl.SSLError):
        shake(station, server())
    assert shake(station, server(legacy_ciphers=True)).cipher() == (cipher, "TLSv1.2", int(cipher[3:6]))


@pytest.mark.parametrize("trust", [[], [""], ["-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"], ["é"]])
def test_roots_that_are_none_are_an_error_of_the_material(trust: list[str]) -> None:
    with pytest.raises(TlsMaterialError, match="trust roots"):
        client(trust=trust)
    with pytest.raises(TlsMaterialError, match="trust roots"):
        server(MUTUAL_TLS, station_trust=trust)


@pytest.mark.parametrize("key", ["client", "garbage", "empty", "locked"])
def test_a_key_that_does_not_fit_is_an_error_that_names_the_secret_and_not_its_content(key: str) -> None:
    secrets = SECRETS | {"locked": locked_key()}
    pair = KeyPair(chain=SERVER_PAIR.chain, key=key)

    with pytest.raises(TlsMaterialError, match=f"secret '{key}'") as caught:
        listener_context(a_tls_listener(certificate=pair), secrets)
    assert "PRIVATE KEY" not in str(caught.value)
    if key == "locked":
        assert "passphrase" in str(caught.value)


def test_a_key_that_is_not_there_is_a_missing_secret() -> None:
    pair = KeyPair(chain=SERVER_PAIR.chain, key="nowhere")

    with pytest.raises(SecretMissing, match="nowhere"):
        server(certificate=pair)
    with pytest.raises(SecretMissing, match="nowhere"):
        client(client_certificate=pair)


def test_a_chain_with_words_in_any_language_is_taken() -> None:
    pair = KeyPair(chain="# Schlüssel für Süd\n" + SERVER_PAIR.chain, key="server")

    assert shake(client(), server(certificate=pair)).version() == "TLSv1.3"


def test_no_key_stays_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server()
    with pytest.raises(TlsMaterialError):
        server(certificate=KeyPair(chain=SERVER_PAIR.chain, key="garbage"))

    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_had_is_an_error_of_the_material(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))

    with pytest.raises(TlsMaterialError, match="nowhere"):
        server()
