"""A bundle file that is followed: noticed when it is another one, told of once when it cannot be read."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from pointsman_agent.sources.file import POLL_EVERY_S, FileSource
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES
from support.sites import replace_file

SEEN_WITHIN_S = 10.0  # milliseconds on an idle machine


class Reader:
    """What a source offered and how it failed."""

    def __init__(self, source: FileSource) -> None:
        self.source = source
        self.told: list[bytes | tuple[str, str]] = []
        self.missing = 0
        self._news = trio.Event()

    async def offer(self, content: bytes) -> None:
        self._note(content)

    async def fail(self, code: str, message: str) -> None:
        if code == "missing":
            self.missing += 1
            self._news.set()
            self._news = trio.Event()
        else:
            self._note((code, message))

    async def wait(self, count: int) -> list[bytes | tuple[str, str]]:
        """Return all that was told once it is `count`."""
        with trio.fail_after(SEEN_WITHIN_S):
            while len(self.told) < count:
                await self._news.wait()
        return self.told

    async def wait_missing(self, count: int) -> None:
        """Wait until the file was missed so often."""
        with trio.fail_after(SEEN_WITHIN_S):
            while self.missing < count:
                await self._news.wait()

    def _note(self, item: bytes | tuple[str, str]) -> None:
        self.told.append(item)
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def followed(path: Path, poll_every_s: float = POLL_EVERY_S) -> AsyncIterator[Reader]:
    reader = Reader(FileSource(path, poll_every_s=poll_every_s))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.source.follow, reader.offer, reader.fail)
        yield reader
        nursery.cancel_scope.cancel()


async def test_a_file_that_is_there_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(b"one")
    began = trio.current_time()
    async with followed(path) as reader:
        assert await reader.wait(1) == [b"one"]
        assert trio.current_time() - began < POLL_EVERY_S


async def test_a_file_that_comes_later_or_is_replaced_is_noticed_by_the_poll(tmp_path: Path) -> None:
    path = tmp_path / "b"
    async with followed(path, poll_every_s=0.01) as reader:
        replace_file(path, b"one")
        assert await reader.wait(1) == [b"one"]
        replace_file(path, b"two")
        assert await reader.wait(2) == [b"one", b"two"]


async def test_a_reload_reads_at_once_also_what_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(b"one")
    async with followed(path) as reader:
        await reader.wait(1)
        began = trio.current_time()
        for count in (2, 3, 4):
            reader.source.reload()
            await reader.wait(count)

        assert reader.told == [b"one"] * 4
        assert trio.current_time() - began < POLL_EVERY_S


async def test_a_reload_that_is_asked_while_a_bundle_is_put_in_force_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(b"one")
    source, offers, twice = FileSource(path), list[bytes](), trio.Event()

    async def offer(content: bytes) -> None:
        offers.append(content)
        if len(offers) == 1:
            source.reload()
        else:
            twice.set()

    async def fail(code: str, message: str) -> None:
        raise AssertionError(message)

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.follow, offer, fail)
        with trio.fail_after(SEEN_WITHIN_S):
            await twice.wait()
        nursery.cancel_scope.cancel()

    assert trio.current_time() - began < POLL_EVERY_S


async def look(source: FileSource) -> list[bytes | tuple[str, str]]:
    """What the source tells of one look at its file, with which `follow` begins."""
    reader = Reader(source)
    with trio.move_on_after(0.1):
        await source.follow(reader.offer, reader.fail)
    return reader.told


async def test_a_fault_is_told_once_and_again_only_when_it_is_another(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "b"
    source = FileSource(path)
    (tmp_path / "folder").write_bytes(b"no folder")

    assert await look(source) == [("unreadable", f"{path}: Not a directory")]
    assert await look(source) == []
    (tmp_path / "folder").unlink()
    path.mkdir(parents=True)
    (told,) = await look(source)
    assert told[0] == "unreadable"
    assert "not a file with content" in str(told[1])
    assert await look(source) == []
    path.rmdir()
    path.write_bytes(b"one")
    assert await look(source) == [b"one"]
    assert await look(source) == []


async def test_a_fault_that_passes_offers_the_same_file_again(tmp_path: Path) -> None:
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    (folder / "b").write_bytes(b"one")
    source = FileSource(folder / "b")

    assert await look(source) == [b"one"]
    folder.rename(away)
    folder.write_bytes(b"no folder")
    assert len(await look(source)) == 1
    folder.unlink()
    away.rename(folder)
    assert await look(source) == [b"one"]


async def test_a_fault_that_lasts_is_told_again_when_somebody_asks(tmp_path: Path) -> None:
    source = FileSource(tmp_path)

    assert len(await look(source)) == 1
    source.reload()
    assert len(await look(source)) == 1


async def test_a_file_of_any_size_is_read_no_further_than_the_verdict_needs(tmp_path: Path) -> None:
    path = tmp_path / "b"
    with path.open("wb") as file:
        file.truncate(2 * LARGEST_ENVELOPE_BYTES)
    async with followed(path) as reader:
        (content,) = await reader.wait(1)

        assert len(content) == LARGEST_ENVELOPE_BYTES + 1


async def test_a_file_that_went_and_came_back_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(b"one")
    source = FileSource(path)

    assert await look(source) == [b"one"]
    path.rename(tmp_path / "away")
    assert await look(source) == []
    (tmp_path / "away").rename(path)
    assert await look(source) == [b"one"]


async def test_a_file_that_is_missing_is_told_of_once_each_time_it_is(tmp_path: Path) -> None:
    path = tmp_path / "b"
    async with followed(path, poll_every_s=0.01) as reader:
        await reader.wait_missing(1)
        replace_file(path, b"one")
        await reader.wait(1)
        path.unlink()
        await reader.wait_missing(2)
        replace_file(path, b"two")

        assert await reader.wait(2) == [b"one", b"two"]
        assert reader.missing == 2


async def test_a_pipe_is_no_bundle_and_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    (told,) = await look(FileSource(path))

    assert told[0] == "unreadable"
    assert "a pipe" in str(told[1])
