"""Masks at once: each click, box or stroke is answered on its slice before anything else.

No Qt. Its methods are called on the viewer's thread, where its signals are emitted too; the
work is done in the worker that owns the model. Nothing is propagated here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sss._widgets.model_choice import ModelChoice
from napari_sss._widgets.status import ModelPhase, ModelStatus
from napari_sss._widgets.worker import IdleWork, Job, Post, Urgency, Worker
from napari_sss.engine.errors import PromptError
from napari_sss.engine.inference.merging import merged_by_slice
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, SlicePrompt
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

SETTLED_S = 0.7
"""Seconds after which slices are encoded ahead: a window that is being dragged changes."""


class OpenVolume(Protocol):
    """A volume as the engine answers prompts on it; used in the worker only."""

    def answers(
        self,
        object_id: int,
        prompt: SlicePrompt,
        current: NDArray[np.bool_] | None,
        labels: Mapping[Path, NDArray[Any]],
        control: JobControl,
    ) -> Iterator[tuple[SliceMask, bool]]:
        """Masks of the prompted slice, the best last; each with whether it is provisional."""

    def step(self, plane: Plane, index: int, control: JobControl) -> bool:
        """Encode a little around a slice; return whether there is more to do."""


class Opener(Protocol):
    """What opens volumes for answering."""

    def open_volume(
        self, volume: Volume, model: Any, window: IntensityWindow, tell: Post
    ) -> OpenVolume:
        """Open a volume; ``tell`` takes what the person should know, as text."""


@dataclass(frozen=True)
class Answered:
    """An object's mask on the slice that was prompted.

    Parameters
    ----------
    mask : SliceMask
        The mask.
    prompt : SlicePrompt
        What it answers.
    provisional : bool
        Whether a better one follows at once; to be shown, not to be kept.
    seconds : float
        Between the question and this answer.
    """

    mask: SliceMask
    prompt: SlicePrompt
    provisional: bool
    seconds: float


@dataclass(frozen=True)
class _Scan:
    """What is open, and since when; another one for each model and window."""

    volume: Volume
    window: IntensityWindow
    model: str
    since: float


class Answering:
    """Answers prompts on single slices, and encodes ahead while nobody asks.

    Parameters
    ----------
    engine : Opener
        Who computes.
    worker : Worker
        Where; the one that owns the model.
    model : ModelChoice
        With what.
    """

    answered = Signal(Answered)
    failed = Signal(Exception)
    told = Signal(str)
    """Something the person should know, for instance that memory ran out."""
    readiness_changed = Signal(Progress)
    """How many slices of the plane in view are encoded (``done``), of how many (``total``);
    0 of 0 where no scan is open."""

    def __init__(self, engine: Opener, worker: Worker, model: ModelChoice) -> None:
        self._engine = engine
        self._worker = worker
        self._model = model
        self._volume: Volume | None = None
        self._window: IntensityWindow | None = None
        self._scan: _Scan | None = None
        self._view: tuple[Plane, int] = (Plane.AXIAL, 0)
        self._asked: dict[tuple[int, Plane, int], JobControl] = {}
        self._standing: dict[tuple[int, Plane, int], NDArray[np.bool_] | None] = {}
        self._opened: tuple[_Scan, OpenVolume] | None = None  # touched in the worker only
        self._ahead = IdleWork(self._step, self._progressed, self._failed_ahead)
        model.changed.connect(self._on_model)

    def open(self, volume: Volume | None, window: IntensityWindow | None) -> None:
        """Take note of the scan in view and of its window; None where there is none.

        What was asked of another scan is no longer answered.
        """
        self._volume, self._window = volume, window
        self._renew()

    def look_at(self, plane: Plane, index: int) -> None:
        """Take note of the slice in view: those around it are encoded next."""
        if (plane, index) != self._view:
            self._view = (plane, index)
            self._look_ahead()

    def ask(
        self,
        prompts: ObjectPrompts,
        index: int | None = None,
        current: NDArray[np.bool_] | None = None,
        labels: Mapping[Path, NDArray[Any]] | None = None,
    ) -> None:
        """Ask for an object's mask on one slice, in place of what was asked of it before.

        Parameters
        ----------
        prompts : ObjectPrompts
            The object.
        index : int, optional
            The prompted slice that is meant; by default the object's first.
        current : (rows, columns) bool array, optional
            The object as it stands on that slice: what tracking or a brush made is corrected
            rather than replaced.
        labels : mapping, optional
            (Z, Y, X) label arrays in place of the files that the prompt names as masks.
        """
        scan = self._scan
        try:
            prompt = _prompt_on(prompts, index)
        except PromptError as error:
            self.failed.emit(error)
            return
        if scan is None or prompt is None:
            return
        key = (prompts.id, prompt.plane, prompt.index)
        if key in self._asked:
            self._asked[key].cancel()
            # Of an unanswered question at most a provisional mask was shown.
            current = self._standing.get(key)
        self._standing[key] = current
        began = time.perf_counter()

        def answer(control: JobControl, post: Post) -> None:
            opened = self._open_volume(scan, control)
            for mask, provisional in opened.answers(
                prompts.id, prompt, current, labels or {}, control
            ):
                control.check()
                seconds = time.perf_counter() - began
                post(Answered(mask, prompt, provisional, seconds))

        def show(answered: Answered) -> None:
            if self._asked.get(key) is control:
                self.answered.emit(answered)

        def ended(_: Any = None) -> None:
            if self._asked.get(key) is control:
                del self._asked[key], self._standing[key]
            self._look_ahead()

        def failed(error: Exception) -> None:
            ended()
            self.failed.emit(error)

        # An answer inside the job that loads the model would load it a second time.
        loaded = self._model.status.phase is ModelPhase.LOADED
        control = self._worker.submit(
            Job(
                "answer",
                answer,
                on_event=show,
                on_done=ended,
                on_failed=failed,
                on_cancelled=ended,
                urgency=Urgency.ANSWER if loaded else Urgency.NORMAL,
            )
        )
        self._asked[key] = control

    def forget(self, ids: Iterable[int]) -> None:
        """Answer no more for these objects."""
        gone = set(ids)
        for key in [k for k in self._asked if k[0] in gone]:
            self._asked.pop(key).cancel()
            del self._standing[key]

    @property
    def pending(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._asked)

    # -- what is open -------------------------------------------------------------------

    def _renew(self) -> None:
        for control in self._asked.values():
            control.cancel()
        self._asked.clear()
        self._standing.clear()
        if self._volume is None or self._window is None or not self._model.status.name:
            self._scan = None
            self._worker.when_idle(None)
            self.readiness_changed.emit(Progress("", 0, 0, 0.0))
            return
        name = self._model.status.name
        self._scan = _Scan(self._volume, self._window, name, time.monotonic())
        self._look_ahead()

    def _on_model(self, status: ModelStatus) -> None:
        if self._scan is None or status.name != self._scan.model:
            self._renew()
        elif status.phase is ModelPhase.LOADED:
            self._look_ahead()

    def _open_volume(self, scan: _Scan, control: JobControl) -> OpenVolume:
        """Return the volume as the engine has it; called in the worker."""
        if self._opened is None or self._opened[0] is not scan:
            self._opened = None  # before the next one takes its memory
            model = self._model.get(scan.model, control)
            opened = self._engine.open_volume(scan.volume, model, scan.window, self._tell)
            self._opened = (scan, opened)
        return self._opened[1]

    def _tell(self, text: Any) -> None:
        self._worker.post(lambda: self.told.emit(str(text)))

    # -- ahead --------------------------------------------------------------------------

    def _look_ahead(self) -> None:
        if self._scan is not None and self._model.status.phase is ModelPhase.LOADED:
            self._worker.when_idle(self._ahead)

    def _step(self, control: JobControl) -> bool:
        """Encode a little; called in the worker."""
        scan = self._scan
        if scan is None:
            self._opened = None
            return False
        control.wait(max(0.0, scan.since + SETTLED_S - time.monotonic()))
        return self._open_volume(scan, control).step(*self._view, control)

    def _progressed(self, progress: Progress) -> None:
        if self._scan is not None:
            self.readiness_changed.emit(progress)

    def _failed_ahead(self, error: Exception) -> None:
        self.failed.emit(error)


def _prompt_on(prompts: ObjectPrompts, index: int | None) -> SlicePrompt | None:
    """All that is said of an object on one slice; None where nothing is."""
    merged = merged_by_slice(prompts.prompts)
    if index is None:
        return merged[0] if merged else None
    return next((prompt for prompt in merged if prompt.index == index), None)
