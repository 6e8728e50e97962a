"""37x: listeners, and the passwords that stations show there."""

from typing import Final

from pointsman_compiler.catalogue.entry import Entry

LISTENERS: Final = (
    Entry(
        "PM370",
        "two listeners on one port",
        "The second one could not be opened.",
        "Give one of them another port, or both an address of their own.",
    ),
    Entry(
        "PM371",
        "TLS without a certificate",
        "Security profiles 2 and 3 are TLS, and TLS needs a certificate.",
        "Add `certificate: {chain: <file>, key: {secret: <name>}}`.",
    ),
    Entry(
        "PM372",
        "profile 3 without roots",
        "With profile 3 stations show certificates; without roots none could be judged.",
        "Add `stationTrust: [<file>]`.",
    ),
    Entry(
        "PM373",
        "setting without effect",
        "The listener's security profile does not use this key; its author believes that it does.",
        "Remove it, or change the profile.",
    ),
    Entry(
        "PM374",
        "station without a password",
        "Every listener asks for a password, so this station could not connect.",
        "Add `stationPassword` for all, `password` for this one, or a listener with profile 0 or 3.",
    ),
    Entry(
        "PM375",
        "TLS that is out of date",
        "TLS 1.0, 1.1 and TLS_RSA ciphers are broken or have no forward secrecy. Some stations know nothing better.",
        "Let only those stations use this listener, and remove it when they are updated.",
    ),
    Entry(
        "PM376",
        "not an IP address",
        "A listener binds to an address of the controller itself, not to a name.",
        "Write an IP address, or leave `address` out to listen on all.",
    ),
    Entry(
        "PM377",
        "listener without a port",
        "Neither the site nor the fleet's defaults say on which port it listens.",
        "Add `port`, or correct the listener's name so that it is the fleet's.",
    ),
    Entry(
        "PM378",
        "no listener left",
        "`listeners` is empty, or every inherited listener was removed by `null`: no station could connect. The "
        "built-in listener asks for no password, so it never stands in for others.",
        "Add a listener, or leave `listeners` out.",
    ),
)
