"""All benchmarks in one command: JSON, a table, plots, and the comparison of two results.

    python benchmarks/run.py                        # everything, about a quarter of an hour
    python benchmarks/run.py --list
    python benchmarks/run.py --only pcsw encoding   # some entries alone
    python benchmarks/run.py --quick                # smaller volumes, fewer rounds
    python benchmarks/run.py table A.json           # the results as Markdown
    python benchmarks/run.py plot A.json            # and as pictures, in A's folder
    python benchmarks/run.py compare A.json B.json

Each entry runs in a process of its own. What stands side by side in an entry is measured in
turns, in that process. Results go to ``benchmarks/results/`` unless ``--out`` says otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from _measure import RESULTS, commit, hardware, versions  # noqa: E402
from _report import comparison, plots, table  # noqa: E402
from _suite import ENTRIES, Skipped  # noqa: E402

PARTS = ("start", "files", "components", "official", "model", "work", "window")
LIMIT_S = 600.0


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    readers = {"table": _table, "plot": _plot, "compare": _compare}
    if given and given[0] in readers:
        return readers[given[0]](given[1:])
    args = _parsed(given)
    for part in PARTS:
        importlib.import_module(f"entries_{part}")
    if args.child:
        return _child(args.child, args.scale, args.out)
    if args.list:
        for found in ENTRIES.values():
            print(f"{found.name:24s} {found.title}")
        return 0
    unknown = sorted(set(args.only or ()) - set(ENTRIES))
    if unknown:
        sys.stderr.write(f"There is no entry {', '.join(unknown)}; --list names them.\n")
        return 2
    report = measured(args.only or list(ENTRIES), args.scale)
    path = args.out or RESULTS / f"{args.scale}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(report))
    print(f"written to {path}")
    return 1 if any("failed" in e for e in report["entries"].values()) else 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="name the entries")
    parser.add_argument("--only", nargs="+", metavar="ENTRY", help="measure these alone")
    parser.add_argument(
        "--quick", dest="scale", action="store_const", const="quick", default="full"
    )
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def measured(names: list[str], scale: str) -> dict[str, Any]:
    """The report on some entries, each in a process of its own."""
    entries: dict[str, Any] = {}
    for number, name in enumerate(names, start=1):
        sys.stderr.write(f"[{number}/{len(names)}] {name}: {ENTRIES[name].title}\n")
        began = time.perf_counter()
        entries[name] = {"title": ENTRIES[name].title, **_in_a_child(name, scale)}
        entries[name]["seconds"] = round(time.perf_counter() - began, 1)
        if hasattr(os, "getloadavg"):
            # Near or above the number of cores: something else ran as well.
            entries[name]["load_average"] = round(os.getloadavg()[0], 2)
    return {
        "benchmark": "all",
        "scale": scale,
        "command": " ".join(["python", *sys.orig_argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
        "entries": entries,
    }


def _in_a_child(name: str, scale: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [sys.executable, str(HERE / "run.py"), "--child", name, "--out", str(path)]
        command += ["--quick"] if scale == "quick" else []
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, encoding="utf-8",
                errors="replace", timeout=LIMIT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"failed": f"not finished after {LIMIT_S:.0f} s"}
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        return {"failed": done.stderr.strip()[-2000:] or f"exit code {done.returncode}"}


def _child(name: str, scale: Any, path: Path) -> int:
    """Measure one entry in this process and write what it found."""
    try:
        found = ENTRIES[name].run(scale).as_dict()
    except Skipped as reason:
        found = {"skipped": str(reason)}
    path.write_text(json.dumps(found), encoding="utf-8")
    return 0


def _read(path: str) -> dict[str, Any]:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _table(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run.py table")
    parser.add_argument("result")
    print(table(_read(parser.parse_args(arguments).result)))
    return 0


def _plot(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run.py plot")
    parser.add_argument("result")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args(arguments)
    for path in plots(_read(args.result), args.folder or Path(args.result).parent):
        print(path)
    return 0


def _compare(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run.py compare")
    parser.add_argument("before")
    parser.add_argument("after")
    args = parser.parse_args(arguments)
    print(comparison(_read(args.before), _read(args.after)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
