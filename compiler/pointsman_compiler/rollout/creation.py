"""A repository that offers nothing yet (with tuf)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Delegations, Metadata, MetaFile, Root, Snapshot, SuccinctRoles, Targets, Timestamp

from pointsman_compiler.rollout.signing import COMPACT, end_of, public_key
from pointsman_compiler.rollout.unsent import remember_everything
from pointsman_compiler.writing import named

ONLINE_ROLES: Final = ("targets", "snapshot", "timestamp")
BIN_PREFIX: Final = "bin"
BIN_BITS: Final = 8
"""256 bins: a snapshot has 7.5 kB, which a site reads after each publication, and a bin of 20,000 sites has 30 kB."""


def create(
    folder: Path,
    root_keys: Sequence[Ed25519PrivateKey],
    threshold: int,
    online: Mapping[str, Ed25519PrivateKey],
    now: datetime,
    bits: int = BIN_BITS,
) -> None:
    """Make a repository that offers nothing yet, in a new `folder`; raises OSError.

    `online` are the keys of the roles targets, snapshot and timestamp; the root needs `threshold` of `root_keys`.
    """
    (folder / "targets").mkdir(parents=True)
    (folder / "metadata").mkdir()
    remember_everything(folder)
    root = Root(expires=end_of("root", now), consistent_snapshot=True)
    for key in root_keys:
        root.add_key(public_key(key), "root")
    root.roles["root"].threshold = threshold
    for role in ONLINE_ROLES:
        root.add_key(public_key(online[role]), role)
    _write(folder, "1.root.json", root, root_keys)
    targets_key = public_key(online["targets"])
    succinct = SuccinctRoles([targets_key.keyid], 1, bits, BIN_PREFIX)
    delegations = Delegations({targets_key.keyid: targets_key}, succinct_roles=succinct)
    targets = Targets(expires=end_of("targets", now), delegations=delegations)
    _write(folder, "1.targets.json", targets, [online["targets"]])
    names = list(succinct.get_roles())
    for name in names:
        _write(folder, f"1.{name}.json", Targets(expires=end_of("targets", now)), [online["targets"]])
    meta = {f"{name}.json": MetaFile(1) for name in ("targets", *names)}
    _write(folder, "1.snapshot.json", Snapshot(expires=end_of("snapshot", now), meta=meta), [online["snapshot"]])
    _write(folder, "timestamp.json", Timestamp(expires=end_of("timestamp", now)), [online["timestamp"]])


def _write(folder: Path, name: str, signed: Any, keys: Sequence[Ed25519PrivateKey]) -> None:
    metadata: Metadata[Any] = Metadata(signed)
    for key in keys:
        metadata.sign(CryptoSigner(key), append=True)
    path = folder / "metadata" / name
    with named(path):
        path.write_bytes(metadata.to_bytes(COMPACT))
