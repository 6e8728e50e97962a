"""The tree of files: what is a site, and that no path leaves the root. On real folders, links and pipes."""

import os
from pathlib import Path

import pytest
from pointsman_compiler.sources import KEPT_BYTES, LARGEST_READ_BYTES, SourceError, SourceTree
from pointsman_compiler.stores.folder import Folder


def tree_of(root: Path, *files: str) -> SourceTree:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(f"# {file}\n")
    return SourceTree(root)


def refusal_of(tree: SourceTree, file: str) -> str:
    with pytest.raises(SourceError) as caught:
        tree.read(file)
    assert caught.value.message
    assert caught.value.help
    return caught.value.reason


def test_sites_are_all_yaml_files_but_the_two_at_the_top_sorted(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "nl/b.yaml", "fr/a.yaml", "c.yaml", "fleet.yaml", "rollout.yaml", "fr/badges/x.csv")

    assert tree.site_files() == (["c.yaml", "fr/a.yaml", "nl/b.yaml"], [])
    assert tree.fleet_file() == "fleet.yaml"


def test_a_fleet_file_further_down_is_a_site(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "fr/fleet.yaml")

    assert tree.site_files() == (["fr/fleet.yaml"], [])
    assert tree.fleet_file() is None


def test_names_with_a_dot_or_an_underscore_in_front_are_skipped(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, ".a.yaml", "_b.yaml", ".git/c.yaml", "_drafts/d.yaml", "_e.yml")

    assert tree.site_files() == ([], [])


def test_the_short_ending_is_a_problem(tmp_path: Path) -> None:
    files, problems = tree_of(tmp_path, "fr/a.yml", "b.yaml").site_files()

    (problem,) = problems
    assert files == ["b.yaml"]
    assert (problem.place.file, problem.code) == ("fr/a.yml", "PM591")
    assert "fr/a.yaml" in problem.help


def test_two_equal_stems_show_both_files(tmp_path: Path) -> None:
    files, problems = tree_of(tmp_path, "fr/a.yaml", "nl/a.yaml", "nl/b.yaml").site_files()

    (problem,) = problems
    assert files == ["fr/a.yaml", "nl/a.yaml", "nl/b.yaml"]
    assert (problem.place.file, problem.related[0].place.file) == ("nl/a.yaml", "fr/a.yaml")


def test_a_linked_folder_is_a_problem_and_is_not_walked(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "sites", "fr/a.yaml")
    (tmp_path / "sites" / "loop").symlink_to(tmp_path)

    files, problems = tree.site_files()

    assert files == ["fr/a.yaml"]
    assert [problem.place.file for problem in problems] == ["loop"]


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        SourceTree(tmp_path / "nothing").site_files()

    assert caught.value.reason == "missing"


def test_what_was_read_once_stays_the_same(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "a.yaml")
    first = tree.read("a.yaml")
    (tmp_path / "a.yaml").write_text("changed")

    assert tree.read("a.yaml") == first == b"# a.yaml\n"


def test_a_forgotten_file_is_read_again(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "a.yaml", "b.yaml")
    tree.read("a.yaml")
    (tmp_path / "a.yaml").write_text("changed")

    tree.forget("a.yaml")
    tree.forget("never-read.yaml")

    assert tree.read("a.yaml") == b"changed"


def test_what_was_read_is_let_go_of_only_when_it_is_much(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "a.yaml")
    (tmp_path / "large").write_bytes(b"x" * KEPT_BYTES)
    tree.read("a.yaml")
    assert not tree.trim()
    tree.read("large")

    assert tree.trim()

    (tmp_path / "a.yaml").write_text("changed")
    assert tree.read("a.yaml") == b"changed"


def test_given_files_stand_below_the_root_as_though_they_were_there(tmp_path: Path) -> None:
    tree_of(tmp_path, "a.yaml")

    tree = SourceTree(tmp_path, {"new.yaml": b"given", "a.yaml": b"over it"})

    assert (tree.read("new.yaml"), tree.read("a.yaml")) == (b"given", b"over it")


def test_a_stamp_changes_with_its_file(tmp_path: Path) -> None:
    tree_of(tmp_path, "fr/a.yaml", "b.csv", ".hidden", "_draft/c.yaml")
    (tmp_path / "dangling").symlink_to("nowhere")
    before = Folder(tmp_path).stamps()

    (tmp_path / "b.csv").write_text("another length")

    after = Folder(tmp_path).stamps()
    assert list(before) == ["b.csv", "fr/a.yaml"]
    assert before["fr/a.yaml"] == after["fr/a.yaml"]
    assert before["b.csv"] != after["b.csv"]


def test_a_missing_file_a_folder_and_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "fr/a.yaml")
    os.mkfifo(tmp_path / "pipe")

    assert refusal_of(tree, "b.yaml") == "missing"
    assert refusal_of(tree, "fr/a.yaml/b") in ("missing", "unreadable")
    assert refusal_of(tree, "fr") == "unreadable"
    assert refusal_of(tree, "pipe") == "unreadable"
    assert refusal_of(tree, "x" * 5000) == "unreadable"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    with (tmp_path / "big.csv").open("wb") as big:
        big.truncate(LARGEST_READ_BYTES + 1)

    assert refusal_of(tree, "big.csv") == "too-large"


@pytest.mark.parametrize(
    "name", ["../secret", "fr/../../secret", "/etc/passwd", "..", "", ".", "C:\\x", "C:/x", "a\0b"]
)
def test_a_path_out_of_the_root_is_refused_whether_it_exists_or_not(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("s")
    tree = tree_of(tmp_path / "sites", "fr/a.yaml")

    assert refusal_of(tree, name) == "outside"


def test_a_link_out_of_the_root_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    tree = tree_of(tmp_path / "sites", "fr/a.csv")
    (tmp_path / "sites" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "sites" / "folder").symlink_to(tmp_path)
    (tmp_path / "sites" / "within").symlink_to("fr/a.csv")
    (tmp_path / "sites" / "circle").symlink_to("circle")

    assert refusal_of(tree, "out") == "link"
    assert refusal_of(tree, "folder/secret") == "link"
    assert refusal_of(tree, "circle") == "unreadable"
    assert tree.read("within") == b"# fr/a.csv\n"


def test_a_root_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    tree_of(tmp_path / "real", "a.yaml")
    (tmp_path / "sites").symlink_to(tmp_path / "real")

    tree = SourceTree(tmp_path / "sites")

    assert tree.site_files() == (["a.yaml"], [])
    assert tree.read("a.yaml") == b"# a.yaml\n"


@pytest.mark.parametrize(
    ("named_in", "reference", "meant"),
    [
        ("fr/a.yaml", "badges/x.csv", "fr/badges/x.csv"),
        ("fr/a.yaml", "../certificates/root.pem", "certificates/root.pem"),
        ("fr/a.yaml", "./x.csv", "fr/x.csv"),
        ("fleet.yaml", "certificates/root.pem", "certificates/root.pem"),
        ("fr/lyon/a.yaml", "../../x/../y.pem", "y.pem"),
    ],
)
def test_a_reference_is_relative_to_the_file_that_names_it(named_in: str, reference: str, meant: str) -> None:
    assert SourceTree(Path("sites")).resolve(named_in, reference) == meant


@pytest.mark.parametrize("reference", ["../../x", "/etc/passwd", "", "..", "C:\\x", "C:/x", "x\ny"])
def test_a_reference_out_of_the_root_is_refused(reference: str) -> None:
    with pytest.raises(SourceError) as caught:
        SourceTree(Path("sites")).resolve("fr/a.yaml", reference)

    assert caught.value.reason == "outside"
