"""Names in reports for machines: a file as its repository knows it, and a problem that is known again."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from pointsman_compiler.problems import Problem


def below(root: str, file: str) -> str:
    """Return `file` as a path from where `root` is a path from, with `/`."""
    return str(PurePosixPath(root) / file)


def with_fingerprints(problems: Iterable[Problem], root: str) -> Iterator[tuple[Problem, str]]:
    """Yield each problem with a name of its own that stays when lines above it come or go: 64 hex digits.

    Of several that differ in nothing but their lines, the second, third, ... are told apart by their number.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    for problem in problems:
        parts = (below(root, problem.place.file), problem.code, problem.path, problem.message)
        seen[parts] += 1
        yield problem, hashlib.sha256("\0".join((*parts, str(seen[parts]))).encode()).hexdigest()
