"""Long work of the Cases tab, one at a time, with progress and cancelling. No Qt.

::

    IDLE --start()--> RUNNING --done, failed--> IDLE
                      RUNNING --cancel()--> CANCELLING --> IDLE
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psygnal import Signal

from napari_sss._widgets.status import Notice, Severity
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.errors import SSSError
from napari_sss.engine.jobs import JobControl, Progress

logger = logging.getLogger(__name__)

Post = Callable[[Any], None]


@dataclass(frozen=True)
class TaskStatus:
    """What is being done.

    Parameters
    ----------
    title : str
        In the person's words, for instance ``"Adding scans"``; "" while nothing is done.
    progress : Progress, optional
        How far it is, once it has reported.
    cancelling : bool
        It was asked to stop.
    """

    title: str = ""
    progress: Progress | None = None
    cancelling: bool = False

    @property
    def running(self) -> bool:
        """Whether something is being done."""
        return bool(self.title)

    @property
    def line(self) -> str:
        """What stands beside the bar."""
        if self.cancelling:
            return f"{self.title}: stopping …"
        if self.progress is None:
            return f"{self.title} …"
        done, total = self.progress.done, self.progress.total
        count = f"{done} of {total}" if total else f"{self.progress.stage}: {done}"
        return f"{self.title}: {count}{_left(self.progress)}"


class Tasks:
    """Runs the tab's long work in a worker.

    Parameters
    ----------
    worker : Worker
        Where.
    """

    changed = Signal(TaskStatus)
    noticed = Signal(Notice)

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._status = TaskStatus()
        self._control: JobControl | None = None

    @property
    def status(self) -> TaskStatus:
        """What is being done now."""
        return self._status

    def start(
        self,
        title: str,
        run: Callable[[JobControl, Post], Any],
        on_done: Callable[[Any], None],
        *,
        on_event: Callable[[Any], None] = lambda _: None,
        on_cancelled: Callable[[], None] = lambda: None,
        on_failed: Callable[[Exception], bool] = lambda _: False,
    ) -> bool:
        """Begin something, unless something else is under way.

        Parameters
        ----------
        title : str
            In the person's words.
        run : callable
            ``run(control, post) -> result``, called in the worker.
        on_done, on_event, on_cancelled : callable
            Called on the viewer's thread.
        on_failed : callable
            The same; returns whether the error was dealt with, else it becomes a notice.

        Returns
        -------
        bool
            Whether it was begun.
        """
        if self._status.running:
            self.tell(
                Severity.INFO, f"{self._status.title} is still under way: wait, or cancel."
            )
            return False

        def failed(error: Exception) -> None:
            self._rest()
            if not on_failed(error):
                self.fail(error)

        def cancelled() -> None:
            self._rest()
            on_cancelled()

        def done(result: Any) -> None:
            self._rest()
            on_done(result)

        self._set(TaskStatus(title))
        job = Job(title, run, on_event, self._on_progress, done, failed, cancelled)
        self._control = self._worker.submit(job)
        return True

    def cancel(self) -> None:
        """Ask what runs to stop at its next step; what was done is kept."""
        if self._control is not None:
            self._control.cancel()
            self._set(TaskStatus(self._status.title, self._status.progress, cancelling=True))

    def fail(self, error: Exception) -> None:
        """Tell of an error."""
        if isinstance(error, SSSError):
            self.tell(Severity.ERROR, str(error))
            return
        logger.error("Unexpected error", exc_info=error)
        self.tell(
            Severity.ERROR,
            f"{type(error).__name__}: {error}. This is a fault of napari-sss; nothing was "
            "changed. Please report it with the terminal's output.",
        )

    def tell(self, severity: Severity, text: str) -> None:
        """Tell the person something."""
        self.noticed.emit(Notice(severity, text))

    def _on_progress(self, progress: Progress) -> None:
        if self._status.running:
            self._set(TaskStatus(self._status.title, progress, self._status.cancelling))

    def _rest(self) -> None:
        self._control = None
        self._set(TaskStatus())

    def _set(self, status: TaskStatus) -> None:
        self._status = status
        self.changed.emit(status)


def _left(progress: Progress) -> str:
    seconds = progress.seconds_left
    if seconds is None or seconds < 2 or progress.elapsed < 2:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f", {minutes}:{rest:02d} left"
