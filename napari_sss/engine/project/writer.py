"""Writing the project's database, off the caller's thread and in order.

::

    IDLE --work--> WRITING --committed--> IDLE
                   WRITING --fault--> STUCK --after a second, or retry()--> WRITING
    WRITING --fault of the program itself--> BROKEN
    IDLE --close()--> CLOSED           (STUCK, BROKEN only by close(abandon=True))

What was submitted is kept until it is committed, however often that fails. Several pieces
that wait go into one transaction.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from napari_sss.engine.errors import SSSError
from napari_sss.engine.project.database import explained, transaction
from napari_sss.engine.project.errors import ReadOnlyError, SaveError
from napari_sss.engine.project.lock import HEARTBEAT_SECONDS, WriteLock

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Any]

_RETRY_SECONDS = 1.0
_MOST_AT_ONCE = 64


class Writer:
    """The one who writes.

    Parameters
    ----------
    connection : sqlite3.Connection
        Used by the writer alone from now on, and closed by it.
    path : Path
        The database file.
    lock : WriteLock
        Checked before each commit.
    on_problem : callable
        Called in the writer's thread with a :class:`SaveError` when saving begins to fail,
        and with None when it works again.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        lock: WriteLock,
        on_problem: Callable[[SaveError | None], None] = lambda problem: None,
    ) -> None:
        self._connection = connection
        self._path = path
        self._inode = path.stat().st_ino
        self._lock = lock
        self._on_problem = on_problem
        self._jobs: deque[tuple[Work, Callable[[], None] | None]] = deque()
        self._idle_work: dict[Hashable, Work] = {}
        self._condition = threading.Condition()
        self._connection_use = threading.Lock()
        self._closing = False
        self._broken = False
        self._nudged = False
        self._problem: SaveError | None = None
        self._thread = threading.Thread(target=self._run, name="project-writer", daemon=True)
        self._thread.start()
        self._at_exit = partial(_close_at_exit, weakref.ref(self))
        atexit.register(self._at_exit)

    @property
    def problem(self) -> SaveError | None:
        """Why nothing can be saved at the moment, or None."""
        return self._problem

    @property
    def unsaved(self) -> int:
        """Pieces of work that are not on the disk yet."""
        return len(self._jobs)

    @property
    def is_open(self) -> bool:
        """Whether work is taken."""
        return not self._broken and not self._closing

    def submit(self, work: Work, done: Callable[[], None] | None = None) -> None:
        """Hand in work that must not be lost; ``done`` is called once it is on the disk.

        Raises
        ------
        ReadOnlyError
            If the project was closed.
        """
        with self._condition:
            self._require_open()
            self._jobs.append((work, done))
            self._condition.notify_all()

    def call(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do work in a transaction of its own, after everything submitted, and wait for it.

        Raises
        ------
        SaveError
            If it cannot be written, or something that was submitted before it cannot.
        """
        self.flush()
        self._require_open()
        try:
            with self._connection_use:
                self._check_place()
                with transaction(self._connection):
                    return work(self._connection)
        except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as error:
            raise explained(error, self._path, self.unsaved) from error

    def when_idle(self, key: Hashable, work: Work) -> None:
        """Do this when nothing else waits; a later one of the same key replaces it.

        It must be of a kind that may fail, or never happen: it is not tried again.
        """
        with self._condition:
            self._idle_work[key] = work
            self._condition.notify_all()

    def retry(self) -> None:
        """Try again now what could not be saved."""
        with self._condition:
            self._nudged = True
            self._condition.notify_all()

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything submitted is on the disk.

        Raises
        ------
        SaveError
            If that fails, or takes longer than ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self.retry()
        with self._condition:
            while self._jobs:
                if self._problem is not None and (self._broken or not self._nudged):
                    raise self._problem
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise SaveError(
                        f"{self._path} could not be written within {timeout} s.",
                        "Check the disk; everything not saved yet is kept in memory.",
                        self._path,
                        self.unsaved,
                    )
                self._condition.wait(left)

    def close(self, *, abandon: bool = False) -> None:
        """Save everything and stop.

        Parameters
        ----------
        abandon : bool
            Stop even if something cannot be saved; it is lost then.

        Raises
        ------
        SaveError
            If something cannot be saved; the writer goes on then.
        """
        if not abandon:
            self.flush()
        with self._condition:
            if self._closing:
                return
            self._closing = True
            self._condition.notify_all()
        self._thread.join()
        self._jobs.clear()
        atexit.unregister(self._at_exit)
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # -- the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._step():
                pass
        finally:
            with self._condition:
                if not self._closing:  # a fault of ours: whoever waits must learn of it
                    self._broken = True
                    self._problem = SaveError(
                        "The project can no longer be saved, by a fault of napari-sss.",
                        "Export what is on the screen, then report what the terminal shows.",
                        self._path,
                        self.unsaved,
                    )
                self._condition.notify_all()
            if self._broken:
                self._on_problem(self._problem)

    def _step(self) -> bool:
        """Wait for something to do and do it; False when there is nothing more to come."""
        with self._condition:
            retrying = self._problem is not None
            patience = _RETRY_SECONDS if retrying else HEARTBEAT_SECONDS
            self._condition.wait_for(self._is_due, timeout=patience)
            if self._closing:
                return False
            jobs = [self._jobs[k] for k in range(min(len(self._jobs), _MOST_AT_ONCE))]
            idle_key = next(iter(self._idle_work), None)
            idle = self._idle_work.pop(idle_key) if not jobs and idle_key is not None else None
        fault = self._attempt([work for work, _ in jobs] or ([idle] if idle else []))
        if idle is not None and fault is not None:
            log.warning("Tidying the project failed: %s", fault)
            fault = None
        self._finish(jobs, fault)
        return True

    def _require_open(self) -> None:
        if self._broken and self._problem is not None:
            raise self._problem
        if self._closing:
            raise ReadOnlyError(f"{self._path.parent} was closed.", "Open it again.")

    def _is_due(self) -> bool:
        waiting = self._problem is None and (self._jobs or self._idle_work)
        return bool(self._closing or self._nudged or waiting)

    def _attempt(self, works: list[Work]) -> SaveError | None:
        """Do the works in one transaction; the fault, where there was one."""
        try:
            with self._connection_use:
                self._check_place()
                if works:
                    with transaction(self._connection):
                        for work in works:
                            work(self._connection)
        except SaveError as error:
            return error
        except (sqlite3.Error, OSError) as error:
            found = explained(error, self._path, self.unsaved)
            return found if isinstance(found, SaveError) else _unsaved(found, self.unsaved)
        except SSSError as error:
            return _unsaved(error, self.unsaved)
        return None

    def _finish(
        self, jobs: list[tuple[Work, Callable[[], None] | None]], fault: SaveError | None
    ) -> None:
        if fault is None:
            for _, done in jobs:
                if done is not None:
                    done()
        with self._condition:
            if fault is None:
                for _ in jobs:
                    self._jobs.popleft()
            before, self._problem = self._problem, fault
            self._nudged = False
            self._condition.notify_all()
        if (before is None) != (self._problem is None):
            self._on_problem(self._problem)

    def _check_place(self) -> None:
        """Make sure that what we write is still the project, and still ours."""
        self._lock.check()
        try:
            same = self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        if not same:
            raise SaveError(
                f"{self._path} was removed or replaced while it was open.",
                "Put it back, or export what is on the screen before closing.",
                self._path,
                self.unsaved,
            )


def _unsaved(error: SSSError, count: int) -> SaveError:
    return SaveError(error.problem, error.remedy, error.path, count)


def _close_at_exit(reference: weakref.ref[Writer]) -> None:
    """Save what is left when the program ends without closing the project."""
    writer = reference()
    if writer is not None:
        try:
            writer.close()
        except SaveError as error:
            log.error("Not everything could be saved: %s", error)
