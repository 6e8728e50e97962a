"""`pointsman rollout clean` as people run it."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.command import pointsman
from support.rolloutcommands import RULES, bad, good, offered, write_bundle
from support.rollouts import KEYS

TO_WEB = 'while read -r f; do mkdir -p "../web/$(dirname "$f")" && cp "$f" "../web/$f" || exit 1; done'
IN_THREE_DAYS, IN_SIX_DAYS = ((datetime.now(UTC) + timedelta(days=days)).isoformat() for days in (3, 6))


def names(folder: Path) -> set[str]:
    """The files of a repository that readers are for."""
    return {f"{path.parent.name}/{path.name}" for part in ("metadata", "targets") for path in (folder / part).iterdir()}


def test_what_nobody_is_led_to_goes_from_the_folder_and_from_where_it_was_sent(fleet: Path) -> None:
    shutil.copytree(fleet / "repository", fleet / "web")
    content = {}
    for sequence in (2, 3):
        content[sequence] = write_bundle(fleet, "lab", f"the {sequence}.", sequence)
        good(fleet, "publish", "bundles", *KEYS, "--command", TO_WEB)
    good(fleet, "promote", "sites", *KEYS, "--command", TO_WEB)
    before = names(fleet / "repository")

    named = good(fleet, "clean", "--dry-run", "--at", IN_THREE_DAYS).split()
    assert names(fleet / "repository") == before
    assert "at the stage obsolete" in bad(fleet, "clean", "--command", "exit 3", "--at", IN_THREE_DAYS, code=6)
    assert names(fleet / "repository") == before
    (fleet / "repository" / "targets" / ".staging-x").mkdir()
    (fleet / "repository" / "metadata" / ".5.snapshot.json.x").touch()
    said = good(fleet, "clean", "--command", 'cd ../web && xargs rm && echo "$POINTSMAN_STAGE"', "--at", IN_THREE_DAYS)

    assert said.splitlines()[0] == "obsolete"
    assert said.splitlines()[1].startswith(f"{len(named)} files removed, ")
    assert names(fleet / "repository") == names(fleet / "web") == before - set(named)
    assert offered(fleet, "lab", "web") == content[3]
    kept = [path.read_bytes() for path in (fleet / "web" / "targets").glob("*.lab.bundle")]
    assert content[2] not in kept  # it was desired, and never offered
    assert good(fleet, "clean", "--at", IN_THREE_DAYS) == "0 files removed, 0.0 MB\n"


def test_what_may_be_offered_yet_or_again_stays(fleet: Path) -> None:
    first = offered(fleet, "lab")
    second = {site: write_bundle(fleet, site, "second", 2) for site in ("lab", "lyon")}
    good(fleet, "publish", "bundles", *KEYS)
    (fleet / "sites" / "rollout.yaml").write_text(RULES.replace("spread: 0", "spread: 86400"))
    good(fleet, "promote", "sites", *KEYS)
    assert offered(fleet, "lab") == second["lab"]
    good(fleet, "refresh", *KEYS, "--at", IN_THREE_DAYS)

    good(fleet, "clean", "--at", IN_THREE_DAYS)

    kept = [path.read_bytes() for path in (fleet / "repository" / "targets").glob("*.bundle")]
    assert second["lyon"] in kept  # it is desired
    assert first in kept  # what a halt brings back while a turn has not come
    good(fleet, "halt", "--because", "calls", *KEYS)
    good(fleet, "refresh", *KEYS, "--at", IN_THREE_DAYS)
    good(fleet, "clean", "--at", IN_SIX_DAYS)
    kept = [path.read_bytes() for path in (fleet / "repository" / "targets").glob("*.bundle")]
    assert second["lab"] in kept  # who took it before it was taken back is offered it again


def test_an_old_ledger_goes_after_an_hour_where_all_was_sent(fleet: Path) -> None:
    def in_minutes(minutes: int) -> str:
        return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()

    def ledgers(minutes: int) -> int:
        named = good(fleet, "clean", "--dry-run", "--at", in_minutes(minutes)).split()
        return sum(name.endswith(".ledger.json") for name in named)

    write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", *KEYS)

    assert ledgers(90) == 0
    good(fleet, "refresh", *KEYS, "--command", "cat")
    assert ledgers(30) == 0
    assert ledgers(90) > 0


def test_what_was_replaced_goes_an_hour_after_the_last_timestamp_that_leads_to_it(fleet: Path) -> None:
    write_bundle(fleet, "lab", "second", 2)
    good(fleet, "publish", "bundles", *KEYS)
    two_days_on = [datetime.now(UTC) + timedelta(days=2, minutes=minutes) for minutes in (30, 90)]

    early, late = (good(fleet, "clean", "--dry-run", "--at", at.isoformat()) for at in two_days_on)

    assert ".snapshot.json" not in early
    assert ".snapshot.json" in late


def test_an_empty_command_that_removes_is_a_mistake(fleet: Path) -> None:
    done = pointsman("rollout", "clean", cwd=fleet, environment={"POINTSMAN_CLEAN_COMMAND": ""})

    assert done.returncode == 2
    assert "POINTSMAN_CLEAN_COMMAND is empty: unset it, or name the command" in done.stderr
