"""The certificate of the admin interface: replaced while it runs, or left as it was."""

import ssl
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme
from pointsman_agent.web import certificate
from pointsman_agent.web.certificate import AdminCertificate, AdminCertificateError
from structlog.testing import capture_logs


def lay_down(folder: Path, ca: trustme.CA) -> tuple[Path, Path]:
    """Write a certificate and its key."""
    made = ca.issue_cert("controller.example")
    (folder / "admin.pem").write_bytes(made.cert_chain_pems[0].bytes())
    (folder / "admin.key").write_bytes(made.private_key_pem.bytes())
    return folder / "admin.pem", folder / "admin.key"


async def test_a_new_certificate_is_taken_and_a_pair_that_does_not_fit_is_not(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "LOOK_EVERY_S", 0.01)
    ca = trustme.CA()
    files = lay_down(tmp_path, ca)
    followed = AdminCertificate(*files)
    first = await shown(followed.context, ca)

    key = files[1].read_bytes()
    lay_down(tmp_path, ca)
    nursery.start_soon(followed.follow)
    with trio.fail_after(10):
        while (second := await shown(followed.context, ca)) == first:  # noqa: ASYNC110 - files tell no event
            await trio.sleep(0.01)
    files[1].write_bytes(key)  # of the one before
    with capture_logs() as logs, trio.fail_after(10):
        while not logs:  # noqa: ASYNC110 - as above
            await trio.sleep(0.01)
    assert [each["event"] for each in logs] == ["admin certificate not replaced"]
    assert await shown(followed.context, ca) == second
    with pytest.raises(AdminCertificateError, match="not a PEM certificate chain and its key"):
        AdminCertificate(*files)
    with pytest.raises(AdminCertificateError, match="No such file"):
        AdminCertificate(tmp_path / "none.pem", files[1])
    nursery.cancel_scope.cancel()


async def shown(context: ssl.SSLContext, ca: trustme.CA) -> bytes:
    """Return the certificate that a handshake with `context` shows."""
    ours, theirs = trio.testing.memory_stream_pair()
    client_context = ssl.create_default_context()
    ca.configure_trust(client_context)
    server = trio.SSLStream(ours, context, server_side=True)
    client = trio.SSLStream(theirs, client_context, server_hostname="controller.example")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        await client.do_handshake()
    found = client.getpeercert(binary_form=True)
    assert isinstance(found, bytes)
    return found
