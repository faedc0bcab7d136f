"""What can be done to a project and its cases from the Cases tab. No Qt.

The disk is touched in workers only; what has changed is told through the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_sss._widgets.cases.catalogue import Catalogue
from napari_sss._widgets.cases.recent import RecentProjects
from napari_sss._widgets.cases.tasks import Post, Tasks
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.status import Severity
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.adding import Added
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.errors import CaseChangedError, CaseMissingError
from napari_sss.engine.project.locating import Trouble
from napari_sss.engine.project.project import Project

NO_PROJECT = "Make a project, or open one, first."

_MOST_REASONS = 3


class CaseActions:
    """Projects opened and made; cases added, opened, found again, removed.

    Parameters
    ----------
    room : ProjectRoom
        Which project and which case are at work.
    catalogue : Catalogue
        Told what has changed.
    tasks : Tasks
        For what takes long.
    quick : Worker
        For what does not.
    checker : Worker
        Compares scans with what they were, behind everything else.
    recent : RecentProjects
        Remembers what was open.
    """

    def __init__(
        self,
        room: ProjectRoom,
        catalogue: Catalogue,
        tasks: Tasks,
        quick: Worker,
        checker: Worker,
        recent: RecentProjects,
    ) -> None:
        self._room = room
        self._catalogue = catalogue
        self._tasks = tasks
        self._quick = quick
        self._checker = checker
        self.recent = recent
        catalogue.project_changed.connect(self._on_project)

    # -- projects -----------------------------------------------------------------------

    def create(self, folder: Path) -> None:
        """Make a project and open it."""
        self._room.create(folder)

    def open(self, folder: Path) -> None:
        """Open a project."""
        project = self._room.project
        if project is not None and not project.read_only and folder == project.folder:
            self._tasks.tell(Severity.INFO, f"{folder.name} is open already.")
            return
        self._room.open(folder)

    def try_again(self) -> None:
        """Open a project for writing that could only be read."""
        project = self._room.project
        if project is not None and project.read_only:
            self._room.open(project.folder)

    def close(self) -> None:
        """Close the project."""
        self._room.close()

    @property
    def why_not_write(self) -> str:
        """Why nothing can be added or removed; "" where it can."""
        project = self._room.project
        if project is None:
            return NO_PROJECT
        if project.read_only:
            return f"This project is open for reading only: {project.why_read_only}."
        return ""

    # -- cases --------------------------------------------------------------------------

    def add(self, paths: Sequence[Path]) -> None:
        """Add files and folders of scans; what was added before a cancel stays."""
        project = self._writable()
        if project is None or not paths:
            return

        def run(control: JobControl, post: Post) -> Added:
            return project.cases.add(paths, control=control, on_added=post)

        self._tasks.start(
            "Adding scans",
            run,
            self._added,
            on_event=lambda case: self._catalogue.refresh([case.id]),
            on_cancelled=lambda: self._tasks.tell(
                Severity.INFO, "Adding was stopped; the scans added so far stay."
            ),
        )

    def why_no_frames(self, case_ids: Sequence[int]) -> str:
        """Why no other frames of the chosen case's file can be added; "" where they can."""
        case = self._catalogue.case(case_ids[0]) if len(case_ids) == 1 else None
        if case is None or case.reading.frame is None:
            return "Select a case whose file holds several frames."
        return self.why_not_write

    def add_frames(self, case_id: int) -> None:
        """Add the other frames of a case's file, each as a case of its own."""
        project = self._writable()
        if project is None:
            return

        def run(control: JobControl, post: Post) -> Added:
            return add_frames(project, case_id, control, post)

        self._tasks.start(
            "Adding frames",
            run,
            self._added,
            on_event=lambda case: self._catalogue.refresh([case.id]),
            on_cancelled=self._catalogue.refresh,
        )

    def open_case(self, case_id: int) -> None:
        """Open a case for work, if its scan is there and unchanged; else say what to do."""
        project = self._room.project
        if project is None or case_id == self._room.case_id:
            return

        def found(_: Any) -> None:
            self._catalogue.set_trouble(case_id, None)
            if project is self._room.project:
                self._room.open_case(case_id)

        def failed(error: Exception) -> None:
            trouble = trouble_of(error)
            if trouble is not None:
                self._catalogue.set_trouble(case_id, trouble)
            self._tasks.fail(error)

        self._quick.submit(
            Job(
                "find a scan",
                lambda control, _: project.cases.locate(case_id, control),
                on_done=found,
                on_failed=failed,
            )
        )

    def check_scans(self) -> None:
        """Look whether all scans are where they were, and what they were."""
        project = self._room.project
        if project is None:
            return

        def done(troubles: dict[int, Trouble]) -> None:
            if project is self._room.project:
                self._catalogue.set_troubles(troubles)

        self._checker.submit(
            Job("check scans", lambda control, _: project.cases.troubles(control), on_done=done)
        )

    def find_moved(self, root: Path) -> None:
        """Look for missing scans in a folder and below it."""
        project = self._writable()
        if project is None:
            return

        def run(control: JobControl, _: Post) -> tuple[list[Case], dict[int, Trouble]]:
            found = project.cases.find_again(root, control)
            return found, project.cases.troubles(control)

        def done(result: tuple[list[Case], dict[int, Trouble]]) -> None:
            found, troubles = result
            self._catalogue.set_troubles(troubles)
            self._catalogue.refresh([case.id for case in found])
            self._tasks.tell(Severity.INFO, found_text(len(found), len(troubles), root))

        self._tasks.start("Looking for scans", run, done)

    def accept_change(self, case_id: int) -> None:
        """Take a changed scan for the case's; its annotation stays as it is."""
        project = self._writable()
        if project is None:
            return

        def run(control: JobControl, _: Post) -> Case:
            try:
                project.cases.locate(case_id, control)
            except CaseChangedError as error:
                return project.cases.accept_change(case_id, error.path)
            return project.cases.get(case_id)

        def done(case: Case) -> None:
            self._catalogue.set_trouble(case_id, None)
            self._catalogue.rescanned.emit(case_id)
            self._catalogue.refresh([case_id])
            self._tasks.tell(
                Severity.INFO,
                f"{case.name}: the changed scan was taken over, its annotation is as it was.",
            )

        self._tasks.start("Comparing the scan", run, done)

    def remove(self, case_ids: Sequence[int]) -> None:
        """Take cases and their annotations out of the project; the scans stay on the disk."""
        project = self._writable()
        if project is None or not case_ids:
            return
        if self._room.case_id in case_ids:
            self._tasks.tell(
                Severity.WARNING, "The case at work cannot be removed. Open another one first."
            )
            return

        def run(control: JobControl, _: Post) -> None:
            for number, case_id in enumerate(case_ids):
                control.report("removing", number, len(case_ids))
                project.cases.remove(case_id, with_annotation=True)

        def refresh() -> None:
            self._catalogue.refresh(case_ids)

        self._tasks.start("Removing", run, lambda _: refresh(), on_cancelled=refresh)

    # -- inside -------------------------------------------------------------------------

    def _writable(self) -> Project | None:
        """The project, or None after having said why nothing can be changed."""
        if self.why_not_write:
            self._tasks.tell(Severity.WARNING, self.why_not_write)
            return None
        return self._room.project

    def _added(self, added: Added) -> None:
        self._catalogue.refresh()
        severity = Severity.WARNING if added.skipped else Severity.INFO
        self._tasks.tell(severity, added_text(added))

    def _on_project(self) -> None:
        project = self._room.project
        if project is None:
            return
        if not self._room.is_default:
            self.recent.remember(project.folder)
        self.check_scans()


def add_frames(project: Project, case_id: int, control: JobControl, post: Post) -> Added:
    """Add the frames of a case's file that are not in the project yet."""
    from napari_sss.engine.volumes.contents import contents_of

    case = project.cases.get(case_id)
    path = project.cases.locate(case_id, control)
    uid = case.reading.series_uid
    wanted = [c for c in contents_of(path) if c.series_uid is None or c.series_uid == uid]
    added: list[Case] = []
    for number, content in enumerate(wanted):
        control.report("adding", number, len(wanted))
        reading = replace(case.reading, frame=content.frame)
        if content.frame != case.reading.frame:
            found = project.cases.add([path], reading, JobControl(), post)
            added += found.cases
    return Added(tuple(added))


def trouble_of(error: Exception) -> Trouble | None:
    """What an error says of a scan, or None."""
    if isinstance(error, CaseMissingError):
        return Trouble.MISSING
    return Trouble.CHANGED if isinstance(error, CaseChangedError) else None


def added_text(added: Added) -> str:
    """What came of adding, with the first reasons for what was not added."""
    count = len(added.cases)
    text = f"Added {count} {'case' if count == 1 else 'cases'}."
    frames = [case.name for case in added.cases if case.reading.frame == 0]
    if frames:
        text += (
            f" Of {', '.join(frames[:_MOST_REASONS])}{' …' if frames[_MOST_REASONS:] else ''} "
            "the first frame was added; right-click for the others."
        )
    if not added.skipped:
        return text
    reasons = [f"{path.name}: {reason}" for path, reason in added.skipped[:_MOST_REASONS]]
    more = len(added.skipped) - len(reasons)
    text += f" Left out {len(added.skipped)}:\n" + "\n".join(reasons)
    return text + (f"\n… and {more} more." if more else "")


def found_text(found: int, missing: int, root: Path) -> str:
    """What came of looking for moved scans."""
    noun = "scan" if found == 1 else "scans"
    text = f"Found {found} {noun} below {root}."
    return text if not missing else f"{text} {missing} are still missing or changed."
