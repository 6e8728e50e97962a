"""The bundle and the secrets that it names, judged as the agent would judge them."""

import stat
from collections.abc import Iterator
from pathlib import Path

from pointsman_schema.bundle import Bundle

from pointsman_agent.advice import of_refusal
from pointsman_agent.doctor.checks import Check
from pointsman_agent.ports import SecretMissing, StoredState
from pointsman_agent.preparation import prepare, secret_names
from pointsman_agent.secrets import SecretFolder
from pointsman_agent.settings import Settings
from pointsman_agent.verification import BundleRefused, Expectation, verify


def check_bundle(envelope: bytes, settings: Settings, stored: StoredState) -> tuple[Bundle | None, Check]:
    """Return the bundle where the agent would take it, and what is to be said of it."""
    site = settings.site or stored.site
    if site is None:
        return None, Check("bundle", "fail", "which site this is, is not known yet", "give --site ID")
    if stored.site is not None and stored.site != site:
        seen = f"--site {site}, but the state folder belongs to {stored.site!r}"
        return None, Check("bundle", "fail", seen, "check --site, or use another state folder")
    try:
        bundle = verify(envelope, Expectation(site, settings.trusted, stored.highest_sequence, stored.highest_digest))
    except BundleRefused as error:
        return None, refusal("bundle", error)
    return bundle, Check("bundle", "ok", f"for {bundle.site}, sequence {bundle.sequence}, {bundle.config_digest[:19]}")


def check_secrets(bundle: Bundle, folder: Path) -> Iterator[Check]:
    """Yield each secret that is missing or open to others, then whether all the agent makes of them succeeds."""
    secrets = SecretFolder(folder)
    names = sorted(secret_names(bundle.config))
    missing = 0
    for name in names:
        try:
            secrets.read(name)
        except SecretMissing as error:
            missing += 1
            yield Check("secret", "fail", str(error), of_refusal("secret-missing"))
            continue
        yield from check_mode(secrets.path(name))
    if missing:
        return
    try:
        prepare(bundle, secrets)
    except BundleRefused as error:
        yield refusal("secrets", error)
        return
    yield Check("secrets", "ok", f"{len(names)} needed, all there" if names else "none needed")


def check_mode(secret: Path) -> Iterator[Check]:
    """Yield a warning when `secret` is open to everybody."""
    mode = stat.S_IMODE(secret.stat().st_mode)
    if mode & 0o007:
        yield Check("secret", "warn", f"{secret} is open to everybody (mode {mode:o})", "chmod 600 it")


def refusal(name: str, error: BundleRefused) -> Check:
    """Return the check for what the agent would refuse."""
    return Check(name, "fail", f"{error.code}: {error}", of_refusal(error.code))
