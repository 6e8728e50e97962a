"""A folder in a commit is read as a checkout of it would be. On real repositories, with real links."""

import pickle
import shutil
from pathlib import Path

import pytest
from pointsman_compiler.sources import LARGEST_READ_BYTES, SourceError, SourceTree
from pointsman_compiler.stores import Store
from pointsman_compiler.stores.commit import Commit, CommitUnknown, find_commit
from support.repositories import a_repository, commit, git
from support.trees import UNIQUE


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return a_repository(tmp_path / "repository")


def refusal(store: Store, file: str) -> str:
    """Why `file` cannot be read, or nothing where it can."""
    try:
        SourceTree(store).read(file)
    except SourceError as error:
        return error.reason
    return ""


def test_what_is_committed_is_there_whatever_is_on_the_disk(repository: Path) -> None:
    commit(repository, {"sites/fr/one.yaml": UNIQUE, "sites/fleet.yaml": "version: 1\n", "README.md": "no site"})
    committed = find_commit(repository / "sites", "HEAD")
    shutil.rmtree(repository / "sites")

    tree = SourceTree(committed)

    assert tree.site_files() == (["fr/one.yaml"], [])
    assert tree.fleet_file() == "fleet.yaml"
    assert tree.read("fr/one.yaml") == UNIQUE.encode()


def test_a_root_that_is_gone_is_found_in_the_commit_that_had_it(repository: Path) -> None:
    first = commit(repository, {"a/sites/one.yaml": UNIQUE})
    commit(repository, {"a/sites/one.yaml": None, "b": "b"})
    shutil.rmtree(repository / "a", ignore_errors=True)

    assert SourceTree(find_commit(repository / "a" / "sites", first)).site_files() == (["one.yaml"], [])
    with pytest.raises(SourceError, match=f"in {git(repository, 'rev-parse', 'HEAD')[:12]}"):
        SourceTree(find_commit(repository / "a" / "sites", "HEAD")).site_files()


def test_the_whole_repository_can_be_the_root(repository: Path) -> None:
    commit(repository, {"one.yaml": UNIQUE})

    tree = SourceTree(find_commit(repository, "main"))

    assert tree.site_files() == (["one.yaml"], [])
    assert tree.read("one.yaml") == UNIQUE.encode()


@pytest.mark.parametrize("revision", ["nowhere", "--output=stolen", "HEAD:sites", "-h"])
def test_what_is_no_revision_is_told(repository: Path, revision: str) -> None:
    commit(repository, {"sites/one.yaml": UNIQUE})

    with pytest.raises(CommitUnknown):
        find_commit(repository / "sites", revision)
    assert not (repository / "stolen").exists()


def test_outside_of_git_there_is_no_revision(tmp_path: Path) -> None:
    with pytest.raises(CommitUnknown):
        find_commit(tmp_path, "HEAD")


def test_links_mean_what_they_mean_in_a_checkout(repository: Path) -> None:
    outside = repository.parent / "outside"
    outside.mkdir()
    (outside / "secret.pem").write_text("secret")
    sites = repository / "sites"
    links = {
        "within": "fr/a.csv",
        "fr/up": "../c.csv",
        "folder": "fr",
        "out": str(outside / "secret.pem"),
        "up": "../README.md",
        "dangling": "nowhere",
        "circle": "circle",
        "to-git": "../.git/config",
        "site.yaml": "real/one.yaml",
        "twice": "within",
        "through-a-file": "c.csv/x",
    }
    for name, content in {"fr/a.csv": "a", "c.csv": "c", "real/one.yaml": UNIQUE}.items():
        (sites / name).parent.mkdir(parents=True, exist_ok=True)
        (sites / name).write_text(content)
    for name, target in links.items():
        (sites / name).symlink_to(target)
    commit(repository, {"README.md": "not below the root"})
    committed, checkout = SourceTree(find_commit(sites, "HEAD")), SourceTree(sites)

    names = [*links, "folder/a.csv", "fr", "fr/a.csv/x", "nowhere", "twice/x", "real/one.yaml", "folder/up"]
    for name in names:
        there, here = refusal(committed.store, name), refusal(checkout.store, name)
        assert there == here or {there, here} <= {"missing", "unreadable"}, name
    assert committed.read("within") == committed.read("twice") == committed.read("folder/a.csv") == b"a"
    assert committed.read("fr/up") == b"c"
    assert {refusal(committed.store, name) for name in ("out", "up", "to-git")} == {"link"}
    assert committed.site_files() == checkout.site_files()


def test_names_that_are_hidden_are_walked_only_when_asked_for(repository: Path) -> None:
    commit(repository, {"sites/_certificates/a.pem": "x", "sites/.b/c.pem": "x", "sites/one.yaml": UNIQUE})
    found = find_commit(repository / "sites", "HEAD")

    assert [one.name for one in found.walk()] == ["one.yaml"]
    assert sorted(one.name for one in found.walk(hidden=True)) == [".b/c.pem", "_certificates/a.pem", "one.yaml"]


def test_a_blob_that_is_too_large_is_refused_without_reading_it(repository: Path) -> None:
    repository.joinpath("sites").mkdir()
    with (repository / "sites" / "big.csv").open("wb") as big:
        big.truncate(LARGEST_READ_BYTES + 1)
    commit(repository, {"sites/one.yaml": UNIQUE})

    assert refusal(find_commit(repository / "sites", "HEAD"), "big.csv") == "too-large"


def test_large_and_empty_and_strange_files_come_whole(repository: Path) -> None:
    files = {
        "sites/large.csv": bytes(range(256)) * 5000,
        "sites/empty.csv": b"",
        "sites/line break at the end": b"x\n\n",
        "sites/ümläut '\"$.csv": b"u",
    }
    commit(repository, files)
    found = find_commit(repository / "sites", "HEAD")

    for name, content in [*files.items(), *reversed(files.items())]:
        assert found.read(name.removeprefix("sites/")) == content


def test_the_same_content_has_the_same_blob_through_links_too(repository: Path) -> None:
    first = commit(repository, {"sites/a.csv": "a", "sites/b.csv": "a", "sites/c.csv": "c"})
    (repository / "sites" / "link").symlink_to("c.csv")
    second = commit(repository, {"sites/c.csv": "changed"})
    before, after = (find_commit(repository / "sites", revision) for revision in (first, second))

    assert before.blob("a.csv") == before.blob("b.csv") == after.blob("a.csv") != after.blob("c.csv")
    assert after.blob("link") == after.blob("c.csv")
    assert before.blob("nowhere") is None


def test_it_travels_to_another_process_without_its_git(repository: Path) -> None:
    commit(repository, {"sites/one.yaml": UNIQUE})
    found = find_commit(repository / "sites", "HEAD")
    found.read("one.yaml")

    copied: Commit = pickle.loads(pickle.dumps(found))

    assert copied == found
    assert copied.read("one.yaml") == UNIQUE.encode()


def test_it_ends_its_git_and_begins_another_when_asked_again(repository: Path) -> None:
    commit(repository, {"sites/one.yaml": UNIQUE})
    found: Commit = find_commit(repository / "sites", "HEAD")

    first = found.read("one.yaml")
    found.close()
    found.close()

    assert found.read("one.yaml") == first
