"""A project: a folder with cases, classes and everything that was annotated.

::

    FOLDER/project.db       cases, classes, annotations, journals (SQLite)
    FOLDER/settings.json    how work is done
    FOLDER/masks/           masks for other programs, made from the database when asked for
    FOLDER/prompt_masks/    label files that were given as prompts

    create, open --free--> WRITABLE --close--> CLOSED
    open --another viewer writes, or the folder is read-only--> READ ONLY --close--> CLOSED
"""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from psygnal import EmitLoopError, Signal

from napari_sss.engine.project import classes as class_table
from napari_sss.engine.project.action_codec import ActionCodec
from napari_sss.engine.project.applied import Surroundings
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.database import Reader
from napari_sss.engine.project.errors import ReadOnlyError, SaveError
from napari_sss.engine.project.journal import save_changes
from napari_sss.engine.project.loading import load_case, load_classes, stored_class_ids
from napari_sss.engine.project.opening import Hold, Sharing, hold_existing, hold_new
from napari_sss.engine.project.overview import Findings, stored_findings
from napari_sss.engine.project.paths import kept_copy
from napari_sss.engine.project.pool import CasePool
from napari_sss.engine.project.record_codec import RecordCodec
from napari_sss.engine.project.records import CaseStatus, ClassRecord
from napari_sss.engine.project.settings import (
    ProjectSettings,
    read_settings,
    write_settings,
)
from napari_sss.engine.project.state import AnnotationState, RecordChange
from napari_sss.engine.project.writer import Writer

log = logging.getLogger(__name__)

PROMPT_MASKS = "prompt_masks"


class Project:
    """An open project; make one with :meth:`create` or :meth:`open`.

    Also a context manager, which closes it.
    """

    save_state_changed = Signal(object)
    """Emitted with a :class:`SaveError` when saving begins to fail, and with None when it
    works again; in the writer's thread."""

    def __init__(self, folder: Path, hold: Hold) -> None:
        self.folder = folder
        self.why_read_only = hold.why_read_only
        self._lock = hold.lock
        self._writer: Writer | None = None
        self._reader = Reader(hold.path)
        if hold.connection is not None:
            self._writer = Writer(hold.connection, hold.path, hold.lock, self._on_problem)
        self._codec = ActionCodec(RecordCodec(folder))
        with self._reader.snapshot() as connection:
            self._classes = load_classes(connection, self._codec)
        self._sessions: dict[int, CaseSession] = {}
        self._opening = threading.RLock()
        self._closed = False
        self.cases = CasePool(folder, self._reader, self._writer)

    @classmethod
    def create(cls, folder: Path | str, *, sharing: Sharing = "auto") -> Project:
        """Make a new project.

        Parameters
        ----------
        folder : Path
            Made where it does not exist; files in it stay.
        sharing : {"auto", "local", "network"}
            Whether the folder lies on a network share; by default the system is asked.

        Raises
        ------
        ProjectError
            If the folder is a project already.
        WriteError
            If it cannot be written.
        """
        folder = Path(folder).absolute()
        project = cls(folder, hold_new(folder, sharing))
        assert project._writer is not None
        identity = uuid.uuid4().hex
        project._writer.call(
            lambda c: c.execute("INSERT OR IGNORE INTO meta VALUES ('id', ?)", (identity,))
        )
        return project

    @classmethod
    def open(
        cls, folder: Path | str, *, sharing: Sharing = "auto", read_only: bool = False
    ) -> Project:
        """Open a project.

        It is open for reading only where another viewer writes it, or the folder cannot be
        written: :attr:`why_read_only` says so then.

        Parameters
        ----------
        folder : Path
            The project's.
        sharing : {"auto", "local", "network"}
            See :meth:`create`.
        read_only : bool
            Do not even try to write.

        Raises
        ------
        ProjectVersionError
            If a newer program made it.
        ProjectError
            If it is no project, or damaged.
        """
        folder = Path(folder).absolute()
        hold = hold_existing(folder, sharing, read_only)
        try:
            return cls(folder, hold)
        except BaseException:
            if hold.connection is not None:
                hold.connection.close()
                hold.lock.release()
            raise

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed; :attr:`why_read_only` says why."""
        return self._writer is None

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return not self._closed

    @property
    def save_problem(self) -> SaveError | None:
        """Why nothing can be saved at the moment, or None."""
        return self._writer.problem if self._writer is not None else None

    @property
    def unsaved(self) -> int:
        """How many acts are not on the disk yet."""
        return self._writer.unsaved if self._writer is not None else 0

    def retry_saving(self) -> None:
        """Try again now what could not be saved, rather than in a second."""
        if self._writer is not None:
            self._writer.retry()

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything is on the disk.

        Raises
        ------
        SaveError
            If that fails; everything is kept in memory and tried again.
        """
        if self._writer is not None:
            self._writer.flush(timeout)

    def close(self, *, abandon: bool = False) -> None:
        """Save everything and let go of the folder.

        Parameters
        ----------
        abandon : bool
            Close even if something cannot be saved; it is lost then.

        Raises
        ------
        SaveError
            If something cannot be saved; the project stays open.
        """
        if not abandon:
            for session in self._sessions.values():
                session.close()
            self.flush()
        was_open, self._closed = not self._closed, True  # who reads meanwhile is not alarmed
        # SQLite tidies its log away when the last connection closes, if that one may write.
        self._reader.close()
        if self._writer is not None and was_open:
            self._writer.close(abandon=abandon)
            self._lock.release()

    # -- cases at work ------------------------------------------------------------------

    def open_case(self, case_id: int) -> CaseSession:
        """Open a case for work, with everything as it was; a parked one is resumed.

        The scan itself is not needed: an annotation opens even if its scan has vanished.

        Raises
        ------
        ProjectError
            If there is no such case, or its journal is damaged.
        """
        with self._opening:
            return self._open_case(case_id)

    @contextlib.contextmanager
    def briefly(self, case_id: int) -> Iterator[CaseSession | None]:
        """A case for an act of the program's own; None where a person has it open.

        Who wants to open the case meanwhile waits, and finds it as the act has left it.

        Raises
        ------
        ProjectError
            If there is no such case, or its journal is damaged.
        SaveError
            If the act cannot be saved.
        """
        with self._opening:
            if self.state_at_work(case_id) is not None:
                yield None
                return
            session = self._open_case(case_id)
            try:
                yield session
            finally:
                session.close()
                self._sessions.pop(case_id, None)  # its label array can be large

    def _open_case(self, case_id: int) -> CaseSession:
        session = self._sessions.get(case_id)
        if session is not None and session.is_open:
            return session
        case = self.cases.get(case_id)
        self.flush()
        with self._reader.snapshot() as connection:
            loaded = load_case(connection, case_id, case.grid.shape, self._codec, self._classes)
        around = Surroundings(partial(self.class_users, without=case_id), self._keep_file)
        session = CaseSession(case_id, loaded, self._codec, self._writer, around)
        self._sessions[case_id] = session
        if case.status is CaseStatus.PARKED and self._writer is not None:
            self._set_parked(case_id, False, loaded.state.case.status(parked=False))
        return session

    def park(self, session: CaseSession, view: Mapping[str, Any] | None = None) -> None:
        """Put a case aside half done, to be resumed later with everything as it was.

        Raises
        ------
        SaveError
            If something cannot be saved; the case stays open.
        """
        if view is not None:
            self.cases.save_view(session.case_id, view)
        session.close()
        self._set_parked(session.case_id, True, session.state.case.status(parked=True))

    def annotation(self, case_id: int) -> AnnotationState:
        """A case's voxels and records as they are now, only to be looked at.

        Raises
        ------
        ProjectError
            If there is no such case, or its journal is damaged.
        """
        session = self._sessions.get(case_id)
        if session is not None and session.is_open:
            return session.state
        shape = self.cases.get(case_id).grid.shape
        with self._reader.snapshot() as connection:
            return load_case(connection, case_id, shape, self._codec, self._classes).state

    def cases_now(self) -> list[Case]:
        """All cases, those at work with the status that is not saved yet."""
        return [
            replace(case, status=session.status) if session and session.is_open else case
            for case in self.cases.select()
            for session in (self._sessions.get(case.id),)
        ]

    def state_at_work(self, case_id: int) -> AnnotationState | None:
        """The annotation of a case that is open, only to be looked at; None for others."""
        session = self._sessions.get(case_id)
        return session.state if session is not None and session.is_open else None

    def stored_findings(self, only: Collection[int] | None = None) -> Mapping[int, Findings]:
        """What the saved annotations tell the case list, by case id."""
        with self._reader.snapshot() as connection:
            return stored_findings(connection, only)

    def seconds_spent(self, case_id: int) -> dict[str, float]:
        """Seconds of work, by section key (``"3/axial/40"``); ``""`` for the case at large."""
        with contextlib.suppress(SaveError):  # then what is not saved is not counted yet
            self.flush()
        rows = self._reader.rows("SELECT key, seconds FROM effort WHERE scan = ?", case_id)
        return {row["key"]: row["seconds"] for row in rows}

    # -- classes ------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[ClassRecord, ...]:
        """The classes that are offered, by id."""
        return class_table.visible(self._classes)

    def class_of(self, class_id: int) -> ClassRecord:
        """The class that objects of this class id count as."""
        return class_table.resolved(self._classes, class_id)

    def add_class(self, name: str, colour: str | None = None, key: str | None = None) -> int:
        """Add a class and return its id; an open case's own ``add_class`` can be undone.

        Raises
        ------
        ProjectError
            If the name or key is taken, or the colour is none.
        """
        change = class_table.adding(self._classes, name, colour, key)
        self._save_class(change)
        assert isinstance(change.key, int)
        return change.key

    def edit_class(self, record: ClassRecord) -> None:
        """Give a class another name, colour or key."""
        self._save_class(class_table.editing(self._classes, record))

    def remove_class(self, class_id: int, into: int | None = None) -> None:
        """Remove a class; where it has objects they count as ``into`` from then on.

        Raises
        ------
        ClassInUseError
            If it has objects and ``into`` is not given.
        """
        change = class_table.removing(self._classes, class_id, into, self.class_users)
        self._save_class(change)

    def class_users(self, class_id: int, without: int | None = None) -> dict[str, int]:
        """How many objects of a class there are, by the name of their case."""
        with self._reader.snapshot() as connection:
            stored = stored_class_ids(connection, self._codec)
        for case_id, session in self._sessions.items():
            if session.is_open:
                stored[case_id] = [r.class_id for r in session.state.objects.values()]
        counts = {i: ids.count(class_id) for i, ids in stored.items() if i != without}
        return {self.cases.get(i).name: count for i, count in counts.items() if count}

    # -- settings -----------------------------------------------------------------------

    @property
    def settings(self) -> ProjectSettings:
        """How work is done.

        Raises
        ------
        ConfigError
            If the file is damaged.
        """
        return read_settings(self.folder)

    def save_settings(self, settings: ProjectSettings) -> None:
        """Save how work is done."""
        self._require_writer()
        write_settings(settings, self.folder)

    # -- inside -------------------------------------------------------------------------

    def _save_class(self, change: RecordChange) -> None:
        writer = self._require_writer()
        writer.call(
            lambda connection: save_changes(connection, 0, [change], self._codec.records)
        )
        if change.before != change.after:
            self._classes[change.key] = change.after  # type: ignore[index, assignment]

    def _set_parked(self, case_id: int, parked: bool, status: CaseStatus) -> None:
        self._require_writer().submit(
            lambda connection: connection.execute(
                "UPDATE scan SET parked = ?, status = ? WHERE id = ?",
                (int(parked), status.value, case_id),
            )
        )
        self.flush()

    def _keep_file(self, path: Path) -> Path:
        """A copy of a label file within the project, named by its content."""
        self._require_writer()
        return kept_copy(path, self.folder / PROMPT_MASKS)

    def _require_writer(self) -> Writer:
        if self._writer is None:
            raise ReadOnlyError(
                f"The project {self.folder} is open for reading only: {self.why_read_only}.",
                "Close it in the other viewer, or make the folder writable, and open it again.",
                self.folder,
            )
        return self._writer

    def _on_problem(self, problem: SaveError | None) -> None:
        try:
            self.save_state_changed.emit(problem)
        except EmitLoopError:  # a listener's fault must not stop the saving
            log.exception("A listener to the state of saving failed")
