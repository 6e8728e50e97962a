"""Definitions that several places use: supervisions, listeners, passwords, strategies, activation."""

from pointsman_schema.authoring.terms import (
    NAME,
    SECRET_PER_STATION,
    TEMPLATE,
    Schema,
    choice,
    closed,
    flag,
    forbidden,
    listed,
    named,
    reference,
    removable,
    removable_keys,
    secret,
    text,
    whole,
)

PROTOCOLS = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
IDENTITY = r"^(?!\.\.?$)[!-.0-9;-~](?:[ -.0-9;-~]{0,46}[!-.0-9;-~])?$"
IDENTITY_MESSAGE = "an identity has 1 to 48 printable ASCII characters, and neither `:` nor `/`"
NAME_MESSAGE = "a name has 1 to 63 characters of a-z 0-9 and -"
_URL = (
    "^(?:[Ww][Ss][Ss]?://(?:TEMPLATE|[^ /?#@{}])+(?:[/?](?:TEMPLATE|\\{station\\}|%[0-9A-Fa-f]{2}|[^ #%{}])*)?"
    "|TEMPLATE(?:TEMPLATE|\\{station\\}|[^ #{}])*)$"
).replace("TEMPLATE", TEMPLATE)
_PROXY_URL = "^(?:[Hh][Tt][Tt][Pp]://(?:TEMPLATE|[^ /?#{}])+/?|TEMPLATE(?:TEMPLATE|[^ #{}])*)$".replace(
    "TEMPLATE", TEMPLATE
)
_PASSWORD_FORMAT = choice(
    "Format",
    "text: the secret is the password. hex: the secret is the hexadecimal form of the password's bytes, as the "
    "AuthorizationKey of OCPP 1.6 is set.",
    ["text", "hex"],
    "text",
)


def protocols(title: str, description: str) -> Schema:
    """Return the schema of a list of OCPP versions in order of preference."""
    items = choice("Protocol", "A version of OCPP, named as its WebSocket subprotocol.", PROTOCOLS)
    return listed(title, description, items, ["ocpp2.0.1", "ocpp1.6"])


def authentication() -> Schema:
    """Return the schema of the strategies of a local group."""
    return closed(
        "Authentication",
        "How the controller decides on badges where it is the operator.",
        {
            "online": choice(
                "Online",
                "known: only badges with `authorized: true` may charge. any: every badge may.",
                ["known", "any"],
                "known",
            ),
            "offline": choice(
                "Offline",
                "What the stations do while they are cut off from the controller: take no badge, known ones, or any. "
                "Unless set, none.",
                ["none", "known", "any"],
                "none",
            ),
            "concurrent": choice(
                "Concurrent",
                "A badge that already charges in the group: allow a second session, or refuse it.",
                ["allow", "refuse"],
                "allow",
            ),
        },
    )


def activation() -> Schema:
    """Return the schema of how a bundle comes into force."""
    schema = closed(
        "Activation",
        "How a new bundle comes into force on the controller.",
        {
            "spread": whole("Spread", "Seconds over which changed stations reconnect, 0 to 600.", 0, 600, 30, 60),
            "probation": whole(
                "Probation",
                "Seconds, 10 to 3600, in which uplinks that fail bring the previous bundle back.",
                10,
                3600,
                120,
                300,
            ),
            "drainLimit": whole(
                "Drain limit",
                "Seconds, 0 to 86400, that a station's move to another operator waits for its open transactions.",
                0,
                86400,
                3600,
                7200,
            ),
        },
    )
    return removable(removable_keys(schema))


def journal() -> Schema:
    """Return the schema of what the controller keeps."""
    days = whole("Keep days", "Age in days, 1 to 3650, of the oldest entry that is kept.", 1, 3650, 400, 730)
    return removable(
        removable_keys(closed("Journal", "What the controller keeps of its transactions.", {"keepDays": days}))
    )


def variables() -> Schema:
    """Return the schema of the values that templates use."""
    value: Schema = {
        "title": "Value",
        "description": "What `{{ vars.NAME }}` stands for.",
        "type": ["string", "integer", "boolean", "null"],
        "examples": ["ara"],
    }
    keys, message = "^[A-Za-z_][A-Za-z0-9_]{0,62}$", "a variable's name has letters, digits and _, no digit first"
    return removable(
        named(
            "Variables",
            "Values for the templates in `url`, `title` and `comment`.",
            keys,
            message,
            value,
            {"region": "ara"},
        )
    )


def listeners() -> Schema:
    """Return the schema of all listeners."""
    value = reference("listener", "Listener", "Where the controller accepts stations.", {"port": 9000})
    return removable(
        named(
            "Listeners",
            "Where the controller accepts stations; default: one named lan on port 9000, security profile 0.",
            NAME,
            NAME_MESSAGE,
            value,
            {"lan": {"port": 9000, "securityProfile": 1}},
        )
    )


def shared_definitions() -> dict[str, Schema]:
    """Return the definitions that site and fleet have in common, by name."""
    return {
        "supervision": _supervision(),
        "supervisionPassword": _password("Password towards a supervision"),
        "stationPassword": _password("Password of stations"),
        "clientCertificate": _key_pair("Client certificate", "The controller's certificate for mutual TLS."),
        "listenerCertificate": _key_pair("Listener's certificate", "The controller's certificate towards stations."),
        "proxy": _proxy(),
        "listener": _listener(),
        "authentication": removable(removable_keys(authentication())),
        "activation": activation(),
        "journal": journal(),
    }


def _supervision() -> Schema:
    chain = {"chain": "../certificates/lyon-client.pem", "key": {"secret": "acme-client-key"}}
    return removable_keys(
        closed(
            "Supervision",
            "A remote charge point operator's system. What is left out comes from fleet.yaml, then from the default.",
            {
                "url": text(
                    "URL",
                    "Where the supervision listens: ws:// or wss://. The station's identity is appended to the path, "
                    "or put where {station} stands. May hold Jinja expressions.",
                    "wss://csms.acme.example/ocpp",
                    pattern=_URL,
                    message="a URL is ws:// or wss://, a host, and a path with {station} at most once; "
                    "no user, no fragment, no space",
                ),
                **_waits(),
                "forwardSecurityEvents": flag(
                    "Forward security events",
                    "Relay SecurityEventNotification to this supervision instead of logging it on the controller.",
                    False,
                ),
                "condemn": choice(
                    "Condemn",
                    "any: an unanswered request loses the link. silent: only if nothing at all came in that time.",
                    ["any", "silent"],
                    "any",
                ),
                "whenLost": {
                    **choice("When lost", "disconnect: the stations of a lost link are closed.", ["disconnect"]),
                    "default": "disconnect",
                    "errorMessage": "`whenLost` is `disconnect`; `serve` does not work yet, so it is refused",
                },
                "protocols": protocols(
                    "Protocols", "Versions of OCPP in order of preference; default: what the station offers."
                ),
                "trust": _pem_files(
                    "Trust", "PEM files with the roots for wss; default: the controller's own trust store."
                ),
                "clientCertificate": reference(
                    "clientCertificate", "Client certificate", "Mutual TLS towards this supervision.", chain
                ),
                "password": reference(
                    "supervisionPassword",
                    "Password",
                    "HTTP Basic towards this supervision; the user name is the station's identity.",
                    {"secretPerStation": "acme-{station}"},
                ),
                "proxy": reference(
                    "proxy", "Proxy", "HTTP CONNECT proxy on the way there.", {"url": "http://proxy.site.lan:3128"}
                ),
            },
        )
    )


def _waits() -> dict[str, Schema]:
    """The spans of time that a supervision is given, in whole seconds."""
    return {
        "pingInterval": whole(
            "Ping interval",
            "Seconds, 1 to 60, between WebSocket pings to this supervision: they bound how long a dead link goes "
            "unnoticed.",
            1,
            60,
            30,
            15,
        ),
        "messageTimeout": whole(
            "Message timeout",
            "Seconds, 1 to 60, from an OCPP request sent to its answer; then the link counts as lost, and drivers "
            "wait no longer.",
            1,
            60,
            30,
            20,
        ),
        "connectTimeout": whole(
            "Connect timeout",
            "Seconds, 1 to 60, over DNS, proxy, TLS and WebSocket handshake; then it is tried again.",
            1,
            60,
            10,
            20,
        ),
    }


def _listener() -> Schema:
    profile: Schema = {
        "title": "Security profile",
        "description": "Of OCPP: 0 none, 1 Basic password, 2 TLS with Basic password, 3 mutual TLS.",
        "type": "integer",
        "enum": [0, 1, 2, 3],
        "default": 0,
        "examples": [1],
    }
    pair = {"chain": "../certificates/agent.pem", "key": {"secret": "agent-key"}}
    address = text(
        "Address",
        "IP address to listen on; default: all.",
        "0.0.0.0",
        pattern="^[0-9A-Fa-f.:]{2,45}$",
        message="an IP address, such as 192.168.1.10 or ::",
    )
    listener = closed(
        "Listener",
        "Where the controller accepts stations. What is left out comes from fleet.yaml, then from the default.",
        {
            "address": address,
            "port": whole("Port", "TCP port, 1 to 65535.", 1, 65535, None, 9000),
            "securityProfile": profile,
            "certificate": reference("listenerCertificate", "Certificate", "For profiles 2 and 3.", pair),
            "stationTrust": _pem_files(
                "Station trust", "PEM files with the roots of station certificates (profile 3)."
            ),
            "minimumTls": choice("Minimum TLS", "Lowest version of TLS.", ["1.0", "1.1", "1.2", "1.3"], "1.2"),
            "legacyCiphers": flag(
                "Legacy ciphers", "Admit TLS_RSA cipher suites for old stations; they have no forward secrecy.", False
            ),
        },
    )
    return removable(removable_keys(listener))


def _password(title: str) -> Schema:
    """One secret for all stations, or one each: whichever key is there decides which definition judges."""
    message = "a secret's name has A-Z a-z 0-9 . _ - and, once at least, {station}; 63 characters at most"
    per_station = text(
        "Secret per station",
        "Name of each station's secret; {station} stands for its identity.",
        "station-{station}",
        pattern=SECRET_PER_STATION,
        message=message,
    )
    one = secret("Secret", "Name of one secret for all stations.", "acme-password")
    both = "a password is `secret` or `secretPerStation`, not both"
    schema = closed(
        title,
        "A password by reference: the controller finds it among its secrets.",
        {"secret": one, "secretPerStation": per_station, "format": _PASSWORD_FORMAT},
    )
    return removable(schema) | {
        "if": {"required": ["secret"]},
        "then": {"properties": {"secretPerStation": forbidden("Secret per station", both)}},
        "else": {
            "required": ["secretPerStation"],
            "errorMessage": "a password needs `secret`, the name of a secret, or `secretPerStation`",
        },
    }


def secret_reference(title: str, description: str) -> Schema:
    """Return the schema of `{secret: NAME}`."""
    name = secret("Secret", "Name of the secret on the controller.", "agent-key")
    return closed(title, description, {"secret": name}, ("secret",)) | {"examples": [{"secret": "agent-key"}]}


def own_password() -> Schema:
    """Return the schema of a station's own password by reference."""
    name = secret("Secret", "Name of the secret on the controller.", "lyo-02")
    return closed(
        "Password",
        "This station's own password, by reference.",
        {"secret": name, "format": _PASSWORD_FORMAT},
        ("secret",),
    )


def _key_pair(title: str, description: str) -> Schema:
    chain = text("Chain", "PEM file: the certificate, then its issuers.", "../certificates/agent.pem")
    key = secret_reference("Key", "The private key, by reference.")
    return removable(closed(title, description, {"chain": chain, "key": key}, ("chain", "key")))


def _proxy() -> Schema:
    url = text(
        "URL",
        "http://host:port of the proxy, with user@ where it asks for one. May hold Jinja expressions.",
        "http://proxy.site.lan:3128",
        pattern=_PROXY_URL,
        message="a proxy's URL is http://host:port",
    )
    password = secret_reference("Password", "The proxy's password, by reference.")
    return removable(closed("Proxy", "An HTTP CONNECT proxy.", {"url": url, "password": password}, ("url",)))


def _pem_files(title: str, description: str) -> Schema:
    file = text("File", "Path of a PEM file, relative to the file that names it.", "../certificates/acme-root.pem")
    return listed(title, description, file, ["../certificates/acme-root.pem"])
