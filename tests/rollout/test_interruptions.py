"""A command that is killed at any of its writes: readers find no gap, and the next command goes on from there."""

import copy
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_compiler.rollout.publishing import send
from pointsman_compiler.rollout.repository import Repository
from pointsman_compiler.rollout.unsent import is_all_sent
from support.rollouts import taken
from support.rolloutsites import Fleet
from support.sites import SITE

NEW = {role: Ed25519PrivateKey.generate() for role in ("root", "targets", "snapshot", "timestamp")}
MOST_WRITES = 40


def rotate(*roles: str) -> Callable[[Fleet], object]:
    """A root in which other keys have `roles`; that of the root has a threshold, and so two."""
    new = {role: [NEW[role]] if role != "root" else [NEW[role], Ed25519PrivateKey.generate()] for role in roles}
    return lambda fleet: Repository(fleet.folder / "repository").rotate(new, all_keys(fleet), datetime.now(UTC))


def all_keys(fleet: Fleet) -> list[Ed25519PrivateKey]:
    """Those that were replaced too: which of them sign, the repository knows."""
    return [*fleet.roots[:2], *fleet.keys.values(), *NEW.values()]


COMMANDS: dict[str, Callable[[Fleet], object]] = {
    "offer": lambda fleet: fleet.offer_next(),
    "refresh": lambda fleet: fleet.refresh(datetime.now(UTC)),
    "refresh of all": lambda fleet: fleet.refresh(datetime.now(UTC) + timedelta(days=300)),
    "root": rotate(),
    "root: targets": rotate("targets"),
    "root: all": rotate("root", "targets", "snapshot", "timestamp"),
}


class Killed(BaseException):
    """Stands for the end of a process: nothing in the product catches it."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_killed_at_any_write_leaves_no_gap_and_is_gone_on_from(
    fleet: Fleet, tmp_path: Path, command: str
) -> None:
    look(fleet, "repository", "early")
    to_web = "while read -r name; do mkdir -p {web}/$(dirname $name); cp $name {web}/$name; done"
    send(fleet.folder / "repository", to_web.format(web=fleet.folder / "web"))
    before = look(fleet, "web", "far")

    for number in range(1, MOST_WRITES):
        one = copied(fleet, tmp_path / f"killed-{number}")
        was_killed = killed_at(number, partial(COMMANDS[command], one))

        Repository(one.folder / "repository").ledger()
        found = look(one, "repository", "early")
        assert look(one, "repository", "fresh") == found
        assert look(one, "web", "far") == before

        Repository(one.folder / "repository").refresh(all_keys(one), datetime.now(UTC))
        send(one.folder / "repository", to_web.format(web=one.folder / "web"))
        assert is_all_sent(one.folder / "repository")
        assert look(one, "web", "far") == found

        one.keys |= {f"new {role}": key for role, key in NEW.items()}
        newest = one.offer_next()[SITE]
        assert look(one, "repository", "early") == newest
        assert look(one, "repository", "fresh") == newest
        if not was_killed:
            break
    assert number > 2
    assert not was_killed


def killed_at(number: int, act: Callable[[], object]) -> bool:
    """Do `act`, and end it instead of the write with that number; return whether it came to it."""
    writes = 0
    replace = os.replace

    def counted(*arguments: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == number:
            raise Killed
        replace(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "replace", counted)
        try:
            act()
        except Killed:
            return True
    return False


def copied(fleet: Fleet, folder: Path) -> Fleet:
    """The same with all of its files."""
    one = copy.copy(fleet)
    one.folder = Path(shutil.copytree(fleet.folder, folder, symlinks=True))
    one.keys = dict(fleet.keys)
    return one


def look(fleet: Fleet, served: str, client: str) -> bytes:
    """What the site would take now from the folder `served`; what was learned stays with the fleet."""
    return taken(fleet.folder / served, fleet.folder / f"client-{client}", fleet.root, SITE)
