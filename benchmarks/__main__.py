"""`python -m benchmarks`: measure speed, print the table, write results/latest.md. Under two minutes.

`python -m benchmarks isolation` and `python -m benchmarks stations` measure what takes longer: what one misbehaving
station does to the others, and a thousand stations through an outage. They print, and end with 1 when a goal is missed.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks import compiling, isolation, relaying, thousand_stations
from benchmarks.machine import describe
from benchmarks.report import markdown

RESULT = Path(__file__).parent / "results" / "latest.md"


def main() -> int:
    """Measure what is asked for; returns the exit code."""
    if not Path("/proc/self/stat").exists():
        print("benchmarks: CPU time is read from /proc, which only Linux has", file=sys.stderr)
        return 1
    match sys.argv[1:]:
        case []:
            return _measure_speed()
        case ["isolation"]:
            return isolation.main()
        case ["stations"]:
            return thousand_stations.main()
        case _:
            print("usage: python -m benchmarks [isolation|stations]", file=sys.stderr)
            return 2


def _measure_speed() -> int:
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
