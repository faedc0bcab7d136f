"""The chosen model: loaded in the worker, once, and let go when another is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_sss._widgets.engine_access import Engine
from napari_sss._widgets.status import ModelPhase, ModelStatus
from napari_sss._widgets.worker import Job, Post
from napari_sss.engine.jobs import JobControl, Progress


class ModelChoice:
    """Which model is used, and the model itself.

    Parameters
    ----------
    engine : Engine
        Who loads.
    submit : callable
        Hands a job to the worker.
    """

    changed = Signal(ModelStatus)
    progressed = Signal(Progress)
    failed = Signal(Exception)

    def __init__(self, engine: Engine, submit: Callable[[Job], JobControl]) -> None:
        self._engine = engine
        self._submit = submit
        self._status = ModelStatus()
        self._control: JobControl | None = None
        self._loaded: tuple[str, Any] | None = None  # touched in the worker only

    @property
    def status(self) -> ModelStatus:
        """The chosen model and how far it is."""
        return self._status

    @property
    def trained(self) -> Path | None:
        """The folder of the trained model whose classes Auto-prompt can look for, or None."""
        return self._status.trained

    def choose(self, name: str, trained: Path | None = None) -> None:
        """Load a model in the background, so that it is there when it is needed.

        Parameters
        ----------
        name : str
            A name of the registry, or a path.
        trained : Path, optional
            The folder of a trained model that knows classes, whose SAM-2 ``name`` is.
        """
        if name == self._status.name and self._status.phase is not ModelPhase.FAILED:
            if trained != self._status.trained:
                self._enter(replace(self._status, trained=trained))
            return
        self._enter(ModelStatus(name, ModelPhase.LOADING, trained=trained))

        def load(control: JobControl, _: Post) -> str:
            return self._engine.describe(self.get(name, control))

        def done(note: str) -> None:
            if self._status.name == name:
                self._enter(replace(self._status, phase=ModelPhase.LOADED, note=note))

        def not_loaded() -> None:
            if self._status.name == name:
                self._enter(replace(self._status, phase=ModelPhase.FAILED))

        def failed(error: Exception) -> None:
            not_loaded()
            self.failed.emit(error)

        self._control = self._submit(
            Job(
                f"load {name}",
                load,
                on_progress=lambda progress: self.progressed.emit(progress),
                on_done=done,
                on_failed=failed,
                on_cancelled=not_loaded,
            )
        )

    def cancel(self) -> None:
        """Stop a download; what has come is kept for the next time."""
        if self._control is not None:
            self._control.cancel()

    def get(self, name: str, control: JobControl) -> Any:
        """Return the model; called in the worker. The former one is let go first."""
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None
            self._loaded = (name, self._engine.load_model(name, control))
        return self._loaded[1]

    def _enter(self, status: ModelStatus) -> None:
        self._status = status
        self.changed.emit(status)
