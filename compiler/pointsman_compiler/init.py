"""A configuration repository to start from: file → content. Pure, but for this package's own data.

The example sites and the rollout's workflow are those of Pointsman's own repository; tests hold them together.
"""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, Literal

from pointsman_schema.schemas import schema_text

from pointsman_compiler.lock import compiler_version

SCHEMAS: Final[tuple[Literal["site", "fleet"], ...]] = ("site", "fleet")

# Files of the package → where they go; some tools pack no files whose names begin with a dot.
_PLACES: Final = {
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "pre-commit-config.yaml": ".pre-commit-config.yaml",
    "github-workflow.yml": ".github/workflows/sites.yml",
    "github-rollout.yml": ".github/workflows/rollout.yml",
    "gitlab-ci.yml": ".gitlab-ci.yml",
    "comment.py": "pipeline/comment.py",
    "CODEOWNERS": ".github/CODEOWNERS",
}


def starter_files() -> dict[str, bytes]:
    """Return every file of a new configuration repository by its path with `/`, sorted."""
    starter = resources.files("pointsman_compiler") / "starter"
    files = {place: (starter / name).read_bytes() for name, place in _PLACES.items()}
    files |= {f"sites/{name}": found.read_bytes() for name, found in _below(starter / "sites")}
    files |= {f"schemas/{kind}.v1.schema.json": schema_text(kind).encode() for kind in SCHEMAS}
    files["requirements.txt"] = f"pointsman-compiler=={compiler_version()}\n".encode()
    return dict(sorted(files.items()))


def _below(folder: Traversable, name: str = "") -> Iterator[tuple[str, Traversable]]:
    for found in folder.iterdir():
        if found.is_dir():
            yield from _below(found, f"{name}{found.name}/")
        else:
            yield f"{name}{found.name}", found
