"""`python -m pointsman_simulator.rollout RULES`: the demo of a rollout, two minutes."""

import sys
import tempfile
from pathlib import Path

import trio

from pointsman_simulator.demo.processes import ProgramFailed
from pointsman_simulator.rollout.servers import missing_packages
from pointsman_simulator.rollout.story import play

DONE, NO, USAGE = 0, 1, 2


def main() -> int:
    """Play; returns the exit code."""
    if len(sys.argv) != 2:
        print("usage: python -m pointsman_simulator.rollout deploy/prometheus/fleet.rules.yaml", file=sys.stderr)
        return USAGE
    if missing := missing_packages():
        print(f"rollout-demo: these are missing; on Debian: apt-get install {' '.join(missing)}", file=sys.stderr)
        return NO
    code = DONE
    with tempfile.TemporaryDirectory(prefix="pointsman-rollout-") as folder:
        try:
            trio.run(play, Path(folder), Path(sys.argv[1]).resolve(), lambda text: print(text, flush=True))
        except* (ProgramFailed, AssertionError) as group:
            code = NO
            for error in group.exceptions:
                print(f"rollout-demo: {error}", file=sys.stderr)
    if code == DONE:
        print("rollout-demo: all of it came true")
    return code


if __name__ == "__main__":
    sys.exit(main())
