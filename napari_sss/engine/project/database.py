"""Opening ``project.db``: durable where it is written, harmless where it is only read.

On a local disk the journal mode is WAL with ``synchronous=FULL``: each commit is on the disk
before it is reported. On a network share WAL does not work (it needs memory that all
machines share), so there it is a rollback journal that is truncated.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from napari_sss.engine.project.errors import ProjectError, SaveError
from napari_sss.engine.project.schema import SCHEMA_VERSION, migrate, version_of

JournalMode = Literal["wal", "truncate"]

DATABASE_NAME = "project.db"
_BUSY_MS = 10_000


def open_writable(path: Path, mode: JournalMode) -> sqlite3.Connection:
    """Open a database for writing, make its tables or bring them up to date.

    Parameters
    ----------
    path : Path
        The file; made where it is absent.
    mode : {"wal", "truncate"}
        The journal mode wanted; ``"wal"`` falls back where the file system refuses it.

    Raises
    ------
    ProjectVersionError, ProjectError
        If it is newer than this program, damaged, or no project's.
    SaveError
        If the folder cannot be written.
    """
    with _explained(path):
        connection = _connected(path)
        try:
            version = version_of(connection, path)
            _set_journal_mode(connection, mode)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")  # macOS: past the drive's own cache
            connection.execute("PRAGMA foreign_keys = ON")
            if version < SCHEMA_VERSION:
                if version:
                    _keep_copy(connection, path, version)
                migrate(connection, version)
        except BaseException:
            connection.close()
            raise
    return connection


class Reader:
    """Reading the database from any thread, beside whoever writes it.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        with _explained(path):
            self._connection = self._opened(path)
            version = version_of(self._connection, path)
        if version != SCHEMA_VERSION:
            self.close()
            raise ProjectError(
                f"{path} has the older version {version}.",
                "Open the project once where it can be written; it is brought up to date then.",
                path,
            )

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection whose reads all see one and the same state."""
        with self._lock, _explained(None):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """The rows of one query."""
        with self.snapshot() as connection:
            return connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    def _opened(self, path: Path) -> sqlite3.Connection:
        """A connection that never writes.

        Reading in WAL mode needs a small file beside the database. Where the folder does not
        allow it, a copy of the database is read.
        """
        try:
            connection = _connected(path, read_only=True)
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            self._copy = tempfile.TemporaryDirectory(prefix="napari-sss-")
            copied = Path(shutil.copyfile(path, Path(self._copy.name) / path.name))
            log = path.with_name(path.name + "-wal")
            if log.exists():
                shutil.copyfile(log, copied.with_name(log.name))
            return _connected(copied)
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing; what is committed is on the disk."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # After some faults, a full disk for one, SQLite has rolled back by itself.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("ROLLBACK")
        raise


def _connected(path: Path, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    return connection


def _set_journal_mode(connection: sqlite3.Connection, mode: JournalMode) -> None:
    found = ""
    with contextlib.suppress(sqlite3.OperationalError):
        found = connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0]
    if mode == "wal" and found != "wal":
        connection.execute("PRAGMA journal_mode = truncate")


def _keep_copy(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Lay a copy of the database beside it before its tables are changed."""
    beside = path.with_name(f"{path.name}.version{version}")
    with contextlib.closing(sqlite3.connect(beside)) as copy:
        connection.backup(copy)


@contextmanager
def _explained(path: Path | None) -> Iterator[None]:
    """Turn what SQLite and the file system say into errors with a remedy."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise explained(error, path) from error
    except OSError as error:
        raise SaveError(
            f"{path or 'The project'} cannot be used: {error.strerror or error}.",
            "Check that its folder is there and that you may write in it.",
            path,
        ) from error


def explained(error: sqlite3.Error | OSError, path: Path | None, unsaved: int = 0) -> Any:
    """The project's error for one of SQLite's or of the file system."""
    text = str(error)
    where = str(path or "The project's database")
    if "not a database" in text or "malformed" in text:
        return ProjectError(
            f"{where} is damaged ({text}).",
            "Put back a backup of the project folder; copies made before updates lie beside "
            "it as project.db.version*.",
            path,
        )
    if isinstance(error, sqlite3.OperationalError | OSError):
        return SaveError(
            f"{where} cannot be written: {text}.",
            _remedy(text) + " Nothing is lost: what is not saved yet waits in memory and is "
            "tried again.",
            path,
            unsaved,
        )
    return ProjectError(f"{where} cannot be used: {text.rstrip('.')}.", "", path)


def _remedy(text: str) -> str:
    if "full" in text or "disk I/O" in text or "No space" in text:
        return "Free some space on that disk."
    if "locked" in text:
        return "Close other programs that use the project."
    return "Check that the folder is there and that you may write in it."
