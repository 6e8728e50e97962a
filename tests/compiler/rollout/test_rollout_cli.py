"""`pointsman rollout` as people run it: a real repository on disk, and a real TUF client that reads it."""

import json
import os
from pathlib import Path

import pytest
from support.command import pointsman
from support.rolloutcommands import RULES, bad, good, offered, write_bundle
from support.rollouts import KEYS
from support.stores import answered, series, store


def test_what_is_published_reaches_a_client_only_when_it_is_promoted(fleet: Path) -> None:
    before = {site: offered(fleet, site) for site in ("lab", "lyon")}
    after = {site: write_bundle(fleet, site, "second", 2) for site in ("lab", "lyon")}

    good(fleet, "publish", "bundles", *KEYS)
    assert {site: offered(fleet, site) for site in before} == before

    said = good(fleet, "promote", "sites", *KEYS)
    assert offered(fleet, "lab") == after["lab"]
    assert offered(fleet, "lyon") == before["lyon"]
    assert said.splitlines()[-1] == "1 site moved"
    assert "waits for ring lab: 1 of its sites begin now" in said


def test_the_brake_and_a_dry_run_say_what_may_move_and_move_nothing(fleet: Path) -> None:
    before = offered(fleet, "lab")
    write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", *KEYS)

    said = good(fleet, "promote", "sites", *KEYS, "--brake").splitlines()
    assert said[0] == "inconclusive       1  may move: waits for a promotion"
    assert said[-1] == "0 sites moved"
    assert good(fleet, "promote", "sites", *KEYS, "--dry-run").endswith("1 site would move\n")
    assert json.loads(good(fleet, "status", "sites", "--json"))["moved"] == ["lab"]
    assert offered(fleet, "lab") == before


def test_keys_stay_closed_and_the_root_keys_are_not_needed_later(fleet: Path) -> None:
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (fleet / "keys").glob("*.key")} == {
        f"{name}.key": "0o600" for name in ("root-1", "root-2", "root-3", "targets", "snapshot", "timestamp")
    }
    for path in (fleet / "keys").glob("root-*"):
        path.unlink()

    write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", *KEYS)


def test_init_never_replaces_a_repository_or_keys(fleet: Path) -> None:
    assert "repository is there already" in bad(fleet, "init", "sites", "--keys", "other", code=6)
    assert "keys is there already" in bad(fleet, "init", "sites", "--repository", "other", "--keys", "keys", code=6)


@pytest.mark.parametrize(
    ("folder", "keys"),
    [("new", "new/keys"), ("new", "new"), ("new/repository", "new"), ("new", "sites/../new/keys"), ("link/a", "sites")],
)
def test_init_keeps_keys_and_what_is_served_apart(fleet: Path, folder: str, keys: str) -> None:
    (fleet / "link").symlink_to("sites")
    before = set(fleet.rglob("*"))

    said = bad(fleet, "init", "sites", "--repository", folder, "--keys", keys, code=2)

    assert "elsewhere" in said
    assert set(fleet.rglob("*")) == before


def test_init_without_the_sites_makes_nothing(fleet: Path) -> None:
    before = set(fleet.iterdir())

    said = bad(fleet, "init", "nosuch", "--repository", "new", "--keys", "new-keys", code=6)

    assert "there is no folder nosuch" in said
    assert set(fleet.iterdir()) == before


@pytest.mark.parametrize(("count", "first"), [(3, 'sites: ["0"]\n'), (60, "share: 5 ")])
def test_what_init_writes_passes_the_strict_check_of_the_pipelines(tmp_path: Path, count: int, first: str) -> None:
    (tmp_path / "sites").mkdir()
    for number in range(count):
        text = f'{{version: 1, site: "{number}", timeZone: Europe/Paris, supervision: local, stations: {{CP-1: {{}}}}}}'
        (tmp_path / "sites" / f"{number}.yaml").write_text(text)

    good(tmp_path, "init", "sites", "--keys", "keys")

    assert f"    {first}" in (tmp_path / "sites" / "rollout.yaml").read_text()
    done = pointsman("check", "sites", "--strict", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_halt_by_a_person_holds_until_it_is_lifted(fleet: Path) -> None:
    write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", *KEYS)
    good(fleet, "halt", "--because", "calls from Lyon", *KEYS)

    assert "the rollout is halted: calls from Lyon" in bad(fleet, "promote", "sites", *KEYS)
    good(fleet, "resume", *KEYS)
    assert "1 site moved" in good(fleet, "promote", "sites", *KEYS)


@pytest.mark.parametrize("last", ["halt", "pin"])
def test_what_no_client_took_yet_is_taken_back(fleet: Path, last: str) -> None:
    before = offered(fleet, "lab")
    write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", *KEYS)
    rules = fleet / "sites" / "rollout.yaml"
    rules.write_text(RULES.replace("spread: 0", "spread: 86400"))
    good(fleet, "promote", "sites", *KEYS)
    assert offered(fleet, "lab") != before
    if last == "halt":
        said = good(fleet, "halt", "--because", "calls from Lyon", *KEYS)
    else:
        pin = f"{{digest: 'sha256:{'0' * 64}', until: '2400-01-01', because: kept}}"
        rules.write_text(f"{rules.read_text()}pins: {{lab: {pin}}}\n")
        said = good(fleet, "promote", "sites", *KEYS)

    assert "taken back from 1 site whose turn had not come" in said
    assert offered(fleet, "lab") == before


def test_promote_goes_by_what_the_metrics_store_says(fleet: Path) -> None:
    for site in ("lab", "lyon"):
        write_bundle(fleet, site, "second", 2)
    good(fleet, "publish", "bundles", *KEYS)
    good(fleet, "promote", "sites", *KEYS, "--at", "2400-01-01T12:00:00Z")
    has = json.loads(good(fleet, "status", "sites", "--json", "--at", "2400-01-01T12:00:00Z"))["sites"]["lab"][
        "offered"
    ]
    noon = 13_569_508_800
    states = {
        "degraded": series("lab", str(noon + 60), active=has, state="degraded"),
        "silent": series("lab", str(noon - 60), active=has, state="running"),
        "healthy": series("lab", str(noon + 60), active=has, state="running"),
    }
    said, token = {}, {"POINTSMAN_HEALTH_TOKEN": "my-token\n"}
    for state, report in states.items():
        with store(answered(report)) as metrics:
            arguments = ["promote", "sites", *KEYS, "--health", metrics.url, "--at", "2400-01-01T12:02:00Z"]
            said[state] = good(fleet, *arguments, environment=token)
            assert b"Authorization: Bearer my-token\r\n" in metrics.requests[0]

    assert "1 more report of 1 (1 degraded; lab first)" in said["degraded"]
    assert "1 more report of 1 (1 silent; lab first)" in said["silent"]
    assert "1 site moved" in said["healthy"]


def test_a_clock_that_is_behind_changes_nothing(fleet: Path) -> None:
    write_bundle(fleet, "lab", "second", 2)
    before = contents(fleet / "repository")

    roots = ["root", "--key", "keys/root-1.key", "--key", "keys/root-2.key"]
    for command in (["publish", "bundles"], ["promote", "sites"], ["refresh"], ["resume"], roots):
        said = bad(fleet, *command, *KEYS, "--at", "2026-11-01")
        assert "the clock is behind: the rollout was last changed at 2" in said
    assert contents(fleet / "repository") == before
    assert good(fleet, "status", "sites", "--at", "2026-11-01").startswith("published 2")
    assert "halted: calls" in good(fleet, "halt", "--because", "calls", *KEYS, "--at", "2026-11-01")


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "9000-01-01", "0001-01-01T00:00:00+14:00", "1969-12-31"])
@pytest.mark.parametrize("command", [["refresh", *KEYS], ["halt", "--because", "calls", *KEYS], ["clean"], ["status"]])
def test_a_time_beyond_the_calendar_is_refused(fleet: Path, command: list[str], at: str) -> None:
    said = bad(fleet, *command, "--at", at, code=2)

    assert "Invalid value for '--at': " in said
    assert "Traceback" not in said


def test_the_last_time_that_is_taken_works_in_every_command(fleet: Path) -> None:
    at = ["--at", "8999-12-31T23:59:59-23:59"]
    write_bundle(fleet, "lab", "second", 2)

    for command in (["publish", "bundles"], ["promote", "sites"], ["halt", "--because", "calls"], ["refresh"]):
        good(fleet, *command, *KEYS, *at)
    good(fleet, "clean", *at)
    good(fleet, "status", "sites", *at)


def test_a_metrics_store_that_answers_nonsense_is_told_in_one_message(fleet: Path) -> None:
    with store(b"garbage\n") as metrics:
        said = bad(fleet, "promote", "sites", *KEYS, "--health", metrics.url, code=6)
    assert [line.split(":")[0].strip() for line in said.splitlines()] == ["error", "help"]

    said = bad(fleet, "status", "sites", "--health", "https://me:hidden@metrics.example", code=6)
    assert "the address holds a name or a password" in said
    assert "hidden" not in said


def test_status_answers_in_ten_lines(fleet: Path) -> None:
    for site in ("lab", "lyon"):
        write_bundle(fleet, site, "second", 2)
    good(fleet, "publish", "bundles", *KEYS, "--revision", "0123456789abcdef")
    good(fleet, "promote", "sites", *KEYS)

    lines = good(fleet, "status", "sites").splitlines()

    assert len(lines) <= 10
    assert "(0123456789ab): 1 of 2 sites have been offered it" in lines[0]
    assert lines[-1] == "1 wait: waits for ring lab: 1 more report of 1 (1 silent; lab first)"
    assert "lyon, ring rest: inconclusive" in good(fleet, "status", "sites", "--site", "lyon")
    assert json.loads(good(fleet, "status", "sites", "--json"))["sites"]["lab"]["verdict"] == "settled"


def test_a_bundle_under_another_site_s_name_is_not_published(fleet: Path) -> None:
    os.replace(fleet / "bundles" / "lab.bundle", fleet / "bundles" / "utrecht.bundle")

    assert "utrecht.bundle is a bundle of the site lab" in bad(fleet, "publish", "bundles", *KEYS)


def test_a_ledger_that_was_changed_behind_the_repository_s_back_is_refused(fleet: Path) -> None:
    for path in (fleet / "repository" / "targets").glob("*.ledger.json"):
        path.write_text(path.read_text().replace("lab", "lob"))

    assert "the ledger is not the one that was signed" in bad(fleet, "status", "sites")


def test_metadata_signed_by_nobody_is_refused(fleet: Path) -> None:
    path = fleet / "repository" / "metadata" / "timestamp.json"
    path.write_text(path.read_text().replace('"expires":"2', '"expires":"3'))

    assert "timestamp" in bad(fleet, "refresh", *KEYS)


DAMAGES = ("missing", "empty", "binary", "nested", "other")
FILES = ("timestamp", "1.root", "3.snapshot", "3.targets", "2.bin-XX", "unsent")
NO_DAMAGE = {("1.root", "missing"), ("unsent", "missing")}
"""Without its root it is no repository; without what is unsent all was sent."""


@pytest.mark.parametrize(
    ("name", "damage"), [(name, damage) for name in FILES for damage in DAMAGES if (name, damage) not in NO_DAMAGE]
)
def test_a_file_that_is_missing_or_damaged_is_named_with_a_remedy(fleet: Path, name: str, damage: str) -> None:
    repository = fleet / "repository"
    write_bundle(fleet, "lab", "second", 2)
    path = repository / "unsent.json" if name == "unsent" else the_file(repository / "metadata", name)
    other = repository / "metadata" / ("1.targets.json" if name == "timestamp" else "timestamp.json")
    content = {"empty": b"", "binary": b"\xff\xfe", "nested": b"[" * 100_000, "other": other.read_bytes()}
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[damage])

    # A bin is read when it is needed: when all is signed anew, here.
    said = bad(fleet, "refresh", *KEYS, "--at", "2027-11-01", "--command", "true")

    assert path.name in said
    assert "\n  help: " in said
    assert len([line for line in said.splitlines() if not line.startswith("warning")]) == 2


def the_file(metadata: Path, name: str) -> Path:
    if name == "2.bin-XX":
        return next(metadata.glob("2.bin-*.json"))
    return metadata / f"{name}.json"


def test_refresh_signs_the_rest_too_before_it_ends(fleet: Path) -> None:
    assert good(fleet, "refresh", *KEYS) == "signed timestamp\n"
    assert good(fleet, "refresh", *KEYS, "--at", "2400-01-01").startswith("signed 259 roles")


def test_a_missing_key_is_named(fleet: Path) -> None:
    assert "the key of the role timestamp is needed" in bad(fleet, "refresh", "--key", "keys/targets.key")


def test_rules_with_problems_are_told_with_their_places(fleet: Path) -> None:
    (fleet / "sites" / "rollout.yaml").write_text(RULES + "pins: {oslo: {}}\n")

    assert "rollout.yaml:6:8: `oslo` has no" in bad(fleet, "promote", "sites", *KEYS)


def test_replaced_keys_sign_and_old_ones_do_not(fleet: Path) -> None:
    assert pointsman("keygen", "new", cwd=fleet).returncode == 0
    offered(fleet, "lab")
    roots = ["--key", "keys/root-1.key", "--key", "keys/root-3.key"]

    assert "2 keys of the role root are needed, 1 were given" in bad(
        fleet, "root", "--replace", "targets=new.key", *KEYS, *roots[:2]
    )
    good(fleet, "root", "--replace", "targets=new.key", *KEYS, *roots)
    write_bundle(fleet, "lab", "second", 2)
    assert "the key of the role targets is needed" in bad(fleet, "publish", "bundles", *KEYS)
    content = write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", "--key", "new.key", *KEYS)
    good(fleet, "promote", "sites", "--key", "new.key", *KEYS)

    assert offered(fleet, "lab") == content


@pytest.mark.parametrize(("missing", "replaced"), [("snapshot", "timestamp"), ("timestamp", "targets")])
def test_a_root_that_lacks_a_key_of_what_follows_writes_nothing(fleet: Path, missing: str, replaced: str) -> None:
    assert pointsman("keygen", "new", cwd=fleet).returncode == 0
    before = contents(fleet / "repository")
    held = [f"keys/{name}.key" for name in ("targets", "snapshot", "timestamp", "root-1", "root-2") if name != missing]
    keys = [part for name in held for part in ("--key", name)]

    assert f"the key of the role {missing} is needed" in bad(fleet, "root", "--replace", f"{replaced}=new.key", *keys)

    assert contents(fleet / "repository") == before
    good(fleet, "status", "sites")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
