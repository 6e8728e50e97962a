"""`python -m benchmarks`: measure all, print the table, write results/latest.md. Under two minutes."""

import sys
import tempfile
from pathlib import Path

from benchmarks import compiling, relaying
from benchmarks.machine import describe
from benchmarks.report import markdown

RESULT = Path(__file__).parent / "results" / "latest.md"


def main() -> int:
    """Measure, print, write; returns the exit code."""
    if not Path("/proc/self/stat").exists():
        print("benchmarks: CPU time is read from /proc, which only Linux has", file=sys.stderr)
        return 1
    figures = []
    for measure in (compiling.measure, relaying.measure):
        with tempfile.TemporaryDirectory(prefix="pointsman-benchmark-") as folder:
            figures.append(measure(Path(folder)))
    result = markdown(figures, describe())
    print(result, end="")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(result, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
