"""31x and 32x: URLs of supervisions and proxies."""

from typing import Final

from pointsman_compiler.catalogue.entry import Entry

URLS: Final = (
    Entry(
        "PM310",
        "not a WebSocket URL",
        "A supervision listens at ws:// or wss://, a proxy at http://; anything else is no address for OCPP.",
        "Write wss://HOST/PATH, and for a proxy http://HOST:PORT.",
    ),
    Entry("PM311", "URL without a host", "Nothing says where to connect to.", "Write the host behind `//`."),
    Entry(
        "PM312",
        "port out of range",
        "A TCP port is a number from 1 to 65535.",
        "Correct the port, or leave it out: wss has 443, ws has 80.",
    ),
    Entry(
        "PM313",
        "user info in a URL",
        "What stands before the `@` is a secret in clear, which everybody who reads the file or a log would see. The "
        "user name towards a supervision is the station's identity anyway.",
        "Remove it, and give the password as a reference: `password: {secret: <name>}`.",
    ),
    Entry(
        "PM314",
        "fragment in a URL",
        "A WebSocket URL never has a fragment (RFC 6455 section 3).",
        "Remove the `#` and what follows; a `#` that is meant is %23.",
    ),
    Entry(
        "PM315",
        "character that a URL must escape",
        "Spaces, control characters and half `%` escapes are read differently by different clients.",
        "Write such bytes as % and two hex digits.",
    ),
    Entry(
        "PM316",
        "misplaced {station}",
        "`{station}` marks where the agent puts the identity; it may stand once, in the path.",
        "Keep one `{station}` in the path, or none: then the identity is appended.",
    ),
    Entry(
        "PM317",
        "not a host",
        "The host is neither a DNS name nor an IP address in its proper form.",
        "Correct the host; an IPv6 address stands in brackets.",
    ),
    Entry(
        "PM318",
        "credential in the query",
        "Everybody who reads the file, and every log on the way, sees what stands in the query.",
        "Use `password: {secret: <name>}` where the supervision takes HTTP Basic.",
    ),
    Entry(
        "PM319",
        "not encrypted",
        "With ws:// badges and keys travel readable for everybody on the way. With the fleet's policy "
        "`requireTls: true` it is an error, else a warning.",
        "Make the URL wss://. ws:// is meant for the loopback.",
    ),
    Entry(
        "PM320",
        "URL ends with an identity",
        "The agent appends each station's identity itself, so this path would hold one twice.",
        "Remove the identity from the URL, or put `{station}` in its place.",
    ),
    Entry(
        "PM321",
        "TLS settings without TLS",
        "`trust` and `clientCertificate` do nothing with ws://; their author believes that they do.",
        "Make the URL wss://, or remove them.",
    ),
    Entry(
        "PM322",
        "supervision without a URL",
        "Neither the site nor the fleet's catalogue says where this supervision listens.",
        "Add `url`, or correct the supervision's name so that it is the catalogue's.",
    ),
)
