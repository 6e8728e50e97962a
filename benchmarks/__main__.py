"""`python -m benchmarks`: measure speed, print the goals table, write results/latest.md and .svg. Under two minutes.

`python -m benchmarks isolation`, `stations` and `activation` measure what takes longer or is another matter: what one
misbehaving station does to the others, a thousand stations through an outage, a bundle that takes over on a busy site.
They print, and end with 1 when a goal is missed.
"""

import sys
from pathlib import Path

from benchmarks import activation, isolation, speed, thousand_stations


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
        case ["activation"]:
            return activation.main()
        case _:
            print("usage: python -m benchmarks [isolation|stations|activation]", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
