"""`pointsman plan`: folders, revisions, files, exit codes, acknowledgements, and plans as locks."""

import json
import re
from pathlib import Path

import pytest
from support.command import pointsman
from support.repositories import a_repository, commit, git
from support.trees import UNIQUE, lay_out

MOVED = UNIQUE.replace("acme.example/ocpp", "acme.example/v2")
POLICY = "version: 1\npolicy: {acknowledge: [risk/reconnect]}\n"
BROKEN = UNIQUE.replace("wss:", "https:")


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return lay_out(tmp_path / "a", {"one.yaml": UNIQUE}).root, lay_out(tmp_path / "b", {"one.yaml": MOVED}).root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = a_repository(tmp_path / "repository")
    commit(made, {"sites/one.yaml": UNIQUE, "sites/fleet.yaml": POLICY})
    git(made, "branch", "base")
    return made


def test_two_folders_are_compared(sides: tuple[Path, Path]) -> None:
    done = pointsman("plan", *sides)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 of 1 site changes. 1 station drops and comes back.\nrisk/reconnect\n")


def test_two_revisions_are_compared_without_a_checkout(repository: Path) -> None:
    commit(repository, {"sites/one.yaml": MOVED}, "Move\n\nAcknowledge: risk/reconnect")
    git(repository, "rm", "-rq", "sites")

    done = pointsman("plan", "base", "HEAD", "--root", "sites", cwd=repository)

    assert (done.returncode, done.stderr) == (0, "")
    assert "1 station drops" in done.stdout
    assert git(repository, "status", "--short", "--untracked-files=all").splitlines() == [
        "D  sites/fleet.yaml",
        "D  sites/one.yaml",
    ]


def test_a_revision_and_the_folder_as_it_is_now_are_compared(repository: Path) -> None:
    lay_out(repository / "sites", {"one.yaml": MOVED, "fleet.yaml": "version: 1\n"})

    done = pointsman("plan", "HEAD", "sites", "--acknowledge", "risk/reconnect,risk/security-downgrade", cwd=repository)
    same = pointsman("plan", "HEAD", "HEAD", cwd=repository)

    assert "1 station drops" in done.stdout
    assert "/policy/acknowledge" in done.stdout
    assert same.stdout == "No change: no file differs, and there is 1 site.\nrisk/none\n"


@pytest.mark.parametrize("arguments", [("nowhere", "HEAD"), ("HEAD", "nowhere"), ("-x", "HEAD")])
def test_what_is_neither_a_folder_nor_a_revision_is_told(repository: Path, arguments: tuple[str, str]) -> None:
    done = pointsman("plan", "--", *arguments, cwd=repository)

    assert done.returncode == 6
    assert "help: fetch it first" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_side_after_without_sites_is_told_and_one_before_is_a_beginning(repository: Path) -> None:
    done = pointsman("plan", "HEAD", "HEAD", "--root", "elsewhere", cwd=repository)
    first = pointsman("plan", git(repository, "hash-object", "-t", "tree", "/dev/null"), "HEAD", cwd=repository)
    empty = repository.parent / "empty"
    empty.mkdir()
    added = pointsman("plan", empty, repository / "sites")

    assert (done.returncode, first.returncode) == (6, 6)
    assert "there is no folder elsewhere" in done.stderr
    assert added.returncode == 0
    assert "1 site is new" in added.stdout


def test_a_clone_without_files_is_told_and_the_remedy_helps(repository: Path, tmp_path: Path) -> None:
    commit(repository, {"sites/one.yaml": MOVED}, "Move\n\nAcknowledge: risk/reconnect")
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{repository}", "partial")
    clone = tmp_path / "partial"
    revisions = [git(repository, "rev-parse", name) for name in ("base", "main")]

    lacking = pointsman("plan", *revisions, "--root", "sites", cwd=clone)
    remedy = re.search("`git (.*?)`", lacking.stderr)
    assert remedy is not None, lacking.stderr
    git(clone, *remedy[1].split())
    whole = pointsman("plan", *revisions, "--root", "sites", cwd=clone)

    assert lacking.returncode == 6
    assert "git lacks the content of some files" in " ".join(lacking.stderr.split())
    assert "Traceback" not in lacking.stderr
    assert (whole.returncode, whole.stderr) == (0, "")


def test_a_repository_that_lacks_a_file_is_told(repository: Path) -> None:
    blob = git(repository, "rev-parse", "main:sites/one.yaml")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()

    done = pointsman("plan", "base", "main", "--root", "sites", cwd=repository)

    assert done.returncode == 6
    assert "git lacks the content of one.yaml" in " ".join(done.stderr.split())
    assert "git fsck" in done.stderr
    assert "Traceback" not in done.stderr


def test_exit_codes_say_whether_something_changes_only_where_asked(sides: tuple[Path, Path]) -> None:
    codes = [
        pointsman("plan", *arguments).returncode
        for arguments in (
            (*sides, "--detailed-exitcode"),
            (sides[0], sides[0], "--detailed-exitcode"),
            sides,
            (*sides, "--format", "yaml"),
            (*sides, "--site", "two"),
            (*sides, "--write", "plan.pdf"),
            (*sides, "--acknowledge", "risk/unknown"),
        )
    ]

    assert codes == [5, 0, 0, 2, 2, 2, 2]


def test_what_does_not_compile_after_fails_and_what_did_not_before_never_does(tmp_path: Path) -> None:
    good = lay_out(tmp_path / "good", {"one.yaml": UNIQUE}).root
    bad = lay_out(tmp_path / "bad", {"one.yaml": BROKEN}).root

    after, before = pointsman("plan", good, bad), pointsman("plan", bad, good)

    assert after.returncode == 1
    assert "error[PM310]" in after.stderr
    assert "1 site does not compile after this change." in after.stdout
    assert (before.returncode, before.stderr) == (0, "")


def test_a_station_on_two_sites_fails_though_each_compiles(sides: tuple[Path, Path]) -> None:
    lay_out(sides[1], {"two.yaml": MOVED.replace("site: one", "site: two")})

    done = pointsman("plan", *sides)

    assert done.returncode == 1
    assert "PM400" in done.stderr
    assert "two (two.yaml): new" in done.stdout


def test_a_label_that_the_policy_demands_is_acknowledged_by_a_trailer_or_a_flag(repository: Path) -> None:
    commit(repository, {"sites/one.yaml": MOVED}, "Another path")
    without = pointsman("plan", "base", "HEAD", cwd=repository)
    flagged = pointsman("plan", "base", "HEAD", "--acknowledge", "risk/reconnect", cwd=repository)
    commit(repository, {}, "Say so\n\nWhy.\n\nAcknowledge: risk/reconnect\nAcknowledge: risk/unheard-of\n")
    trailed = pointsman("plan", "base", "HEAD", cwd=repository)
    old = pointsman("plan", "HEAD~1", "HEAD~1", cwd=repository)

    assert (without.returncode, flagged.returncode, trailed.returncode, old.returncode) == (1, 0, 0, 0)
    assert "The policy wants `Acknowledge: risk/reconnect` in a commit's message." in without.stdout
    assert "'risk/unheard-of', which is no label" in trailed.stderr


def test_a_change_that_takes_the_demand_away_must_still_meet_it(repository: Path) -> None:
    commit(repository, {"sites/one.yaml": MOVED, "sites/fleet.yaml": "version: 1\n"})

    done = pointsman("plan", "base", "HEAD", "--format", "json", cwd=repository)

    assert done.returncode == 1
    plan = json.loads(done.stdout)
    assert plan["acknowledge"] == {"demanded": ["risk/reconnect"], "given": [], "missing": ["risk/reconnect"]}
    assert [one["path"] for one in plan["policy"]] == ["/policy/acknowledge"]


def test_one_run_writes_every_form(sides: tuple[Path, Path], tmp_path: Path) -> None:
    files = [tmp_path / f"plan{ending}" for ending in (".md", ".html", ".json", ".txt")]

    done = pointsman("plan", *sides, "--format", "github", *(part for file in files for part in ("--write", str(file))))

    assert done.returncode == 0
    assert re.match(r"::notice file=\S*one\.yaml,line=6,title=one%3A risk/reconnect::drop: CP-1", done.stdout)
    assert files[0].read_text().startswith("### 1 of 1 site changes.")
    assert files[1].read_text().startswith("<!DOCTYPE html>")
    assert json.loads(files[2].read_text())["risks"] == ["risk/reconnect"]
    assert files[3].read_text().startswith("1 of 1 site changes.")


def test_only_the_sites_that_were_asked_for_are_planned(sides: tuple[Path, Path]) -> None:
    for side in sides:
        lay_out(side, {"two.yaml": UNIQUE.replace("site: one", "site: two").replace("CP-1", f"CP-{side.name}")})

    plan = json.loads(pointsman("plan", *sides, "--site", "two", "--format", "json").stdout)

    assert [site["site"] for site in plan["sites"]] == ["two"]
    assert list(plan["lock"]) == ["two"]


def test_one_site_is_planned_as_it_is_within_the_whole_fleet(tmp_path: Path) -> None:
    sites = {f"s{number}.yaml": UNIQUE.replace("site: one", f"site: s{number}") for number in range(6)}
    sites = {name: text.replace("CP-1", f"CP-{name[:2]}") for name, text in sites.items()}
    before = lay_out(tmp_path / "a", sites).root
    moved = sites["s3.yaml"].replace('ocpp"}', 'ocpp", messageTimeout: 1}')
    new = UNIQUE.replace("site: one", "site: new").replace("CP-1", "CP-new")
    after = lay_out(tmp_path / "b", {**sites, "s3.yaml": moved, "new.yaml": new, "s5.yaml": BROKEN}).root

    asked = ("--site", "s3", "--site", "new", "--format", "json")
    plan = json.loads(pointsman("plan", before, after, *asked).stdout)

    assert [(site["site"], site["risks"]) for site in plan["sites"]] == [
        ("new", ["risk/reload"]),
        ("s3", ["risk/reload"]),
    ]
    assert plan["sites"][1]["unusual"][0]["usual"] == [30, 30]
    assert "files" not in plan


def test_what_was_wrong_before_and_is_not_touched_does_not_fail(tmp_path: Path) -> None:
    broken = {"bad.yaml": BROKEN.replace("site: one", "site: bad")}
    before = lay_out(tmp_path / "a", {"one.yaml": UNIQUE, **broken}).root
    after = lay_out(tmp_path / "b", {"one.yaml": MOVED, **broken}).root
    worse = lay_out(tmp_path / "c", {"one.yaml": MOVED, "bad.yaml": f"{broken['bad.yaml']}# touched\n"}).root

    assert [pointsman("plan", before, side).returncode for side in (after, worse)] == [0, 1]


LOCAL = """\
version: 1
site: one
timeZone: Europe/Paris
supervision: local
badges: [{badge: 04A2B1C3, authorized: true}]
stations: {CP-1: {}}
"""


def test_numbers_of_badges_are_told_in_any_form_only_when_asked_for(tmp_path: Path) -> None:
    sides = {
        "before": LOCAL,
        "after": LOCAL.replace("04A2B1C3", "04FFFFFF"),
        "faulty": LOCAL.replace("badges: [", "badges: [{badge: 04A2B1C3}, "),
    }
    for name, text in sides.items():
        lay_out(tmp_path / name, {"one.yaml": text})

    def told(after: str, *flags: str) -> dict[str, set[str]]:
        files = {ending: tmp_path / f"plan{ending}" for ending in (".txt", ".md", ".html", ".json")}
        writing = [part for file in files.values() for part in ("--write", str(file))]
        done = pointsman("plan", "before", after, "--format", "github", *writing, *flags, cwd=tmp_path)
        texts = {"github": done.stdout, **{ending: file.read_text() for ending, file in files.items()}}
        return {form: set(re.findall("04a2b1c3|04ffffff", text.lower())) for form, text in texts.items()}

    assert set(map(len, told("after").values())) == {0}
    assert set(map(len, told("faulty").values())) == {0}
    asked = told("after", "--show-badges")
    assert asked.pop("github") == set()
    assert set(map(len, asked.values())) == {2}


ONE_BADGE = "badges: [{badge: 04A2B1C3, authorized: true}]"
WRONG_BADGES = {
    "twice": "badges: [{badge: DEADBEEF77}, {badge: deadbeef77}]",
    "as a key": "badges:\n  - {DEADBEEF77: x, groups: [staff]}",
    "as a map": "badges: {DEADBEEF77: {authorized: true}}",
    "in a group that is not there": "badges:\n  - {badge: DEADBEEF77, groups: [staff]}",
    "in a line that is no YAML": "badges: [{badge: DEADBEEF77",
    "written twice in a map": "badges:\n  - {badge: 'A', DEADBEEF77: x, DEADBEEF77: x}",
    "beside a wrong key": "activation: {spred: 1, badges: [DEADBEEF77]}",
    "indented too little": "DEADBEEF77: {authorized: true}",
    "in a list": "badges: [{file: list.csv}]",
}


@pytest.mark.parametrize("wrong", WRONG_BADGES.values(), ids=WRONG_BADGES.keys())
def test_numbers_of_badges_stand_in_no_error_of_a_plan_unless_asked_for(wrong: str, tmp_path: Path) -> None:
    lay_out(tmp_path / "before", {"one.yaml": LOCAL})
    csv = "badge,authorized,until\nDEADBEEF77,perhaps,\nDEADBEEF77,true,2026-02-31\n"
    lay_out(tmp_path / "after", {"one.yaml": LOCAL.replace(ONE_BADGE, wrong), "list.csv": csv})
    files = [tmp_path / f"plan{ending}" for ending in (".txt", ".md", ".html", ".json")]
    writing = [part for file in files for part in ("--write", str(file))]

    quiet = pointsman("plan", "before", "after", "--format", "github", *writing, cwd=tmp_path)
    told = [quiet.stdout, quiet.stderr, *(file.read_text() for file in files)]
    asked = pointsman("plan", "before", "after", "--show-badges", cwd=tmp_path)

    assert quiet.returncode == asked.returncode == 1
    assert [text for text in told if "deadbeef77" in text.lower()] == []
    assert "error[PM" in quiet.stderr
    assert "deadbeef77" in asked.stderr.lower()


def test_the_json_of_a_plan_has_the_keys_that_others_rely_on(sides: tuple[Path, Path]) -> None:
    plan = json.loads(pointsman("plan", *sides, "--format", "json").stdout)

    assert {"sites", "risks", "lock", "summary"} <= plan.keys()
    (site,) = plan["sites"]
    assert site["change"] == "changed"
    assert (site["reconnects"], site["moves"], site["risks"]) == (["CP-1"], [], ["risk/reconnect"])
    assert site["digestBefore"] != site["digestAfter"] == plan["lock"]["one"]
    assert site["changes"] == [
        {
            "path": "/supervisions/acme/url",
            "kind": "changed",
            "before": "wss://csms.acme.example/ocpp",
            "after": "wss://csms.acme.example/v2",
            "origin": {"side": "after", "layer": "site", "file": "one.yaml", "line": 6},
        }
    ]


def test_what_was_planned_compiles_and_what_changed_in_between_is_named(
    sides: tuple[Path, Path], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    pointsman("plan", *sides, "--write", plan)
    compile_it = ("compile", sides[1], "--sequence", "1", "--locked", plan)

    kept = pointsman(*compile_it, "--out", tmp_path / "out")
    lay_out(sides[1], {"one.yaml": f"# another comment\n{MOVED}"})
    commented = pointsman(*compile_it, "--out", tmp_path / "out")
    lay_out(sides[1], {"one.yaml": MOVED.replace("v2", "v3")})
    stale = pointsman(*compile_it, "--out", tmp_path / "out2")

    assert (kept.returncode, commented.returncode, stale.returncode) == (0, 0, 3)
    assert "one gives " in stale.stderr
    assert not (tmp_path / "out2").exists()


def test_in_a_large_fleet_untouched_sites_are_locked_by_their_files(tmp_path: Path) -> None:
    names = [f"s{number:03}" for number in range(320)]
    files = {
        f"{name}.yaml": UNIQUE.replace("site: one", f"site: {name}").replace("CP-1", f"CP-{name}") for name in names
    }
    before = lay_out(tmp_path / "a", files).root
    after = lay_out(tmp_path / "b", {**files, "s007.yaml": files["s007.yaml"].replace("/ocpp", "/v2")}).root
    plan, out = tmp_path / "plan.json", tmp_path / "out"
    assert pointsman("plan", before, after, "--write", plan).returncode == 0
    compile_it = ("compile", after, "--out", out, "--sequence", "1", "--locked", plan)
    made = json.loads(plan.read_text())
    free = next(name for name in names if name not in made["lock"])

    kept = pointsman(*compile_it)
    lay_out(after, {f"{free}.yaml": f"# a comment\n{files[f'{free}.yaml']}"})
    stale = pointsman(*compile_it)
    plan.write_text(json.dumps({**made, "compiler": "0.0.1"}))
    other = pointsman(*compile_it)

    assert len(made["lock"]) == 301
    assert (kept.returncode, stale.returncode, other.returncode) == (0, 3, 3)
    assert f"{free}: {free}.yaml is not as it was planned" in stale.stderr
    assert "was planned by pointsman 0.0.1" in other.stderr
