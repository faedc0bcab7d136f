"""One process for a run: the system's lock on a file, which goes when the process does."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from napari_sss.engine.errors import RunError
from napari_sss.engine.runs.files import LOCK_NAME

PATIENCE_SECONDS = 3.0
"""A watcher that looks whether the lock is free holds it for a moment."""


class RunIsActiveError(RunError):
    """The run is being worked on by another process."""


class RunLock:
    """The right to work on a run.

    Parameters
    ----------
    folder : Path
        The run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / LOCK_NAME, thread_local=False)

    def acquire(self) -> None:
        """Take it.

        Raises
        ------
        RunIsActiveError
            Another process has it.
        """
        try:
            self._lock.acquire(timeout=PATIENCE_SECONDS)
        except Timeout:
            raise RunIsActiveError(
                f"The fine-tuning {self.folder.name} is running already.",
                "Watch it, or pause it first.",
                self.folder,
            ) from None

    def release(self) -> None:
        """Give it back."""
        self._lock.release()


def is_locked(folder: Path) -> bool:
    """Whether a process works on a run."""
    if not (folder / LOCK_NAME).exists():
        return False
    lock = FileLock(folder / LOCK_NAME, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written: nobody can work in it
        return False
    lock.release()
    return False
