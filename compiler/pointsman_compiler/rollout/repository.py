"""The TUF repository of a fleet: its metadata read, signed and written (the only tuf).

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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError
from tuf.api.serialization.json import JSONSerializer

from pointsman_compiler.rollout.ledger import Ledger, Offer, read_ledger, write_ledger
from pointsman_compiler.writing import Staging, replace_file

LEDGER: Final = "ledger.json"
BIN_PREFIX: Final = "bin"
BIN_BITS: Final = 8
"""256 bins: a snapshot has 7.5 kB, which a site reads after each publication, and a bin of 20,000 sites has 30 kB."""

LASTS: Final = {
    "root": timedelta(days=365),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=30),
    "timestamp": timedelta(days=2),
}
"""How long metadata of each role is believed; bins are as `targets`."""
RENEWED_AT: Final = 3
"""What has less than a third of its time left is signed anew."""
ONLINE_ROLES: Final = ("targets", "snapshot", "timestamp")

_COMPACT = JSONSerializer(compact=True)


class BrokenRepository(Exception):
    """The folder holds no repository, or one that does not hold together; `help` says what to do."""

    def __init__(self, message: str, help: str = "take the repository's folder as it was published") -> None:
        super().__init__(message)
        self.help = help


class KeyMissing(Exception):
    """A role's key was not given, so that its metadata cannot be signed."""


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
        newest = max((_version(path) for path in (folder / "metadata").glob("*.root.json")), default=0)
        if not newest:
            raise BrokenRepository(f"{folder} holds no repository", "make one: `pointsman rollout init`")
        self._root: Metadata[Root] = self._load("root", newest)
        self._timestamp: Metadata[Timestamp] = self._load("timestamp", None)
        self._snapshot: Metadata[Snapshot] = self._load("snapshot", self._timestamp.signed.snapshot_meta.version)
        self._targets: Metadata[Targets] = self._load("targets", self._version_of("targets"))

    def ledger(self) -> Ledger:
        """Return the state of the rollout; raises BrokenRepository, OSError or LedgerError."""
        target = self._targets.signed.targets.get(LEDGER)
        if target is None:
            return Ledger()
        content = _content(self.folder / "targets" / f"{target.hashes['sha256']}.{LEDGER}")
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
        signers = _signers(keys)
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
        signers = _signers(keys)
        ending = [name for name in self._bin_names() if self._ends_soon(name, now)]
        for name in ending:
            self._renew(self._load_bin(name), name, "targets", signers, now)
        if self._ends_soon("targets", now):
            self._renew(self._targets, "targets", "targets", signers, now)
            ending.append("targets")
        if ending or self._is_ending(self._snapshot.signed.expires, "snapshot", now):
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
        signers = _signers([*keys, *(key for own in new.values() for key in own)])
        before = self._root
        root: Metadata[Root] = Metadata.from_bytes(before.to_bytes())
        for role, own in new.items():
            for keyid in list(root.signed.roles[role].keyids):
                root.signed.revoke_key(keyid, role)
            for key in own:
                root.signed.add_key(_public(key), role)
        root.signed.version += 1
        root.signed.expires = _end("root", now)
        root.signatures.clear()
        self._sign_root(before, root, signers)
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
        metadata.signed.expires = _end(role, now)
        self._sign(metadata, role, signers)
        self._write(f"{metadata.signed.version}.{name}.json", metadata)
        self._snapshot.signed.meta[f"{name}.json"] = MetaFile(metadata.signed.version)

    def _seal(self, signers: Mapping[str, CryptoSigner], now: datetime) -> None:
        snapshot = self._snapshot
        snapshot.signed.version += 1
        snapshot.signed.expires = _end("snapshot", now)
        self._sign(snapshot, "snapshot", signers)
        self._write(f"{snapshot.signed.version}.snapshot.json", snapshot)
        self._timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        self._stamp(signers, now)

    def _stamp(self, signers: Mapping[str, CryptoSigner], now: datetime) -> None:
        self._timestamp.signed.version += 1
        self._timestamp.signed.expires = _end("timestamp", now)
        self._sign(self._timestamp, "timestamp", signers)
        self._write("timestamp.json", self._timestamp)

    def _sign(self, metadata: Metadata[Any], role: str, signers: Mapping[str, CryptoSigner]) -> None:
        own = self._root.signed.roles[role]
        held = [signers[keyid] for keyid in own.keyids if keyid in signers]
        if len(held) < own.threshold:
            raise KeyMissing(f"the key of the role {role} is needed")
        metadata.signatures.clear()
        for signer in held:
            metadata.sign(signer, append=True)

    def _sign_root(self, before: Metadata[Root], root: Metadata[Root], signers: Mapping[str, CryptoSigner]) -> None:
        """By the old keys and the new ones, each by their threshold (TUF 5.3.4)."""
        for own in (before.signed.roles["root"], root.signed.roles["root"]):
            held = [keyid for keyid in own.keyids if keyid in signers]
            if len(held) < own.threshold:
                raise KeyMissing(f"{own.threshold} keys of the role root are needed, {len(held)} were given")
            for keyid in held:
                if keyid not in root.signatures:
                    root.sign(signers[keyid], append=True)

    # --- What is read and written ---------------------------------------------------------------------------------

    def _load(self, role: str, version: int | None) -> Metadata[Any]:
        name = f"{role}.json" if version is None else f"{version}.{role}.json"
        metadata = _parsed(self.folder / "metadata" / name, role)
        root = metadata if role == "root" else self._root
        try:
            root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except RepositoryError as error:
            raise BrokenRepository(f"{name}: {error}") from error
        if version is not None and metadata.signed.version != version:
            raise BrokenRepository(f"{name} is the version {metadata.signed.version}")
        return metadata

    def _load_bin(self, name: str) -> Metadata[Targets]:
        version = self._version_of(name)
        metadata = _parsed(self.folder / "metadata" / f"{version}.{name}.json", "targets")
        try:
            self._targets.signed.verify_delegate(name, metadata.signed_bytes, metadata.signatures)
        except RepositoryError as error:
            raise BrokenRepository(f"{version}.{name}.json: {error}") from error
        return metadata

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
            ends = datetime.fromisoformat(msgspec.json.decode(_content(path), type=_Signed).signed.expires)
        except (msgspec.DecodeError, ValueError) as error:
            raise BrokenRepository(f"{path.name} cannot be read") from error
        return self._is_ending(ends, "targets", now)

    def _is_ending(self, ends: datetime, role: str, now: datetime) -> bool:
        return ends - now < LASTS[role] / RENEWED_AT

    def _write(self, name: str, metadata: Metadata[Any]) -> None:
        self._signed.append((f"metadata/{name}", metadata.to_bytes(_COMPACT)))
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
    root = Root(expires=_end("root", now), consistent_snapshot=True)
    for key in root_keys:
        root.add_key(_public(key), "root")
    root.roles["root"].threshold = threshold
    for role in ONLINE_ROLES:
        root.add_key(_public(online[role]), role)
    _first(folder, "1.root.json", root, root_keys)
    targets_key = _public(online["targets"])
    succinct = SuccinctRoles([targets_key.keyid], 1, bits, BIN_PREFIX)
    delegations = Delegations({targets_key.keyid: targets_key}, succinct_roles=succinct)
    targets = Targets(expires=_end("targets", now), delegations=delegations)
    _first(folder, "1.targets.json", targets, [online["targets"]])
    names = list(succinct.get_roles())
    for name in names:
        _first(folder, f"1.{name}.json", Targets(expires=_end("targets", now)), [online["targets"]])
    meta = {f"{name}.json": MetaFile(1) for name in ("targets", *names)}
    _first(folder, "1.snapshot.json", Snapshot(expires=_end("snapshot", now), meta=meta), [online["snapshot"]])
    _first(folder, "timestamp.json", Timestamp(expires=_end("timestamp", now)), [online["timestamp"]])


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


def _first(folder: Path, name: str, signed: Any, keys: Sequence[Ed25519PrivateKey]) -> None:
    metadata: Metadata[Any] = Metadata(signed)
    for key in keys:
        metadata.sign(CryptoSigner(key), append=True)
    (folder / "metadata" / name).write_bytes(metadata.to_bytes(_COMPACT))


def _parsed(path: Path, kind: str) -> Metadata[Any]:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(_content(path))
    except (DeserializationError, RecursionError) as error:
        raise BrokenRepository(f"{path.name} cannot be read") from error
    if metadata.signed.type != kind:
        raise BrokenRepository(f"{path.name} is no metadata of {kind}")
    return metadata


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BrokenRepository(f"{path.parent.name}/{path.name} is missing") from error


def _public(key: Ed25519PrivateKey) -> Key:
    return SSlibKey.from_crypto(key.public_key())


def _signers(keys: Iterable[Ed25519PrivateKey]) -> dict[str, CryptoSigner]:
    return {signer.public_key.keyid: signer for signer in map(CryptoSigner, keys)}


def _end(role: str, now: datetime) -> datetime:
    return (now.astimezone(UTC) + LASTS[role]).replace(microsecond=0)


def _version(path: Path) -> int:
    number = path.name.partition(".")[0]
    return int(number) if number.isdecimal() else 0
