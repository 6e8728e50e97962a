"""`pointsman compile` over many sites: locks, all or nothing, the same bytes from any number of processes."""

import json
import os
from pathlib import Path

import pytest
from pointsman_schema.bundle import read_payload
from pointsman_schema.envelope import open_unverified
from support.command import pointsman
from support.trees import UNIQUE, lay_out

SITES = Path(__file__).parents[2] / "sites"
TWO = UNIQUE.replace("site: one", "site: two").replace("CP-1", "CP-2")
ENOUGH_FOR_TWO_PROCESSES = 120


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "sites", {"one.yaml": UNIQUE, "two.yaml": TWO}).root


def many(root: Path, count: int = ENOUGH_FOR_TWO_PROCESSES) -> Path:
    files = {
        f"s{n:03}.yaml": UNIQUE.replace("site: one", f"site: s{n:03}").replace("CP-1", f"CP-{n}") for n in range(count)
    }
    return lay_out(root, files).root


def digests(out: Path) -> dict[str, str]:
    bundles = [read_payload(open_unverified(path.read_bytes())) for path in sorted(out.glob("*.bundle"))]
    return {bundle.site: bundle.config_digest for bundle in bundles}


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_a_lock_file_says_each_sites_digest(root: Path, tmp_path: Path) -> None:
    lock = tmp_path / "fleet.lock"

    done = pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1", "--lock-file", lock)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(lock.read_text()) == digests(tmp_path / "out")
    assert list(json.loads(lock.read_text())) == ["one", "two"]


def test_what_is_locked_compiles_and_what_differs_is_stale_and_named(root: Path, tmp_path: Path) -> None:
    lock, out = tmp_path / "fleet.lock", tmp_path / "out"
    arguments = ("compile", root, "--sequence", "1", "--locked", lock)
    assert (
        pointsman("compile", root, "--out", tmp_path / "first", "--sequence", "1", "--lock-file", lock).returncode == 0
    )

    assert pointsman(*arguments, "--out", out).returncode == 0
    lay_out(
        root, {"two.yaml": TWO.replace("CP-2", "CP-3"), "three.yaml": TWO.replace("two", "three").replace("CP-2", "X")}
    )
    stale = pointsman(*arguments, "--out", tmp_path / "second")

    assert stale.returncode == 3
    assert "two gives " in stale.stderr
    assert "three is not in the lock" in stale.stderr
    assert "one" not in stale.stderr.splitlines()[1:]
    assert not (tmp_path / "second").exists()
    assert pointsman(*arguments, "--out", tmp_path / "third", "--site", "one").returncode == 0


def test_a_locked_site_that_is_gone_is_stale(root: Path, tmp_path: Path) -> None:
    lock = tmp_path / "fleet.lock"
    pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1", "--lock-file", lock)
    (root / "two.yaml").unlink()

    done = pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1", "--locked", lock)

    assert done.returncode == 3
    assert "two is locked, but there is no such site" in done.stderr


def test_the_json_of_a_plan_is_a_lock_as_well(root: Path, tmp_path: Path) -> None:
    lock, plan = tmp_path / "fleet.lock", tmp_path / "plan.json"
    pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1", "--lock-file", lock)
    plan.write_text(json.dumps({"sites": [], "risks": [], "lock": json.loads(lock.read_text()), "summary": {}}))

    assert pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1", "--locked", plan).returncode == 0


@pytest.mark.parametrize("text", ["", "[1]", '{"one": "abc"}', '{"One": "sha256:' + "0" * 64 + '"}', "\xff"])
def test_a_file_that_is_no_lock_is_refused(root: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "lock").write_text(text)

    done = pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1", "--locked", tmp_path / "lock")

    assert done.returncode == 1
    assert "is no lock" in done.stderr
    assert not (tmp_path / "out").exists()


def test_only_sites_whose_digest_changed_are_written_again(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pointsman("compile", root, "--out", out, "--sequence", "1")
    before = contents(out)
    lay_out(root, {"two.yaml": TWO.replace("CP-2", "CP-3")})

    assert pointsman("compile", root, "--out", out, "--sequence", "2").returncode == 0

    after = contents(out)
    assert after["one.bundle"] == before["one.bundle"]
    assert read_payload(open_unverified(after["two.bundle"])).sequence == 2
    assert list(after) == ["one.bundle", "two.bundle"]


def test_a_step_back_of_the_sequence_is_a_warning(root: Path, tmp_path: Path) -> None:
    arguments = ("compile", root, "--out", tmp_path / "out")
    pointsman(*arguments, "--sequence", "9")

    same = pointsman(*arguments, "--sequence", "3")
    lay_out(root, {"two.yaml": TWO.replace("CP-2", "CP-3")})
    lower = pointsman(*arguments, "--sequence", "3")
    lay_out(root, {"one.yaml": UNIQUE.replace("CP-1", "CP-9")})
    equal = pointsman(*arguments, "--sequence", "9")

    assert (same.returncode, same.stderr) == (0, "")
    assert lower.returncode == 0
    assert "two.bundle had sequence 9 and has 3 now" in lower.stderr
    assert "one.bundle" not in lower.stderr
    assert "one.bundle had sequence 9 and has 9 now" in equal.stderr


def test_an_error_in_one_site_puts_no_bundle_into_place(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pointsman("compile", root, "--out", out, "--sequence", "1")
    before = contents(out)
    lay_out(root, {"one.yaml": UNIQUE.replace("CP-1", "CP-7"), "two.yaml": TWO.replace("wss:", "https:")})

    assert pointsman("compile", root, "--out", out, "--sequence", "2").returncode == 1

    assert contents(out) == before


def test_a_station_on_two_sites_keeps_both_from_being_compiled(tmp_path: Path) -> None:
    root = many(tmp_path / "sites")
    lay_out(root, {"zz.yaml": UNIQUE.replace("site: one", "site: zz").replace("CP-1", "CP-5")})

    done = pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1", "--jobs", "2")

    assert done.returncode == 1
    assert "zz.yaml:8:3: error[PM400]" in done.stderr
    assert "s005.yaml:8:3: on `s005`" in done.stderr
    assert not (tmp_path / "out").exists()


def test_bundles_and_problems_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    root = many(tmp_path / "sites")
    outs = [tmp_path / f"out{jobs}" for jobs in (1, 2, 3)]
    for jobs, out in enumerate(outs, 1):
        done = pointsman("compile", root, "--out", out, "--sequence", "1", "--jobs", str(jobs))
        assert done.returncode == 0, done.stderr
    for number in range(0, ENOUGH_FOR_TWO_PROCESSES, 7):
        (root / f"s{number:03}.yaml").write_text(UNIQUE)

    reports = {pointsman("check", root, "--format", "json", "--jobs", str(jobs)).stdout for jobs in (1, 2, 3)}

    assert len(contents(outs[0])) == ENOUGH_FOR_TWO_PROCESSES
    assert contents(outs[0]) == contents(outs[1]) == contents(outs[2])
    assert len(reports) == 1
    assert json.loads(reports.pop())["errors"] > 30


def test_a_folder_in_the_place_of_a_bundle_is_told_and_changes_nothing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "two.bundle").mkdir(parents=True)

    done = pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1")

    assert done.returncode == 6
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path / "out") == ["two.bundle"]


def test_a_lock_file_in_no_folder_is_told_before_any_work(root: Path, tmp_path: Path) -> None:
    arguments = ("--out", tmp_path / "out", "--sequence", "1", "--lock-file", tmp_path / "none" / "lock.json")

    done = pointsman("compile", root, *arguments)

    assert done.returncode == 6
    assert "no such folder for the lock file" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_build_without_a_key_is_signed_elsewhere_with_a_passphrase(root: Path, tmp_path: Path) -> None:
    passphrase = {"POINTSMAN_PASSPHRASE": "correct horse"}
    pointsman("keygen", tmp_path / "safe", "--passphrase", environment=passphrase)
    pointsman("compile", root, "--out", tmp_path / "out", "--sequence", "1")
    bundle = tmp_path / "out" / "one.bundle"
    sign = ("sign", bundle, "--key", tmp_path / "safe.key")

    without, signed = pointsman(*sign), pointsman(*sign, environment=passphrase)

    assert (without.returncode, signed.returncode) == (1, 0)
    assert "POINTSMAN_PASSPHRASE" in without.stderr
    assert pointsman("verify", bundle, "--trust", tmp_path / "safe.pub").returncode == 0
