"""What the case list knows: the project's cases, read anew whenever something has changed.

No Qt. Reading happens in a worker; a request that comes while one is under way is answered
by one more reading after it, however many there were.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from psygnal import Signal

from napari_sss._widgets.cases.rows import CaseRow, rows_of
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.status import Notice, Severity
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.errors import SSSError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.locating import Trouble
from napari_sss.engine.project.overview import CaseLine, overview
from napari_sss.engine.project.project import Project

logger = logging.getLogger(__name__)


class Catalogue:
    """The cases of the room's project as lines of a list.

    Parameters
    ----------
    room : ProjectRoom
        Which project and which case are at work.
    worker : Worker
        Reads the database; quick work only.
    """

    changed = Signal()
    """The lines are others, or say something else."""
    project_changed = Signal()
    """They are those of another project."""
    rescanned = Signal(int)
    """A case's scan is another one now, and so is its picture."""
    noticed = Signal(Notice)

    def __init__(self, room: ProjectRoom, worker: Worker) -> None:
        self._room = room
        self._worker = worker
        self._project: Project | None = None
        self._lines: dict[int, CaseLine] = {}
        self._troubles: dict[int, Trouble] = {}
        self._reading = False
        self._wanted: set[int] | None = set()  # None: all of them
        room.project_changed.connect(self._on_project)
        room.case_changed.connect(self._on_case)
        self._on_project()

    # -- what views show ----------------------------------------------------------------

    @property
    def project(self) -> Project | None:
        """The project whose cases these are."""
        return self._project

    @property
    def folder(self) -> Path | None:
        """The project's folder."""
        return None if self._project is None else self._project.folder

    @property
    def reading(self) -> bool:
        """Whether the lines are being read."""
        return self._reading

    def rows(self) -> list[CaseRow]:
        """All lines, in the order in which the cases were added."""
        return rows_of(self._lines.values(), self._troubles, self._room.case_id)

    def row(self, case_id: int) -> CaseRow | None:
        """One line, or None."""
        line = self._lines.get(case_id)
        rows = [] if line is None else rows_of([line], self._troubles, self._room.case_id)
        return rows[0] if rows else None

    def case(self, case_id: int) -> Case | None:
        """A case as it was read last, or None."""
        line = self._lines.get(case_id)
        return None if line is None else line.case

    # -- what has changed ---------------------------------------------------------------

    def refresh(self, only: Iterable[int] | None = None) -> None:
        """Read the cases again, all of them or only some."""
        if self._project is None:
            return
        if only is None:
            self._wanted = None
        elif self._wanted is not None:
            self._wanted |= set(only)
        if not self._reading and self._wanted != set():
            self._read(self._project)

    def set_trouble(self, case_id: int, trouble: Trouble | None) -> None:
        """Take note of what is wrong with a scan, or that nothing is."""
        if self._troubles.get(case_id) is not trouble:
            self._troubles.pop(case_id, None)
            if trouble is not None:
                self._troubles[case_id] = trouble
            self.changed.emit()

    def set_troubles(self, troubles: dict[int, Trouble]) -> None:
        """Take note of which scans are missing or changed, and that the others are not."""
        if troubles != self._troubles:
            self._troubles = dict(troubles)
            self.changed.emit()

    # -- inside -------------------------------------------------------------------------

    def _on_project(self) -> None:
        if self._room.project is self._project:
            return
        self._project = self._room.project
        self._lines, self._troubles, self._wanted = {}, {}, set()
        self._reading = False
        self.refresh()
        self.project_changed.emit()
        self.changed.emit()

    def _on_case(self) -> None:
        """Another case is at work: what it and the former one say may be new."""
        self._on_project()
        self.changed.emit()
        self.refresh()

    def _read(self, project: Project) -> None:
        wanted, self._wanted, self._reading = self._wanted, set(), True
        self._worker.submit(
            Job(
                "read the case list",
                lambda control, post: _lines_of(project, wanted, control),
                on_done=lambda lines: self._was_read(project, wanted, lines),
                on_failed=lambda error: self._was_not_read(project, error),
                on_cancelled=lambda: self._rest(project),
            )
        )

    def _was_read(
        self, project: Project, wanted: set[int] | None, lines: list[CaseLine]
    ) -> None:
        if project is self._project:
            found = {line.case.id: line for line in lines}
            kept = {} if wanted is None else self._lines
            self._lines = dict(sorted({**kept, **found}.items()))
            for case_id in (wanted or set()) - set(found):
                self._lines.pop(case_id, None)
            self.changed.emit()
        self._rest(project)

    def _was_not_read(self, project: Project, error: Exception) -> None:
        if project is self._project and project.is_open:
            logger.warning("The case list could not be read", exc_info=error)
            text = str(error) if isinstance(error, SSSError) else f"The case list: {error}"
            self.noticed.emit(Notice(Severity.ERROR, text))
        self._rest(project)

    def _rest(self, project: Project) -> None:
        if project is self._project:
            self._reading = False
            if self._wanted != set():
                self._read(project)
            elif not self._lines:
                self.changed.emit()  # that there are none is known only now


def _lines_of(project: Project, wanted: set[int] | None, control: JobControl) -> list[CaseLine]:
    control.check()
    return overview(project, wanted)
