"""How an agent is started: paths, trust and addresses, checked before anything runs."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pointsman_schema.envelope import load_public_key

from pointsman_agent.bundleurl import ASK_EVERY_S, BundleUrl, shown_url, url_fault


class SettingsError(Exception):
    """Flags that do not fit; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """A PEM certificate chain and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """A TUF repository to follow in place of a file: its address, the first trusted root, a token's secret, and how
    often it is looked at."""

    url: str
    root: Path
    token: str | None = None
    poll_s: int = 60


@dataclass(frozen=True, slots=True)
class PushSettings:
    """Where the state is pushed to: the import address of a metrics store, a token's secret, and PEM roots that it is
    proven by instead of the system's."""

    url: str
    token: str | None = None
    trust: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The flags of `pointsman-agent run`. `trusted` None: unsigned bundles are taken. With `rollout` there is no
    `bundle`, and the repository's own signatures are the trust."""

    bundle: Path | BundleUrl | None
    site: str | None
    trusted: tuple[Ed25519PublicKey, ...] | None
    state: Path
    secrets: Path
    admin_host: str
    admin_port: int
    admin_names: tuple[str, ...] = ()
    """Names, beside its address, under which the admin interface is asked for."""
    admin_tls: KeyFiles | None = None
    """None: the admin interface speaks plain HTTP."""
    rollout: RolloutSettings | None = None
    push: PushSettings | None = None


def trusted_keys(files: tuple[Path, ...], *, allow_unsigned: bool) -> tuple[Ed25519PublicKey, ...] | None:
    """Return the keys of `files`, None where unsigned bundles are allowed instead; raises SettingsError."""
    if allow_unsigned and files:
        raise SettingsError("--trust and --allow-unsigned exclude each other: with a key, every bundle must be signed")
    if allow_unsigned:
        return None
    if not files:
        raise SettingsError("--trust FILE is needed, the public key that bundles are signed with (or --allow-unsigned)")
    return tuple(_trusted_key(file) for file in files)


def bundle_place(
    text: str,
    *,
    trust: Path | None = None,
    certificate: Path | None = None,
    key: str | None = None,
    token: str | None = None,
    interval_s: float = ASK_EVERY_S,
) -> Path | BundleUrl:
    """Return the file or the URL that `--bundle` names; raises SettingsError, also for flags that need a URL."""
    if "://" not in text:
        if any(flag is not None for flag in (trust, certificate, key, token)):
            raise SettingsError("--bundle-trust, -certificate, -key and -token are for a --bundle that is a URL")
        return Path(text)
    place = BundleUrl(text, trust, certificate, key, token, interval_s)
    fault = url_fault(text)
    if fault is not None:
        raise SettingsError(f"--bundle {place.shown}: {fault}")
    if (certificate is None) != (key is None):
        raise SettingsError("--bundle-certificate FILE and --bundle-key NAME need each other")
    return place


def rollout_settings(
    url: str | None,
    root: Path | None,
    token: str | None,
    poll_s: int,
    bundle: Path | BundleUrl | None,
    trust: tuple[Path, ...],
) -> RolloutSettings | None:
    """Return the repository to follow, None where a file is; raises SettingsError."""
    if url is None:
        if bundle is None:
            raise SettingsError("--bundle FILE|URL or --rollout URL is needed: where bundles come from")
        return None
    if bundle is not None:
        raise SettingsError("--bundle and --rollout exclude each other: an agent follows one of them")
    if trust:
        raise SettingsError("--trust has no meaning with --rollout: the repository's own keys are the trust")
    if root is None:
        raise SettingsError("--rollout-root FILE is needed: the repository's metadata/1.root.json to begin with")
    _check_url("--rollout", url, token)
    return RolloutSettings(url, root, token, poll_s)


def push_settings(url: str | None, token: str | None, trust: Path | None = None) -> PushSettings | None:
    """Return where the state is pushed to, None for nowhere; raises SettingsError."""
    if url is None:
        return None
    _check_url("--push", url, token)
    return PushSettings(url, token, trust)


def _check_url(flag: str, url: str, token: str | None) -> None:
    """Plain http is taken where nothing that goes over it is a secret; raises SettingsError."""
    fault = url_fault(url, token_flag=f"{flag}-token", is_plain_taken=True)
    if fault is None and token is not None and url_fault(url) is not None:
        fault = "a token goes over https:// only, or anybody on the way could read it"
    if fault is not None:
        raise SettingsError(f"{flag} {shown_url(url)}: {fault}")


def admin_tls(certificate: Path | None, key: Path | None) -> KeyFiles | None:
    """Return the files of `--admin-certificate` and `--admin-key`, None without both; raises SettingsError."""
    if (certificate is None) != (key is None):
        raise SettingsError("--admin-certificate and --admin-key belong together")
    return None if certificate is None or key is None else KeyFiles(certificate, key)


def admin_address(text: str, *, is_exposable: bool = False) -> tuple[str, int]:
    """Return host and port of `--admin`; raises SettingsError for what is no address, and for anything but a loopback
    one where it is not `is_exposable`.

    Over plain HTTP a token sent to it from elsewhere could be read on the way.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise SettingsError(f"--admin {text}: write HOST:PORT, as in 127.0.0.1:9100")
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback and not is_exposable:
        message = (
            "others can reach it, so it needs TLS (--admin-certificate, --admin-key), or --admin-plain-text where the"
            " network is one to trust; or take a loopback address (127.0.0.1) and an SSH tunnel"
        )
        raise SettingsError(f"--admin {text}: {message}")
    return host, int(port)


def _trusted_key(file: Path) -> Ed25519PublicKey:
    try:
        return load_public_key(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"--trust {file}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"--trust {file}: {error}; `pointsman keygen` makes such a key") from error
