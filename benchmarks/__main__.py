"""`python -m benchmarks`: measure speed, print the goals table, write results/latest.md and .svg. Under two minutes.

`python -m benchmarks isolation` and `python -m benchmarks stations` measure what takes longer: what one misbehaving
station does to the others, and a thousand stations through an outage. They print, and end with 1 when a goal is missed.
"""

import sys
from pathlib import Path

from benchmarks import isolation, speed, thousand_stations


def main() -> int:
    """Measure what is asked for; returns the exit code."""
    if not Path("/proc/self/smaps_rollup").exists():
        print("benchmarks: memory and processes are read from /proc, which only Linux has", file=sys.stderr)
        return 1
    match sys.argv[1:]:
        case []:
            return speed.main()
        case ["isolation"]:
            return isolation.main()
        case ["stations"]:
            return thousand_stations.main()
        case _:
            print("usage: python -m benchmarks [isolation|stations]", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
