"""What goes out by the user's command, in which order, and what becomes of it when it does not."""

import re
import shutil
from pathlib import Path

import pytest
from pointsman_compiler.rollout import unsent
from support.command import pointsman
from support.rolloutcommands import bad, good, offered, write_bundle
from support.rollouts import KEYS

TO_WEB = 'while read -r f; do mkdir -p "../web/$(dirname "$f")" && cp "$f" "../web/$f" || exit 1; done'
"""Sends to the folder web beside the repository, which a web server has."""


def test_a_command_gets_bundles_then_metadata_then_the_timestamp(fleet: Path) -> None:
    write_bundle(fleet, "lab", "second", 2)
    command = f'while read -r name; do echo "$POINTSMAN_STAGE $name" >> {fleet}/sent; done'

    good(fleet, "publish", "bundles", *KEYS, "--command", command)

    sent = (fleet / "sent").read_text().splitlines()
    stages = [line.split()[0] for line in sent]
    assert stages == sorted(stages, key=["targets", "metadata", "timestamp"].index)
    assert [re.sub(r"[0-9a-f]{64}", "HASH", line) for line in sent] == [
        "targets targets/HASH.lab.bundle",
        "targets targets/HASH.ledger.json",
        "metadata metadata/4.targets.json",
        "metadata metadata/4.snapshot.json",
        "timestamp metadata/timestamp.json",
    ]
    assert all((fleet / "repository" / line.split()[1]).exists() for line in sent)


def test_what_could_not_be_sent_goes_out_with_the_next_change(fleet: Path) -> None:
    write_bundle(fleet, "lab", "second", 2)
    assert "at the stage targets" in bad(fleet, "publish", "bundles", *KEYS, "--command", "exit 3", code=6)

    good(fleet, "refresh", *KEYS, "--command", f"cat >> {fleet}/sent")

    names = (fleet / "sent").read_text().splitlines()
    assert any(name.endswith(".lab.bundle") for name in names)
    assert names[-1] == "metadata/timestamp.json"
    assert not (fleet / "repository" / "unsent.json").exists()


def test_what_was_done_without_a_command_goes_out_with_the_next_that_has_one(fleet: Path) -> None:
    shutil.copytree(fleet / "repository", fleet / "web")
    content = write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", *KEYS)
    good(fleet, "promote", "sites", *KEYS)

    good(fleet, "refresh", *KEYS, "--command", f"tee -a ../sent | {TO_WEB}")

    assert offered(fleet, "lab", "web") == content
    assert not any("lyon" in name for name in (fleet / "sent").read_text().splitlines())


def test_the_first_command_sends_all_that_init_made_and_more(fleet: Path) -> None:
    shutil.rmtree(fleet / "repository")
    shutil.rmtree(fleet / "keys")
    good(fleet, "init", "sites", "--keys", "keys")
    good(fleet, "publish", "bundles", *KEYS)
    good(fleet, "promote", "sites", *KEYS)
    killed = fleet / "repository" / "targets" / ".staging-x"
    killed.mkdir()
    (fleet / "repository" / "metadata" / ".2.snapshot.json.x").touch()

    good(fleet, "refresh", *KEYS, "--command", TO_WEB)

    assert offered(fleet, "lab", "web") == (fleet / "bundles" / "lab.bundle").read_bytes()
    names = {path.name for part in ("metadata", "targets") for path in (fleet / "repository" / part).iterdir()}
    assert {path.name for path in (fleet / "web").glob("*/*")} == {name for name in names if name[0] != "."}


def test_who_never_sends_collects_no_list(fleet: Path) -> None:
    good(fleet, "init", "sites", "--repository", "other", "--keys", "others")
    keys = [part.replace("keys/", "others/") for part in KEYS]
    before = (fleet / "other" / "unsent.json").read_bytes()
    good(fleet, "publish", "bundles", "--repository", "other", *keys)

    assert (fleet / "other" / "unsent.json").read_bytes() == before
    assert len(before) < 100


def test_a_root_that_came_after_the_timestamp_still_goes_out_before_it(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    names = ["metadata/timestamp.json", "metadata/2.root.json"]
    for name in names:
        (tmp_path / name).touch()
        unsent.remember(tmp_path, [name])

    assert unsent.unsent_stages(tmp_path)["timestamp"] == names[::-1]


def test_a_list_that_grows_too_long_becomes_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsent, "MOST_NAMES", 2)
    for part in ("targets", "metadata"):
        (tmp_path / part).mkdir()
    for name in ("targets/a", "metadata/1.snapshot.json", "metadata/1.root.json", "metadata/timestamp.json"):
        (tmp_path / name).touch()

    unsent.remember(tmp_path, ["targets/a", "metadata/1.snapshot.json"])
    unsent.remember(tmp_path, ["targets/a"])
    listed = unsent.unsent_stages(tmp_path)
    unsent.remember(tmp_path, ["metadata/2.snapshot.json"])

    assert listed == {"targets": ["targets/a"], "metadata": ["metadata/1.snapshot.json"], "timestamp": []}
    assert unsent.unsent_stages(tmp_path) == {
        **listed,
        "timestamp": ["metadata/1.root.json", "metadata/timestamp.json"],
    }


def test_files_that_are_gone_are_passed_over(fleet: Path) -> None:
    shutil.copytree(fleet / "repository", fleet / "web")
    for sequence in (2, 3):
        content = write_bundle(fleet, "lab", f"the {sequence}.", sequence)
        good(fleet, "publish", "bundles", *KEYS)
    good(fleet, "promote", "sites", *KEYS)
    for path in (fleet / "repository" / "targets").glob("*.lab.bundle"):
        if path.read_bytes() != content:
            path.unlink()

    good(fleet, "refresh", *KEYS, "--command", TO_WEB)

    assert offered(fleet, "lab", "web") == content


def test_a_root_with_other_keys_is_sent_so_that_no_reader_is_left_between_them(fleet: Path) -> None:
    assert pointsman("keygen", "new", cwd=fleet).returncode == 0
    shutil.copytree(fleet / "repository", fleet / "web")
    before = offered(fleet, "lab", "web")
    shutil.copytree(fleet / "client-lab", fleet / "client")
    command = f"{TO_WEB}; cp -r ../web ../web-$(ls .. | grep -c web)-$POINTSMAN_STAGE"
    roots = ["--key", "keys/root-1.key", "--key", "keys/root-2.key"]
    replaced = [part for role in ("timestamp", "snapshot", "targets") for part in ("--replace", f"{role}=new.key")]

    good(fleet, "root", *replaced, *roots, "--command", command)

    folders = sorted(path.name for path in fleet.glob("web-*"))
    assert folders == ["web-1-metadata", "web-2-timestamp", "web-3-metadata", "web-4-timestamp"]
    for folder in folders:  # for one who looks now and then, and for one who looked only before
        assert offered(fleet, "lab", folder) == before
        shutil.rmtree(fleet / "client-lab")
        shutil.copytree(fleet / "client", fleet / "client-lab", symlinks=True)
        assert offered(fleet, "lab", folder) == before


def test_a_command_that_fails_between_two_stages_sends_all_of_it_again(fleet: Path) -> None:
    shutil.copytree(fleet / "repository", fleet / "web")
    before = offered(fleet, "lab", "web")
    content = write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", *KEYS)
    fails = f"if [ $POINTSMAN_STAGE = timestamp ]; then exit 3; fi; {TO_WEB}"
    assert "at the stage timestamp" in bad(fleet, "promote", "sites", *KEYS, "--command", fails, code=6)
    assert offered(fleet, "lab", "web") == before
    shutil.rmtree(fleet / "web")  # a server that lost what it got

    good(fleet, "publish", "bundles", *KEYS, "--everything", "--command", TO_WEB)

    assert offered(fleet, "lab", "web") == content


@pytest.mark.parametrize("text", ["", " "])
@pytest.mark.parametrize(
    "command",
    [["publish", "bundles"], ["promote", "sites"], ["halt", "--because", "calls"], ["resume"], ["refresh"], ["root"]],
)
def test_an_empty_command_is_a_mistake_and_changes_nothing(fleet: Path, command: list[str], text: str) -> None:
    before = timestamp_of(fleet)

    by_variable = pointsman("rollout", *command, *KEYS, cwd=fleet, environment={"POINTSMAN_PUBLISH_COMMAND": text})
    by_option = bad(fleet, *command, *KEYS, "--command", text, code=2)

    assert by_variable.returncode == 2
    assert "POINTSMAN_PUBLISH_COMMAND is empty: unset it, or name the command" in by_variable.stderr
    assert "--command is empty: leave it out, or name the command" in by_option
    assert timestamp_of(fleet) == before


def test_an_option_takes_the_place_of_an_empty_variable(fleet: Path) -> None:
    good(fleet, "refresh", *KEYS, "--command", "cat", environment={"POINTSMAN_PUBLISH_COMMAND": ""})


def timestamp_of(fleet: Path) -> bytes:
    return (fleet / "repository" / "metadata" / "timestamp.json").read_bytes()
