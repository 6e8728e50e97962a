"""`pointsman rollout` as people run it, in a folder with a repository, its keys, rules and bundles."""

from pathlib import Path

from msgspec.structs import replace
from pointsman_schema.bundle import write_payload
from pointsman_schema.canonical import canonical_bytes, digest_of
from pointsman_schema.envelope import seal
from support.command import pointsman
from support.rollouts import taken
from support.small_bundle import small_bundle

RULES = """\
version: 1
rings:
  - {name: lab, sites: [lab], soak: 0}
  - {name: rest, soak: 0}
spread: 0
"""


def write_bundle(folder: Path, site: str, title: str, sequence: int) -> bytes:
    """Write a bundle of `site` into the folder of bundles; return its content."""
    bundle = small_bundle(sequence)
    config = replace(bundle.config, title=title)
    bundle = replace(bundle, site=site, config=config, config_digest=digest_of(canonical_bytes(config)))
    content = seal(write_payload(bundle))
    (folder / "bundles").mkdir(exist_ok=True)
    (folder / "bundles" / f"{site}.bundle").write_bytes(content)
    return content


def good(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """What a command said that ended well."""
    done = pointsman("rollout", *arguments, cwd=folder, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bad(folder: Path, *arguments: str, code: int = 1) -> str:
    """What a command said that ended with `code`."""
    done = pointsman("rollout", *arguments, cwd=folder)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


def offered(folder: Path, site: str, served: str = "repository") -> bytes:
    """What a controller would take now from the folder `served`."""
    root = (folder / "repository" / "metadata" / "1.root.json").read_bytes()
    return taken(folder / served, folder / f"client-{site}", root, site)
