"""Which sites a share of a rollout's ring takes: by a hash, so that no list has to be kept."""

import hashlib
from typing import Final

_PARTS: Final = 10_000
"""Steps of a share: hundredths of a percent."""


def is_in_share(ring: str, site: str, percent: int) -> bool:
    """Return whether a share of `percent` takes the site: the same whatever else is in the fleet, others for each ring.

    Of few sites it may be none.
    """
    part = int.from_bytes(hashlib.sha256(f"{ring}/{site}".encode()).digest()[:8]) % _PARTS
    return part < percent * _PARTS // 100
