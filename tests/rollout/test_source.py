"""The agent's source over a real repository and real web servers: what it takes, and every attack that it refuses."""

import json
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_agent.sources.fetching import BoundedFetcher
from pointsman_agent.sources.tuf import Fault, turn_of
from pointsman_compiler.rollout.repository import Repository
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES
from securesystemslib.signer import CryptoSigner
from support.rollouts import (
    RepositoryServer,
    begin,
    dripping,
    dripping_outside_the_body,
    endless,
    forbidden,
    not_found,
    repository_server,
    unavailable,
)
from support.rolloutsites import LOOK_WITHIN_S, OTHER, Fleet, Follower
from support.sites import SITE
from tuf.api.exceptions import DownloadError, SlowRetrievalError
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp


async def test_what_is_offered_is_taken_once_and_the_next_one_when_it_comes(
    fleet: Fleet, server: RepositoryServer
) -> None:
    follower = Follower(fleet, server.url)
    await follower.look()
    await follower.look()
    second = fleet.offer_next()

    await follower.look()

    assert len(follower.offered) == 2
    assert follower.offered[1] == second[SITE]
    assert follower.told == []


async def test_an_idle_look_takes_two_requests(fleet: Fleet, server: RepositoryServer) -> None:
    follower = Follower(fleet, server.url)
    await follower.look()
    server.requests.clear()

    await follower.look()

    assert server.requests == ["/metadata/2.root.json", "/metadata/timestamp.json"]


async def test_a_look_takes_one_handshake(fleet: Fleet, server_context: ssl.SSLContext) -> None:
    with repository_server(fleet.folder / "repository", server_context) as server:
        server.answer = lambda handler: handler.path.endswith("2.root.json") and not_found(handler)
        follower = Follower(fleet, server.url)

        await follower.look()

    assert len(follower.offered) == 1
    assert len(server.requests) > 5
    assert server.connections == 1


async def test_asked_to_reload_it_offers_again_from_its_disk(fleet: Fleet, server: RepositoryServer) -> None:
    follower = Follower(fleet, server.url)
    await follower.look()
    server.requests.clear()
    follower.source.reload()

    await follower.look()

    assert follower.offered[0] == follower.offered[1]
    assert not any(path.startswith("/targets/") for path in server.requests)


async def test_without_a_network_nothing_is_refused_and_it_goes_on_when_it_comes(fleet: Fleet) -> None:
    with repository_server(fleet.folder / "repository") as server:
        url = server.url
    follower = Follower(fleet, url)

    await follower.look()

    assert follower.told == ["unreachable"]
    assert not follower.stale()


async def test_an_unreachable_repository_is_stale_when_its_last_word_has_ended(
    fleet: Fleet, server: RepositoryServer
) -> None:
    follower = Follower(fleet, server.url)
    await follower.look()
    server.answer = unavailable
    await follower.look()
    assert not follower.stale()

    follower.clock.at = datetime.now(UTC) + timedelta(days=3)
    await follower.look()
    assert follower.stale()

    server.answer = lambda handler: False
    follower.clock.at = None
    await follower.look()
    assert not follower.stale()


async def test_a_site_waits_for_its_part_of_the_spread(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "spread", spread=3600)
    began = datetime.now(UTC).replace(microsecond=0)
    fleet.offer(1)
    with repository_server(fleet.folder / "repository") as server:
        follower = Follower(fleet, server.url)
        turn = fleet.turn()

        follower.clock.at = turn - timedelta(seconds=1)
        await follower.look()
        early = list(follower.offered)
        follower.clock.at = turn
        await follower.look()

    assert began <= turn <= began + timedelta(seconds=3660)
    assert early == []
    assert len(follower.offered) == 1


def test_turns_fill_the_spread_evenly_and_change_from_bundle_to_bundle() -> None:
    def turn(site: str, sha256: str) -> float:
        target = TargetFile(1, {"sha256": sha256}, "x", {"custom": {"notBefore": 1000, "spread": 100}})
        return turn_of(target, site).timestamp() - 1000

    turns = [turn(f"site-{number}", "a" * 64) for number in range(1000)]

    assert all(0 <= one < 100 for one in turns)
    for tenth in range(10):
        assert 60 < sum(tenth * 10 <= one < (tenth + 1) * 10 for one in turns) < 140
    assert turn("site-1", "a" * 64) != turn("site-1", "b" * 64)


@pytest.mark.parametrize(
    "custom",
    [
        {"spread": -1},
        {"spread": 7 * 24 * 3600 + 1},
        {"spread": "10"},
        {"spread": 0.5},
        {"notBefore": "now"},
        {"notBefore": None},
        {"notBefore": 10**12},
        {"notBefore": 10**30},
        {"notBefore": 253402300799, "spread": 7 * 24 * 3600},
    ],
)
def test_a_turn_that_cannot_be_read_is_a_fault_of_the_metadata(custom: dict[str, object]) -> None:
    target = TargetFile(1, {"sha256": "a" * 64}, "x", {"custom": custom})

    with pytest.raises(Fault, match="the time of the bundle cannot be read") as caught:
        turn_of(target, SITE)

    assert caught.value.code == "metadata"


def test_a_turn_may_be_a_week_away() -> None:
    target = TargetFile(1, {"sha256": "a" * 64}, "x", {"custom": {"notBefore": 0, "spread": 7 * 24 * 3600}})

    assert 0 <= turn_of(target, SITE).timestamp() < 7 * 24 * 3600


# --- Attacks: each is refused, with its name --------------------------------------------------------------------------


async def test_old_metadata_is_refused_as_a_rollback_also_after_a_restart(
    fleet: Fleet, server: RepositoryServer
) -> None:
    old = (fleet.metadata / "timestamp.json").read_bytes()
    fleet.offer_next()
    await Follower(fleet, server.url).look()
    (fleet.metadata / "timestamp.json").write_bytes(old)

    restarted = Follower(fleet, server.url)
    await restarted.look()

    assert restarted.told == ["rollback"]
    assert restarted.offered == []


async def test_expired_metadata_is_stale_and_offers_nothing(fleet: Fleet, server: RepositoryServer) -> None:
    fleet.offer(2, now=datetime.now(UTC) - timedelta(days=3))
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.stale()
    assert follower.told == []
    assert follower.offered == []
    fleet.refresh(datetime.now(UTC))
    await follower.look()
    assert not follower.stale()
    assert len(follower.offered) == 1


async def test_the_bundle_of_another_site_in_the_place_of_ours_is_tampered(
    fleet: Fleet, server: RepositoryServer
) -> None:
    ours, others = (next(fleet.targets.glob(f"*.{site}.bundle")) for site in (SITE, OTHER))
    ours.write_bytes(others.read_bytes())
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["tampered"]
    assert follower.offered == []


async def test_a_bin_that_was_changed_is_untrusted(fleet: Fleet, server: RepositoryServer) -> None:
    for path in fleet.metadata.glob("*.bin-*.json"):
        path.write_bytes(path.read_bytes().replace(b'"notBefore":1', b'"notBefore":2'))
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["untrusted"]
    assert follower.offered == []


async def test_a_bin_of_another_time_is_a_mix_and_match(fleet: Fleet, server: RepositoryServer) -> None:
    old = {path.name.partition(".")[2]: path.read_bytes() for path in fleet.metadata.glob("2.bin-*.json")}
    fleet.offer_next()
    for name, content in old.items():
        (fleet.metadata / f"3.{name}").write_bytes(content)
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["rollback"]
    assert follower.offered == []


@pytest.mark.parametrize("part", ["timestamp.json", ".snapshot.json", ".targets.json", ".bundle"])
async def test_data_without_an_end_is_too_large(fleet: Fleet, server: RepositoryServer, part: str) -> None:
    server.answer = lambda handler: handler.path.endswith(part) and endless(handler)
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["too-large"]
    assert follower.offered == []


LARGEST = {
    "2.root.json": 128 * 1024,
    "timestamp.json": 8 * 1024,
    ".snapshot.json": 1024 * 1024,
    ".targets.json": 4 * 1024 * 1024,
    ".bin-": 4 * 1024 * 1024,
}


@pytest.mark.parametrize("part", LARGEST)
async def test_each_kind_of_metadata_has_a_largest_size(fleet: Fleet, server: RepositoryServer, part: str) -> None:
    size = LARGEST[part]

    def sized(handler: BaseHTTPRequestHandler) -> bool:
        if part not in handler.path:
            return False
        begin(handler)
        handler.wfile.write(b" " * size)
        return True

    sign_length(fleet, part, 10**12)
    server.answer = sized
    follower = Follower(fleet, server.url)
    await follower.look()
    size += 1
    await follower.look()

    assert len(follower.told) == 2
    assert follower.told[0] != "too-large"
    assert follower.told[1] == "too-large"


@pytest.mark.parametrize("part", [".snapshot.json", ".targets.json", ".bin-"])
async def test_what_is_signed_makes_no_file_larger_than_its_kind(
    fleet: Fleet, server: RepositoryServer, part: str
) -> None:
    sign_length(fleet, part, 10**12)
    served = 0

    def endless_here(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal served
        if part not in handler.path:
            return False
        begin(handler)
        while True:
            handler.wfile.write(b" " * 65536)
            served += 65536

    server.answer = endless_here
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["too-large"]
    assert follower.offered == []
    assert served < 32 * 1024 * 1024  # what was read, and the buffers of sockets


async def test_a_bundle_that_is_signed_as_too_large_is_not_asked_for(fleet: Fleet, server: RepositoryServer) -> None:
    sign_length(fleet, ".bundle", LARGEST_ENVELOPE_BYTES + 1)
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["too-large"]
    assert not any(path.startswith("/targets/") for path in server.requests)


async def test_nothing_is_written_outside_of_the_state_folder(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "is-not-there"))
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == []
    assert len(follower.offered) == 1


async def test_a_slow_drip_is_given_up(fleet: Fleet, server: RepositoryServer) -> None:
    server.answer = lambda handler: handler.path.endswith(".bundle") and dripping(handler)
    follower = Follower(fleet, server.url, file_within_s=0.5)

    await follower.look()

    assert follower.told == ["slow"]
    assert follower.offered == []


DRIPS = {
    "header": dripping_outside_the_body(b"200 OK\r\nX-A: ", b"a"),
    "1xx": dripping_outside_the_body(b"103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "chunk": dripping_outside_the_body(b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"a"),
}


@pytest.mark.parametrize("drip", DRIPS)
async def test_a_slow_drip_outside_of_the_content_is_given_up_and_stale_is_told(
    fleet: Fleet, server: RepositoryServer, drip: str
) -> None:
    follower = Follower(fleet, server.url, file_within_s=0.5)
    await follower.look()
    server.answer = DRIPS[drip]
    follower.clock.at = datetime.now(UTC) + timedelta(days=9)  # its metadata ended meanwhile

    await follower.look()

    assert follower.told == ["slow"]
    assert follower.stale()
    server.answer, follower.clock.at = (lambda handler: False), None
    follower.source.reload()
    await follower.look()
    assert len(follower.offered) == 2
    assert not follower.stale()


async def test_a_hung_server_is_an_outage_and_refuses_nothing(fleet: Fleet, server: RepositoryServer) -> None:
    follower = Follower(fleet, server.url, file_within_s=0.5)
    await follower.look()
    hung = threading.Event()
    server.answer = lambda handler: hung.wait(LOOK_WITHIN_S)

    await follower.look()

    hung.set()
    assert follower.told == []
    code, words = follower.trouble() or ("", "")
    assert code == "unreachable"
    assert words.endswith("2.root.json: no answer in time")


async def test_each_look_has_its_own_time(fleet: Fleet, server: RepositoryServer) -> None:
    follower = Follower(fleet, server.url, look_within_s=0.5)
    server.answer = lambda handler: handler.path.endswith("timestamp.json") and dripping(handler)
    await follower.look()
    assert follower.told == ["slow"]
    assert "the whole look took more than 0.5 s" in follower.messages[0]

    server.answer = lambda handler: False
    await follower.look()

    assert len(follower.offered) == 1


@pytest.mark.parametrize("name", ["timestamp.json", f"{SITE}.bundle"])
async def test_a_state_folder_that_takes_nothing_is_told_and_named(
    fleet: Fleet, server: RepositoryServer, name: str
) -> None:
    state = fleet.folder / "state" / "rollout"
    (state / name).mkdir(parents=True)
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["unreadable"]
    assert str(state) in follower.messages[0]


async def test_a_site_that_was_away_for_many_rotations_comes_back(fleet: Fleet, server: RepositoryServer) -> None:
    follower = Follower(fleet, server.url)
    await follower.look()
    repository = Repository(fleet.folder / "repository")
    for _ in range(5):
        old, fleet.keys["timestamp"] = fleet.keys["timestamp"], Ed25519PrivateKey.generate()
        keys = [*fleet.roots[:2], *fleet.keys.values(), old]
        repository.rotate({"timestamp": [fleet.keys["timestamp"]]}, keys, datetime.now(UTC))
    newest = fleet.offer_next()

    await follower.look()

    assert follower.told == []
    assert follower.offered[-1] == newest[SITE]
    assert "/metadata/6.root.json" in server.requests


def test_a_look_as_a_whole_ends_however_many_files_it_asks_for(server: RepositoryServer) -> None:
    server.answer = lambda handler: handler.path.endswith("drip") and dripping(handler)
    fetcher = BoundedFetcher(file_within_s=20, look_within_s=0.5)
    fetcher.begin_look()
    with pytest.raises(SlowRetrievalError, match="the whole look took more"):
        b"".join(fetcher.fetch(f"{server.url}/drip"))
    with pytest.raises(SlowRetrievalError, match="the whole look"):
        b"".join(fetcher.fetch(f"{server.url}/metadata/1.root.json"))

    fetcher.begin_look()

    assert b"".join(fetcher.fetch(f"{server.url}/metadata/1.root.json"))
    fetcher.close()


def test_a_token_that_no_header_takes_is_not_repeated(server: RepositoryServer) -> None:
    fetcher = BoundedFetcher("hush\nabc")

    with pytest.raises(DownloadError) as caught:
        b"".join(fetcher.fetch(f"{server.url}/metadata/1.root.json"))

    assert "hush" not in str(caught.value)
    fetcher.close()


async def test_a_stolen_timestamp_key_neither_brings_old_bundles_back_nor_new_ones(
    fleet: Fleet, server: RepositoryServer
) -> None:
    fleet.offer_next()
    await Follower(fleet, server.url).look()
    stamp(fleet, version=50, snapshot=2)  # the snapshot of the first offer

    follower = Follower(fleet, server.url)
    await follower.look()

    assert follower.told == ["rollback"]
    assert follower.offered == []


async def test_a_root_rotation_brings_a_fleet_back_that_a_stolen_timestamp_key_cut_off(
    fleet: Fleet, server: RepositoryServer
) -> None:
    follower = Follower(fleet, server.url)
    await follower.look()
    honest = (fleet.metadata / "timestamp.json").read_bytes()
    stamp(fleet, version=2**31, snapshot=Metadata[Timestamp].from_bytes(honest).signed.snapshot_meta.version)
    await follower.look()
    (fleet.metadata / "timestamp.json").write_bytes(honest)
    fleet.refresh(datetime.now(UTC))
    await follower.look()
    assert follower.told == ["rollback"]  # the honest timestamp is far below the thief's

    stolen = fleet.keys["timestamp"]
    fleet.keys["timestamp"] = Ed25519PrivateKey.generate()
    repository = Repository(fleet.folder / "repository")
    keys = [*fleet.roots[:2], *fleet.keys.values()]
    repository.rotate({"timestamp": [fleet.keys["timestamp"]]}, keys, datetime.now(UTC))
    newest = fleet.offer_next()
    await follower.look()

    assert follower.offered[-1] == newest[SITE]
    fleet.keys["timestamp"] = stolen
    stamp(fleet, version=2**31, snapshot=99)
    await follower.look()
    assert follower.told[-1] == "untrusted"


async def test_a_root_that_too_few_signed_is_untrusted(fleet: Fleet, server: RepositoryServer) -> None:
    root = Metadata.from_bytes(fleet.root)
    root.signed.version = 2
    root.signatures.clear()
    root.sign(CryptoSigner(fleet.roots[0]))
    (fleet.metadata / "2.root.json").write_bytes(root.to_bytes())
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["untrusted"]
    assert follower.offered == []


async def test_nonsense_in_place_of_metadata_is_told_as_such(fleet: Fleet, server: RepositoryServer) -> None:
    (fleet.metadata / "timestamp.json").write_text(json.dumps({"signed": {}}))
    follower = Follower(fleet, server.url)

    await follower.look()

    assert follower.told == ["metadata"]


async def test_a_fault_is_told_once_and_lifted_by_the_next_good_look(fleet: Fleet, server: RepositoryServer) -> None:
    follower = Follower(fleet, server.url)
    await follower.look()
    honest = (fleet.metadata / "timestamp.json").read_bytes()
    (fleet.metadata / "timestamp.json").write_bytes(b"{}")
    await follower.look()
    await follower.look()
    assert follower.told == ["metadata"]
    assert follower.trouble() == ("metadata", follower.messages[0])

    (fleet.metadata / "timestamp.json").write_bytes(honest)
    await follower.look()
    assert follower.trouble() is None
    assert len(follower.offered) == 1

    (fleet.metadata / "timestamp.json").write_bytes(b"{}")
    await follower.look()
    assert follower.told == ["metadata", "metadata"]


async def test_a_server_that_lets_nobody_in_is_no_refusal_and_leaves_a_trace(
    fleet: Fleet, server: RepositoryServer
) -> None:
    follower = Follower(fleet, server.url)
    await follower.look()
    server.answer = forbidden

    await follower.look()

    assert follower.told == []
    code, words = follower.trouble() or ("", "")
    assert code == "unreachable"
    assert "timestamp.json: HTTP 403" in words


def sign_length(fleet: Fleet, part: str, length: int) -> None:
    """What a thief of all online keys can do: sign any length of any file whose name holds `part`."""
    for path in fleet.metadata.glob("*.json"):
        metadata = Metadata.from_bytes(path.read_bytes())
        signed: object = metadata.signed
        if isinstance(signed, Timestamp) and part == ".snapshot.json":
            signed.snapshot_meta = MetaFile(signed.snapshot_meta.version, length)
        elif isinstance(signed, Snapshot):
            signed.meta |= {
                name: MetaFile(one.version, length) for name, one in signed.meta.items() if part in f".{name}"
            }
        elif isinstance(signed, Targets) and part == ".bundle":
            for target in signed.targets.values():
                target.length = length
        else:
            continue
        metadata.signatures.clear()
        metadata.sign(CryptoSigner(fleet.keys[metadata.signed.type]))
        path.write_bytes(metadata.to_bytes())


def stamp(fleet: Fleet, *, version: int, snapshot: int) -> None:
    """What a thief of the timestamp key can do: sign any timestamp."""
    path = fleet.metadata / "timestamp.json"
    timestamp = Metadata[Timestamp].from_bytes(path.read_bytes())
    timestamp.signed.version = version
    timestamp.signed.snapshot_meta = MetaFile(snapshot)
    timestamp.signatures.clear()
    timestamp.sign(CryptoSigner(fleet.keys["timestamp"]))
    path.write_bytes(timestamp.to_bytes())
