"""A job in a terminal: its progress as a bar on stderr, Ctrl+C as a request to stop."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from napari_sss.engine.cli.output import tell
from napari_sss.engine.jobs import JobControl, Progress

_SECONDS_BETWEEN_LINES = 10.0  # where stderr is a file, a bar is a line again and again
_MANY = 100_000  # such totals are bytes or voxels, better read as 12.3M


@contextmanager
def terminal_job() -> Iterator[JobControl]:
    """The handle on a job that shows its progress here and stops at Ctrl+C.

    The first Ctrl+C asks the job to stop at its next step, which keeps what it must keep; a
    second one interrupts it where it stands.
    """
    bars = _Bars()
    control = JobControl(bars.show)
    try:
        with _interrupt_cancels(control):
            yield control
    finally:
        bars.close()


class Stopwatch:
    """Wall-clock seconds of the parts of a run, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    def lap(self, name: str) -> None:
        """Give everything since the last lap this name."""
        now = time.monotonic()
        self.seconds[name] = now - self._began
        self._began = now


class _Bars:
    """One bar after the other, one for each stage."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage: str | None = None

    def show(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self._begin(progress)
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = self._stage = None

    def _begin(self, progress: Progress) -> None:
        from tqdm import tqdm

        self.close()
        self._stage = progress.stage
        self._bar = tqdm(
            total=progress.total or None,
            desc=progress.stage,
            file=sys.stderr,
            unit_scale=progress.total > _MANY,
            mininterval=0.1 if sys.stderr.isatty() else _SECONDS_BETWEEN_LINES,
            dynamic_ncols=True,
        )


@contextmanager
def _interrupt_cancels(control: JobControl) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread; whoever called from another has the handle
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if control.cancelled:
            raise KeyboardInterrupt
        control.cancel()
        tell("\nStopping after this step. Press Ctrl+C again to stop at once.")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
