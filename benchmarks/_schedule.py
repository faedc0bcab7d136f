"""Running many trainings within a given time: how many steps fit, and side by side on cores.

Every training runs in a process of its own with one thread, so that rows do not disturb each
other's timing more than they must and peak memory is each row's own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

PLAN_NAME = "plan.json"
USABLE = 0.85  # of the given time; the rest is for starting, scoring and a slower machine
TRIED = 8  # steps that tell what one costs
_POLL = 0.5  # seconds


@dataclass
class Pool:
    """Runs work in processes, so many at once, until a moment.

    Parameters
    ----------
    processes : int
        At once.
    deadline : float, optional
        ``time.monotonic()`` at which running work is ended; it resumes another time.
    """

    processes: int
    deadline: float | None = None
    running: dict[Path, BaseProcess] = field(default_factory=dict)

    def run(self, work: Sequence[tuple[Path, Callable[..., None], tuple[object, ...]]]) -> None:
        """Run pieces of work, each with the folder it is known by, in their order."""
        waiting = list(work)
        os.environ["OMP_NUM_THREADS"] = "1"  # read by the children
        while (waiting or self.running) and not self._is_late():
            while waiting and len(self.running) < self.processes:
                folder, target, args = waiting.pop(0)
                sys.stderr.write(f"{time.strftime('%H:%M:%S')} {folder.name} begins\n")
                child = multiprocessing.get_context("spawn").Process(target=target, args=args)
                child.start()
                self.running[folder] = child
            time.sleep(_POLL)
            self._collect()
        for folder, child in self.running.items():
            sys.stderr.write(f"{folder.name} is stopped by the clock, and can go on later\n")
            child.terminate()
            child.join()
        self.running.clear()

    def _collect(self) -> None:
        for folder, child in list(self.running.items()):
            if child.is_alive():
                continue
            del self.running[folder]
            if child.exitcode:
                for other in self.running.values():
                    other.terminate()
                raise SystemExit(f"{folder} failed with exit code {child.exitcode}.")

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


def steps_that_fit(
    seconds_per_step: Sequence[float], seconds: float, processes: int, *, shared: float = 0.0
) -> int:
    """Steps, the same for every job, that fit into a time.

    Parameters
    ----------
    seconds_per_step : sequence of float
        Of each job.
    seconds : float
        For all of them.
    processes : int
        Jobs at once.
    shared : float
        Seconds that each job takes beside its steps.
    """
    room = USABLE * seconds * processes - shared * len(seconds_per_step)
    # The last jobs may run alone: the longest one more is what that costs at most.
    per_step = sum(seconds_per_step) + (processes - 1) * max(seconds_per_step)
    return max(1, int(room / per_step))


def planned_steps(runs: Path, measure: Callable[[Path], int]) -> int:
    """The steps decided when the runs' folder was begun; measured where it is new."""
    path = runs / PLAN_NAME
    if not path.is_file():
        trial = runs / "trial"
        steps = measure(trial)
        shutil.rmtree(trial, ignore_errors=True)
        runs.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"steps": steps}) + "\n", encoding="utf-8")
    return int(json.loads(path.read_text(encoding="utf-8"))["steps"])
