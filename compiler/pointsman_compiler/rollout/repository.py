"""The TUF repository of a fleet: what it offers, signed anew and written (with tuf).

    metadata/N.root.json        the keys of all roles; offline, by a threshold
    metadata/N.targets.json     delegates all bundles to bins by the hash of their names; names the ledger
    metadata/N.bin-XX.json      what sites are offered; signed by the key of `targets`
    metadata/N.snapshot.json    which version of each of them belongs together
    metadata/timestamp.json     which snapshot is the newest; written last, so that whoever begins with it finds all
    targets/HASH.SITE.bundle    bundles, offered or not yet
    targets/HASH.ledger.json    the state of the rollout (see `ledger`)

Files are never changed but for timestamp.json: a reader that has begun finds its files while the next ones come.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, SuccinctRoles, TargetFile, Targets, Timestamp

from pointsman_compiler.rollout.ledger import Ledger, Offer, read_ledger, write_ledger
from pointsman_compiler.rollout.reading import BrokenRepository, newest_root, read_file, read_metadata
from pointsman_compiler.rollout.signing import COMPACT, end_of, is_ending, public_key, sign, sign_root, signers_of
from pointsman_compiler.writing import Staging, replace_file

LEDGER: Final = "ledger.json"


@dataclass(slots=True)
class Written:
    """Names of the files that a change wrote, relative to the repository, in the order in which they must be sent."""

    targets: list[str] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)
    timestamp: list[str] = field(default_factory=list)

    def stages(self) -> dict[str, list[str]]:
        """Return the files by stage, in order."""
        return {"targets": self.targets, "metadata": self.metadata, "timestamp": self.timestamp}


class _Expiring(msgspec.Struct):
    expires: str


class _Signed(msgspec.Struct):
    signed: _Expiring


class Repository:
    """A repository in a folder, opened: what is there was verified, from the root on."""

    def __init__(self, folder: Path) -> None:
        """Read what is in `folder`; raises BrokenRepository or OSError."""
        self.folder = folder
        self.written = Written()
        self._signed: list[tuple[str, bytes]] = []
        self._root: Metadata[Root] = read_metadata(folder, "root", newest_root(folder), None)
        self._timestamp: Metadata[Timestamp] = self._load("timestamp", None)
        self._snapshot: Metadata[Snapshot] = self._load("snapshot", self._timestamp.signed.snapshot_meta.version)
        self._targets: Metadata[Targets] = self._load("targets", self._version_of("targets"))

    def ledger(self) -> Ledger:
        """Return the state of the rollout; raises BrokenRepository, OSError or LedgerError."""
        target = self._targets.signed.targets.get(LEDGER)
        if target is None:
            return Ledger()
        content = read_file(self.folder / "targets" / f"{target.hashes['sha256']}.{LEDGER}")
        if hashlib.sha256(content).hexdigest() != target.hashes["sha256"]:
            raise BrokenRepository("the ledger is not the one that was signed")
        return read_ledger(content)

    def save(
        self,
        ledger: Ledger,
        keys: Sequence[Ed25519PrivateKey],
        now: datetime,
        moved: Iterable[str] = (),
        gone: Iterable[str] = (),
    ) -> None:
        """Make `ledger` the state: offer the sites `moved` what it says, and those that are `gone` nothing any more.

        What moved may have moved back: to what it was offered before, or to nothing.

        Raises KeyMissing, BrokenRepository or OSError. `written` names the files afterwards.
        """
        signers = signers_of(keys)
        bins = self._changed_bins(ledger, moved, gone)
        content = write_ledger(ledger)
        digest = hashlib.sha256(content).hexdigest()
        self._put_target(f"{digest}.{LEDGER}", content)
        self._targets.signed.targets[LEDGER] = TargetFile(len(content), {"sha256": digest}, LEDGER)
        for name, bin in bins.items():
            self._renew(bin, name, "targets", signers, now)
        self._renew(self._targets, "targets", "targets", signers, now)
        self._seal(signers, now)
        self._lay_down()

    def refresh(self, keys: Sequence[Ed25519PrivateKey], now: datetime) -> list[str]:
        """Sign the timestamp anew, and whatever ends before long; return the roles that were signed.

        Raises KeyMissing, BrokenRepository or OSError.
        """
        signers = signers_of(keys)
        ending = [name for name in self._bin_names() if self._ends_soon(name, now)]
        for name in ending:
            self._renew(self._load_bin(name), name, "targets", signers, now)
        if self._ends_soon("targets", now):
            self._renew(self._targets, "targets", "targets", signers, now)
            ending.append("targets")
        if ending or is_ending(self._snapshot.signed.expires, "snapshot", now):
            self._seal(signers, now)
            ending.append("snapshot")
        else:
            self._stamp(signers, now)
        self._lay_down()
        return [*ending, "timestamp"]

    def rotate(
        self, new: Mapping[str, Sequence[Ed25519PrivateKey]], keys: Sequence[Ed25519PrivateKey], now: datetime
    ) -> None:
        """Sign the next root: one that ends later, in which each role of `new` has those keys instead of its own.

        What was stolen signs nothing any more. `keys` are those of the root (by its threshold), and of the roles that
        are signed anew with it. Raises KeyMissing, BrokenRepository or OSError.
        """
        signers = signers_of([*keys, *(key for own in new.values() for key in own)])
        before = self._root
        root: Metadata[Root] = Metadata.from_bytes(before.to_bytes())
        for role, own in new.items():
            for keyid in list(root.signed.roles[role].keyids):
                root.signed.revoke_key(keyid, role)
            for key in own:
                root.signed.add_key(public_key(key), role)
        root.signed.version += 1
        root.signed.expires = end_of("root", now)
        sign_root(before.signed, root, signers)
        self._root = root
        self._write(f"{root.signed.version}.root.json", root)
        if "targets" in new:
            self._hand_over_bins(signers, now)
        self._seal(signers, now)
        self._lay_down()

    def ends(self) -> dict[str, datetime]:
        """Return when the metadata of each role ends."""
        own: dict[str, Metadata[Any]] = {
            "root": self._root,
            "targets": self._targets,
            "snapshot": self._snapshot,
            "timestamp": self._timestamp,
        }
        return {name: metadata.signed.expires for name, metadata in own.items()}

    def add_bundles(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Lay down bundles, each with the name that `bundle_name` gives; raises OSError."""
        names = []
        with Staging(self.folder / "targets") as staging:
            for name, content in files:
                (staging.folder / name).write_bytes(content)
                names.append(name)
            staging.put_into_place(names)
        self.written.targets += [f"targets/{name}" for name in names]

    def root_file(self) -> Path:
        """The newest root: what a controller is given to begin with."""
        return self.folder / "metadata" / f"{self._root.signed.version}.root.json"

    def all_files(self) -> Written:
        """Return every file that is needed from nothing, in the order in which they must be sent."""
        metadata = sorted(f"metadata/{path.name}" for path in (self.folder / "metadata").glob("*.*.json"))
        targets = sorted(f"targets/{path.name}" for path in (self.folder / "targets").iterdir())
        return Written(targets, metadata, ["metadata/timestamp.json"])

    # --- What is signed -------------------------------------------------------------------------------------------

    def _changed_bins(self, ledger: Ledger, moved: Iterable[str], gone: Iterable[str]) -> dict[str, Metadata[Targets]]:
        bins: dict[str, Metadata[Targets]] = {}
        for site in moved:
            offer = ledger.sites[site].offered
            targets = self._bin_of(site, bins).signed.targets
            if offer is None:
                targets.pop(f"{site}.bundle", None)
            else:
                targets[f"{site}.bundle"] = _target(site, offer)
        for site in gone:
            self._bin_of(site, bins).signed.targets.pop(f"{site}.bundle", None)
        return bins

    def _bin_of(self, site: str, bins: dict[str, Metadata[Targets]]) -> Metadata[Targets]:
        name = self._succinct().get_role_for_target(f"{site}.bundle")
        if name not in bins:
            bins[name] = self._load_bin(name)
        return bins[name]

    def _hand_over_bins(self, signers: Mapping[str, CryptoSigner], now: datetime) -> None:
        keyids = self._root.signed.roles["targets"].keyids
        delegations = self._targets.signed.delegations
        bins = {name: self._load_bin(name) for name in self._bin_names()}  # read under the old key
        assert delegations is not None
        old = self._succinct()
        delegations.keys = {keyid: self._root.signed.keys[keyid] for keyid in keyids}
        delegations.succinct_roles = SuccinctRoles(list(keyids), 1, old.bit_length, old.name_prefix)
        for name, bin in bins.items():
            self._renew(bin, name, "targets", signers, now)
        self._renew(self._targets, "targets", "targets", signers, now)

    def _renew(
        self, metadata: Metadata[Any], name: str, role: str, signers: Mapping[str, CryptoSigner], now: datetime
    ) -> None:
        """Sign `metadata` as its next version; the snapshot will name it."""
        metadata.signed.version += 1
        metadata.signed.expires = end_of(role, now)
        sign(metadata, role, self._root.signed, signers)
        self._write(f"{metadata.signed.version}.{name}.json", metadata)
        self._snapshot.signed.meta[f"{name}.json"] = MetaFile(metadata.signed.version)

    def _seal(self, signers: Mapping[str, CryptoSigner], now: datetime) -> None:
        snapshot = self._snapshot
        snapshot.signed.version += 1
        snapshot.signed.expires = end_of("snapshot", now)
        sign(snapshot, "snapshot", self._root.signed, signers)
        self._write(f"{snapshot.signed.version}.snapshot.json", snapshot)
        self._timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        self._stamp(signers, now)

    def _stamp(self, signers: Mapping[str, CryptoSigner], now: datetime) -> None:
        self._timestamp.signed.version += 1
        self._timestamp.signed.expires = end_of("timestamp", now)
        sign(self._timestamp, "timestamp", self._root.signed, signers)
        self._write("timestamp.json", self._timestamp)

    # --- What is read and written ---------------------------------------------------------------------------------

    def _load(self, role: str, version: int | None) -> Metadata[Any]:
        return read_metadata(self.folder, role, version, self._root.signed)

    def _load_bin(self, name: str) -> Metadata[Targets]:
        return read_metadata(self.folder, name, self._version_of(name), self._targets.signed)

    def _version_of(self, name: str) -> int:
        known = self._snapshot.signed.meta.get(f"{name}.json")
        if known is None:
            raise BrokenRepository(f"the snapshot names no {name}.json")
        return known.version

    def _succinct(self) -> SuccinctRoles:
        delegations = self._targets.signed.delegations
        if delegations is None or delegations.succinct_roles is None:
            raise BrokenRepository("the role targets delegates to no bins")
        return delegations.succinct_roles

    def _bin_names(self) -> list[str]:
        return list(self._succinct().get_roles())

    def _ends_soon(self, name: str, now: datetime) -> bool:
        path = self.folder / "metadata" / f"{self._version_of(name)}.{name}.json"
        try:
            ends = datetime.fromisoformat(msgspec.json.decode(read_file(path), type=_Signed).signed.expires)
        except (msgspec.DecodeError, ValueError) as error:
            raise BrokenRepository(f"{path.name} cannot be read") from error
        return is_ending(ends, "targets", now)

    def _write(self, name: str, metadata: Metadata[Any]) -> None:
        self._signed.append((f"metadata/{name}", metadata.to_bytes(COMPACT)))
        stage = self.written.timestamp if name == "timestamp.json" else self.written.metadata
        stage.append(f"metadata/{name}")

    def _put_target(self, name: str, content: bytes) -> None:
        self._signed.append((f"targets/{name}", content))
        self.written.targets.append(f"targets/{name}")

    def _lay_down(self) -> None:
        """Write what was signed, in the order of signing, which ends with the timestamp.

        Not a file before all is signed: a root without what follows from it would be the end of the repository.
        """
        for name, content in self._signed:
            replace_file(self.folder / name, content)
        self._signed.clear()


def bundle_name(site: str, sha256: str) -> str:
    """Return the name of a bundle's file below `targets/`."""
    return f"{sha256}.{site}.bundle"


def _target(site: str, offer: Offer) -> TargetFile:
    """`notBefore` (Unix time) and `spread` (seconds) are for the agent: when it is to take the bundle."""
    content = offer.content
    custom = {
        "digest": content.digest,
        "sequence": content.sequence,
        "notBefore": offer.since,
        "spread": offer.spread_ends - offer.since,
    }
    return TargetFile(content.length, {"sha256": content.sha256}, f"{site}.bundle", {"custom": custom})
