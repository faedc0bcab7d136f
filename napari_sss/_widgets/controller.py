"""What the panel does: Auto-prompt, correcting by prompts, cancelling, exporting.

No Qt and no napari: the controller knows a :class:`~napari_sss._widgets.scene.Scene` (the
layers), an :class:`~napari_sss._widgets.engine_access.Engine` and the worker, and tells the
views through signals. Its methods run on the viewer's thread; what it hands to the worker
touches arrays only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_sss._layers.prompt_edits import in_main_plane
from napari_sss._widgets.engine_access import AutoRequest, Engine
from napari_sss._widgets.former import Former
from napari_sss._widgets.mask_stream import MaskFinished, MasksChanged, PromptsFound
from napari_sss._widgets.model_choice import ModelChoice
from napari_sss._widgets.objects import Objects
from napari_sss._widgets.scene import Scene
from napari_sss._widgets.segment_job import Segment, SegmentJob, class_mask, erase
from napari_sss._widgets.status import (
    ModelPhase,
    ModelStatus,
    Notice,
    ObjectRow,
    PanelState,
    PanelStatus,
    Severity,
)
from napari_sss._widgets.worker import Job, Post, Worker
from napari_sss.engine.errors import SSSError
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.prompts.types import ObjectPrompts, PromptSet
from napari_sss.engine.volumes.intensity import IntensityWindow, percentile_window

logger = logging.getLogger(__name__)

NO_SCAN = "Open a CT or MR volume first: File > Open Sample > napari-sss > CT phantom."
BUSY = "Wait for the running job, or cancel it."
NO_OBJECTS = "There is no mask yet: press Auto-prompt, or draw a box in 'prompts: boxes'."

DEFAULT_CLASS = "object"
"""What objects are called that nobody named."""


class SegmentationController:
    """The panel's logic.

    Parameters
    ----------
    scene : Scene
        The layers.
    engine : Engine
        Who computes.
    worker : Worker
        Where.
    """

    status_changed = Signal(PanelStatus)
    noticed = Signal(Notice)
    submitted = Signal()
    """Emitted when a job was handed to the worker."""

    def __init__(self, scene: Scene, engine: Engine, worker: Worker) -> None:
        self.objects = Objects()
        self.model = ModelChoice(engine, self._submit)
        self.window: IntensityWindow | None = None
        self._scene = scene
        self._engine = engine
        self._worker = worker
        self._control: JobControl | None = None
        self._progress: Progress | None = None
        self._key: int | None = None
        self._parked: dict[int, dict[int, ObjectRow]] = {}
        self._to_decode: set[int] = set()
        self._decoding: set[int] = set()
        self.objects.changed.connect(self._tell)
        self.model.changed.connect(self._on_model)
        self.model.progressed.connect(self._progressed)
        self.model.failed.connect(self._failed)

    # -- what the views show ------------------------------------------------------------

    @property
    def state(self) -> PanelState:
        """What the panel is doing."""
        if self._control is not None:
            cancelled = self._control.cancelled
            return PanelState.CANCELLING if cancelled else PanelState.RUNNING
        return PanelState.NO_SCAN if self._scene.volume is None else PanelState.READY

    @property
    def status(self) -> PanelStatus:
        """Everything the panel shows except the objects."""
        no_scan = NO_SCAN if self._scene.key is None else self._scene.problem
        no_objects = "" if self.objects.rows else NO_OBJECTS
        busy = BUSY if self._control is not None else ""
        return PanelStatus(
            self.state,
            self.model.status,
            self._progress,
            why_not=no_scan or busy,
            why_no_export=no_scan or busy or no_objects,
        )

    def _tell(self) -> None:
        self.status_changed.emit(self.status)

    # -- what is in view ----------------------------------------------------------------

    def scan_changed(self) -> None:
        """Take note that another scan, or none, is in view, or that it can now be used."""
        if self._scene.key != self._key:
            if self._control is not None:
                self._control.cancel()
            if self._key is not None:
                self._parked[self._key] = self.objects.snapshot()
            self._key = self._scene.key
            self._to_decode.clear()
            rows = self._parked.pop(self._key, {}) if self._key is not None else {}
            self.objects.restore(rows)
            self.objects.stop_waiting()
        self._tell()

    def show_object(self, object_id: int) -> None:
        """Bring the slice into view on which an object is best seen."""
        row = self.objects.get(object_id)
        if row is not None:
            self._scene.show_slice(row.plane, row.best_index)

    def open_frame(self, frame: int) -> None:
        """Open another frame of the 4-D file that the scan was taken from."""
        if self.status.why_not:
            return
        source, _ = self._scene.for_export()

        def read(control: JobControl, _: Post) -> Any:
            control.report(f"reading frame {frame}", 0)
            return self._engine.read_frame(source.source, frame)

        self._start("frame", read, on_done=self._scene.add_scan)

    def rename(self, object_id: int, class_name: str) -> None:
        """Give an object another class, in the table and at its boxes."""
        self.objects.rename(object_id, class_name)
        self._scene.rename(object_id, class_name)

    def percentile_window(self, on_done: Callable[[IntensityWindow], None]) -> None:
        """Compute the window from the scan's own intensities, in the worker."""
        volume = self._scene.volume
        if volume is not None:
            self._submit(
                Job(
                    "percentiles",
                    lambda _control, _post: percentile_window(volume.array),
                    on_done=on_done,
                    on_failed=self._failed,
                )
            )

    # -- segmenting ---------------------------------------------------------------------

    def auto_prompt(self, request: AutoRequest) -> None:
        """Find, prompt and segment objects; those that a person edited stay as they are."""
        volume = self._scene.volume
        if volume is None or self.status.why_not:
            return
        request = replace(request, first_index=self._scene.shown_index(), window=self.window)
        replaced = self.objects.replaceable_ids()

        def segment(model: Any, *stream_and_control: Any) -> Any:
            return self._engine.auto_segment(volume, model, request, *stream_and_control)

        former = Former(self._scene, self.objects, replaced)
        self._segment(
            "auto-prompt",
            replaced,
            segment,
            id_offset=self.objects.highest_kept_id,
            anew=False,
            on_found=former.give_way,
            on_failed=former.bring_back,
        )

    def edit(self, prompts: ObjectPrompts) -> None:
        """Make an object anew from the prompts that a person gave it, when its turn comes."""
        self.objects.edit(prompts)
        self._to_decode.add(prompts.id)
        if prompts.id in self._decoding and self._control is not None:
            self._control.cancel()  # it works from prompts that are no longer wanted
        self._decode_next()

    def remove(self, ids: Iterable[int]) -> None:
        """Take objects out: their rows, prompts and voxels."""
        ids, volume = tuple(ids), self._scene.volume
        if not ids or volume is None or self.status.why_not:
            return
        labels = self._scene.labels()
        self._to_decode.difference_update(ids)
        self._scene.show_prompts((), remove=ids)
        self.objects.remove(ids)
        self._start("remove", lambda _, post: erase(labels, ids, volume.grid, post))

    def cancel(self) -> None:
        """Ask the running job to stop at its next slice; what it has done stays."""
        if self._control is not None:
            self._control.cancel()
            self._tell()
        elif self.model.status.phase is ModelPhase.LOADING:
            self.model.cancel()

    def _decode_next(self) -> None:
        volume = self._scene.volume
        if not self._to_decode or volume is None or self.status.why_not:
            return
        prompts = [in_main_plane(o) for o in self._scene.prompts() if o.id in self._to_decode]
        self._to_decode.clear()
        if not prompts:
            return
        self._decoding = {o.id for o in prompts}
        asked, window = PromptSet(tuple(prompts)), self.window

        def segment(model: Any, *stream_and_control: Any) -> Any:
            return self._engine.segment_prompts(
                volume, asked, model, window, *stream_and_control
            )

        self._segment("objects", tuple(self._decoding), segment)

    def _segment(
        self,
        name: str,
        replaced: tuple[int, ...],
        segment: Segment,
        id_offset: int = 0,
        anew: bool = True,
        on_found: Callable[[PromptsFound], None] = lambda _: None,
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Start a job that paints; ``on_found`` and ``on_failed`` keep prompts and rows."""
        volume, model_name = self._scene.volume, self.model.status.name
        assert volume is not None
        labels = self._scene.labels()
        job = SegmentJob(labels, volume.grid, replaced, id_offset, anew, segment)

        def run(control: JobControl, post: Post) -> None:
            job.run(self.model.get(model_name, control), control, post)

        self._start(name, run, on_found=on_found, on_failed=on_failed)

    # -- exporting ----------------------------------------------------------------------

    def export(self, path: Path, other_class: str = DEFAULT_CLASS) -> None:
        """Write class ids on the scan's own grid.

        Parameters
        ----------
        path : Path
            A NIfTI, NRRD or MHA file; replaced only once the new one is complete.
        other_class : str
            Class of voxels that were painted by hand and belong to no object in the table.
        """
        if self.status.why_no_export:
            return
        source, turn = self._scene.for_export()
        labels = self._scene.labels()
        classes = self.objects.class_ids()
        class_of = {row.id: classes[row.class_name] for row in self.objects.rows}
        other = classes.get(other_class, len(classes) + 1)

        def write(control: JobControl, _: Post) -> str:
            control.report("saving", 0)
            mask, has_other = class_mask(labels, class_of, other)
            names = {**classes, other_class: other} if has_other else classes
            self._engine.write_mask(turn(mask), names, source, path)
            return ", ".join(f"{value} = {name}" for name, value in names.items())

        def saved(legend: str) -> None:
            self._notify(Severity.INFO, f"Saved {path.name} ({legend}).")

        self._start("export", write, on_done=saved)

    # -- jobs ---------------------------------------------------------------------------

    def _start(
        self,
        name: str,
        run: Callable[[JobControl, Post], Any],
        on_found: Callable[[PromptsFound], None] = lambda _: None,
        on_done: Callable[[Any], None] = lambda _: None,
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        key = self._key

        def event(news: Any) -> None:
            if self._key != key:
                return  # another scan is in view now
            if isinstance(news, MasksChanged):
                self._scene.redraw(news.touched)
            elif isinstance(news, MaskFinished):
                self.objects.finish(news)
            elif isinstance(news, PromptsFound):
                on_found(news)

        def done(result: Any) -> None:
            on_done(result)
            self._ended()

        def failed(error: Exception) -> None:
            if self._key == key:
                on_failed()
            self._failed(error)
            self._ended()

        self._control = self._submit(
            Job(name, run, event, self._progressed, done, failed, self._ended)
        )
        self._tell()

    def _submit(self, job: Job) -> JobControl:
        control = self._worker.submit(job)
        self.submitted.emit()
        return control

    def _on_model(self, model: ModelStatus) -> None:
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
                f"{type(error).__name__}: {error}. This is a fault of napari-sss; the layers "
                "are as they were. Please report it with the terminal's output.",
            )

    def _notify(self, severity: Severity, text: str) -> None:
        self.noticed.emit(Notice(severity, text))
