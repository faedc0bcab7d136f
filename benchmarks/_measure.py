"""What all benchmarks share: timing side by side, what was timed on what, and the file.

from _measure import measure, write_report

timings = measure({"old": old_way, "new": new_way}, rounds=9)
write_report("my_benchmark", settings, {k: t.summary() for k, t in timings.items()})
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "napari-sss", "torch", "torchvision", "sam2", "numpy", "scipy", "SimpleITK", "nibabel",
    "scikit-image", "connected-components-3d", "napari",
)  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """Repeated measurements of one thing.

    Parameters
    ----------
    seconds : tuple of float
        Wall-clock seconds of each call, in the order of the rounds.
    cpu_seconds : tuple of float
        Of the processor, all threads together, in the same order. Other programs lengthen
        the former far more than the latter.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...] = ()

    def quartiles(self) -> tuple[float, float, float]:
        """First quartile, median and third quartile, seconds."""
        low, median, high = np.percentile(self.seconds, [25, 50, 75])
        return float(low), float(median), float(high)

    def summary(self) -> dict[str, Any]:
        """Median and quartiles in milliseconds, and how many calls they come from."""
        low, median, high = (round(1000 * s, 3) for s in self.quartiles())
        return {
            "median_ms": median,
            "q1_ms": low,
            "q3_ms": high,
            "calls": len(self.seconds),
        }

    def times_as_fast_as(self, reference: Timing) -> tuple[float, float, float]:
        """Quartiles of the reference's time over this one's, round by round.

        Both were timed in turns, so that each pair met the same conditions; processor time
        counts where there is any.
        """
        ours, theirs = (
            self.cpu_seconds or self.seconds,
            reference.cpu_seconds or reference.seconds,
        )
        ratios = [b / max(a, 1e-9) for a, b in zip(ours, theirs, strict=True)]
        low, median, high = np.percentile(ratios, [25, 50, 75])
        return float(low), float(median), float(high)


def measure(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 9,
    warmup: int = 2,
    synchronise: Callable[[], None] = lambda: None,
) -> dict[str, Timing]:
    """Time several things in turns, so that a computer that slows down slows them all.

    Parameters
    ----------
    candidates : mapping
        Name to what is timed, called without arguments.
    rounds : int
        Calls of each; every round calls each once, every other round in reverse order.
    warmup : int
        Calls of each beforehand that do not count.
    synchronise : callable
        Waits until the device has finished, for instance ``torch.cuda.synchronize``.
    """
    for call in candidates.values():
        for _ in range(warmup):
            call()
    synchronise()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for number in range(rounds):
        names = list(candidates)
        for name in reversed(names) if number % 2 else names:
            began, cpu = time.perf_counter(), time.process_time()
            candidates[name]()
            synchronise()
            spent = time.process_time() - cpu
            seconds[name].append((time.perf_counter() - began, spent))
    return {name: Timing(*zip(*pairs, strict=True)) for name, pairs in seconds.items()}


def write_report(
    name: str, settings: Mapping[str, Any], results: Any, path: Path | None = None
) -> Path:
    """Write a benchmark's results as JSON, with what is needed to compare them later.

    Parameters
    ----------
    name : str
        The benchmark's name; without a ``path`` the file is ``results/<name>.json``.
    settings : mapping
        What was asked for.
    results : JSON-ready
        What was found.
    """
    path = path or RESULTS / f"{name}.json"
    report = {
        "benchmark": name,
        "command": " ".join(["python", *sys.orig_argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
        "settings": dict(settings),
        "results": results,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def commit() -> str:
    """The source tree's commit, with ``+changes`` where files differ from it."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, how busy they are, memory, and GPU."""
    import torch

    from napari_sss.engine.models.devices import usable_cores

    found: dict[str, Any] = {
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "memory_gb": _memory_gb(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    if hasattr(os, "getloadavg"):
        # A load near or above the cores means that something else ran as well.
        found["load_average"] = round(os.getloadavg()[0], 2)
    return found


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)


def versions() -> dict[str, str]:
    """Python's and the packages' versions that bear on speed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
