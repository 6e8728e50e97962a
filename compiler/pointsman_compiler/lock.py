"""What a bundle was made with: the digests of all files that went in, the compiler's version, the time zone data's."""

from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import version

from pointsman_schema.bundle import Input, Lock
from pointsman_schema.canonical import digest_of
from pointsman_schema.timezones import tzdata_version

from pointsman_compiler.sources import SourceTree


def lock_of(tree: SourceTree, files: Iterable[str]) -> Lock:
    """Return the lock over `files` of `tree`, the bytes that the check has seen."""
    inputs = [Input(file=file, digest=digest_of(tree.read(file))) for file in sorted(files)]
    return Lock(compiler=compiler_version(), tzdata=tzdata_version(), inputs=inputs)


@lru_cache(maxsize=1)
def compiler_version() -> str:
    """Return the version of this distribution."""
    return version("pointsman-compiler")
