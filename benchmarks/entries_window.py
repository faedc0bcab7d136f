"""What an annotator feels in the window, by the two benchmarks that drive one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _suite import Found, Ratio, Scale, entry
from entries_start import _screen

HERE = Path(__file__).parent


@entry("click-to-mask", "From a click in a real window to the mask on the screen")
def click_to_mask(scale: Scale) -> Found:
    rounds = "8" if scale == "quick" else "24"
    return _of_report(_report("answer_time.py", "--rounds", rounds))


@entry("window-thread", "The longest callback of ours on the window's thread")
def window_thread(scale: Scale) -> Found:
    size = ["--shape", "80", "256", "256"] if scale == "quick" else []
    report = _report("gui_thread.py", *size)
    found = _of_report(report)
    longest = _longest(report["results"])
    if longest is not None:
        share = round(longest / 50.0, 3)
        found.ratios.append(
            Ratio("longest callback over 50 ms", share, share, share, limit=1.0,
                  note="processor time")
        )  # fmt: skip
    return found


def _report(script: str, *arguments: str) -> dict[str, Any]:
    """What one of the scripts writes, run on a screen."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [*_screen(), sys.executable, str(HERE / script), *arguments]
        subprocess.run([*command, "--output", str(path)], check=True, stdout=subprocess.DEVNULL)
        return json.loads(path.read_text(encoding="utf-8"))


def _of_report(report: dict[str, Any]) -> Found:
    """Every number in milliseconds as a figure, named by where it stands."""
    found = Found(facts={"settings": report["settings"]})
    for name, value in _numbers(report["results"]):
        if name.endswith("_ms"):
            found.value(name.removesuffix("_ms"), value, "ms")
        elif name.rsplit(" ", 1)[-1] in {"seconds", "objects", "callbacks"}:
            found.facts[name] = value
    return found


def _numbers(content: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(content, dict):
        label = content.get("callback", "")
        for key, value in content.items():
            yield from _numbers(value, " ".join(filter(None, (name, label, str(key)))))
    elif isinstance(content, list):
        for value in content:
            yield from _numbers(value, name)
    elif isinstance(content, (int, float)) and not isinstance(content, bool):
        yield name, float(content)


def _longest(results: Any) -> float | None:
    """The longest callback in any flow, ms of processor time."""
    values = [v for n, v in _numbers(results) if n.rsplit(" ", 1)[-1] == "longest_cpu_ms"]
    return max(values, default=None)
