"""What this process and this machine are busy with, without a further dependency."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from napari_sss.engine.runs.state import MachineLoad

_STATM = Path("/proc/self/statm")
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_LATER_THAN_US = "500"


class LoadMeter:
    """Measures the load since the last time it was asked.

    Attributes
    ----------
    gpu : bool
        Ask for the GPU too; not before torch has been imported wholly.
    """

    def __init__(self) -> None:
        self.gpu = False
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> MachineLoad:
        """The load now."""
        wall, cpu = time.monotonic(), time.process_time()
        elapsed = max(1e-3, wall - self._wall)
        cores = (cpu - self._cpu) / elapsed
        self._wall, self._cpu = wall, cpu
        return MachineLoad(
            round(cores, 2), round(memory_mb(), 1), _gpu_mb() if self.gpu else 0.0, _system()
        )


def memory_mb() -> float:
    """Main memory that this process holds; its peak where only that is told, else 0."""
    try:
        pages = int(_STATM.read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, ValueError, AttributeError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def stay_in_the_background() -> None:
    """Let the viewer go first: a low priority, and the first to go where memory runs out."""
    if hasattr(os, "nice"):
        os.nice(max(0, 10 - os.nice(0)))
    try:
        _OOM_SCORE.write_text(_LATER_THAN_US)
    except OSError:  # other systems choose by themselves
        return


def _gpu_mb() -> float:
    import torch

    if not torch.cuda.is_initialized():
        return 0.0
    return round(float(torch.cuda.memory_reserved()) / 2**20, 1)


def _system() -> float | None:
    if not hasattr(os, "getloadavg"):
        return None
    return round(os.getloadavg()[0] / max(1, os.cpu_count() or 1), 2)
