"""The project and the case at work: opened, changed, saved, and what the views are told.

No Qt: disk and long acts go through a :class:`~napari_sss._widgets.worker.Worker` of the
room's own, everything else is called on the viewer's thread, where the signals are emitted.

::

    NO CASE --choose(scan)--> OPENING --case_changed--> AT WORK
    AT WORK --choose(another)--> OPENING        AT WORK --choose(None), park()--> NO CASE

Where the person has opened no project, work goes into a default project in the folder for
user data, so that nothing is ever lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_sss._widgets.status import Notice, Severity
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.errors import ConfigError, SSSError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.entering import enter_scan
from napari_sss.engine.project.errors import ReadOnlyError, SaveError
from napari_sss.engine.project.guard import Overwrite, OverwritePolicy
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.settings import ProjectSettings
from napari_sss.engine.volumes.grid import Vector3
from napari_sss.engine.volumes.volume import Volume

logger = logging.getLogger(__name__)

Post = Callable[[Callable[[], None]], None]
"""Has something called on the viewer's thread; may be called in any thread."""

HOLD_S = 0.01
"""Seconds for which the viewer waits for an act of another thread to end."""

MOST_WINDOWS = 20
"""So many windows can each have a default project of their own at the same time."""


@dataclass(frozen=True)
class AtWork:
    """A scan's case, open for work.

    Parameters
    ----------
    case : Case
        As stored when it was opened.
    session : CaseSession
        Its annotation.
    place, total : int
        It is case ``place`` of ``total``, counted from 1.
    """

    case: Case
    session: CaseSession
    place: int
    total: int


class ProjectRoom:
    """Which project and which case are at work.

    Parameters
    ----------
    worker : Worker
        Runs what takes time, in order; nobody else's.
    post : callable
        ``post(call)`` has ``call()`` called on the viewer's thread, whatever thread asks.
    home : Path, optional
        Where the default project is; by default in the folder for user data.
    """

    project_changed = Signal()
    """Another project is open, or it was closed."""
    case_changed = Signal()
    """Another case is open, or none."""
    session_changed = Signal(Applied)
    """The open case was changed; see :attr:`Session.changed`."""
    saved_changed = Signal(str)
    """The line that says up to where everything is on the disk."""
    noticed = Signal(Notice)
    """The person should know something now."""
    scan_read = Signal(Volume)
    """A case was asked for by its number: here is its scan, to be shown."""

    def __init__(self, worker: Worker, post: Post, home: Path | None = None) -> None:
        self._thread = threading.get_ident()
        self._worker = worker
        self._post = post
        self._home = home
        self._project: Project | None = None  # as the views know it
        self._held: Project | None = None  # as the worker has it; touched there only
        self._chosen = False
        self._open: dict[int, AtWork] = {}
        self._key: int | None = None
        self._awaited: tuple[int, Volume] | None = None
        self._view: Callable[[], Mapping[str, Any]] = dict
        self._settings = ProjectSettings()
        self._order: Callable[[], Sequence[int]] = tuple
        self._saved_line = ""
        self._saved_at = ""

    # -- what is at work ----------------------------------------------------------------

    @property
    def project(self) -> Project | None:
        """The open project: the person's, or the default one once there is work in it."""
        return self._project

    @property
    def is_default(self) -> bool:
        """Whether the person has opened no project, so that the default one is used."""
        return not self._chosen

    @property
    def at_work(self) -> AtWork | None:
        """The case at work with its place in the project."""
        return None if self._key is None else self._open.get(self._key)

    @property
    def session(self) -> CaseSession | None:
        """The annotation at work, or None."""
        at_work = self.at_work
        return None if at_work is None else at_work.session

    @property
    def case_id(self) -> int | None:
        """The case at work, or None."""
        at_work = self.at_work
        return None if at_work is None else at_work.case.id

    @property
    def opening(self) -> bool:
        """Whether the scan in view has its case not open yet."""
        return self._key is not None and self._key not in self._open

    @property
    def why_read_only(self) -> str:
        """Why nothing can be changed; "" where it can."""
        if self._project is None or not self._project.read_only:
            return ""
        return f"This project is open for reading only: {self._project.why_read_only}."

    @property
    def policy(self) -> OverwritePolicy:
        """What a change may take from other objects, as the project's settings say."""
        return self._settings.policy

    @property
    def model_policy(self) -> OverwritePolicy:
        """What a model's answer may take: never from neighbours that nobody asked about."""
        return OverwritePolicy(Overwrite.KEEP, self._settings.overwrite_accepted)

    def set_overwrite(self, accepted: Overwrite) -> None:
        """Say what happens to accepted voxels, from now on and in later sessions."""
        self._settings = self._settings.model_copy(update={"overwrite_accepted": accepted})
        project, settings = self._project, self._settings
        if project is not None and not project.read_only:
            self._run("settings", lambda _: project.save_settings(settings))

    @property
    def saved_line(self) -> str:
        """Up to where everything is on the disk, for instance ``"saved 10:42"``."""
        return self._saved_line

    def remember_view(self, view: Callable[[], Mapping[str, Any]]) -> None:
        """Say who tells what the viewer shows, plain JSON content, to be found again."""
        self._view = view

    def remember_order(self, order: Callable[[], Sequence[int]]) -> None:
        """Say who tells in which order cases follow each other: by a list the person sees.

        A case that is not in it is followed by the one that was added after it.
        """
        self._order = order

    # -- projects -----------------------------------------------------------------------

    def create(self, folder: Path) -> None:
        """Make a project and open it."""
        self._switch(f"create {folder}", lambda: Project.create(folder))

    def open(self, folder: Path) -> None:
        """Open a project."""
        self._switch(f"open {folder}", lambda: Project.open(folder))

    def close(self) -> None:
        """Close the person's project; work goes into the default one from then on."""
        self._switch("close", lambda: None)

    def retry_saving(self) -> None:
        """Try again now what could not be saved."""
        if self._project is not None:
            self._project.retry_saving()

    # -- cases --------------------------------------------------------------------------

    def choose(self, key: int | None, volume: Volume | None, name: str = "") -> None:
        """Take note of which scan is in view; its case is opened, or made.

        Parameters
        ----------
        key : int, optional
            Tells one scan in the viewer from another; None: none is in view.
        volume : Volume, optional
            The scan as it was read.
        name : str
            What it is called in the viewer.
        """
        if key == self._key and (self.opening or self.at_work is not None):
            return
        self._key = None if volume is None else key
        if key is None or volume is None or key in self._open:
            self._tell_case()
            return
        awaited, self._awaited = self._awaited, None
        case_id = awaited[0] if awaited is not None and awaited[1] is volume else None
        self.case_changed.emit()
        self._run(
            f"open the case of {name}",
            lambda control: self._enter(volume, name, case_id, control),
            lambda entered: self._entered(key, *entered),
            lambda: self._not_entered(key),
        )

    def forget(self, key: int) -> None:
        """Let go of a scan that was taken out of the viewer; its case is saved and closed."""
        gone = self._open.pop(key, None)
        if self._key == key:
            self._key = None
            self.case_changed.emit()
        if gone is not None and all(o.session is not gone.session for o in self._open.values()):
            self._run("close the case", lambda _: gone.session.close())

    def open_case(self, case_id: int) -> None:
        """Open a case by its number: its scan is read and shown."""
        project = self._project
        if project is None or case_id == self.case_id:
            return

        def read(control: JobControl) -> Volume:
            control.report("reading the scan", 0)
            return project.cases.read(case_id, control)

        def show(volume: Volume) -> None:
            self.keep_view()
            self._awaited = (case_id, volume)
            self.scan_read.emit(volume)

        self._run(f"read case {case_id}", read, show)

    def next_case(self) -> None:
        """Open the case after this one."""
        self._step("next")

    def previous_case(self) -> None:
        """Open the case before this one."""
        self._step("previous")

    def park(self) -> None:
        """Put the case aside half done, to be resumed later with everything as it was."""
        project, at_work, key = self._project, self.at_work, self._key
        if project is None or at_work is None or key is None or self.why_read_only:
            return
        view = dict(self._view())

        def parked(_: Any) -> None:
            self._notify(Severity.INFO, f"{at_work.case.name} is parked as it is.")
            self._open.pop(key, None)
            if self._key == key:
                self._key = None
                self.case_changed.emit()

        self._run("park", lambda _: project.park(at_work.session, view), parked)

    # -- acting -------------------------------------------------------------------------

    def act(
        self,
        name: str,
        do: Callable[[CaseSession], Any],
        on_done: Callable[[Any], None] = lambda _: None,
        on_failed: Callable[[Exception], None] | None = None,
        *,
        quick: bool = False,
    ) -> None:
        """Do something to the open case, after what was asked before.

        Parameters
        ----------
        name : str
            For logs.
        do : callable
            ``do(session)``.
        on_done, on_failed : callable
            Called on the viewer's thread with the result or the error; by default an error
            becomes a notice.
        quick : bool
            It takes a few milliseconds at most, so it is done here and now if nothing waits.
        """
        session = self.session
        if session is None:
            return
        if not quick or self._worker.busy or not session.hold(HOLD_S):
            self._run(name, lambda _: do(session), on_done, None, on_failed)
            return
        try:
            result = do(session)
        except SSSError as error:
            (on_failed or self._failed)(error)
        else:
            on_done(result)
        finally:
            session.release()

    def give_spacing(self, spacing: Vector3) -> None:
        """Keep the spacing (mm; Z, Y, X as read) that a person gave the scan at work."""
        project, case_id = self._project, self.case_id
        if project is not None and case_id is not None and not project.read_only:
            self._run("spacing", lambda _: project.cases.give_spacing(case_id, spacing))

    def undo(self) -> None:
        """Take the last step back."""
        self.act("undo", lambda session: session.undo(), self._told)

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        self.act("redo", lambda session: session.redo(), self._told)

    def shut_down(self) -> None:
        """Remember the view, save everything, let go of the folder; waits for the disk."""
        self.keep_view()
        self._worker.close()
        project = self._project or self._held
        self._project = self._held = None
        self._open.clear()
        self._key = None
        if project is None:
            return
        try:
            project.close()
        except SaveError as error:
            logger.error("Not everything could be saved: %s", error)
            project.close(abandon=True)

    # -- in the worker ------------------------------------------------------------------

    def _enter(
        self, volume: Volume, name: str, case_id: int | None, control: JobControl
    ) -> tuple[Project, AtWork, tuple[str, ...]]:
        """Open a scan's case, in the default project where the person has opened none."""
        control.report("opening the case", 0)
        project = self._held or self._default(control)
        notes: tuple[str, ...] = ()
        if case_id is None:
            try:
                entered = enter_scan(project, volume, name, control)
            except ReadOnlyError as error:
                raise ReadOnlyError(
                    f"{name} is no case of this project, which is open for reading only.",
                    "Close the project in the tab Cases to work on it, or open one of its "
                    "cases.",
                    project.folder,
                ) from error
            case_id, notes = entered.case.id, entered.notes
        session = project.open_case(case_id)
        ids = [case.id for case in project.cases.select()]
        at_work = AtWork(project.cases.get(case_id), session, ids.index(case_id) + 1, len(ids))
        return project, at_work, notes

    def _default(self, control: JobControl) -> Project:
        """Open the default project, or the first one that no other window has."""
        home = self._home or default_home()
        for number in range(1, MOST_WINDOWS + 1):
            control.check()
            folder = home / ("default" if number == 1 else f"default {number}")
            exists = (folder / "project.db").exists()
            project = Project.open(folder) if exists else Project.create(folder)
            if not project.read_only or number == MOST_WINDOWS:
                self._held = project
                project.save_state_changed.connect(self._on_save_state)
                return project
            project.close()
        raise AssertionError("unreachable")

    def _switch(self, name: str, opened: Callable[[], Project | None]) -> None:
        self.keep_view()

        def switch(_: JobControl) -> Project | None:
            project, former = opened(), self._held
            if former is not None:
                try:
                    former.close()
                except SaveError:
                    if project is not None:
                        project.close()
                    raise
            self._held = project
            if project is not None:
                project.save_state_changed.connect(self._on_save_state)
            return project

        self._run(name, switch, self._switched)

    # -- on the viewer's thread ---------------------------------------------------------

    def _switched(self, project: Project | None) -> None:
        self._project, self._chosen = project, project is not None
        self._open.clear()
        self._key = None
        self._read_settings()
        self.project_changed.emit()
        self.case_changed.emit()
        if self.why_read_only:
            self._notify(Severity.WARNING, self.why_read_only)
        self._tell_saved()

    def _entered(
        self, key: int, project: Project, at_work: AtWork, notes: tuple[str, ...]
    ) -> None:
        for note in notes:
            self._notify(Severity.INFO, note)
        if not any(o.session is at_work.session for o in self._open.values()):
            self._listen(at_work.session)
        self._open[key] = at_work
        if self._project is not project:
            self._project = project
            self._read_settings()
            self.project_changed.emit()
        if self._key == key:
            self._tell_case()

    def _read_settings(self) -> None:
        self._settings = ProjectSettings()
        if self._project is not None:
            try:
                self._settings = self._project.settings
            except ConfigError as error:
                self._notify(Severity.WARNING, str(error))

    def _not_entered(self, key: int) -> None:
        if self._key == key:
            self._key = None
            self.case_changed.emit()

    def _listen(self, session: CaseSession) -> None:
        session.changed.connect(lambda applied: self._heard(session, applied))
        session.saved.connect(lambda _: self._post(lambda: self._saved(session)))

    def _heard(self, session: CaseSession, applied: Applied) -> None:
        """Pass on what was done, at once where that was here; called in any thread."""
        if threading.get_ident() == self._thread:
            self._act(session, applied)
        else:
            self._post(lambda: self._act(session, applied))

    def _act(self, session: CaseSession, applied: Applied) -> None:
        if session is self.session:
            self.session_changed.emit(applied)
            self._tell_saved()

    def _saved(self, session: CaseSession) -> None:
        if session is self.session and session.is_saved:
            self._saved_at = time.strftime("%H:%M")
            self._tell_saved()

    def _on_save_state(self, problem: SaveError | None) -> None:
        """Pass on that saving fails, or works again; called in the writer's thread."""
        self._post(lambda: self._save_state(problem))

    def _save_state(self, problem: SaveError | None) -> None:
        self._tell_saved()
        if problem is not None:
            self._notify(Severity.ERROR, str(problem))
        else:
            self._notify(Severity.INFO, "Everything is saved again.")

    def _told(self, applied: Applied) -> None:
        for note in applied.notes:
            self._notify(Severity.INFO, note)

    def _tell_case(self) -> None:
        self.case_changed.emit()
        self._tell_saved()

    def _tell_saved(self) -> None:
        line = self._line_of_saving()
        if line != self._saved_line:
            self._saved_line = line
            self.saved_changed.emit(line)

    def _line_of_saving(self) -> str:
        session = self.session
        if session is None or self._project is None:
            return ""
        if self._project.read_only:
            return "read-only"
        if self._project.save_problem is not None:
            return f"{self._project.unsaved} acts not saved"
        if not session.is_saved:
            return "saving …"
        return f"saved {self._saved_at}" if self._saved_at else "saved"

    def keep_view(self) -> None:
        """Store what the viewer shows of the case at work, to be found again."""
        project, case_id = self._project, self.case_id
        if project is None or case_id is None or project.read_only:
            return
        try:
            project.cases.save_view(case_id, self._view())
        except SSSError as error:
            logger.warning("The view was not kept: %s", error)

    def _step(self, way: str) -> None:
        project, case_id = self._project, self.case_id
        if project is None or case_id is None:
            return
        order = list(self._order())

        def find(_: JobControl) -> int | None:
            if case_id in order:
                place = order.index(case_id) + (1 if way == "next" else -1)
                return order[place] if 0 <= place < len(order) else None
            found: Case | None = getattr(project.cases, way)(case_id)
            return None if found is None else found.id

        def go(found: int | None) -> None:
            if found is None:
                end = "last" if way == "next" else "first"
                where = "list" if case_id in order else "project"
                self._notify(Severity.INFO, f"This is the {end} case of the {where}.")
            else:
                self.open_case(found)

        self._run(f"{way} case", find, go)

    def _run(
        self,
        name: str,
        run: Callable[[JobControl], Any],
        on_done: Callable[[Any], None] = lambda _: None,
        and_failed: Callable[[], None] | None = None,
        on_failed: Callable[[Exception], None] | None = None,
    ) -> None:
        def failed(error: Exception) -> None:
            (on_failed or self._failed)(error)
            if and_failed is not None:
                and_failed()

        self._worker.submit(
            Job(name, lambda control, _: run(control), on_done=on_done, on_failed=failed)
        )

    def _failed(self, error: Exception) -> None:
        if isinstance(error, SSSError):
            self._notify(Severity.ERROR, str(error))
            return
        logger.error("Unexpected error", exc_info=error)
        self._notify(
            Severity.ERROR,
            f"{type(error).__name__}: {error}. This is a fault of napari-sss; what was saved "
            "is safe. Please report it with the terminal's output.",
        )

    def _notify(self, severity: Severity, text: str) -> None:
        self.noticed.emit(Notice(severity, text))


def default_home() -> Path:
    """The folder of default projects: ``NAPARI_SSS_HOME``, or in the folder for user data."""
    import os

    from platformdirs import user_data_path

    given = os.environ.get("NAPARI_SSS_HOME")
    if given:
        return Path(given)
    return user_data_path("napari-sss", appauthor=False) / "projects"
