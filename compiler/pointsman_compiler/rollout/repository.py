"""The TUF repository of a fleet: what it offers, signed anew and written (with tuf).

    metadata/N.root.json        the keys of all roles; offline, by a threshold
    metadata/N.targets.json     delegates all bundles to bins by the hash of their names; names the ledger
    metadata/N.bin-XX.json      what sites are offered; signed by the key of `targets`
    metadata/N.snapshot.json    which version of each of them belongs together
    metadata/timestamp.json     which snapshot is the newest; written last, so that whoever begins with it finds all
    targets/HASH.SITE.bundle    bundles, offered or not yet
    targets/HASH.ledger.json    the state of the rollout (see `ledger`)

Files are never changed but for timestamp.json (and by new keys' signatures on what is in force, see `rotate`): a reader
that has begun finds its files while the next ones come. What a process that was killed laid down without a timestamp
that names it led nobody, and is written over by the next.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from pointsman_compiler.rollout.unsent import STAGES, TIMESTAMP, remember, stage_of
from pointsman_compiler.writing import Staging, named, replace_file

LEDGER: Final = "ledger.json"


class _Expiring(msgspec.Struct):
    expires: str


class _Signed(msgspec.Struct):
    signed: _Expiring


class Repository:
    """A repository in a folder, opened: what is there was verified, from the root on."""

    def __init__(self, folder: Path) -> None:
        """Read what is in `folder`; raises BrokenRepository or OSError."""
        self.folder = folder
        self._pending: dict[str, bytes] = {}
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

        Bundles that were added are laid down with it. Raises KeyMissing, BrokenRepository or OSError.
        """
        signers = signers_of(keys)
        bins = self._changed_bins(ledger, moved, gone)
        content = write_ledger(ledger)
        digest = hashlib.sha256(content).hexdigest()
        self._pending[f"targets/{digest}.{LEDGER}"] = content
        self._targets.signed.targets[LEDGER] = TargetFile(len(content), {"sha256": digest}, LEDGER)
        self._renew_targets(bins, signers, now)
        self._seal(signers, now)
        self._lay_down(self._pending)

    def refresh(self, keys: Sequence[Ed25519PrivateKey], now: datetime) -> list[str]:
        """Sign the timestamp anew, and whatever ends before long; return the roles that were signed.

        Raises KeyMissing, BrokenRepository or OSError.
        """
        signers = signers_of(keys)
        is_due = self._is_handover_due()
        ending = [name for name in self._bin_names() if is_due or self._ends_soon(name, now)]
        if ending or self._ends_soon("targets", now):
            self._renew_targets({name: self._load_bin(name) for name in ending}, signers, now)
            ending.append("targets")
        if ending or is_ending(self._snapshot.signed.expires, "snapshot", now):
            self._seal(signers, now)
            ending.append("snapshot")
        else:
            self._stamp(signers, now)
        self._lay_down(self._pending)
        return [*ending, "timestamp"]

    def rotate(
        self,
        new: Mapping[str, Sequence[Ed25519PrivateKey]],
        keys: Sequence[Ed25519PrivateKey],
        now: datetime,
        when_bridged: Callable[[], object] = lambda: None,
    ) -> None:
        """Sign the next root: one that ends later, in which each role of `new` has those keys instead of its own.

        What was stolen signs nothing any more. `keys` are those of the root (by its threshold), and of the roles that
        are signed anew with it. Raises KeyMissing, BrokenRepository or OSError.

        Readers find a root by its number, whatever the timestamp says. So what is in force gets the signatures of the
        new keys beside its own first, and is good under either root; `when_bridged` is called when that is laid down.
        """
        signers = signers_of([*keys, *(key for own in new.values() for key in own)])
        root = self._next_root(new, signers, now)
        bridge = self._bridge(new)
        self._root = root
        self._write("root", root)
        if self._is_handover_due():
            self._renew_targets({}, signers, now)
        self._seal(signers, now)  # the last that may fail: not a file before all is signed
        if bridge:
            self._lay_down(bridge)
            when_bridged()
        self._lay_down(self._pending)

    def ends(self) -> dict[str, datetime]:
        """Return when the metadata of each role ends."""
        return {role: metadata.signed.expires for role, metadata in self._in_force().items()}

    def add_bundles(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Take up bundles, each with the name that `bundle_name` gives, for the next `save`."""
        self._pending |= {f"targets/{name}": content for name, content in files}

    def snapshot_version(self) -> int:
        """The version of the snapshot that is in force."""
        return self._snapshot.signed.version

    def root_file(self) -> Path:
        """The newest root: what a controller is given to begin with."""
        return self.folder / "metadata" / f"{self._root.signed.version}.root.json"

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

    def _next_root(
        self, new: Mapping[str, Sequence[Ed25519PrivateKey]], signers: Mapping[str, CryptoSigner], now: datetime
    ) -> Metadata[Root]:
        root: Metadata[Root] = Metadata.from_bytes(self._root.to_bytes())
        for role, own in new.items():
            for keyid in list(root.signed.roles[role].keyids):
                root.signed.revoke_key(keyid, role)
            for key in own:
                root.signed.add_key(public_key(key), role)
        root.signed.version += 1
        root.signed.expires = end_of("root", now)
        sign_root(self._root.signed, root, signers)
        return root

    def _bridge(self, new: Mapping[str, Sequence[Ed25519PrivateKey]]) -> dict[str, bytes]:
        """Return what is in force, signed by the keys of `new` too; the old keys may be lost, their signatures stay."""
        bridge = {}
        for role, metadata in self._in_force().items():
            for key in new.get(role, ()) if role != "root" else ():
                metadata.sign(CryptoSigner(key), append=True)
                bridge[_file_of(role, metadata)] = metadata.to_bytes(COMPACT)
        return bridge

    def _is_handover_due(self) -> bool:
        """Whether the bins are still signed by keys that the role targets had under an earlier root."""
        return set(self._succinct().keyids) != set(self._root.signed.roles["targets"].keyids)

    def _renew_targets(
        self, bins: Mapping[str, Metadata[Targets]], signers: Mapping[str, CryptoSigner], now: datetime
    ) -> None:
        """Sign `bins` and what delegates to them; where their keys are others now, all bins."""
        if self._is_handover_due():
            bins = {name: bins.get(name) or self._load_bin(name) for name in self._bin_names()}  # under the old key
            self._delegate(self._root.signed.roles["targets"].keyids)
        for name, bin in bins.items():
            self._renew(bin, name, "targets", signers, now)
        self._renew(self._targets, "targets", "targets", signers, now)

    def _delegate(self, keyids: Sequence[str]) -> None:
        old, delegations = self._succinct(), self._targets.signed.delegations
        assert delegations is not None
        delegations.keys = {keyid: self._root.signed.keys[keyid] for keyid in keyids}
        delegations.succinct_roles = SuccinctRoles(list(keyids), 1, old.bit_length, old.name_prefix)

    def _renew(
        self, metadata: Metadata[Any], name: str, role: str, signers: Mapping[str, CryptoSigner], now: datetime
    ) -> None:
        """Sign `metadata` as its next version; the snapshot will name it."""
        metadata.signed.version += 1
        metadata.signed.expires = end_of(role, now)
        sign(metadata, role, self._root.signed, signers)
        self._write(name, metadata)
        self._snapshot.signed.meta[f"{name}.json"] = MetaFile(metadata.signed.version)

    def _seal(self, signers: Mapping[str, CryptoSigner], now: datetime) -> None:
        snapshot = self._snapshot
        snapshot.signed.version += 1
        snapshot.signed.expires = end_of("snapshot", now)
        sign(snapshot, "snapshot", self._root.signed, signers)
        self._write("snapshot", snapshot)
        self._timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        self._stamp(signers, now)

    def _stamp(self, signers: Mapping[str, CryptoSigner], now: datetime) -> None:
        self._timestamp.signed.version += 1
        self._timestamp.signed.expires = end_of("timestamp", now)
        sign(self._timestamp, "timestamp", self._root.signed, signers)
        self._write("timestamp", self._timestamp)

    # --- What is read and written ---------------------------------------------------------------------------------

    def _in_force(self) -> dict[str, Metadata[Any]]:
        return {
            "root": self._root,
            "targets": self._targets,
            "snapshot": self._snapshot,
            "timestamp": self._timestamp,
        }

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

    def _write(self, role: str, metadata: Metadata[Any]) -> None:
        self._pending[_file_of(role, metadata)] = metadata.to_bytes(COMPACT)

    def _lay_down(self, files: dict[str, bytes]) -> None:
        """Write `files`, and remember before that they are to be sent; the root and the timestamp come last.

        Until the timestamp is there nobody is led to what is new.
        """
        remember(self.folder, sorted(files, key=lambda name: STAGES.index(stage_of(name))))
        for part in ("targets", "metadata"):
            with Staging(self.folder / part) as staging:
                names = [name.partition("/")[2] for name in files if stage_of(name) == part]
                for name in names:
                    with named(self.folder / part / name):
                        (staging.folder / name).write_bytes(files[f"{part}/{name}"])
                    (staging.folder / name).chmod(0o644)  # as `replace_file` does: a web server reads them
                staging.put_into_place(names)
        for name in files:
            if stage_of(name) == "timestamp":
                replace_file(self.folder / name, files[name])
        files.clear()


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


def _file_of(role: str, metadata: Metadata[Any]) -> str:
    return TIMESTAMP if role == "timestamp" else f"metadata/{metadata.signed.version}.{role}.json"
