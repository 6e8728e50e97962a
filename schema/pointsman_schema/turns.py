"""When a site takes what a rollout offers it: the same answer where it is promoted and where it is taken."""

import hashlib


def turn_part(site: str, sha256: str) -> float:
    """Return the site's part of the spread, from 0 to 1, for the bundle file with that SHA-256 (hex).

    It is the same at each look, and another one for each bundle: no site is always the first.
    """
    return int.from_bytes(hashlib.sha256(f"{site}/{sha256}".encode()).digest()[:8]) / 2**64
