"""How long it takes to begin: napari with the plugin installed, and the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from _measure import Timing
from _suite import Found, Ratio, Scale, Skipped, entry

OPEN_NAPARI = """
import sys
if "without" in sys.argv:
    from importlib import metadata
    everything = metadata.distributions
    def others(**keywords):
        return [d for d in everything(**keywords) if d.metadata["Name"] != "napari-sss"]
    metadata.distributions = others
import napari
viewer = napari.Viewer(show=True)
from qtpy.QtWidgets import QApplication
QApplication.processEvents()
import npe2
known = "napari-sss" in {m.name for m in npe2.PluginManager.instance().iter_manifests()}
assert known is ("without" not in sys.argv), known
assert "torch" not in sys.modules
viewer.close()
"""


@entry("napari-start", "Opening napari with the plugin installed and without it")
def napari_start(scale: Scale) -> Found:
    screen = _screen()
    rounds = 3 if scale == "quick" else 7
    timings = _processes(
        {
            "with the plugin": [*screen, sys.executable, "-c", OPEN_NAPARI],
            "without": [*screen, sys.executable, "-c", OPEN_NAPARI, "without"],
        },
        rounds,
    )
    found = Found()
    for name, timing in timings.items():
        found.time(name, timing)
    pairs = zip(
        timings["with the plugin"].cpu_seconds, timings["without"].cpu_seconds, strict=True
    )
    more = Timing(tuple(max(0.0, a - b) for a, b in pairs))
    found.time("longer with the plugin", more, note="processor time, pair by pair")
    low, median, high = more.quartiles()
    found.ratios.append(
        Ratio("longer with the plugin, over 150 ms", *(
            round(s / 0.15, 3) for s in (median, low, high)
        ), limit=1.0)
    )  # fmt: skip
    return found


@entry("command-line-start", "Starting the command line, and importing what napari imports")
def command_line_start(scale: Scale) -> Found:
    command = shutil.which("napari-sss", path=os.path.dirname(sys.executable))
    if command is None:
        raise Skipped("the command napari-sss is not installed beside this Python")
    timings = _processes(
        {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import napari_sss": [sys.executable, "-c", "import napari_sss"],
            "import napari_sss._reader": [sys.executable, "-c", "import napari_sss._reader"],
            "napari-sss --version": [command, "--version"],
            "napari-sss --help": [command, "--help"],
            "napari-sss presets": [command, "presets"],
            "napari-sss models list": [command, "models", "list"],
        },
        3 if scale == "quick" else 9,
    )
    found = Found()
    for name, timing in timings.items():
        found.time(name, timing)
    return found


def _screen() -> list[str]:
    """What gives a window somewhere to be."""
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        return []
    if shutil.which("xvfb-run") is None:
        raise Skipped("there is no screen, and no xvfb-run")
    return ["xvfb-run", "-a", "-s", "-screen 0 1366x768x24"]


def _processes(commands: dict[str, list[str]], rounds: int) -> dict[str, Timing]:
    """Times of whole processes, in turns; their processor time where the system tells it."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(-1, rounds):  # the first round warms the disk
        names = list(commands)
        for name in reversed(names) if number % 2 else names:
            timed = _timed(commands[name])
            if number >= 0:
                runs[name].append(timed)
    return {name: Timing(*zip(*pairs, strict=True)) for name, pairs in runs.items()}


def _timed(command: list[str]) -> tuple[float, float]:
    spent = _children()
    began, before = time.perf_counter(), spent()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.perf_counter() - began
    return wall, spent() - before or wall


def _children() -> Callable[[], float]:
    """Processor seconds of all finished children; nothing where the system does not tell."""
    if sys.platform == "win32":
        return lambda: 0.0
    import resource

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    return spent
