"""One writer at a time.

On a local disk the operating system holds the lock: it goes when its process dies, however
that happens. On a network share system locks are unreliable, so there the lock is a file
that is made only if it is absent, names its owner, and is touched again and again; one that
was not touched for minutes, or whose process on this machine is gone, is taken over.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from napari_sss.engine.project.errors import SaveError

LOCK_NAME = "project.lock"
OWNER_NAME = "project.owner"
HEARTBEAT_SECONDS = 20.0
_STALE_SECONDS = 15 * HEARTBEAT_SECONDS


class WriteLock(Protocol):
    """The right to write a project."""

    def acquire(self) -> bool:
        """Take it if it is free; False if another viewer has it."""

    def owner(self) -> str:
        """Who has it, in words."""

    def check(self) -> None:
        """Raise :class:`SaveError` if it was lost; called before each save."""

    def release(self) -> None:
        """Give it back."""


class LocalLock:
    """Held by the operating system on ``project.lock``."""

    def __init__(self, folder: Path) -> None:
        # Of the process, not of a thread: who opens a project may not be who closes it.
        self._lock = FileLock(folder / LOCK_NAME, thread_local=False)
        self._owner = folder / OWNER_NAME

    def acquire(self) -> bool:
        """Take it if it is free; False if another viewer has it."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        with contextlib.suppress(OSError):
            self._owner.write_text(Owner.here().to_json(), encoding="utf-8")
        return True

    def owner(self) -> str:
        """Who has it, in words."""
        return str(Owner.of(self._owner) or "another viewer")

    def check(self) -> None:
        """Nothing to do: the system does not lose locks."""

    def release(self) -> None:
        """Give it back."""
        self._owner.unlink(missing_ok=True)
        self._lock.release()


class SharedLock:
    """A file on a network share, made only if absent, with a heartbeat."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / OWNER_NAME
        self._mine: Owner | None = None
        self._touched = 0.0

    def acquire(self) -> bool:
        """Take it if it is free or abandoned; False if another viewer has it."""
        if self._is_abandoned():
            self._path.unlink(missing_ok=True)
        mine = Owner.here()
        try:
            with self._path.open("x", encoding="utf-8") as stream:
                stream.write(mine.to_json())
        except FileExistsError:
            return False
        self._mine, self._touched = mine, time.monotonic()
        return True

    def owner(self) -> str:
        """Who has it, in words."""
        return str(Owner.of(self._path) or "another viewer")

    def check(self) -> None:
        """Make sure that the lock is still ours, and show that we live.

        Raises
        ------
        SaveError
            If another viewer has taken over, for instance while this machine slept.
        """
        owner = Owner.of(self._path)
        if owner is None:
            raise SaveError(
                f"{self._path} cannot be read: the share is away, or the lock was removed.",
                "Check the connection. Everything not saved yet is kept in memory.",
                self._path,
            )
        if owner != self._mine:
            raise SaveError(
                f"{self._path.parent} is now written by {self.owner()}.",
                "Close the project there, and open it here again.",
                self._path,
            )
        if time.monotonic() - self._touched > HEARTBEAT_SECONDS:
            os.utime(self._path)
            self._touched = time.monotonic()

    def release(self) -> None:
        """Give it back."""
        if self._mine is not None and Owner.of(self._path) == self._mine:
            self._path.unlink(missing_ok=True)
        self._mine = None

    def _is_abandoned(self) -> bool:
        try:
            age = time.time() - self._path.stat().st_mtime
        except OSError:
            return False
        owner = Owner.of(self._path)
        if owner is not None and owner.host == platform.node():
            return not owner.is_alive()
        return age > _STALE_SECONDS


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Parameters
    ----------
    host, process, since
        Name of the machine, process id, local time as text.
    token : str
        Tells two holders of the same process id apart.
    """

    host: str
    process: int
    since: str
    token: str

    @classmethod
    def here(cls) -> Owner:
        """The owner that is this process."""
        now = time.strftime("%Y-%m-%d %H:%M")
        return cls(platform.node(), os.getpid(), now, uuid.uuid4().hex)

    @classmethod
    def of(cls, path: Path) -> Owner | None:
        """The owner that a lock file names, or None where it cannot be read."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def to_json(self) -> str:
        """The content of a lock file."""
        return json.dumps(self.__dict__)

    def is_alive(self) -> bool:
        """Whether its process is there; on this machine only."""
        if os.name == "nt":  # a signal would end the process there
            return True
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True

    def __str__(self) -> str:
        return f"process {self.process} on {self.host} since {self.since}"
