"""What a person or a pipeline is told when a command cannot do what it was asked."""

from pathlib import Path

import pytest
from support.command import pointsman


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [("schema", "site"), ("check", "--help")])
def test_output_that_cannot_be_written_is_one_message(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = pointsman(*arguments, stdout=full)

    assert done.returncode == 6
    assert "the output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("check",), ("compile", "--out", "out", "--sequence", "1")])
def test_a_folder_without_a_site_is_no_success(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "empty").mkdir()
    command, *flags = arguments
    done = pointsman(command, "empty", *flags, cwd=tmp_path)

    assert done.returncode == 1
    assert "there is no site below empty" in done.stderr
    assert not (tmp_path / "out").exists()


def test_each_reason_why_a_bundle_is_not_trusted_has_its_own_remedy(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "a.yaml").write_text(
        "version: 1\nsite: a\ntimeZone: UTC\nsupervision: local\nstations: {S-1: {}}\n"
        "listeners: {lan: {port: 9000, securityProfile: 0}}\n"
    )
    pointsman("keygen", "k", cwd=tmp_path)
    pointsman("compile", "sites", "--out", "out", "--sequence", "1", cwd=tmp_path)
    (tmp_path / "junk.bundle").write_text("junk")
    unsigned = pointsman("verify", "out/a.bundle", "--trust", "k.pub", cwd=tmp_path)
    junk = pointsman("verify", "junk.bundle", "--trust", "k.pub", cwd=tmp_path)

    assert (unsigned.returncode, junk.returncode) == (1, 1)
    assert "help: sign it: `pointsman sign BUNDLE --key FILE`" in unsigned.stderr
    assert "help: name a bundle, as `pointsman compile` writes it" in junk.stderr
