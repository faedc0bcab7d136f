"""The work of a run: prepare, train, judge."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any

import torch

from napari_sss.engine.models.devices import set_threads
from napari_sss.engine.runs.gate import judge
from napari_sss.engine.runs.pictures import Pictures
from napari_sss.engine.runs.reporter import Reporter
from napari_sss.engine.runs.request import RunRequest, read_request
from napari_sss.engine.runs.run_control import RunControl
from napari_sss.engine.runs.snapshot import Snapshot, read_snapshot
from napari_sss.engine.runs.state import RunPhase
from napari_sss.engine.training.assembly import assemble
from napari_sss.engine.training.checkpoint import CHECKPOINT_NAME
from napari_sss.engine.training.errors import TrainingError
from napari_sss.engine.training.loop import Trainer
from napari_sss.engine.training.run_folder import begin

log = logging.getLogger(__name__)

VIEWER_SHARE = 0.25
VIEWER_LEAST_BYTES = 2 * 2**30
"""Of a GPU's memory, left to the viewer: a quarter and at least 2 GB."""


def work(
    folder: Path, control: RunControl, reporter: Reporter, *, judge_only: bool = False
) -> None:
    """Carry a run from where it is to its end.

    Parameters
    ----------
    folder : Path
        The run's.
    control : RunControl
        Heard at every step boundary.
    reporter : Reporter
        Told how far it is.
    judge_only : bool
        Train no further: judge the best model so far.

    Raises
    ------
    Cancelled
        It is to be paused or discarded; its checkpoint is kept.
    SSSError
        It cannot go on.
    """
    set_threads()
    reporter.meter.gpu = True
    request, data = read_request(folder), read_snapshot(folder)
    if judge_only and not (folder / "model.json").is_file():
        raise TrainingError(
            "The training has not made a model yet.", "Resume it, or discard it.", folder
        )
    if not (judge_only or reporter.state.trained):
        _train(folder, request, data, control, reporter)
        free_memory()
        reporter.update(trained=True, seconds_left=None, now=True)
    reporter.update(phase=RunPhase.JUDGING, now=True)
    judge(folder, request, data, control)


def _train(
    folder: Path, request: RunRequest, data: Snapshot, control: RunControl, reporter: Reporter
) -> None:
    """Train to the end of the budget, or until it is asked to finish."""
    config = request.config
    resume = (folder / CHECKPOINT_NAME).is_file()
    reporter.update(phase=RunPhase.PREPARING, stage="reading the volumes", now=True)
    begin(folder, config, data.lists, resume=resume)
    control.check()
    parts = assemble(config, data.lists)
    control.shares_device = request.shares_device and parts.runtime.device.type != "cpu"
    if control.shares_device:
        leave_memory_to_the_viewer(parts.runtime.device)
    pictures = Pictures(folder, parts, request.pictures)

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "validation":
            pictures.draw(event["step"])

    trainer = Trainer(
        config, parts, folder, resume, control, on_event, finish_early=control.finish_early
    )
    clock = _TimeLeft(trainer)
    control.on_step = lambda: reporter.update(seconds_left=clock.seconds_left())
    reporter.update(phase=RunPhase.TRAINING, now=True)
    try:
        trainer.run()
    finally:
        control.on_step = None


class _TimeLeft:
    """How long a training goes on, by its budget or by its pace in this session."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._step, self._seconds = trainer.step, trainer.seconds

    def seconds_left(self) -> float | None:
        """Seconds to its end; None while the pace is not known."""
        trainer = self._trainer
        if trainer.config.minutes is not None:
            return max(0.0, 60 * trainer.config.minutes - trainer.seconds)
        done = trainer.step - self._step
        if done < 1 or trainer.config.steps is None:
            return None
        pace = (trainer.seconds - self._seconds) / done
        return pace * max(0, trainer.config.steps - trainer.step)


def leave_memory_to_the_viewer(device: torch.device) -> None:
    """Take no more of a GPU than leaves the viewer its share."""
    if device.type != "cuda":
        return
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(run_share(total), device)


def run_share(total_bytes: int) -> float:
    """The share of a GPU's memory that a run may take."""
    viewer = max(VIEWER_SHARE * total_bytes, VIEWER_LEAST_BYTES)
    return max(0.1, 1 - viewer / total_bytes)


def free_memory() -> None:
    """Give back what the training held, the GPU's memory too."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
