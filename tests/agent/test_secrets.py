"""Secrets as files of one folder."""

from pathlib import Path

import pytest
from pointsman_agent.ports import SecretMissing
from pointsman_agent.secrets import LARGEST_SECRET_BYTES, SecretFolder


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"key", b"key"),
        (b"key\n", b"key"),
        (b"key\r\n", b"key"),
        (b"key\n\n", b"key\n"),
        (b"key\r", b"key\r"),
        (b" key ", b" key "),
        (b"\x00\xff", b"\x00\xff"),
        (b"", b""),
        (b"\n", b""),
    ],
)
def test_one_trailing_newline_is_cut_and_nothing_else(tmp_path: Path, content: bytes, secret: bytes) -> None:
    (tmp_path / "s").write_bytes(content)

    assert SecretFolder(tmp_path).read("s") == secret


@pytest.mark.parametrize("name", ["", ".", "..", "../s", "a/b", "/etc/passwd", "a b", "x" * 64, "s\n", "é"])
def test_a_name_that_is_none_reads_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "s").write_bytes(b"key")

    with pytest.raises(SecretMissing, match="no name of a secret") as caught:
        SecretFolder(tmp_path / "inner").read(name)

    assert caught.value.name == name


def test_a_secret_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    for name in ("missing", "folder"):
        with pytest.raises(SecretMissing, match=str(tmp_path / name)):
            SecretFolder(tmp_path).read(name)


def test_a_secret_may_be_a_link_as_kubernetes_lays_it_down(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "s").write_bytes(b"key")
    (tmp_path / "s").symlink_to("..data/s")

    assert SecretFolder(tmp_path).read("s") == b"key"


@pytest.mark.parametrize(("excess", "is_read"), [(0, True), (1, False)])
def test_a_secret_has_a_largest_size(tmp_path: Path, excess: int, is_read: bool) -> None:
    with (tmp_path / "s").open("wb") as file:
        file.truncate(LARGEST_SECRET_BYTES + excess)

    if is_read:
        assert len(SecretFolder(tmp_path).read("s")) == LARGEST_SECRET_BYTES
    else:
        with pytest.raises(SecretMissing, match="larger than"):
            SecretFolder(tmp_path).read("s")


def test_r55_a_folder_that_systemd_loads_as_credentials_has_longer_names(tmp_path: Path) -> None:
    (tmp_path / "secrets_acme-key").write_bytes(b"key\n")

    assert SecretFolder(tmp_path).read("acme-key") == b"key"
