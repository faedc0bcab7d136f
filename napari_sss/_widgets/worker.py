"""The one thread that owns the model, and the mailbox through which it speaks.

Nothing here knows Qt. The worker runs jobs one after another; whatever it has to say is put
into a :class:`Mailbox`, which the viewer's own thread empties when it has time
(:mod:`napari_sss._widgets.pump`). A job is a plain function: how it stops is the engine's
business (:class:`~napari_sss.engine.jobs.JobControl`), and errors are handed over, whatever
they are.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.jobs import JobControl, Progress

logger = logging.getLogger(__name__)

Post = Callable[[Any], None]


def _ignore(_: Any) -> None:
    """Take a message nobody waits for."""


@dataclass(frozen=True)
class Job:
    """Work for the worker, and who is told about it on the viewer's thread.

    Parameters
    ----------
    name : str
        For logs.
    run : callable
        ``run(control, post) -> result``, called in the worker; ``post(event)`` sends an
        event to ``on_event``.
    on_event, on_progress, on_done, on_failed : callable
        Called on the viewer's thread with an event, a :class:`Progress`, the result, the
        exception.
    on_cancelled : callable
        Called on the viewer's thread, without arguments, when the job stopped on request.
    """

    name: str
    run: Callable[[JobControl, Post], Any]
    on_event: Callable[[Any], None] = _ignore
    on_progress: Callable[[Progress], None] = _ignore
    on_done: Callable[[Any], None] = _ignore
    on_failed: Callable[[Exception], None] = _ignore
    on_cancelled: Callable[[], None] = lambda: None


class Mailbox:
    """Messages from the worker to the viewer's thread, in order.

    Progress is the exception: only the newest report of a job is kept, so that a fast job
    cannot fill the box with news that is already old.
    """

    def __init__(self) -> None:
        self._letters: deque[Callable[[], None]] = deque()
        self._progress: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()

    def put(self, letter: Callable[[], None]) -> None:
        """Leave a message; called in any thread."""
        with self._lock:
            self._letters.append(letter)

    def put_progress(self, job_id: int, letter: Callable[[], None]) -> None:
        """Leave a progress report in place of the job's last one."""
        with self._lock:
            self._progress[job_id] = letter

    def take(self) -> Callable[[], None] | None:
        """Return the next message, or None."""
        with self._lock:
            return self._letters.popleft() if self._letters else None

    def take_progress(self) -> list[Callable[[], None]]:
        """Return the newest progress report of each job that has made one since."""
        with self._lock:
            reports = list(self._progress.values())
            self._progress.clear()
            return reports

    def drop_progress(self, job_id: int) -> None:
        """Forget a report that a finished job left behind."""
        with self._lock:
            self._progress.pop(job_id, None)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read."""
        with self._lock:
            return not self._letters and not self._progress


class Worker:
    """A thread that runs jobs in the order in which they were submitted.

    The thread starts with the first job and ends with :meth:`close`.

    Parameters
    ----------
    mailbox : Mailbox
        Where the jobs' messages are left.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._jobs: queue.Queue[tuple[Job, JobControl] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._controls: list[JobControl] = []
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, job: Job) -> JobControl:
        """Queue a job.

        Returns
        -------
        JobControl
            Its handle; ``cancel()`` stops the job, or skips it if it has not begun.
        """
        if self._closed:
            raise RuntimeError("The worker is closed.")
        control = JobControl(lambda progress: self._progressed(job, control, progress))
        with self._lock:
            self._controls.append(control)
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="napari-sss", daemon=True)
            self._thread.start()
        self._jobs.put((job, control))
        return control

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        with self._lock:
            return bool(self._controls)

    def close(self, timeout: float = 30.0) -> bool:
        """Cancel what runs and what waits, and wait for the thread to end.

        Parameters
        ----------
        timeout : float
            Seconds to wait; a job stops at its next step boundary.

        Returns
        -------
        bool
            Whether the thread has ended.
        """
        self._closed = True
        with self._lock:
            for control in self._controls:
                control.cancel()
        if self._thread is None:
            return True
        self._jobs.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _progressed(self, job: Job, control: JobControl, progress: Progress) -> None:
        self._mailbox.put_progress(id(control), lambda: job.on_progress(progress))

    def _loop(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, control = entry
            letter = self._outcome(job, control)
            self._mailbox.drop_progress(id(control))
            self._mailbox.put(letter)
            # Only now: who finds the worker idle must also find its last message.
            with self._lock:
                self._controls.remove(control)
            # Nothing of a finished job may outlive it: its results can be large.
            del entry, job, control, letter

    def _outcome(self, job: Job, control: JobControl) -> Callable[[], None]:
        """Run the job; return the message that tells how it ended."""
        try:
            control.check()
            result = job.run(control, lambda e: self._mailbox.put(lambda: job.on_event(e)))
        except Cancelled:
            logger.info("%s: cancelled", job.name)
            return job.on_cancelled
        except Exception as error:
            logger.info("%s: failed", job.name, exc_info=True)
            return lambda failure=error: job.on_failed(failure)  # type: ignore[misc]
        return lambda: job.on_done(result)
