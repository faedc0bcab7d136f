"""The one thread that owns the model, and the mailbox through which it speaks.

Nothing here knows Qt. The worker runs jobs one after another; whatever it has to say is put
into a :class:`Mailbox`, which the viewer's own thread empties when it has time
(:mod:`napari_sss._widgets.pump`). A job is a plain function: how it stops is the engine's
business (:class:`~napari_sss.engine.jobs.JobControl`), and errors are handed over, whatever
they are.

A person who clicks does not wait in line: jobs of the urgency ``ANSWER`` run before all
others, and inside a running job at its next step boundary. When there is nothing to do the
worker does idle work, a small step at a time, and drops the step when a job arrives.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.jobs import JobControl, Progress

logger = logging.getLogger(__name__)

RING_S = 0.2
"""Seconds between two calls to look how far idle work is; nobody reads the box meanwhile."""

Post = Callable[[Any], None]


def _ignore(_: Any) -> None:
    """Take a message nobody waits for."""


class Urgency(Enum):
    """When a job's turn comes."""

    ANSWER = auto()
    """At once, even inside a running job: it must be short."""
    NORMAL = auto()
    """After the jobs submitted before."""


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
    urgency : Urgency
        When its turn comes; what an answer says is delivered before other messages.
    """

    name: str
    run: Callable[[JobControl, Post], Any]
    on_event: Callable[[Any], None] = _ignore
    on_progress: Callable[[Progress], None] = _ignore
    on_done: Callable[[Any], None] = _ignore
    on_failed: Callable[[Exception], None] = _ignore
    on_cancelled: Callable[[], None] = lambda: None
    urgency: Urgency = Urgency.NORMAL


@dataclass(frozen=True)
class IdleWork:
    """What the worker does when nobody asks for anything.

    Parameters
    ----------
    step : callable
        ``step(control) -> bool``, called in the worker: does a little and returns whether
        there is more to do. Its control is cancelled when a job arrives.
    on_progress, on_failed : callable
        Called on the viewer's thread with a :class:`Progress`, and with the exception that
        ended the work.
    """

    step: Callable[[JobControl], bool]
    on_progress: Callable[[Progress], None] = _ignore
    on_failed: Callable[[Exception], None] = _ignore


class Mailbox:
    """Messages from the worker to the viewer's thread, in order.

    Progress is the exception: only the newest report of a job is kept, so that a fast job
    cannot fill the box with news that is already old. Urgent messages are read before the
    others, in their own order.

    Attributes
    ----------
    bell : callable, optional
        Called, in the thread that leaves it, when a message must not wait for the reader to
        look into the box by itself.
    """

    def __init__(self) -> None:
        self.bell: Callable[[], None] | None = None
        self._urgent: deque[Callable[[], None]] = deque()
        self._letters: deque[Callable[[], None]] = deque()
        self._progress: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()

    def put(self, letter: Callable[[], None], *, urgent: bool = False) -> None:
        """Leave a message; called in any thread."""
        with self._lock:
            (self._urgent if urgent else self._letters).append(letter)
        if urgent:
            self.ring()

    def ring(self) -> None:
        """Call the reader."""
        bell = self.bell
        if bell is not None:
            bell()

    def put_progress(self, job_id: int, letter: Callable[[], None]) -> None:
        """Leave a progress report in place of the job's last one."""
        with self._lock:
            self._progress[job_id] = letter

    def take(self) -> Callable[[], None] | None:
        """Return the next message, or None."""
        with self._lock:
            if self._urgent:
                return self._urgent.popleft()
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
            return not self._letters and not self._urgent and not self._progress


class _Control(JobControl):
    """A job's handle that lets answers to clicks pass at each step boundary."""

    def __init__(
        self, on_progress: Callable[[Progress], None], let_pass: Callable[[], None]
    ) -> None:
        super().__init__(on_progress)
        self._let_pass = let_pass

    def check(self) -> None:
        super().check()
        self._let_pass()
        super().check()


class Worker:
    """A thread that runs jobs: answers first, then the others in their order.

    The thread starts with the first job and ends with :meth:`close`.

    Parameters
    ----------
    mailbox : Mailbox
        Where the jobs' messages are left.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._waiting: dict[Urgency, deque[tuple[Job, JobControl]]] = {
            urgency: deque() for urgency in Urgency
        }
        self._thread: threading.Thread | None = None
        self._controls: list[JobControl] = []
        self._idle: IdleWork | None = None
        self._idle_control: JobControl | None = None
        self._rang = 0.0
        self._answering = False  # touched in the worker only
        self._changed = threading.Condition()
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
        control: JobControl = _Control(
            lambda progress: self._progressed(job, control, progress), self._answer
        )
        with self._changed:
            self._controls.append(control)
            self._waiting[job.urgency].append((job, control))
            if self._idle_control is not None:
                self._idle_control.cancel()
            self._begin()
        return control

    def when_idle(self, work: IdleWork | None) -> None:
        """Do this, step by step, whenever there is no job; None: nothing any more.

        It replaces what was given before, and begins anew where the former had ended.
        """
        with self._changed:
            if self._closed:
                return
            self._idle = work
            if self._idle_control is not None:
                self._idle_control.cancel()
            if work is not None:
                self._begin()

    def post(self, letter: Callable[[], None]) -> None:
        """Leave a message that does not belong to a job; called in any thread."""
        self._mailbox.put(letter, urgent=True)

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits; idle work does not count."""
        with self._changed:
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
        with self._changed:
            self._closed = True
            for control in (*self._controls, self._idle_control):
                if control is not None:
                    control.cancel()
            self._changed.notify_all()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _begin(self) -> None:
        """Wake the thread, or start it; the lock is held."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="napari-sss", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _progressed(self, job: Job, control: JobControl, progress: Progress) -> None:
        self._mailbox.put_progress(id(control), lambda: job.on_progress(progress))

    def _idle_progressed(self, work: IdleWork, progress: Progress) -> None:
        self._mailbox.put_progress(id(work), lambda: work.on_progress(progress))
        if time.monotonic() - self._rang > RING_S or progress.done == progress.total:
            self._rang = time.monotonic()
            self._mailbox.ring()

    def _loop(self) -> None:
        while (turn := self._next()) is not None:
            turn()
            # Nothing of a finished job may outlive it: its results can be large.
            del turn

    def _next(self) -> Callable[[], None] | None:
        """Wait for something to do; None once the worker is closed and nothing waits."""
        with self._changed:
            while True:
                for waiting in self._waiting.values():
                    if waiting:
                        job, control = waiting.popleft()
                        return lambda: self._do(job, control)
                if self._closed:
                    return None
                if self._idle is not None:
                    return self._idle_step(self._idle)
                self._changed.wait()

    def _idle_step(self, work: IdleWork) -> Callable[[], None]:
        """The next step of idle work, as it is to be done; the lock is held."""
        control = JobControl(lambda progress: self._idle_progressed(work, progress))
        self._idle_control = control
        return lambda: self._do_idle(work, control)

    def _do(self, job: Job, control: JobControl) -> None:
        outer = self._answering
        self._answering = job.urgency is Urgency.ANSWER
        letter = self._outcome(job, control)
        self._answering = outer
        self._mailbox.drop_progress(id(control))
        self._mailbox.put(letter, urgent=job.urgency is Urgency.ANSWER)
        # Only now: who finds the worker idle must also find its last message.
        with self._changed:
            self._controls.remove(control)

    def _answer(self) -> None:
        """Run the answers that wait; called at the step boundaries of a running job."""
        if self._answering or threading.current_thread() is not self._thread:
            return  # answers come in their order, not one inside the other
        while (entry := self._next_answer()) is not None:
            self._do(*entry)

    def _next_answer(self) -> tuple[Job, JobControl] | None:
        with self._changed:
            waiting = self._waiting[Urgency.ANSWER]
            return waiting.popleft() if waiting else None

    def _do_idle(self, work: IdleWork, control: JobControl) -> None:
        """One step of idle work; when it has ended it is not asked again."""
        try:
            more = work.step(control)
        except Cancelled:
            more = True
        except Exception as error:
            logger.info("idle work: failed", exc_info=True)
            more = False
            self._mailbox.put(
                lambda failure=error: work.on_failed(failure),  # type: ignore[misc]
                urgent=True,  # nobody polls the box while no job runs
            )
        with self._changed:
            self._idle_control = None
            if not more and self._idle is work:
                self._idle = None

    def _outcome(self, job: Job, control: JobControl) -> Callable[[], None]:
        """Run the job; return the message that tells how it ended."""
        urgent = job.urgency is Urgency.ANSWER

        def post(event: Any) -> None:
            self._mailbox.put(lambda: job.on_event(event), urgent=urgent)

        try:
            control.check()
            result = job.run(control, post)
        except Cancelled:
            logger.info("%s: cancelled", job.name)
            return job.on_cancelled
        except Exception as error:
            logger.info("%s: failed", job.name, exc_info=True)
            return lambda failure=error: job.on_failed(failure)  # type: ignore[misc]
        return lambda: job.on_done(result)
