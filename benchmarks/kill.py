"""Kill a viewer in which somebody annotates, many times, and count what is lost.

    python benchmarks/kill.py --times 50

Each viewer is a process of its own, worked with mouse and key events, killed (SIGKILL) after
a random time, and its project reopened and compared with what it had told.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "_widgets"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--longest", type=float, default=12.0, help="seconds of annotating")
    args = parser.parse_args()
    from killing import kill_one, write_scan

    with tempfile.TemporaryDirectory() as place:
        scan = Path(place) / "scan.nii.gz"
        write_scan(scan)
        deaths = []
        for seed in range(args.times):
            death = kill_one(Path(place) / "home", scan, seed, args.longest)
            deaths.append(death)
            print(f"{seed}: {death}", flush=True)
    lost = sum(death.found < death.saved for death in deaths)
    other = sum(death.same is False for death in deaths)
    compared = sum(death.same is not None for death in deaths)
    report = {
        "kills": len(deaths),
        "acts": deaths[-1].found if deaths else 0,
        "lost what the mark covered": lost,
        "compared": compared,
        "differ": other,
    }
    print(json.dumps(report))
    return 1 if lost or other else 0


if __name__ == "__main__":
    sys.exit(main())
