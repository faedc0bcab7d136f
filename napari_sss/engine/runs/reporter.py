"""Telling how the run is, once a second, from a thread of its own.

A step may take long; who watches must see all the same that the process lives.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_sss.engine.jobs import Progress
from napari_sss.engine.runs.machine import LoadMeter
from napari_sss.engine.runs.state import RunPhase, RunState, write_state

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0


class Reporter:
    """Writes a run's state as long as it lives; a context manager.

    Parameters
    ----------
    folder : Path
        The run's.
    state : RunState, optional
        Where it was when it stopped.
    """

    def __init__(self, folder: Path, state: RunState | None = None) -> None:
        before = state or RunState()
        self._folder = folder
        self._state = RunState(
            RunPhase.PREPARING,
            before.beat + 1,
            os.getpid(),
            platform.node(),
            trained=before.trained,
        )
        self._lock = threading.Lock()
        self._end = threading.Event()
        self.meter = LoadMeter()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Reporter:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Write nothing any more."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def state(self) -> RunState:
        """The state as it will be written next."""
        with self._lock:
            return self._state

    def update(self, *, now: bool = False, **changes: Any) -> None:
        """Change the state; it is written at the next beat, or ``now``."""
        with self._lock:
            self._state = replace(self._state, **changes)
        if now:
            self._write()

    def progress(self, progress: Progress) -> None:
        """Take over how far the work is."""
        self.update(stage=progress.stage, done=progress.done, total=progress.total)

    def _beat(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            load = self.meter.read()
            self.update(load=load)
            self._write()

    def _write(self) -> None:
        with self._lock:
            self._state = replace(self._state, beat=self._state.beat + 1)
            if not write_state(self._folder, self._state):
                log.warning("The state of the run cannot be written.")
