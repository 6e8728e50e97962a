"""4xx: rules over the fleet. 5xx: files that sites refer to, and the tree itself."""

from typing import Final

from pointsman_compiler.catalogue.entry import Entry

FLEET: Final = (
    Entry(
        "PM400",
        "station on two sites",
        "With the same supervision each of the two would evict the other there, which is an error; with different "
        "ones it is a warning, because the station can be in one place only.",
        "Remove it where it no longer is, or correct one of the two identities.",
    ),
)
FILES: Final = (
    Entry(
        "PM510",
        "file that cannot be had",
        "A site names a file that does not exist, or lies outside the sites folder.",
        "Correct the path: it is relative to the file that names it, and case counts.",
    ),
    Entry(
        "PM511",
        "no certificate in the file",
        "The file holds no certificate in PEM form that can be read.",
        "Name a PEM file: -----BEGIN CERTIFICATE----- and what follows.",
    ),
    Entry(
        "PM512",
        "private key in a certificate file",
        "The key lies in git and would travel in the bundle.",
        "Take it out of the file and of git's history, replace it, and keep it as a secret on the controller.",
    ),
    Entry(
        "PM513",
        "certificate has expired",
        "At the time of the check (`--at`, else now) no peer would accept this certificate any more.",
        "Put its successor into the file.",
    ),
    Entry(
        "PM514",
        "certificate is not yet valid",
        "At the time of the check (`--at`, else now) no peer would accept this certificate yet.",
        "Release it from that day on, or correct the clock of the machine that checks.",
    ),
    Entry(
        "PM515",
        "root that is no CA",
        "Only a CA's certificate can vouch for another one (RFC 5280 section 4.2.1.9).",
        "Name the root that issued the peer's certificate, not the peer's own.",
    ),
    Entry(
        "PM516",
        "chain out of order",
        "TLS demands that each certificate is followed by its issuer; some peers refuse anything else.",
        "Order the file: the certificate itself, its issuer, that one's issuer.",
    ),
    Entry(
        "PM517",
        "key too short",
        "RSA below 2048 bits and elliptic curves below 224 bits can be broken; OCPP's security profiles and the TLS "
        "libraries of today refuse them.",
        "Have the certificate issued anew with a longer key.",
    ),
    Entry(
        "PM520",
        "faulty badge list",
        "A line of the CSV file cannot be read as a badge.",
        "Correct the line that is shown; the header names `badge` and any of groups, type, authorized, vip, until, "
        "comment.",
    ),
    Entry(
        "PM590",
        "unreadable site",
        "The file of a site or fleet.yaml is a link out of the folder, a folder, or cannot be read.",
        "Put the file itself there, and check its permissions.",
    ),
    Entry(
        "PM591",
        "ending .yml",
        "A site's file ends with .yaml; one with .yml would silently be left out.",
        "Rename it to .yaml, or let its name begin with `_`.",
    ),
    Entry(
        "PM592",
        "two files are one site",
        "The stem of a file is the site's id, in whatever folder it lies.",
        "Rename one of the two.",
    ),
    Entry(
        "PM593",
        "linked folder",
        "Links to folders are not followed: they may lead out of the sites folder, or in circles.",
        "Put the folder itself there.",
    ),
)
