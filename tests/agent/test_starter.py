"""`pointsman-agent init`: what it lays down, and what it never writes over."""

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pointsman_agent.cli import main
from pointsman_agent.starter import Layout


@pytest.fixture
def key(tmp_path: Path) -> Path:
    public = Ed25519PrivateKey.generate().public_key()
    path = tmp_path / "release.pub"
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def init(tmp_path: Path, *flags: str | Path, site: str = "lyon") -> Result:
    places = ["--config", str(tmp_path / "etc"), "--units", str(tmp_path / "units")]
    return CliRunner().invoke(main, ["init", "--site", site, *places, *map(str, flags)])


def test_a_controller_is_laid_down_and_a_second_time_changes_nothing(tmp_path: Path, key: Path) -> None:
    first = init(tmp_path, "--trust", key)
    etc = tmp_path / "etc"
    before = {path: path.stat().st_mtime_ns for path in etc.rglob("*")}
    second = init(tmp_path, "--trust", key)

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert stat.S_IMODE((etc / "secrets").stat().st_mode) == 0o700
    assert (etc / "trust" / "release.pub").read_bytes() == key.read_bytes()
    assert f"POINTSMAN_TRUST={etc}/trust/release.pub" in (etc / "agent.env").read_text()
    assert "POINTSMAN_SITE=lyon\n" in (etc / "agent.env").read_text()
    assert f"LoadCredential=secrets:{etc}/secrets" in (tmp_path / "units" / "pointsman-agent.service").read_text()
    assert first.stdout.count("made ") == 4
    assert second.stdout.count("made ") == 0
    assert before == {path: path.stat().st_mtime_ns for path in etc.rglob("*")}


ROLLOUT = ("--rollout", "https://fleet.example/rollout", "--rollout-root")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "1.root.json"
    path.write_text('{"signatures": [], "signed": {"_type": "root"}}')
    return path


def test_a_controller_of_a_rollout_is_laid_down_with_its_root_and_no_bundle(tmp_path: Path, root: Path) -> None:
    push = ("--push", "https://fleet.example/push", "--push-token", "fleet-token")
    done = init(tmp_path, *ROLLOUT, root, "--rollout-token", "fleet-token", *push)
    etc = tmp_path / "etc"

    assert done.exit_code == 0, done.output
    assert (etc / "trust" / "root.json").read_bytes() == root.read_bytes()
    assert (etc / "agent.env").read_text().splitlines()[1:] == [
        "POINTSMAN_SITE=lyon",
        f"POINTSMAN_ROLLOUT_ROOT={etc}/trust/root.json",
        "POINTSMAN_ROLLOUT=https://fleet.example/rollout",
        "POINTSMAN_ROLLOUT_TOKEN=fleet-token",
        "POINTSMAN_PUSH=https://fleet.example/push",
        "POINTSMAN_PUSH_TOKEN=fleet-token",
    ]
    assert "bundle" not in done.stdout


def test_flags_that_do_not_fit_lay_nothing_down(tmp_path: Path, key: Path, root: Path) -> None:
    refused = {
        (): "--trust FILE is needed",
        (*ROLLOUT, root, "--trust", key): "--trust has no meaning with --rollout",
        ROLLOUT[:2]: "--rollout-root FILE is needed",
        (*ROLLOUT, key): "no root; it is metadata/1.root.json",
        (*ROLLOUT, tmp_path / "none"): "No such file",
        ("--trust", key, "--push", "http://fleet.example/push", "--push-token", "t"): "https:// only",
    }
    for flags, words in refused.items():
        done = init(tmp_path, *flags)
        assert done.exit_code in (1, 2), flags
        assert words in done.stderr
    assert not (tmp_path / "etc").exists()


def test_what_differs_is_never_written_over(tmp_path: Path, key: Path) -> None:
    init(tmp_path, "--trust", key)
    other = init(tmp_path, "--trust", key, site="nantes")

    assert other.exit_code == 1
    assert "agent.env is there and differs" in other.stderr
    assert "POINTSMAN_SITE=lyon\n" in (tmp_path / "etc" / "agent.env").read_text()


@pytest.mark.parametrize(
    ("site", "name", "content", "words"),
    [
        ("Lyon", None, None, "lower-case letters"),
        ("lyon\n", None, None, "lower-case letters"),
        ("lyon", "gone.pub", None, "No such file"),
        ("lyon", "private.key", b"-----BEGIN", "`pointsman keygen` made"),
        ("lyon", "two words.pub", b"", "a name of letters"),
    ],
)
def test_what_cannot_be_used_is_told_and_nothing_is_written(
    tmp_path: Path, key: Path, site: str, name: str | None, content: bytes | None, words: str
) -> None:
    path = key if name is None else tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = init(tmp_path, "--trust", path, site=site)

    assert done.exit_code == 1
    assert words in done.stderr
    assert not (tmp_path / "etc").exists()


def test_a_place_where_services_cannot_look_and_open_secrets_are_warned_of(tmp_path: Path, key: Path) -> None:
    layout = Layout("lyon", [key], tmp_path / "etc", tmp_path / "units", Path("/root/.local/bin/pointsman-agent"))
    layout.lay_down()
    (tmp_path / "etc" / "secrets").chmod(0o755)

    hidden, is_open = layout.warnings()
    assert "where services cannot look" in hidden
    assert "chmod 700" in is_open


def test_another_users_agent_can_read_what_a_careful_umask_would_hide(tmp_path: Path, key: Path) -> None:
    before = os.umask(0o077)
    try:
        assert init(tmp_path, "--trust", key).exit_code == 0
    finally:
        os.umask(before)

    etc = tmp_path / "etc"
    modes = {name: stat.S_IMODE((etc / name).stat().st_mode) for name in (".", "secrets", "trust", "trust/release.pub")}
    assert modes == {".": 0o755, "secrets": 0o700, "trust": 0o755, "trust/release.pub": 0o644}


def test_a_file_where_a_folder_has_to_be_is_told_and_nothing_is_written(tmp_path: Path, key: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "trust").write_text("")

    told = init(tmp_path, "--trust", key)

    assert told.exit_code != 0
    assert "is no folder" in told.output
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["trust"]
