"""Taking hold of a project's folder: for writing where that is possible, else for reading."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_sss.engine.errors import WriteError
from napari_sss.engine.project.database import DATABASE_NAME, JournalMode, open_writable
from napari_sss.engine.project.errors import ProjectError, SaveError
from napari_sss.engine.project.lock import LocalLock, SharedLock, WriteLock
from napari_sss.engine.project.network import is_network_folder

Sharing = Literal["auto", "local", "network"]


@dataclass(frozen=True)
class Hold:
    """What was taken hold of.

    Parameters
    ----------
    path : Path
        The database.
    lock : WriteLock
        Ours where ``connection`` is there.
    connection : sqlite3.Connection, optional
        For writing; None where only reading is possible.
    why_read_only : str
        The reason then, in the user's words.
    """

    path: Path
    lock: WriteLock
    connection: sqlite3.Connection | None = None
    why_read_only: str = ""


def hold_new(folder: Path, sharing: Sharing) -> Hold:
    """Make a project's folder and database.

    Raises
    ------
    ProjectError
        If there is a project already, or another viewer is making one.
    WriteError
        If the folder cannot be made or written.
    """
    path = folder / DATABASE_NAME
    if path.exists() and path.stat().st_size:
        raise ProjectError(f"{folder} is a project already.", "Open it.", folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock, mode = _ways(folder, sharing)
        if not lock.acquire():
            raise ProjectError(f"{folder} is used by {lock.owner()}.", "Wait for it.", folder)
        return Hold(path, lock, _opened(path, lock, mode))
    except OSError as error:
        raise WriteError(
            f"The project {folder} cannot be made: {error.strerror or error}.",
            "Choose a folder that you may write in.",
            folder,
        ) from error


def hold_existing(folder: Path, sharing: Sharing, read_only: bool) -> Hold:
    """Open a project's database, for writing if nobody else does.

    Raises
    ------
    ProjectVersionError, ProjectError
        If there is no project, or it is of a newer version, or damaged.
    """
    path = folder / DATABASE_NAME
    if not path.is_file() or not path.stat().st_size:
        raise ProjectError(
            f"{folder} is not a project: it has no {DATABASE_NAME}.",
            "Choose the folder of a project, or make a new one.",
            folder,
        )
    lock, mode = _ways(folder, sharing)
    if read_only:
        return Hold(path, lock, why_read_only="it was opened for reading only")
    try:
        if not lock.acquire():
            return Hold(path, lock, why_read_only=f"it is being written by {lock.owner()}")
        return Hold(path, lock, _opened(path, lock, mode))
    except (SaveError, OSError) as error:
        reason = error.problem if isinstance(error, SaveError) else error.strerror or str(error)
        return Hold(path, lock, why_read_only=f"its folder cannot be written ({reason})")


def _ways(folder: Path, sharing: Sharing) -> tuple[WriteLock, JournalMode]:
    network = is_network_folder(folder) if sharing == "auto" else sharing == "network"
    return (SharedLock(folder), "truncate") if network else (LocalLock(folder), "wal")


def _opened(path: Path, lock: WriteLock, mode: JournalMode) -> sqlite3.Connection:
    try:
        return open_writable(path, mode)
    except BaseException:
        with contextlib.suppress(OSError):
            lock.release()
        raise
