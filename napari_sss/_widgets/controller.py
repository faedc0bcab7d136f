"""What the panel does with the model: Auto-prompt, masks from prompts, propagation.

No Qt and no napari: the controller knows a :class:`~napari_sss._widgets.scene.Scene` (the
layers), an :class:`~napari_sss._widgets.engine_access.Engine`, the room with the case at work
and the worker, and tells the views through signals. Its methods run on the viewer's thread;
what it hands to the worker touches arrays and the case only. Whatever a model answers is
entered into the case as it comes; the layers show the case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sss._widgets.engine_access import AutoRequest, Engine
from napari_sss._widgets.mask_stream import (
    ObjectEnded,
    ObjectsBegun,
    ObjectStream,
    Overlap,
    SuggestionStream,
    colours_of,
    suggested_only,
)
from napari_sss._widgets.model_choice import ModelChoice
from napari_sss._widgets.objects import Objects
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.prompting import anchored, enter_prompts
from napari_sss._widgets.scene import Scene
from napari_sss._widgets.status import (
    ModelPhase,
    ModelStatus,
    Notice,
    PanelState,
    PanelStatus,
    Question,
    Severity,
)
from napari_sss._widgets.worker import Job, Post, Worker
from napari_sss.engine.errors import Cancelled, SSSError
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.errors import OverlapQuestion
from napari_sss.engine.project.exporting import export_mask
from napari_sss.engine.project.guard import Overwrite, OverwritePolicy
from napari_sss.engine.project.mask_actions import Making
from napari_sss.engine.project.records import Maker, RunRecord, Table
from napari_sss.engine.prompts.types import ObjectPrompts, PromptSet
from napari_sss.engine.volumes.intensity import (
    IntensityWindow,
    percentile_window,
    window_for,
)
from napari_sss.engine.volumes.volume import Volume

if TYPE_CHECKING:
    from napari_sss.engine.reports.sidecar import ModelIdentity

logger = logging.getLogger(__name__)

NO_SCAN = "Open a CT or MR volume first: File > Open Sample > napari-sss > CT phantom."
BUSY = "Wait for the running job, or cancel it."
OPENING = "The scan's case is being opened."
NO_OBJECTS = "There is no mask yet: press Auto-prompt, or draw a box in 'prompts: boxes'."
NO_PROMPTS = "This object has no prompt: draw a box on it, or click a point."

DEFAULT_CLASS = "object"
"""What objects are called that nobody named."""


class SegmentationController:
    """The panel's logic of segmenting.

    Parameters
    ----------
    scene : Scene
        The layers.
    engine : Engine
        Who computes.
    worker : Worker
        Where.
    room : ProjectRoom
        The case at work.
    counter : Worker
        Where voxels are counted.
    """

    status_changed = Signal(PanelStatus)
    noticed = Signal(Notice)
    asked = Signal(Question)
    """The person has to decide something; work goes on meanwhile."""

    def __init__(
        self,
        scene: Scene,
        engine: Engine,
        worker: Worker,
        room: ProjectRoom,
        counter: Worker,
    ) -> None:
        self.objects = Objects(counter)
        self.model = ModelChoice(engine, worker.submit)
        self.window: IntensityWindow | None = None
        self._scene = scene
        self._engine = engine
        self._worker = worker
        self._room = room
        self._control: JobControl | None = None
        self._progress: Progress | None = None
        self._key: int | None = None
        self._wanted: dict[int, None] = {}
        self._decoding: set[int] = set()
        self._identities: dict[str, ModelIdentity] = {}
        self._known_steps: tuple[str | None, str | None] = (None, None)
        self._told: PanelStatus | None = None
        self._once_open: list[Callable[[], None]] = []
        self._once_ended: list[Callable[[], None]] = []
        self.model.changed.connect(self._on_model)
        self.model.progressed.connect(self._progressed)
        self.model.failed.connect(self._failed)
        room.case_changed.connect(self._on_case)
        room.session_changed.connect(self._on_act)
        room.saved_changed.connect(lambda _: self._tell())

    # -- what the views show ------------------------------------------------------------

    @property
    def state(self) -> PanelState:
        """What the panel is doing."""
        if self._control is not None:
            cancelled = self._control.cancelled
            return PanelState.CANCELLING if cancelled else PanelState.RUNNING
        if self._once_open and self._room.opening:
            return PanelState.RUNNING
        return PanelState.NO_SCAN if self._scene.volume is None else PanelState.READY

    @property
    def status(self) -> PanelStatus:
        """Everything the panel shows except the objects."""
        no_scan = NO_SCAN if self._scene.key is None else self._scene.problem
        no_objects = "" if self._has_objects() else NO_OBJECTS
        waits = self._once_open and self._room.opening
        busy = BUSY if self._control is not None or waits else ""
        read_only = self._room.why_read_only
        session = self._room.session
        undo, redo = (None, None) if read_only else self._steps(session)
        return PanelStatus(
            self.state,
            self.model.status,
            self._progress,
            why_not=no_scan or read_only or busy,
            why_no_export=no_scan or busy or no_objects,
            why_no_act=no_scan or read_only or no_objects,
            read_only=read_only,
            undo=undo,
            redo=redo,
        )

    def _steps(self, session: CaseSession | None) -> tuple[str | None, str | None]:
        """What would be undone and redone; as it was while another thread is acting."""
        if session is None:
            self._known_steps = (None, None)
        elif session.hold(0.0):
            try:
                history = session.history
                self._known_steps = (history.undo_title, history.redo_title)
            finally:
                session.release()
        return self._known_steps

    def _has_objects(self) -> bool:
        session = self._room.session
        return session is not None and bool(session.state.objects)

    def _tell(self) -> None:
        status = self.status
        if status != self._told:
            self._told = status
            self.status_changed.emit(status)

    # -- what is in view ----------------------------------------------------------------

    def scan_changed(self) -> None:
        """Take note that another scan, or none, is in view, or that it can now be used."""
        if self._scene.key != self._key:
            if self._control is not None:
                self._control.cancel()
            self._key = self._scene.key
            self._wanted.clear()
            self._once_open.clear()
        self._tell()

    def spacing_changed(self) -> None:
        """Take note that the scan in view was given its spacing."""
        self._list_objects()

    def show_object(self, object_id: int) -> None:
        """Bring the slice into view on which an object is best seen."""
        row = self.objects.get(object_id)
        if row is not None:
            self._scene.show_slice(row.plane, row.best_index)

    def show_weakest(self, object_id: int) -> None:
        """Bring the slice into view of which the model is least sure."""
        row = self.objects.get(object_id)
        if row is not None:
            self._scene.show_slice(*(row.weakest or (row.plane, row.best_index)))

    def open_frame(self, frame: int) -> None:
        """Open another frame of the 4-D file that the scan was taken from."""
        volume = self._scene.volume
        if volume is None or self.status.why_not:
            return

        def read(control: JobControl, _: Post) -> Any:
            control.report(f"reading frame {frame}", 0)
            return self._engine.read_frame(volume.source, frame)

        self._start("frame", read, on_done=self._scene.add_scan)

    def percentile_window(self, on_done: Callable[[IntensityWindow], None]) -> None:
        """Compute the window from the scan's own intensities, in the worker."""
        volume = self._scene.volume
        if volume is not None:
            self._worker.submit(
                Job(
                    "percentiles",
                    lambda _control, _post: percentile_window(volume.array),
                    on_done=on_done,
                    on_failed=self._failed,
                )
            )

    # -- segmenting ---------------------------------------------------------------------

    def auto_prompt(self, request: AutoRequest) -> None:
        """Find, prompt and segment objects; those that a person touched stay as they are."""
        volume = self._scene.volume
        if volume is None or self.status.why_not:
            return
        shown = self._scene.shown_slice()
        first = shown[1] if shown is not None and shown[0].axis == 0 else None
        request = replace(request, first_index=first, window=self.window)

        def begin(session: CaseSession) -> None:
            def run(model: Any, control: JobControl, post: Post) -> None:
                how = self._run_record(model, volume, request.window)
                stream = SuggestionStream(session, post, how, suggested_only)
                self._stream(
                    stream,
                    lambda: self._engine.auto_segment(volume, model, request, stream, control),
                )

            self._segment("auto-prompt", run)

        self._with_session(begin)

    def enter(
        self, prompts: ObjectPrompts, then: Callable[[Applied], None] = lambda _: None
    ) -> None:
        """Enter the prompts that a person gave an object into the case.

        Parameters
        ----------
        prompts : ObjectPrompts
            All that the object has now.
        then : callable
            Called once they are entered; not where they are refused.
        """
        if self._room.why_read_only:
            self._notify(Severity.WARNING, self._room.why_read_only)
            self._show_prompts([prompts.id])
            return
        if prompts.id in self._decoding and self._control is not None:
            self._control.cancel()  # it works from prompts that are no longer wanted

        def begin(_: CaseSession) -> None:
            self._room.act(
                "prompt",
                lambda session: enter_prompts(session, prompts),
                then,
                lambda error: self._not_entered(prompts.id, error),
                quick=True,
            )

        self._with_session(begin)

    def enter_answer(
        self,
        mask: SliceMask,
        joins: int | None,
        then: Callable[[Applied], None] = lambda _: None,
    ) -> None:
        """Enter a model's answer for one slice, in place of what the object had there."""
        model, volume = self.model.status.name, self._scene.volume
        if volume is None:
            return
        identity = self._identities.get(model)
        how = None if identity is None else run_record(identity, volume, self.window)
        making = Making(Maker.PROMPTED, how, self._room.model_policy, stored=True)

        def enter(session: CaseSession) -> Applied:
            return session.set_slices(mask.object_id, [mask], making, joins=joins)

        def refused(error: Exception) -> None:
            if isinstance(error, OverlapQuestion):
                self._ask_of_slice(error, mask, making)
            else:
                self._failed(error)

        self._room.act("answer", enter, then, refused, quick=True)

    def propagate(self, object_id: int) -> None:
        """Follow an object both ways through the stack, from its prompts and anchors."""
        session = self._room.session
        if session is None or object_id not in session.state.objects:
            return
        if not session.state.prompts_of(object_id):
            self._notify(Severity.INFO, NO_PROMPTS)
            return
        self._wanted[object_id] = None
        self._decode_next()

    def cancel(self) -> None:
        """Ask the running job to stop at its next slice; what it has done stays."""
        if self._control is not None:
            self._control.cancel()
            self._tell()
        elif self._once_open:
            self._once_open.clear()
            self._tell()
        elif self.model.status.phase is ModelPhase.LOADING:
            self.model.cancel()

    def when_idle(self, call: Callable[[], None]) -> None:
        """Have the running job stop, then do something; at once where none runs."""
        self._wanted.clear()
        if self._control is None:
            call()
            return
        self._once_ended.append(call)
        self.cancel()

    def _not_entered(self, object_id: int, error: Exception) -> None:
        self._failed(error)
        self._show_prompts([object_id])

    def _decode_next(self) -> None:
        volume, session = self._scene.volume, self._room.session
        if not self._wanted or volume is None or session is None or self.status.why_not:
            return
        object_id = next(iter(self._wanted))
        del self._wanted[object_id]
        if object_id not in session.state.objects or not session.state.prompts_of(object_id):
            self._decode_next()
            return
        self._decoding = {object_id}
        window, policy = self.window, self._room.model_policy

        def run(model: Any, control: JobControl, post: Post) -> None:
            prompts, labels, anchors = anchored(session, object_id, volume.grid)
            alone = len(prompts.prompts) == len(session.state.prompts_of(object_id))
            how = self._run_record(model, volume, window)
            stream = ObjectStream(
                session,
                post,
                Making(Maker.PROMPTED, how, policy, stored=bool(anchors) or not alone),
            )
            asked = PromptSet((prompts,))
            self._stream(
                stream,
                lambda: self._engine.segment_prompts(
                    volume,
                    asked,
                    model,
                    window,
                    stream,
                    control,
                    labels=labels,
                ),
            )

        self._segment("object", run)

    @staticmethod
    def _stream(stream: SuggestionStream | ObjectStream, segment: Callable[[], Any]) -> None:
        """Have the engine work; what came stays when it is cancelled, not when it fails."""
        try:
            stream.finish(segment())
        except Cancelled:
            raise
        except BaseException:
            stream.undo()
            raise
        finally:
            stream.close()

    def _segment(self, name: str, segment: Callable[[Any, JobControl, Post], None]) -> None:
        model_name = self.model.status.name

        def run(control: JobControl, post: Post) -> None:
            segment(self.model.get(model_name, control), control, post)

        self._start(name, run)

    def _run_record(
        self, model: Any, volume: Volume, window: IntensityWindow | None
    ) -> RunRecord:
        """How the model is used; called in the worker."""
        return run_record(self._engine.identify(model), volume, window)

    # -- exporting ----------------------------------------------------------------------

    def export(self, path: Path) -> None:
        """Write class ids on the scan's own grid, with how they came about beside them.

        Parameters
        ----------
        path : Path
            A NIfTI, NRRD or MHA file; replaced only once the new one is complete.
        """
        project, case_id = self._room.project, self._room.case_id
        if project is None or case_id is None or self.status.why_no_export:
            return

        def write(control: JobControl, _: Post) -> str:
            control.report("saving", 0)
            export_mask(project, case_id, path)
            used = {o.class_id for o in project.annotation(case_id).objects.values()}
            names = {project.class_of(i).id: project.class_of(i).name for i in used}
            return ", ".join(f"{value} = {name}" for value, name in sorted(names.items()))

        def saved(legend: str) -> None:
            self._notify(
                Severity.INFO,
                f"Saved {path.name} ({legend}), and beside it how it was made.",
            )

        self._start("export", write, on_done=saved)

    # -- the case -----------------------------------------------------------------------

    def _with_session(self, call: Callable[[CaseSession], None]) -> None:
        """Do something with the case, once it is open."""
        session = self._room.session
        if session is not None:
            call(session)
            return

        def later() -> None:
            opened = self._room.session
            if opened is not None:
                call(opened)

        self._once_open.append(later)
        self._tell()

    def _on_case(self) -> None:
        session = self._room.session
        self._scene.attach(session)
        self._list_objects()
        if session is not None:
            self._show_prompts(list(session.state.objects))
            self._scene.reserve(session.free_id() - 1)
            self._scene.colour(colours_of(session.state))
        if session is not None or not self._room.opening:
            waiting, self._once_open = self._once_open, []
            for call in waiting:
                call()
        self._tell()

    def _list_objects(self) -> None:
        volume = self._scene.volume
        grid = None if volume is None else volume.grid
        self.objects.attach(self._room.session, grid, self._scene.view_of_axes)

    def _on_act(self, applied: Applied) -> None:
        """Show what an act has changed."""
        session = self._room.session
        if session is None:
            return
        if applied.box is not None:
            self._scene.redraw(applied.box)
        ids = {key for table, key in applied.keys if table is Table.OBJECT}
        ids |= {key.object_id for table, key in applied.keys if table is Table.PROMPT}
        classes_changed = any(table is Table.CLASS for table, _ in applied.keys)
        if classes_changed:
            ids |= set(session.state.objects)
        if ids:
            self._show_prompts(sorted(ids))
            self._scene.reserve(session.free_id() - 1)
            self._scene.colour(colours_of(session.state))
        if applied.box is not None:
            self.objects.update(applied.box)
        elif applied.keys:
            self.objects.refresh()
        self._tell()

    def _show_prompts(self, ids: Iterable[int]) -> None:
        """Have the layers hold the prompts of these objects as the case has them."""
        session = self._room.session
        if session is None:
            return
        there, gone = [], []
        for object_id in ids:
            known = object_id in session.state.objects
            prompts = session.prompts(object_id) if known else None
            if prompts is None or not prompts.prompts:
                gone.append(object_id)
            else:
                there.append(prompts)
        self._scene.show_prompts(there, remove=gone)

    # -- jobs ---------------------------------------------------------------------------

    def _start(
        self,
        name: str,
        run: Callable[[JobControl, Post], Any],
        on_done: Callable[[Any], None] = lambda _: None,
    ) -> None:
        key = self._key

        def event(news: Any) -> None:
            if self._key != key:
                return  # another scan is in view now
            if isinstance(news, ObjectsBegun):
                self.objects.begin(news.ids)
            elif isinstance(news, ObjectEnded):
                self.objects.end(news.object_id)
            elif isinstance(news, Overlap):
                self._ask(news)

        def done(result: Any) -> None:
            on_done(result)
            self._ended()

        def failed(error: Exception) -> None:
            self._failed(error)
            self._ended()

        self._control = self._worker.submit(
            Job(name, run, event, self._progressed, done, failed, self._ended)
        )
        self._tell()

    def _ask(self, news: Overlap) -> None:
        """Ask whether a mask may take voxels that are accepted."""
        policy = OverwritePolicy(Overwrite.KEEP, Overwrite.OVERWRITE)

        def take() -> None:
            self._room.act(
                "overwrite",
                lambda session: session.set_region(
                    news.object_id,
                    news.region,
                    Making(Maker.PROMPTED, None, policy),
                    confidence=news.confidence,
                ),
            )

        self.asked.emit(Question(overlap_text(news.question), "Take them", take))

    def _ask_of_slice(self, question: OverlapQuestion, mask: SliceMask, making: Making) -> None:
        """Ask whether an answer may take voxels that are accepted."""
        policy = OverwritePolicy(Overwrite.KEEP, Overwrite.OVERWRITE)

        def take() -> None:
            self._room.act(
                "overwrite",
                lambda session: session.set_slices(
                    mask.object_id, [mask], replace(making, policy=policy)
                ),
            )

        self.asked.emit(Question(overlap_text(question), "Take them", take))

    def _identify(self, name: str) -> None:
        """Learn which weights a model has, for the record of what it answers."""

        def identify(control: JobControl, _: Post) -> ModelIdentity:
            return self._engine.identify(self.model.get(name, control))

        def known(identity: ModelIdentity) -> None:
            self._identities[name] = identity

        self._worker.submit(Job("identify", identify, on_done=known, on_failed=self._failed))

    def _on_model(self, model: ModelStatus) -> None:
        if model.phase is ModelPhase.LOADED and model.name not in self._identities:
            self._identify(model.name)
        if model.phase is not ModelPhase.LOADING and self._control is None:
            self._progress = None
        self._tell()

    def _progressed(self, progress: Progress) -> None:
        self._progress = progress
        self._tell()

    def _ended(self) -> None:
        self._control = self._progress = None
        self._decoding = set()
        self.objects.stop_waiting()
        calls, self._once_ended = self._once_ended, []
        for call in calls:
            call()
        self._decode_next()
        self._tell()

    def tell_failure(self, error: Exception) -> None:
        """Tell what has gone wrong, with the remedy."""
        self._failed(error)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, SSSError):
            self._notify(Severity.ERROR, str(error))
        else:
            logger.error("Unexpected error", exc_info=error)
            self._notify(
                Severity.ERROR,
                f"{type(error).__name__}: {error}. This is a fault of napari-sss; the masks "
                "are as they were. Please report it with the terminal's output.",
            )

    def _notify(self, severity: Severity, text: str) -> None:
        self.noticed.emit(Notice(severity, text))


def run_record(
    identity: ModelIdentity, volume: Volume, window: IntensityWindow | None
) -> RunRecord:
    """How a model is used on a volume, for the record."""
    used = window or window_for(volume)
    return RunRecord(identity.name, identity.sha256, identity.image_size, used.to_dict(), {})


def overlap_text(question: OverlapQuestion) -> str:
    """Return in words whose voxels a change would take."""
    named = ", ".join(f"{n} of object {i}" for i, n in sorted(question.taken.items()))
    return f"The change would take voxels that are not its own: {named}. They were kept."
