"""The bundle: all that a site controller needs to know of its site, strict and explicit (format 1).

The structs are the model, its validation and the source of `bundle.v1.schema.json`. Every field is required: a
compiler writes each value out, so that nothing has to be merged, defaulted or looked up twice at run time. Unknown
fields are refused. `BundleFormatError` is what a reader gets for anything else than a bundle.

It is long because it is one table: every field stands here once, with its bounds and the words that docs show.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pointsman_schema.canonical import CanonicalError, canonical_bytes, canonical_model, canonical_object, digest_of

FORMAT: Final = 1
PAYLOAD_TYPE = "application/vnd.pointsman.bundle.v1+json"

LOCAL = "local"
"""The operator's name that stands for the controller itself; no supervision may have it."""

SiteId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,63}\Z")]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,63}\Z")]
SecretTemplate = Annotated[str, Meta(pattern=r"^(?:[A-Za-z0-9._-]|\{station\}){1,63}\Z")]
Protocol = Literal["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
Mode = Literal["local", "unique", "multiple"]
Port = Annotated[int, Meta(ge=1, le=65535)]
WaitSeconds = Annotated[int, Meta(ge=1, le=60)]
Pem = Annotated[str, Meta(pattern=r"-----BEGIN CERTIFICATE-----")]


class BundleFormatError(ValueError):
    """Bytes that are no bundle of a format that this version reads. `reason` is a stable code (see `READ_REASONS`)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


READ_REASONS = {
    "unknown-format": "the payload's `format` is none that this version reads",
    "not-canonical": "the payload is not the canonical form of what it says",
    "breaks-model": "the payload breaks the model of its format",
    "digest-mismatch": "`configDigest` is not the digest of `config`",
}


class _Model(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Frozen, strict, camelCase on the wire."""


class PasswordReference(_Model, frozen=True):
    """A password by reference: the name of a secret on the controller."""

    secret: Annotated[SecretName, Meta(title="Secret", description="Name of the secret on the controller.")]
    format: Annotated[
        Literal["text", "hex"],
        Meta(title="Format", description="`hex`: the secret is the hex form of the key's bytes (OCPP 1.6)."),
    ]


class UplinkPassword(_Model, frozen=True):
    """The Basic password towards a supervision; `{station}` in the name stands for the station's identity."""

    secret: Annotated[
        SecretTemplate,
        Meta(title="Secret", description="Name of the secret; `{station}` is replaced by the identity."),
    ]
    format: Annotated[
        Literal["text", "hex"],
        Meta(title="Format", description="`hex`: the secret is the hex form of the key's bytes (OCPP 1.6)."),
    ]


class KeyPair(_Model, frozen=True):
    """A certificate chain with its private key by reference."""

    chain: Annotated[Pem, Meta(title="Chain", description="PEM: the certificate, then its issuers.")]
    key: Annotated[SecretName, Meta(title="Key", description="Secret that holds the PEM private key.")]


class Proxy(_Model, frozen=True):
    """An HTTP CONNECT proxy."""

    url: Annotated[str, Meta(title="URL", description="`http://[user@]host:port` of the proxy.")]
    password: Annotated[
        SecretName | None, Meta(title="Password", description="Secret with the proxy's password, or null.")
    ]


class Supervision(_Model, frozen=True):
    """A remote charge point operator's system."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^wss?://",
            title="URL",
            description="Where it listens; the identity is appended to the path, or replaces `{station}`.",
        ),
    ]
    ping_interval: Annotated[WaitSeconds, Meta(title="Ping interval", description="Seconds between WebSocket pings.")]
    message_timeout: Annotated[
        WaitSeconds,
        Meta(
            title="Message timeout",
            description="Seconds from an OCPP request to its answer, then the link counts as lost.",
        ),
    ]
    connect_timeout: Annotated[
        WaitSeconds,
        Meta(title="Connect timeout", description="Seconds over DNS, proxy, TLS and WebSocket handshake."),
    ]
    forward_security_events: Annotated[
        bool,
        Meta(
            title="Forward security events",
            description="Relay SecurityEventNotification, or answer and log it on the controller.",
        ),
    ]
    condemn: Annotated[
        Literal["any", "silent"],
        Meta(
            title="Condemn",
            description="`any` unanswered request loses the link, or only a `silent` supervision does.",
        ),
    ]
    when_lost: Annotated[
        Literal["disconnect"],
        Meta(title="When lost", description="`disconnect`: close the stations of a lost link."),
    ]
    protocols: Annotated[
        list[Protocol] | None,
        Meta(title="Protocols", description="Subprotocols in order of preference; null: as the station offers."),
    ]
    trust: Annotated[
        list[Pem] | None,
        Meta(title="Trust", description="PEM roots for wss; null: the controller's own trust store."),
    ]
    client_certificate: Annotated[
        KeyPair | None, Meta(title="Client certificate", description="For mutual TLS, or null.")
    ]
    password: Annotated[
        UplinkPassword | None,
        Meta(title="Password", description="HTTP Basic towards the supervision, or null."),
    ]
    proxy: Annotated[Proxy | None, Meta(title="Proxy", description="HTTP CONNECT proxy, or null.")]


class Authentication(_Model, frozen=True):
    """How the controller decides on badges, where it is the operator."""

    online: Annotated[
        Literal["known", "any"],
        Meta(title="Online", description="`known`: badges with `authorized` only; `any`: every badge."),
    ]
    offline: Annotated[
        Literal["known", "any", "none"],
        Meta(title="Offline", description="What the stations do while cut off from the controller."),
    ]
    concurrent: Annotated[
        Literal["allow", "refuse"],
        Meta(title="Concurrent", description="A badge that already charges in the group: allow or refuse."),
    ]


class Group(_Model, frozen=True):
    """An authentication group: stations that share one operator."""

    operator: Annotated[str, Meta(title="Operator", description="Name of a supervision, or `local`.")]
    authentication: Annotated[
        Authentication | None,
        Meta(title="Authentication", description="Strategies; null where the operator is a supervision."),
    ]
    station_keys: Annotated[
        dict[str, str],
        Meta(
            title="Station keys",
            description="1.6 keys and 2.x Component.Variable[instance] that the controller keeps in force.",
        ),
    ]


class Station(_Model, frozen=True):
    """A charging station; the map's key is its OCPP identity."""

    group: Annotated[str | None, Meta(title="Group", description="Its authentication group; null in `unique`.")]
    operator: Annotated[str, Meta(title="Operator", description="Name of a supervision, or `local`.")]
    protocols: Annotated[
        list[Protocol] | None,
        Meta(title="Protocols", description="Subprotocols it may speak; null: all that the controller knows."),
    ]
    assume_protocol: Annotated[
        Protocol | None,
        Meta(title="Assume protocol", description="For a station that offers no WebSocket subprotocol."),
    ]
    password: Annotated[
        PasswordReference | None, Meta(title="Password", description="Basic password towards the controller.")
    ]
    ping_interval: Annotated[
        Annotated[int, Meta(ge=0, le=60)],
        Meta(title="Ping interval", description="Seconds between pings on the station's own link; 0: off."),
    ]
    certificate_name: Annotated[
        str, Meta(title="Certificate name", description="CN of its certificate on a profile 3 listener.")
    ]


class Badge(_Model, frozen=True):
    """A badge; the map's key is its number, ASCII upper case folded to lower."""

    groups: Annotated[list[str], Meta(title="Groups", description="Groups of the site in which it counts.")]
    type: Annotated[str, Meta(title="Type", description="OCPP 2.x token type.")]
    authorized: Annotated[bool, Meta(title="Authorized", description="May charge where `online` is `known`.")]
    vip: Annotated[bool, Meta(title="VIP", description="Priority in load management; no authorization.")]
    until: Annotated[
        Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}\Z")] | None,
        Meta(title="Until", description="Last day of validity in the site's time zone, or null."),
    ]
    comment: Annotated[str, Meta(title="Comment", description="For people.")]


class Listener(_Model, frozen=True):
    """Where the controller accepts stations."""

    address: Annotated[str | None, Meta(title="Address", description="IP address; null: all.")]
    port: Annotated[Port, Meta(title="Port", description="TCP port.")]
    security_profile: Annotated[
        Literal[0, 1, 2, 3],
        Meta(title="Security profile", description="0 none, 1 Basic, 2 TLS and Basic, 3 mutual TLS."),
    ]
    certificate: Annotated[
        KeyPair | None, Meta(title="Certificate", description="The controller's own, for profiles 2 and 3.")
    ]
    station_trust: Annotated[
        list[Pem], Meta(title="Station trust", description="PEM roots of station certificates (profile 3).")
    ]
    minimum_tls: Annotated[
        Literal["1.0", "1.1", "1.2", "1.3"], Meta(title="Minimum TLS", description="Lowest TLS version.")
    ]
    legacy_ciphers: Annotated[
        bool, Meta(title="Legacy ciphers", description="Admit TLS_RSA suites for stations that need them.")
    ]


class Activation(_Model, frozen=True):
    """How a new bundle comes into force."""

    spread: Annotated[
        Annotated[int, Meta(ge=0, le=600)],
        Meta(title="Spread", description="Seconds over which changed stations reconnect."),
    ]
    probation: Annotated[
        Annotated[int, Meta(ge=10, le=3600)],
        Meta(title="Probation", description="Seconds in which failing uplinks bring the old bundle back."),
    ]
    drain_limit: Annotated[
        Annotated[int, Meta(ge=0, le=86400)],
        Meta(title="Drain limit", description="Seconds that a move waits for open transactions."),
    ]


class JournalPolicy(_Model, frozen=True):
    """What the controller keeps."""

    keep_days: Annotated[
        Annotated[int, Meta(ge=1, le=3650)], Meta(title="Keep days", description="Age of the oldest entry.")
    ]


class Config(_Model, frozen=True):
    """Everything that the controller needs; `configDigest` is the SHA-256 of its canonical form."""

    title: Annotated[str, Meta(title="Title", description="For people.")]
    labels: Annotated[dict[str, str], Meta(title="Labels", description="For rollout rings and reports.")]
    time_zone: Annotated[str, Meta(title="Time zone", description="IANA name.")]
    mode: Annotated[Mode, Meta(title="Supervision mode", description="local, unique or multiple.")]
    supervisions: Annotated[dict[str, Supervision], Meta(title="Supervisions", description="By name.")]
    groups: Annotated[dict[str, Group], Meta(title="Groups", description="By name; empty in `unique`.")]
    stations: Annotated[dict[str, Station], Meta(title="Stations", description="By OCPP identity.", min_length=1)]
    badges: Annotated[dict[str, Badge], Meta(title="Badges", description="By folded number.")]
    badge_lists: Annotated[
        list[SecretName], Meta(title="Badge lists", description="Secrets that hold further badges as CSV.")
    ]
    listeners: Annotated[dict[str, Listener], Meta(title="Listeners", description="By name.", min_length=1)]
    activation: Annotated[Activation, Meta(title="Activation", description="How a bundle comes into force.")]
    journal: Annotated[JournalPolicy, Meta(title="Journal", description="What is kept.")]


class Input(_Model, frozen=True):
    """A file that went into the bundle."""

    file: Annotated[str, Meta(title="File", description="Path relative to the sites root.")]
    digest: Annotated[Digest, Meta(title="Digest", description="SHA-256 of its bytes.")]


class Source(_Model, frozen=True):
    """Where the bundle comes from."""

    revision: Annotated[str | None, Meta(title="Revision", description="Of the configuration repository.")]
    file: Annotated[str, Meta(title="File", description="The site's file, relative to the sites root.")]


class Lock(_Model, frozen=True):
    """What the bundle was made with."""

    compiler: Annotated[str, Meta(title="Compiler", description="Version of the compiler.")]
    tzdata: Annotated[str, Meta(title="tzdata", description="Version of the time zone data.")]
    inputs: Annotated[list[Input], Meta(title="Inputs", description="All files read, sorted by path.")]


class Bundle(_Model, frozen=True):
    """The payload of a bundle file."""

    format: Annotated[Literal[1], Meta(title="Format", description="Version of this model.")]
    site: Annotated[SiteId, Meta(title="Site", description="The site that this bundle is for.")]
    sequence: Annotated[
        Annotated[int, Meta(ge=0, le=2**53 - 1)],
        Meta(title="Sequence", description="Rises with each release; a controller never goes below."),
    ]
    config_digest: Annotated[Digest, Meta(title="Config digest", description="SHA-256 of the canonical `config`.")]
    source: Annotated[Source, Meta(title="Source", description="Where it comes from.")]
    lock: Annotated[Lock, Meta(title="Lock", description="What it was made with.")]
    config: Annotated[Config, Meta(title="Config", description="What the controller does.")]


def bundle_of(config: Config, *, site: str, sequence: int, source: Source, lock: Lock) -> Bundle:
    """Return the bundle of `config`, its digest computed."""
    return Bundle(
        format=FORMAT,
        site=site,
        sequence=sequence,
        config_digest=digest_of(canonical_bytes(config)),
        source=source,
        lock=lock,
        config=config,
    )


def write_payload(bundle: Bundle) -> bytes:
    """Return the canonical payload bytes of `bundle`."""
    return canonical_bytes(bundle)


def write_payload_of(
    canonical_config: bytes, *, site: str, sequence: int, source: Source, lock: Lock
) -> tuple[str, bytes]:
    """Return the digest of the configuration and the payload of its bundle: what `bundle_of` and `write_payload` give.

    In a fraction of the time: `canonical_config` (see `canonical_model`), by far the largest part, is taken as it is.
    """
    digest = digest_of(canonical_config)
    members = {
        "format": FORMAT,
        "site": site,
        "sequence": sequence,
        "configDigest": digest,
        "source": source,
        "lock": lock,
    }
    return digest, canonical_object(members, {"config": canonical_config})


def read_payload(payload: bytes) -> Bundle:
    """Return the bundle that `payload` says.

    Raises BundleFormatError with a reason of `READ_REASONS`. Bytes that are not canonical are refused whatever they
    say: that covers duplicate keys, white space and a second spelling of the same configuration.
    """
    plain = _decode_plain(payload)
    if not isinstance(plain, Mapping) or plain.get("format") != FORMAT or plain.get("format") is True:
        raise BundleFormatError("unknown-format", f"the payload is not of format {FORMAT}; a newer agent may read it")
    _demand_canonical(payload, plain)
    try:
        bundle = msgspec.convert(plain, Bundle, strict=True)
    except msgspec.ValidationError as error:
        raise BundleFormatError("breaks-model", f"the payload breaks the model: {error}") from error
    if digest_of(canonical_model(bundle.config)) != bundle.config_digest:
        raise BundleFormatError("digest-mismatch", "configDigest is not the digest of config")
    return bundle


def bundle_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a payload, generated from the model."""
    (schema,), components = msgspec.json.schema_components([Bundle], ref_template="#/$defs/{name}")
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://pointsman.example/schema/bundle.v1.schema.json",
        "title": "Pointsman bundle, format 1",
        **schema,
        "$defs": components,
    }
    return {key: _with_ecma_patterns(value) for key, value in whole.items()}


def _with_ecma_patterns(schema: Any) -> Any:
    """JSON Schema speaks ECMA 262, where the end of the text is `$`; in Python that admits a trailing newline."""
    match schema:
        case dict():
            return {
                key: value.replace(r"\Z", "$") if key == "pattern" else _with_ecma_patterns(value)
                for key, value in schema.items()
            }
        case list():
            return [_with_ecma_patterns(item) for item in schema]
        case _:
            return schema


def _decode_plain(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleFormatError("not-canonical", f"the payload is no JSON: {error}") from error


def _demand_canonical(payload: bytes, plain: Any) -> None:
    try:
        canonical = canonical_bytes(plain)
    except CanonicalError as error:
        raise BundleFormatError("not-canonical", str(error)) from error
    if canonical != payload:
        raise BundleFormatError("not-canonical", "the payload is not in canonical form")
