"""What the Fine-tune tab does; no Qt.

Its methods are called on the viewer's thread. The project's files are read in the worker for
the disk; the run that is watched is read by a worker of its own, so that it is seen even
while forty scans are being added.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_sss._widgets.finetune.plan import Plan
from napari_sss._widgets.finetune.reading import RunReading
from napari_sss._widgets.finetune.shown import (
    Page,
    RunShown,
    TabShown,
)
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.status import Notice, Severity
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.errors import SSSError
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.models.registry import entry, model_names
from napari_sss.engine.modelstore.card import StoredModel
from napari_sss.engine.modelstore.listing import model_reference
from napari_sss.engine.modelstore.store import ModelStore
from napari_sss.engine.project.project import Project
from napari_sss.engine.runs.decision import ADOPTED, KEPT, adopt, decision_of, keep_the_old
from napari_sss.engine.runs.estimate import Probe, read_probe
from napari_sss.engine.runs.overview import Overview, overview
from napari_sss.engine.runs.state import RunPhase, RunState, read_state
from napari_sss.engine.runs.store import (
    RunStore,
    end_process,
    pause,
    stop_and_discard,
    stop_and_keep,
)
from napari_sss.engine.runs.wishes import GiveWaySign

logger = logging.getLogger(__name__)

SIGN_SECONDS = 1.0
"""How often a run on the same GPU is reminded that the viewer needs it."""

NO_PROJECT = "Open or create a project in the Cases tab, and accept a few cases."


class FinetuneController:
    """The Fine-tune tab's logic.

    Parameters
    ----------
    room : ProjectRoom
        Which project is open.
    disk : Worker
        Reads and writes the project's files; shared with others.
    watcher : Worker
        Looks at the run; nobody else's.
    """

    changed = Signal(TabShown)
    adopted = Signal(StoredModel)
    """A new model is used from now on."""
    case_asked = Signal(object)
    """A :class:`~napari_sss._widgets.finetune.shown.GateCase` is to be shown."""

    def __init__(self, room: ProjectRoom, disk: Worker, watcher: Worker) -> None:
        self._room = room
        self._disk = disk
        self._watcher = watcher
        self._store: RunStore | None = None
        self._shown = TabShown()
        self._reading: RunReading | None = None
        self._looking = False
        self._refreshing = False
        self._told: RunPhase | None = None
        self._probing: subprocess.Popen[bytes] | None = None
        self._probe_folder: Path | None = None
        self._sign: GiveWaySign | None = None
        self._signed = 0.0
        room.project_changed.connect(self._on_project)
        self._on_project()

    # -- what the view shows ------------------------------------------------------------

    @property
    def shown(self) -> TabShown:
        """Everything the tab shows."""
        return self._shown

    @property
    def active_run(self) -> Path | None:
        """The run whose process is at work, or None."""
        run = self._shown.run
        return run.folder if run is not None and run.is_active else None

    @property
    def watching(self) -> bool:
        """Whether :meth:`poll` has anything to do."""
        return self._reading is not None or self._probing is not None

    # -- the page before a run ----------------------------------------------------------

    def refresh(self) -> None:
        """Look again at what was accepted."""
        project, store = self._room.project, self._store
        if project is None or store is None or self._shown.page is not Page.SETUP:
            return
        if self._refreshing or self._shown.setup.busy:
            return
        self._refreshing = True

        def look(control: JobControl) -> tuple[Overview, str]:
            project.flush(5.0)
            with Project.open(store.project, read_only=True) as opened:
                return overview(opened, control), _title_in_use(store.project)

        def done(found: tuple[Overview, str]) -> None:
            self._refreshing = False
            seen, starts_from = found
            same = seen == self._shown.setup.overview
            probe = self._shown.setup.probe if same else None
            self._show_setup(
                overview=seen,
                looking=False,
                probe=probe,
                starts_from=starts_from,
                why_not=self._why_not(seen),
            )

        def failed() -> None:
            self._refreshing = False
            self._show_setup(looking=False)

        self._show_setup(looking=self._shown.setup.overview is None)
        self._run("overview", look, done, failed)

    def start(self, plan: Plan) -> None:
        """Fix what is learned from, and start a run."""
        store = self._store
        if store is None or self._shown.setup.why_not or self._shown.setup.busy:
            return
        project = self._room.project

        def prepare(control: JobControl) -> tuple[Path, subprocess.Popen[bytes]]:
            if project is not None:
                project.flush(10.0)
            current = _model_in_use(store.project)
            folder = store.prepare(plan.settings(current), current=current, control=control)
            return folder, store.start(folder)

        def done(started: tuple[Path, subprocess.Popen[bytes]]) -> None:
            folder, process = started
            self._show_setup(busy="")
            self._watch(RunReading(folder, process))

        self._show_setup(busy="Copying what was accepted …")
        self._run("start fine-tuning", prepare, done, self._no_setup)

    def measure(self, plan: Plan) -> None:
        """Measure on this machine what a run would take; a few real steps."""
        store = self._store
        setup = self._shown.setup
        if store is None or setup.measuring or setup.busy or setup.why_not:
            return

        def prepare(control: JobControl) -> tuple[Path, subprocess.Popen[bytes]]:
            current = _model_in_use(store.project)
            settings = plan.settings(current)
            folder = store.prepare(settings, for_probe=True, control=control)
            return folder, store.measure(folder)

        def done(started: tuple[Path, subprocess.Popen[bytes]]) -> None:
            self._probe_folder, self._probing = started
            self._changed()

        self._show_setup(measuring=True, probe=None)
        self._run("probe", prepare, done, lambda: self._show_setup(measuring=False))

    def plan_changed(self) -> None:
        """Another method or mode was chosen: what was measured no longer holds."""
        if self._shown.setup.probe is not None:
            self._show_setup(probe=None)

    # -- a run --------------------------------------------------------------------------

    def poll(self) -> None:
        """Look at the run, unless the last look has not come back yet."""
        self._poll_probe()
        reading = self._reading
        if reading is None or self._looking:
            return
        self._looking = True

        def done(run: RunShown) -> None:
            self._looking = False
            if reading is self._reading:
                self._seen(run)

        def failed(error: Exception) -> None:
            self._looking = False
            logger.warning("The run cannot be read: %s", error)

        self._watcher.submit(
            Job("look at the run", lambda *_: reading.read(), on_done=done, on_failed=failed)
        )

    def pause(self) -> None:
        """Have the run save its work and let go of memory and GPU."""
        self._wish(pause, "pausing …")

    def finish(self) -> None:
        """Have the run end now, and keep and judge its model."""
        self._wish(stop_and_keep, "finishing …")

    def discard(self) -> None:
        """End the run and remove everything of it."""
        run, store = self._shown.run, self._store
        if run is None or store is None:
            return
        if run.is_active:
            self._wish(stop_and_discard, "discarding …")
            return
        self._run("discard", lambda _: store.discard(run.folder), lambda _: self._leave_run())

    def resume(self, *, judge_only: bool = False) -> None:
        """Go on with a run that stopped, or judge what it has learned so far."""
        run, store, reading = self._shown.run, self._store, self._reading
        if run is None or store is None or reading is None or run.is_active:
            return

        def done(process: subprocess.Popen[bytes]) -> None:
            # The reading belongs to the watcher's thread.
            self._watcher.submit(Job("attach", lambda *_: reading.attach(process)))
            self._told = None
            queued = replace(run.state, phase=RunPhase.QUEUED, problem="", remedy="")
            self._show_run(replace(run, state=queued, asked="", stuck=False, gate=None))
            self.poll()

        self._run("resume", lambda _: store.start(run.folder, judge_only=judge_only), done)

    def end_stuck(self) -> None:
        """End the process of a run that does not answer; its checkpoint stays."""
        run = self._shown.run
        if run is not None and run.stuck:
            end_process(run.state)

    def viewer_is_busy(self, busy: bool) -> None:
        """Tell a run on the same GPU that somebody waits for the viewer, or no longer."""
        run = self._shown.run
        shares = run is not None and run.is_active and run.state.load.gpu_mb > 0
        if not shares or run is None:
            self._sign = None
            return
        if not busy:
            if self._sign is not None:
                self._signal(self._sign.lower)
            self._sign = None
            return
        now = time.monotonic()
        if self._sign is None or now - self._signed > SIGN_SECONDS:
            self._sign, self._signed = self._sign or GiveWaySign(run.folder), now
            self._signal(self._sign.raise_it)

    def _signal(self, act: Callable[[], None]) -> None:
        self._watcher.submit(Job("give way", lambda *_: act(), on_failed=_ignored))

    # -- the gate -----------------------------------------------------------------------

    def adopt(self) -> None:
        """Use the new model from now on."""
        run, store = self._shown.run, self._store
        if run is None or store is None or not run.has_model:
            return

        def done(model: StoredModel) -> None:
            self._decided(ADOPTED)
            self._tell(Severity.INFO, f"{model.name} is used from now on.")
            self.adopted.emit(model)

        self._run("adopt", lambda _: adopt(store.project, run.folder), done)

    def keep_old(self) -> None:
        """Go on with the model in use; the new one stays in the run's folder."""
        run = self._shown.run
        if run is not None:
            self._run("keep", lambda _: keep_the_old(run.folder), lambda _: self._decided(KEPT))

    def show_case(self, place: int) -> None:
        """Show a case with both models' masks."""
        gate = None if self._shown.run is None else self._shown.run.gate
        if gate is not None and 0 <= place < len(gate.cases):
            self.case_asked.emit(gate.cases[place])

    def new_run(self) -> None:
        """Leave a run that has ended, and prepare another one."""
        if self._shown.run is not None and not self._shown.run.is_active:
            self._leave_run()

    # -- inside -------------------------------------------------------------------------

    def _on_project(self) -> None:
        project = self._room.project
        store = None if project is None else RunStore(project.folder)
        if store is not None and self._store is not None and store.folder == self._store.folder:
            self.refresh()
            return
        self._store, self._reading, self._told = store, None, None
        self._refreshing = False
        self._shown = TabShown(Page.EMPTY if store is None else Page.SETUP)
        self._changed()
        if store is not None:
            self._run("find runs", lambda _: _unfinished(store), self._found, lambda: None)
            self.refresh()

    def _found(self, folder: Path | None) -> None:
        """Attach to a run that is there already."""
        if folder is not None and self._reading is None:
            self._watch(RunReading(folder))

    def _watch(self, reading: RunReading) -> None:
        self._reading, self._told = reading, None
        state = read_state(reading.folder) or RunState()
        self._show_run(RunShown(reading.folder, "", state))
        self.poll()

    def _seen(self, run: RunShown) -> None:
        """Take in a look at the run."""
        before = self._shown.run
        asked = before.asked if before is not None and run.is_active else ""
        run = replace(run, asked=asked)
        if run.state.phase is RunPhase.DISCARDED or not run.folder.is_dir():
            self._leave_run()
            return
        first = self._told is None
        self._show_run(run)
        phase = run.state.phase
        if phase is not self._told:
            self._told = phase
            if not first:
                self._announce(run)

    def _announce(self, run: RunShown) -> None:
        """A message where something needs the person."""
        state = run.state
        if state.phase is RunPhase.DONE:
            self._tell(
                Severity.INFO,
                "Fine-tuning is done. The Fine-tune tab compares the new model with the one "
                "in use.",
            )
        elif state.phase in (RunPhase.FAILED, RunPhase.DIED):
            self._tell(Severity.ERROR, f"{state.problem} {state.remedy}")

    def _leave_run(self) -> None:
        self._reading, self._told, self._sign = None, None, None
        self._shown = TabShown(Page.SETUP, replace(self._shown.setup, busy=""))
        self._changed()
        self.refresh()

    def _decided(self, decision: str) -> None:
        run = self._shown.run
        if run is not None and run.gate is not None:
            self._show_run(replace(run, gate=replace(run.gate, decision=decision)))
        if self._reading is not None:
            self._reading = None  # nothing changes any more

    def _wish(self, wish: Callable[[Path], None], asked: str) -> None:
        run = self._shown.run
        if run is None or not run.is_active:
            return
        self._show_run(replace(run, asked=asked))
        self._run(asked, lambda _: wish(run.folder), lambda _: None)

    def _poll_probe(self) -> None:
        process, folder = self._probing, self._probe_folder
        if process is None or folder is None or process.poll() is None:
            return
        self._probing = None

        def read(_: JobControl) -> tuple[Probe | None, RunState | None]:
            return read_probe(folder), read_state(folder)

        def done(found: tuple[Probe | None, RunState | None]) -> None:
            probe, state = found
            self._show_setup(measuring=False, probe=probe)
            if probe is None:
                said = "It ended without a word." if state is None else state.problem
                self._tell(Severity.WARNING, f"The measurement failed. {said}")

        self._run("read the probe", read, done, lambda: self._show_setup(measuring=False))

    def _why_not(self, found: Overview) -> str:
        if self._room.why_read_only:
            return self._room.why_read_only
        return "" if found.can_start else found.advice()[0].text

    def _no_setup(self) -> None:
        self._show_setup(busy="")

    def _show_setup(self, **changes: Any) -> None:
        self._shown = replace(self._shown, setup=replace(self._shown.setup, **changes))
        self._changed()

    def _show_run(self, run: RunShown) -> None:
        done = run.state.phase is RunPhase.DONE and run.gate is not None
        self._shown = replace(self._shown, run=run, page=Page.GATE if done else Page.RUN)
        self._changed()

    def _changed(self) -> None:
        self.changed.emit(self._shown)

    def _run(
        self,
        name: str,
        run: Callable[[JobControl], Any],
        on_done: Callable[[Any], None],
        and_failed: Callable[[], None] = lambda: None,
    ) -> None:
        store = self._store

        def done(result: Any) -> None:
            if store is self._store:  # another project may be open by now
                on_done(result)

        def failed(error: Exception) -> None:
            self._failed(error)
            if store is self._store:
                and_failed()

        def progressed(progress: Progress) -> None:
            if self._shown.setup.busy and progress.total:
                text = f"{progress.stage.capitalize()} {progress.done}/{progress.total}"
                self._show_setup(busy=text)

        self._disk.submit(
            Job(
                name,
                lambda control, _: run(control),
                on_progress=progressed,
                on_done=done,
                on_failed=failed,
                on_cancelled=and_failed,
            )
        )

    def _failed(self, error: Exception) -> None:
        if isinstance(error, SSSError):
            self._tell(Severity.ERROR, str(error))
            return
        logger.error("Unexpected error", exc_info=error)
        self._tell(
            Severity.ERROR,
            f"{type(error).__name__}: {error}. This is a fault of napari-sss; what was saved "
            "is safe. Please report it with the terminal's output.",
        )

    def _tell(self, severity: Severity, text: str) -> None:
        self._room.noticed.emit(Notice(severity, text))


def _unfinished(store: RunStore) -> Path | None:
    """The run to be shown: the one at work, else the newest that waits for the person."""
    runs = store.list()
    for run in reversed(runs):
        if run.state.phase.is_active:
            return run.folder
    for run in reversed(runs):
        if run.state.phase.can_resume:
            return run.folder
        if run.state.phase is RunPhase.DONE:
            return None if decision_of(run.folder) else run.folder
    return None


def _model_in_use(project: Path) -> str:
    """What ``load_model`` takes for the model that the project uses."""
    return model_reference(project, ModelStore(project).active)


def _title_in_use(project: Path) -> str:
    """What people call the model that the project uses."""
    store = ModelStore(project)
    model = store.active_model
    if model is not None:
        return model.name
    return entry(store.active).title if store.active in model_names() else store.active


def _ignored(error: Exception) -> None:
    """A sign that could not be raised costs a little speed, and nobody anything else."""
    logger.info("The run could not be asked to give way: %s", error)
