"""Pre-labelling and ranking in the background, as the viewer starts, watches and enters it.

No Qt. The work is done by a process of its own (:mod:`napari_sss.engine.background`); here it
is looked at once a second, in a worker, and what it found is entered into the project a few
cases at a time. While somebody waits for an answer of the viewer, the process is asked to
wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_sss._widgets.models.controller import ModelsController
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.status import Notice, Severity
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.background import job as background
from napari_sss.engine.background.entering import Entered, enter_results
from napari_sss.engine.background.job import PoolStatus
from napari_sss.engine.errors import SSSError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus
from napari_sss.engine.ranking.ranking import (
    Ranking,
    SuggestedCase,
    SuggestedSlice,
    next_slices,
    read_ranking,
)
from napari_sss.engine.runs.state import RunPhase
from napari_sss.engine.runs.wishes import GiveWaySign

logger = logging.getLogger(__name__)

ENTERED_AT_ONCE = 2
"""Cases entered in one look, so that what a person asks for gets its turn in between."""

RARELY = 10
"""Looks of which only one reads the disk, while nothing is under way."""

NO_PROJECT = "Open or create a project in the Cases tab first."
EMPTY = "This project has no cases yet: add scans in the Cases tab."
NO_CASES = "Every case has been worked on already: there is nothing to pre-label."
NEEDS_PRESET = "The model in use knows no classes: choose the tissue to look for."
UNDER_WAY = "It is under way."


@dataclass(frozen=True)
class PoolShown:
    """Everything the views show.

    Parameters
    ----------
    text : str
        How far it is, in a line.
    fraction : float, optional
        Share done; None where it is not known.
    running : bool
        A process works.
    can_go_on : bool
        It was stopped on the way.
    knows_classes : bool
        The model in use finds objects by itself; else a preset is needed.
    why_not_prelabel, why_not_rank : str
        Why that cannot be started; "" where it can.
    failures : tuple of (str, str)
        Cases that could not be done, and why.
    """

    text: str = ""
    fraction: float | None = None
    running: bool = False
    can_go_on: bool = False
    knows_classes: bool = False
    why_not_prelabel: str = ""
    why_not_rank: str = ""
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class NextShown:
    """What is suggested next.

    Parameters
    ----------
    case : SuggestedCase, optional
        The case that helps most; None where nothing was ranked.
    others : tuple of SuggestedCase
        Those after it.
    slices : tuple of SuggestedSlice
        Of the case at work, the best first.
    text : str
        What is said where there is no case.
    ranked_by : str
        The model that has ranked the cases; "" where none has.
    """

    case: SuggestedCase | None = None
    others: tuple[SuggestedCase, ...] = ()
    slices: tuple[SuggestedSlice, ...] = ()
    text: str = ""
    ranked_by: str = ""


@dataclass(frozen=True)
class _Look:
    """What was seen on the disk."""

    status: PoolStatus
    entered: Entered
    ranking: Ranking | None
    cases: int
    open_cases: int
    slices: tuple[SuggestedSlice, ...]


class PoolController:
    """Starts, watches and enters the work on the pool.

    Parameters
    ----------
    room : ProjectRoom
        Which project and case are open.
    worker : Worker
        Reads and writes small files.
    models : ModelsController
        Knows the model in use.
    """

    changed = Signal(PoolShown)
    next_changed = Signal(NextShown)
    noticed = Signal(Notice)
    entered = Signal(tuple)
    """Emitted with the ids of cases that have new suggestions."""

    def __init__(self, room: ProjectRoom, worker: Worker, models: ModelsController) -> None:
        self._room = room
        self._worker = worker
        self._models = models
        self._project: Project | None = None
        self._seen: _Look | None = None
        self._starting = False
        self._looking = False
        self._ticks = 0
        self._busy = False
        self._sign: GiveWaySign | None = None
        self.preset: str | None = None
        room.project_changed.connect(self._on_project)
        room.case_changed.connect(self.look)
        models.changed.connect(lambda _: self._tell())
        self._on_project()

    # -- what the views show ------------------------------------------------------------

    @property
    def shown(self) -> PoolShown:
        """How far the work is, and what can be done."""
        seen = self._seen
        status = PoolStatus() if seen is None else seen.status
        running = status.running or self._starting
        why_not = self._why_not(running)
        knows = self._models.model is not None
        why_not_label = why_not
        if not why_not and seen is not None and not seen.open_cases:
            why_not_label = NO_CASES
        elif not why_not and not knows and self.preset is None:
            why_not_label = NEEDS_PRESET
        if not why_not and seen is not None and not seen.cases:
            why_not = why_not_label = EMPTY
        fraction = None if status.state is None else status.state.fraction
        return PoolShown(
            _line(status, self._starting),
            fraction if running and status.state is not None and status.state.total else None,
            running,
            status.can_go_on and not self._starting,
            knows,
            why_not_label,
            why_not,
            status.failures,
        )

    @property
    def suggested(self) -> NextShown:
        """What is best annotated next."""
        seen = self._seen
        if self._project is None:
            return NextShown(text=NO_PROJECT)
        if seen is None or seen.ranking is None:
            return NextShown(text="Not ranked yet: press Rank to see which case helps most.")
        here, by = self._room.case_id, seen.ranking.model
        cases = [case for case in seen.ranking.cases if case.case_id != here]
        if not cases:
            text = "No other case is left to suggest."
            return NextShown(slices=seen.slices, text=text, ranked_by=by)
        return NextShown(cases[0], tuple(cases[1:4]), seen.slices, ranked_by=by)

    # -- what the person asks -----------------------------------------------------------

    def prelabel(self) -> None:
        """Suggest objects in all cases that nobody has touched, in the order of the ranking."""
        if not self.shown.why_not_prelabel:
            self._start(rank=False, prelabel=True)

    def rank(self) -> None:
        """Find out which case is best annotated next."""
        if not self.shown.why_not_rank:
            self._start(rank=True, prelabel=False)

    def go_on(self) -> None:
        """Go on with what was stopped; what is done is skipped."""
        project = self._project
        if project is not None:
            self._begin(lambda: background.start(project.folder))

    def pause(self) -> None:
        """Stop after the slice it is at; its process and memory go."""
        self._ask(background.pause)

    def cancel(self) -> None:
        """Stop for good; what was found stays."""
        self._ask(background.cancel)

    def open_suggested(self) -> None:
        """Open the case that helps most."""
        case = self.suggested.case
        if case is not None:
            self._room.open_case(case.case_id)

    def set_preset(self, preset: str | None) -> None:
        """Choose the tissue that is looked for where the model knows no classes."""
        self.preset = preset or None
        self._tell()

    def set_interactive(self, busy: bool) -> None:
        """Take note that somebody waits for an answer of the viewer, or no longer does."""
        if busy != self._busy:
            self._busy = busy
            self._give_way()

    def shut_down(self) -> None:
        """The window closes: the work waits for the next time, and its memory is given back."""
        seen, project = self._seen, self._project
        if project is None or seen is None or not (seen.status.running or self._starting):
            return
        try:
            background.pause(project.folder)
        except SSSError as error:
            logger.warning("The work in the background goes on: %s", error)

    # -- watching -----------------------------------------------------------------------

    def tick(self) -> None:
        """To be called once a second: look how far it is."""
        self._ticks += 1
        seen = self._seen
        at_work = self._starting or (seen is not None and seen.status.running)
        just_entered = seen is not None and bool(seen.entered.cases)
        if at_work or just_entered or self._ticks % RARELY == 0:
            self.look()
        if self._busy and at_work:
            self._give_way()

    def look(self) -> None:
        """Look at the disk now, and enter what waits there."""
        project = self._project
        if project is None or self._looking:
            return
        self._looking = True
        case_id = self._room.case_id
        self._submit("look at the pool", lambda control: _look(project, case_id, control))

    # -- inside -------------------------------------------------------------------------

    def _why_not(self, running: bool) -> str:
        if self._project is None:
            return NO_PROJECT
        return self._room.why_read_only or (UNDER_WAY if running else "")

    def _start(self, *, rank: bool, prelabel: bool) -> None:
        project, preset = self._project, self.preset
        if project is None:
            return

        def start() -> None:
            from napari_sss.engine.background.choosing import pool_job

            job = pool_job(project.folder, rank=rank, prelabel=prelabel, preset=preset)
            background.start(project.folder, job)

        self._begin(start)

    def _begin(self, start: Callable[[], None]) -> None:
        project = self._project

        def begun(_: Any) -> None:
            self._starting = False
            if project is self._project:
                self.look()
            self._tell()

        def failed(error: Exception) -> None:
            self._starting = False
            self._failed(error)
            self._tell()

        self._starting = True
        self._worker.submit(
            Job("begin", lambda control, _: start(), on_done=begun, on_failed=failed)
        )
        self._tell()

    def _ask(self, ask: Callable[[Path], None]) -> None:
        project = self._project
        if project is None:
            return
        self._worker.submit(
            Job(
                "ask the background",
                lambda control, _: ask(project.folder),
                on_done=lambda _: self.look(),
                on_failed=self._failed,
            )
        )

    def _give_way(self) -> None:
        """Raise the sign, or renew or lower it; in the worker, for the disk may be slow."""
        sign, busy, seen = self._sign, self._busy, self._seen
        if sign is None or seen is None or not seen.status.running:
            return
        do = sign.raise_it if busy else sign.lower
        self._worker.submit(Job("give way", lambda control, _: do(), on_failed=_only_log))

    def _on_project(self) -> None:
        project = self._room.project
        if project is self._project:
            return
        self._project, self._seen, self._looking, self._starting = project, None, False, False
        folder = None if project is None else background.background_folder(project.folder)
        self._sign = None if folder is None else GiveWaySign(folder)
        self._tell()
        self.look()

    def _submit(self, name: str, run: Callable[[JobControl], _Look]) -> None:
        project = self._project

        def done(look: _Look) -> None:
            if project is self._project:
                self._looking = False
                self._saw(look)

        def ended() -> None:
            if project is self._project:
                self._looking = False

        def failed(error: Exception) -> None:
            ended()
            self._failed(error)

        self._worker.submit(
            Job(name, lambda control, _: run(control), on_done=done, on_failed=failed,
                on_cancelled=ended)
        )  # fmt: skip

    def _saw(self, look: _Look) -> None:
        before, self._seen = self._seen, look
        self._tell()
        if look.entered.cases:
            self.entered.emit(look.entered.cases)
        was_running = before is not None and before.status.running
        if was_running and look.status.is_done:
            self._tell_end(look)
        if was_running and not look.status.running and look.status.state is not None:
            state = look.status.state
            if state.phase is RunPhase.FAILED:
                text = f"The work in the background stopped: {state.problem} {state.remedy}"
                self.noticed.emit(Notice(Severity.ERROR, text))

    def _tell_end(self, look: _Look) -> None:
        job = look.status.job
        what = "Pre-labelling" if job is not None and job.prelabel else "Ranking"
        failed = len(look.status.failures)
        left_out = f" {failed} cases could not be read: see the list there." if failed else ""
        severity = Severity.WARNING if failed else Severity.INFO
        self.noticed.emit(Notice(severity, f"{what} is done.{left_out}"))

    def _tell(self) -> None:
        self.changed.emit(self.shown)
        self.next_changed.emit(self.suggested)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, SSSError):
            self.noticed.emit(Notice(Severity.ERROR, str(error)))
            return
        logger.error("Unexpected error", exc_info=error)
        text = f"{type(error).__name__}: {error}. This is a fault of napari-sss; your work is "
        self.noticed.emit(Notice(Severity.ERROR, text + "as it was."))


def _look(project: Project, case_id: int | None, control: JobControl) -> _Look:
    """See how far the work is, and enter some of what waits; called in the worker."""
    folder = background.background_folder(project.folder)
    entered = Entered()
    if not project.read_only and folder.is_dir():
        leave = () if case_id is None else (case_id,)
        entered = enter_results(
            project, folder, leave=leave, most=ENTERED_AT_ONCE, control=control
        )
    cases = {case.id: case.status for case in project.cases_now()}
    ranking = read_ranking(project.folder)
    if ranking is not None:
        accepted = {i for i, status in cases.items() if status is CaseStatus.ACCEPTED}
        gone = {c.case_id for c in ranking.cases if c.case_id not in cases} | accepted
        ranking = ranking.without(gone)
    slices: tuple[SuggestedSlice, ...] = ()
    if case_id is not None and case_id in cases and ranking is not None:
        slices = next_slices(project, case_id, key=ranking.key)
    untouched = sum(s in (CaseStatus.NEW, CaseStatus.SUGGESTED) for s in cases.values())
    status = background.status(project.folder)
    if status.state is not None and not status.running:
        status = replace(status, state=replace(status.state, gives_way=False))
    return _Look(status, entered, ranking, len(cases), untouched, slices)


def _line(status: PoolStatus, starting: bool) -> str:
    """How far it is, for people."""
    state = status.state
    if starting or (status.running and state is None):
        return "Starting …"
    if state is None or status.job is None:
        return ""
    count = f" {state.done}/{state.total}" if state.total else ""
    if status.running:
        stage = state.stage[:1].upper() + state.stage[1:] or "Starting"
        waits = ", waits for you" if state.gives_way else ""
        return f"{stage}{count}{waits}"
    if state.phase is RunPhase.FAILED:
        return f"Stopped: {state.problem}"
    if state.phase is RunPhase.DISCARDED:
        return ""
    if state.phase is RunPhase.DONE:
        failed = f", {len(status.failures)} could not be read" if status.failures else ""
        return f"Done with {status.job.model_name}{failed}."
    return f"Paused at{count}." if count else "Paused."


def _only_log(error: Exception) -> None:
    logger.info("The background was not asked to give way: %s", error)
