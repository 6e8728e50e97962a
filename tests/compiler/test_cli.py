"""The command `pointsman` as people and pipelines run it: exit codes, streams, files."""

import json
import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from pointsman_schema.bundle import read_payload
from pointsman_schema.envelope import load_public_key, open_unverified, open_verified
from support.command import pointsman
from support.trees import UNIQUE, lay_out

SITES = Path(__file__).parents[2] / "sites"
TWO = UNIQUE.replace("site: one", "site: two").replace("CP-1", "CP-2")
COMMANDS = ["check", "compile", "explain", "init", "show", "verify", "sign", "keygen", "schema"]
EXPIRED = Path(__file__).parent / "cases" / "certificate-expired" / "sites"

GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "sites", {"one.yaml": UNIQUE}).root


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert pointsman("keygen", tmp_path / "release").returncode == 0
    return tmp_path / "release.key"


def write(root: Path, text: str) -> None:
    (root / "one.yaml").write_text(text)


def git(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    variables = {**os.environ, **GIT_IDENTITY, **(environment or {})}
    subprocess.run(["git", *arguments], cwd=folder, env=variables, check=True, capture_output=True, timeout=30)


def test_check_is_silent_where_all_is_well(root: Path) -> None:
    done = pointsman("check", root)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_each_command_does_its_work_in_a_fresh_interpreter(root: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    bundle = tmp_path / "out" / "one.bundle"
    commands: list[tuple[str | Path, ...]] = [
        ("init", tmp_path / "new"),
        ("check", root),
        ("keygen", tmp_path / "fresh"),
        ("compile", root, "--out", tmp_path / "out", "--sequence", "1"),
        ("sign", bundle, "--key", tmp_path / "fresh.key"),
        ("verify", bundle, "--trust", tmp_path / "fresh.pub"),
        ("show", bundle),
        ("explain", root, "one"),
        ("plan", root, root),
        ("schema", "site"),
    ]

    done = [pointsman(*command, environment={"PYTHONHASHSEED": "0"}) for command in commands]

    assert [(run.returncode, run.stderr) for run in done] == [(0, "")] * len(commands)
    assert {str(command[0]) for command in commands} == {*COMMANDS, "plan"}


def test_check_takes_the_folder_sites_by_default(root: Path) -> None:
    assert pointsman("check", cwd=root.parent).returncode == 0
    assert pointsman("check", cwd=root).returncode == 6


def test_check_shows_place_code_and_remedy_within_80_columns(root: Path) -> None:
    write(root, UNIQUE.replace("wss://csms.acme.example", "https://csms.acme.example" + "/long" * 30))

    done = pointsman("check", root)

    assert done.returncode == 1
    assert done.stdout.startswith("one.yaml:6:15: error[PM310]")
    assert "help: " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


def test_warnings_fail_only_when_asked(root: Path) -> None:
    write(root, UNIQUE.replace("wss:", "ws:"))

    assert pointsman("check", root).returncode == 0
    assert pointsman("check", root, "--strict").returncode == 1


def test_check_as_json_counts_sites_and_severities(root: Path) -> None:
    write(root, UNIQUE.replace("Europe/Paris", "Europe/Pariss").replace("wss:", "ws:"))

    done = pointsman("check", root, "--format", "json")

    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert (found["sites"], found["errors"], found["warnings"]) == (1, 1, 1)
    assert [problem["code"] for problem in found["problems"]] == ["PM385", "PM319"]
    assert found["problems"][0]["path"] == "/timeZone"


def test_check_holds_expiry_against_the_given_time() -> None:
    assert pointsman("check", EXPIRED, "--at", "2026-11-22").returncode == 1
    assert pointsman("check", EXPIRED, "--at", "2015-06-01T12:00:00Z").returncode == 0
    assert pointsman("check", EXPIRED, "--at", "soon").returncode == 2


def test_an_unknown_site_is_wrong_usage_with_the_near_one_named(root: Path) -> None:
    done = pointsman("check", root, "--site", "onee")

    assert done.returncode == 2
    assert "did you mean `one`?" in done.stderr


def test_nothing_is_written_where_a_site_has_errors(root: Path, tmp_path: Path) -> None:
    lay_out(root, {"two.yaml": TWO.replace("wss:", "https:")})

    done = pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1")

    assert done.returncode == 1
    assert "two.yaml:6:15: error[PM310]" in done.stderr
    assert not (tmp_path / "out").exists()


def test_one_site_compiles_while_another_has_errors(root: Path, tmp_path: Path) -> None:
    lay_out(root, {"two.yaml": TWO.replace("wss:", "https:")})

    done = pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1", "--site", "one")

    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(tmp_path / "out") == ["one.bundle"]


def test_a_compiled_bundle_is_signed_and_says_what_it_was_made_of(root: Path, tmp_path: Path, key: Path) -> None:
    arguments = ("--out", tmp_path / "out", "--key", key, "--sequence", "5", "--revision", "r1")

    assert pointsman("compile", root, *arguments).returncode == 0

    envelope = (tmp_path / "out" / "one.bundle").read_bytes()
    bundle = read_payload(open_verified(envelope, [load_public_key(key.with_suffix(".pub").read_bytes())]))
    assert (bundle.site, bundle.sequence, bundle.source.revision) == ("one", 5, "r1")
    assert [item.file for item in bundle.lock.inputs] == ["one.yaml"]


def test_a_bundle_that_says_nothing_new_is_left_as_it_is(root: Path, tmp_path: Path, key: Path) -> None:
    path = tmp_path / "out" / "one.bundle"

    def compile_with(sequence: int, *more: str | Path) -> bytes:
        done = pointsman("compile", root, "--out", path.parent, "--sequence", str(sequence), *more)
        assert done.returncode == 0, done.stderr
        return path.read_bytes()

    first = compile_with(1, "--key", key)
    write(root, "# a comment changes nothing\n" + UNIQUE)
    assert compile_with(2, "--key", key) == first
    assert read_payload(open_unverified(compile_with(3, "--key", key, "--all"))).sequence == 3
    write(root, UNIQUE.replace("CP-1", "CP-2"))
    assert read_payload(open_unverified(compile_with(4, "--key", key))).sequence == 4
    assert os.listdir(path.parent) == ["one.bundle"]


def test_an_unsigned_or_spoilt_bundle_is_not_left_as_it_is(root: Path, tmp_path: Path, key: Path) -> None:
    path = tmp_path / "out" / "one.bundle"
    arguments = ("compile", root, "--out", path.parent, "--sequence", "1")
    assert pointsman(*arguments).returncode == 0
    unsigned = path.read_bytes()

    assert pointsman(*arguments, "--key", key).returncode == 0
    signed = path.read_bytes()
    assert signed != unsigned

    path.write_bytes(signed[:-9])
    assert pointsman(*arguments, "--key", key).returncode == 0
    assert path.read_bytes() == signed


def test_the_sequence_is_the_commit_time_of_head(root: Path, tmp_path: Path) -> None:
    git(root.parent, "init", "-q")
    git(root.parent, "add", "sites")
    git(root.parent, "commit", "-qm", "x", environment={"GIT_COMMITTER_DATE": "2026-11-22T00:00:00Z"})

    done = pointsman("compile", root, "--out", tmp_path / "out", environment=GIT_IDENTITY)

    assert done.returncode == 0, done.stderr
    bundle = read_payload(open_unverified((tmp_path / "out" / "one.bundle").read_bytes()))
    assert bundle.sequence == 1795305600
    assert bundle.source.revision is not None
    assert len(bundle.source.revision) == 40


def test_an_input_that_differs_from_head_has_no_sequence(root: Path, tmp_path: Path) -> None:
    git(root.parent, "init", "-q")
    git(root.parent, "add", "sites")
    git(root.parent, "commit", "-qm", "x")
    arguments = ("compile", root, "--out", tmp_path / "out")

    write(root, "# changed\n" + UNIQUE)
    changed = pointsman(*arguments, environment=GIT_IDENTITY)
    lay_out(root, {"one.yaml": UNIQUE, "two.yaml": TWO})
    added = pointsman(*arguments, environment=GIT_IDENTITY)
    chosen = pointsman(*arguments, "--site", "one", environment=GIT_IDENTITY)

    assert (changed.returncode, added.returncode, chosen.returncode) == (1, 1, 0)
    assert "one.yaml differs from git's HEAD" in changed.stderr
    assert "two.yaml differs from git's HEAD" in added.stderr
    assert "--sequence N" in changed.stderr


def test_outside_git_a_sequence_is_asked_for(root: Path, tmp_path: Path) -> None:
    environment = {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}

    done = pointsman("compile", root, "--out", tmp_path / "out", environment=environment)

    assert done.returncode == 1
    assert "--sequence N" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_tells_signer_and_site(root: Path, tmp_path: Path, key: Path) -> None:
    pointsman("keygen", tmp_path / "other")
    pointsman("compile", root, "--out", tmp_path, "--key", key, "--sequence", "5")
    bundle, public = tmp_path / "one.bundle", key.with_suffix(".pub")

    assert pointsman("verify", bundle, "--trust", public, "--site", "one").stdout.startswith(
        "one: verified, sequence 5"
    )
    assert pointsman("verify", bundle, "--trust", public, "--site", "two").returncode == 1
    assert pointsman("verify", bundle, "--trust", tmp_path / "other.pub").returncode == 1
    assert pointsman("verify", bundle, "--trust", tmp_path / "other.pub", "--trust", public).returncode == 0
    assert pointsman("verify", bundle, "--trust", key).returncode == 1
    assert pointsman("verify", tmp_path / "none.bundle", "--trust", public).returncode == 6
    assert pointsman("verify", key, "--trust", public).returncode == 1


def test_a_signature_is_added_later_by_file_and_by_environment(root: Path, tmp_path: Path, key: Path) -> None:
    pointsman("keygen", tmp_path / "second")
    pointsman("compile", root, "--out", tmp_path, "--sequence", "5")
    bundle = tmp_path / "one.bundle"
    environment = {"SECOND": (tmp_path / "second.key").read_text()}

    assert pointsman("verify", bundle, "--trust", key.with_suffix(".pub")).returncode == 1
    assert pointsman("sign", bundle, "--key", key).returncode == 0
    assert pointsman("sign", bundle, "--key", "env:SECOND", environment=environment).returncode == 0

    for public in (key.with_suffix(".pub"), tmp_path / "second.pub"):
        assert pointsman("verify", bundle, "--trust", public).returncode == 0
    assert pointsman("sign", bundle, "--key", "env:MISSING").returncode == 1


def test_a_key_is_private_and_never_replaced(tmp_path: Path, key: Path) -> None:
    before = key.read_bytes()

    done = pointsman("keygen", tmp_path / "release")

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert done.returncode == 6
    assert "is there already" in done.stderr
    assert key.read_bytes() == before


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_a_key_pair_wants_a_name(name: str, tmp_path: Path) -> None:
    done = pointsman("keygen", name, cwd=tmp_path)

    assert done.returncode == 2
    assert "NAME is what the two files are called" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_with_a_passphrase_needs_it(root: Path, tmp_path: Path) -> None:
    right, wrong = {"POINTSMAN_PASSPHRASE": "correct horse"}, {"POINTSMAN_PASSPHRASE": "battery staple"}
    assert pointsman("keygen", tmp_path / "safe", "--passphrase", environment=right).returncode == 0
    arguments = ("compile", root, "--out", tmp_path, "--sequence", "1", "--key", tmp_path / "safe.key")

    assert b"ENCRYPTED" in (tmp_path / "safe.key").read_bytes()
    assert pointsman(*arguments, environment=right).returncode == 0
    assert "the passphrase is wrong" in pointsman(*arguments, environment=wrong).stderr
    assert "no terminal" in pointsman(*arguments).stderr


def test_show_hides_badges_until_asked(tmp_path: Path) -> None:
    pointsman("compile", SITES, "--out", tmp_path, "--sequence", "1")
    bundle = tmp_path / "lyon-part-dieu.bundle"

    shown = pointsman("show", bundle).stdout
    assert "LYO-08" in shown
    assert "signed by   nobody" in shown
    assert "04a2b1c3d4e580" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "04a2b1c3d4e580" in pointsman("show", bundle, "--show-badges").stdout
    assert "badges" not in json.loads(pointsman("show", bundle, "--json").stdout)["config"]
    payload = json.loads(pointsman("show", bundle, "--json", "--show-badges").stdout)
    assert payload == json.loads(open_unverified(bundle.read_bytes()))


@pytest.mark.parametrize("kind", ["site", "fleet", "bundle"])
def test_schemas_are_printed_as_published(kind: str) -> None:
    assert json.loads(pointsman("schema", kind).stdout)["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_within_80_columns(command: str) -> None:
    done = pointsman(command, "--help")

    assert done.returncode == 0
    assert f"Example: pointsman {command}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_shell_completes_commands_and_options() -> None:
    def completed(words: str) -> list[str]:
        environment = {
            "_POINTSMAN_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": "1" if words.count(" ") < 2 else "2",
        }
        return [line.partition(",")[2] for line in pointsman(environment=environment).stdout.splitlines()]

    assert completed("pointsman ch") == ["check"]
    assert completed("pointsman compile --lock") == ["--locked", "--lock-file"]


def test_version_and_wrong_usage() -> None:
    assert pointsman("--version").stdout.startswith("pointsman ")
    assert pointsman("chek").returncode == 2
    assert pointsman("compile").returncode == 2


def test_files_that_cannot_be_had_are_told_without_a_traceback(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    failures = [
        pointsman("check", tmp_path / "nowhere"),
        pointsman("compile", root, "--out", tmp_path / "file" / "out", "--sequence", "1"),
        pointsman("compile", root, "--out", tmp_path, "--sequence", "1", "--key", tmp_path / "none.key"),
        pointsman("show", tmp_path / "none.bundle"),
        pointsman("show", tmp_path),
    ]

    for done in failures:
        assert done.returncode == 6, done.stderr
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
