"""Where the bundle comes from: a file that can be read, or a server that is reached, believed and opens."""

from datetime import datetime
from pathlib import Path

import trio
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES

from pointsman_agent.bundleurl import BundleUrl
from pointsman_agent.doctor.bundle import check_mode
from pointsman_agent.doctor.checks import Check
from pointsman_agent.doctor.listeners import WARN_BEFORE, check_chain
from pointsman_agent.secrets import SecretFolder
from pointsman_agent.sources.download import Download, DownloadFault, download


async def read_bundle(place: Path | BundleUrl, folder: Path, now: datetime) -> tuple[bytes | None, list[Check]]:
    """Return the envelope, None when it is not to be had, and what was found on the way to it.

    `folder` has the secrets.
    """
    if isinstance(place, Path):
        return await trio.to_thread.run_sync(_read_file, place)
    shown = await trio.to_thread.run_sync(_own_proofs, place, folder, now)
    try:
        found = await download(place, SecretFolder(folder))
    except DownloadFault as fault:
        return None, [*shown, Check("bundle url", "fail", f"{fault.code}: {fault}", fault.remedy)]
    assert found is not None  # no version was named that it could still be
    return found.envelope, [*shown, *_server(place, found, now)]


def _read_file(path: Path) -> tuple[bytes | None, list[Check]]:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_ENVELOPE_BYTES + 1), []
    except OSError as error:
        return None, [Check("bundle", "fail", f"{path}: {error.strerror}", "copy the site's bundle there")]


def _own_proofs(place: BundleUrl, folder: Path, now: datetime) -> list[Check]:
    secrets = [SecretFolder(folder).path(name) for name in (place.key, place.token) if name is not None]
    modes = [check for secret in secrets if secret.exists() for check in check_mode(secret)]
    return modes + ([] if place.certificate is None else [_own_certificate(place.certificate, now)])


def _own_certificate(path: Path, now: datetime) -> Check:
    try:
        pem = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "give a PEM chain with --bundle-certificate"
        return Check("bundle client certificate", "fail", f"{path}: {error}", remedy)
    return check_chain("bundle client certificate", pem, now)


def _server(place: BundleUrl, found: Download, now: datetime) -> list[Check]:
    reached = Check("bundle url", "ok", f"{place.shown}: {len(found.envelope)} bytes")
    if found.etag is None:
        remedy = "let the server send an ETag: without it every look transfers the whole bundle"
        reached = Check("bundle url", "warn", f"{place.shown}: no ETag", remedy)
    expires = found.certificate_expires
    if expires is None:
        return [reached]
    until = f"the server's expires {expires:%Y-%m-%d}"
    if now + WARN_BEFORE > expires:
        return [reached, Check("bundle certificate", "warn", until, "let its operator renew it")]
    return [reached, Check("bundle certificate", "ok", until)]
