"""The power is cut between every two steps of activations: after the restart the old bundle is in force or the new, and
whole (rule 46)."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio
import trio.testing
from pointsman_agent.slots import Slots
from pointsman_schema.bundle import Activation, Config
from support.cutdisk import KEPT, LOST, OUTCOMES, TORN, CutDisk, PowerCut
from support.fakes import MemoryJournal
from support.houses import House, TiedClock, a_house, inline
from support.sites import a_config, a_remote_group, a_station, a_supervision

PROBATION: Final = 120
URLS: Final = {1: "ws://127.0.0.1:1/one", 2: "ws://127.0.0.1:1/two", 3: "ws://127.0.0.1:1/three"}


def site(sequence: int) -> Config:
    """The site as bundle `sequence` has it; what is moved keeps something to remember on the disk too."""
    operators = {"CP-1": "acme", "CP-2": "acme", "CP-3": "acme" if sequence == 1 else "volt"}
    return a_config(
        supervisions={"acme": a_supervision(URLS.get(sequence, URLS[2])), "volt": a_supervision("ws://127.0.0.1:1/v")},
        groups={"acme": a_remote_group("acme"), "volt": a_remote_group("volt")},
        stations={name: a_station(operator, operator) for name, operator in operators.items()},
        badges={},
        activation=Activation(spread=0, probation=PROBATION, drain_limit=3600),
    )


@asynccontextmanager
async def a_run(folder: Path) -> AsyncIterator[House]:
    """Run an agent on what is in `folder`."""
    clock = TiedClock()
    async with a_house(folder.parent, Slots(folder), MemoryJournal(clock), clock) as house:
        yield house


async def story(house: House) -> None:
    """A bundle proves itself, the next one does not."""
    house.come("CP-1", "CP-2", "CP-3")
    await trio.sleep(1)
    assert await house.offer(site(2), 2)
    await trio.sleep(PROBATION + 5)
    assert house.events[-1] == "proven"
    house.fails = lambda route: "tcp (refused)" if route.supervision and route.supervision.url == URLS[3] else None
    assert await house.offer(site(3), 3)
    await trio.sleep(10)
    assert house.events[-1] == "returned"


async def until_cut(folder: Path, disk: CutDisk) -> bool:
    """Run the story until the power is cut; False where it came to its end."""
    is_cut = False
    try:
        with pytest.MonkeyPatch.context() as patch:
            async with a_run(folder) as house:
                disk.stand_in(patch)
                await story(house)
    except* PowerCut:
        is_cut = True
    return is_cut


async def the_bundle_after(folder: Path) -> int:
    """Start again; return the sequence in force. What is offered next must come into force as ever."""
    async with a_run(folder) as house:
        active = house.bundle["active"]["sequence"]
        assert house.holder.current is not None
        assert house.holder.current.routing.config == site(active)
        house.come("CP-1", "CP-2")
        await trio.sleep(1)
        assert house.served_by("CP-1") == house.served_by("CP-2") == "acme"
        assert await house.offer(site(4), 4)
        await trio.sleep(PROBATION + 5)
        assert house.bundle["active"]["sequence"] == 4
    return int(active)


async def test_r46_a_power_cut_between_any_two_steps_leaves_the_old_bundle_or_the_new_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    inline(monkeypatch)
    template = tmp_path / "template"
    template.mkdir()
    async with a_run(template) as house:
        assert await house.offer(site(1), 1)
    found: dict[str, list[int]] = {outcome: [] for outcome in OUTCOMES}
    is_cut, cut_at = True, 0
    while is_cut:
        folder = tmp_path / f"cut-{cut_at}"
        shutil.copytree(template, folder)
        disk = CutDisk(folder, cut_at)
        is_cut = await until_cut(folder, disk)
        for outcome in OUTCOMES if is_cut else ():
            after = tmp_path / f"after-{cut_at}-{OUTCOMES.index(outcome)}"
            disk.after(outcome, after)
            found[outcome].append(await the_bundle_after(after))
        cut_at += 1

    assert len(disk.steps) > 25
    assert {step.split()[0] for step in disk.steps} == {"open", "write", "fsync", "replace", "unlink", "mkdir"}
    for outcome in (KEPT, TORN, LOST):
        assert found[outcome] == sorted(found[outcome])  # nothing that has proven itself is ever undone
        assert set(found[outcome]) == {1, 2}
