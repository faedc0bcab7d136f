"""How long work talks to its caller: progress out, cancelling in.

The caller may be a terminal, a worker thread of the viewer or a test. The work calls
:meth:`JobControl.check` at each step boundary (a slice, a step) and lets
:class:`~napari_sss.engine.errors.Cancelled` rise; nothing is killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from napari_sss.engine.errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Parameters
    ----------
    stage : str
        What is being done, in the user's words, for instance ``"masks"``.
    done, total : int
        Steps done and steps in all of this stage; ``total`` 0 means not known.
    elapsed : float
        Seconds since the stage began.
    """

    stage: str
    done: int
    total: int
    elapsed: float

    @property
    def fraction(self) -> float:
        """Share done, 0 to 1; 0 where the total is not known."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the pace so far, or None before the first step."""
        if not self.done or not self.total:
            return None
        return self.elapsed / self.done * max(0, self.total - self.done)


class JobControl:
    """The thread-safe handle on a running job, shared by the job and its caller.

    Parameters
    ----------
    on_progress : callable, optional
        Called with a :class:`Progress` in the job's own thread.
    """

    def __init__(self, on_progress: Callable[[Progress], None] | None = None) -> None:
        self._cancel = threading.Event()
        self._on_progress = on_progress
        self._stage = ""
        self._began = time.monotonic()

    def cancel(self) -> None:
        """Ask the job to stop at its next step boundary."""
        self._cancel.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._cancel.is_set()

    def check(self) -> None:
        """Raise :class:`Cancelled` if the job was asked to stop."""
        if self.cancelled:
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Do nothing for so long; a request to stop ends it at once with :class:`Cancelled`."""
        if self._cancel.wait(seconds):
            raise Cancelled

    def report(self, stage: str, done: int, total: int = 0) -> None:
        """Tell the caller how far the stage is, then honour a request to stop."""
        if stage != self._stage:
            self._stage, self._began = stage, time.monotonic()
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, total, time.monotonic() - self._began))
        self.check()
