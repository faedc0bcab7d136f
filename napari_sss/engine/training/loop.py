"""The loop: it draws, steps, validates, saves and stops, and knows of no method."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_sss.engine.errors import Cancelled, DeviceError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.memory import is_out_of_memory
from napari_sss.engine.models.sss.trained import TrainedFacts, save_trained
from napari_sss.engine.training.assembly import Assembled, assemble
from napari_sss.engine.training.checkpoint import (
    CHECKPOINT_NAME,
    Snapshot,
    learned_state,
    optimiser_tensors,
    read_snapshot,
    restore_network,
    restore_optimiser,
    write_snapshot,
)
from napari_sss.engine.training.config import TrainConfig
from napari_sss.engine.training.data.cases import CaseLists
from napari_sss.engine.training.data.sampling import StepBatch
from napari_sss.engine.training.errors import CollapsedError, DivergedError
from napari_sss.engine.training.events import EventLog
from napari_sss.engine.training.guards import CollapseGuard
from napari_sss.engine.training.run_folder import begin
from napari_sss.engine.training.strategies.base import Moment
from napari_sss.engine.training.validation import Validation

log = logging.getLogger(__name__)

LAST_FOLDER = "last"
MOST_UNSAVED_SECONDS = 60.0

OnEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TrainResult:
    """What a finished training leaves.

    Parameters
    ----------
    folder : Path
        Its folder, which is a model.
    steps : int
        Steps done.
    best_step : int
        The step of the model that was kept.
    best_dice : float or None
        Its Dice in validation, 0 to 1; None where there was nothing to validate on.
    """

    folder: Path
    steps: int
    best_step: int
    best_dice: float | None


def train(
    config: TrainConfig,
    cases: CaseLists,
    folder: Path,
    *,
    resume: bool = False,
    control: JobControl | None = None,
    on_event: OnEvent | None = None,
) -> TrainResult:
    """Train a model.

    Parameters
    ----------
    config : TrainConfig
        The settings.
    cases : CaseLists
        The volumes.
    folder : Path
        The run's folder.
    resume : bool
        Go on from its checkpoint, as if there had been no interruption.
    control : JobControl, optional
        For progress and cancelling; a cancelled training keeps its checkpoint.
    on_event : callable, optional
        Hears every event.

    Raises
    ------
    DataError, ConfigError, ModelError
        What was given cannot be used; nothing has been trained.
    TrainingError
        The training diverged or collapsed; the checkpoint and the best model are kept.
    Cancelled
        When asked to; the checkpoint is kept.
    """
    begin(folder, config, cases, resume=resume)
    return Trainer(config, assemble(config, cases), folder, resume, control, on_event).run()


class Trainer:
    """A training in progress.

    Parameters
    ----------
    config : TrainConfig
        The settings.
    parts : Assembled
        What they amount to.
    folder : Path
        The run's folder.
    resume : bool
        Go on from its checkpoint.
    control, on_event
        As for :func:`train`.
    finish_early : callable
        Asked after every step: whether to end now as if the budget were spent, with a last
        validation and the model kept.
    """

    def __init__(
        self,
        config: TrainConfig,
        parts: Assembled,
        folder: Path,
        resume: bool = False,
        control: JobControl | None = None,
        on_event: OnEvent | None = None,
        finish_early: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config, self.parts, self.folder = config, parts, folder
        self.control = control or JobControl()
        self.finish_early = finish_early
        self.guard = CollapseGuard(tuple(parts.preparation.classes), config.collapse_patience)
        self.step = 0
        self.best_step, self.best_dice = 0, -1.0
        self.without_gain = 0
        self._before = 0.0
        if resume:
            self._restore(read_snapshot(folder / CHECKPOINT_NAME))
        self._began = self._saved = time.monotonic()
        self.events = EventLog(
            folder, tensorboard=config.tensorboard, on_event=on_event, from_step=self.step
        )

    @property
    def seconds(self) -> float:
        """Seconds trained so far, those before an interruption included."""
        return self._before + time.monotonic() - self._began

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.seconds / (60 * (self.config.minutes or 1.0)))

    def run(self) -> TrainResult:
        """Train to the end of the budget."""
        try:
            self._loop()
        except Cancelled:
            self._save()
            self._tell_end("cancelled")
            raise
        except (DivergedError, CollapsedError) as error:
            self.events("warning", self.step, self.seconds, message=str(error))
            self._tell_end(type(error).__name__)
            raise
        finally:
            self.events.close()
        return TrainResult(
            self.folder,
            self.step,
            self.best_step,
            self.best_dice if self.parts.validates else None,
        )

    def _loop(self) -> None:
        if self.step == 0:
            log.info("Tuning %s: %s.", self.parts.mode, self.parts.reason)
            self._save()  # the last good state, should the first step already fail
            self._began = time.monotonic()  # the budget is for training
        early = False
        while self.progress < 1.0 and not self._is_out_of_patience() and not early:
            self._report()
            figures = self._learn(self._batch())
            self.step += 1
            if self.step % self.config.log_every == 0 or self.step == 1:
                self.events("step", self.step, self.seconds, **figures)
            early = self.finish_early()
            at_end = early or self.progress >= 1.0
            if self.step % self.config.validate_every == 0 or at_end:
                self._validate()
            if self.step % self.config.checkpoint_every == 0 or at_end or self._save_is_overdue:
                self._save()
        self._export(self.folder / LAST_FOLDER)
        if not self.parts.validates or self.best_step == 0:
            self.best_step = self.step
            self._export(self.folder)
        patience = self._is_out_of_patience()
        self._tell_end("patience" if patience else "asked" if early else "budget")

    def _tell_end(self, reason: str) -> None:
        memory = round(self.parts.runtime.peak_memory_mb(), 1)
        self.events("finished", self.step, self.seconds, reason=reason, peak_memory_mb=memory)

    def _report(self) -> None:
        if self.config.steps is not None:
            self.control.report("training", self.step, self.config.steps)
        else:
            self.control.report("training", round(1000 * self.progress), 1000)

    def _batch(self) -> StepBatch:
        sampler, strategy = self.parts.sampler, self.parts.strategy
        labelled = sampler.labelled(self.config.batch)
        if not strategy.needs_pool:
            return StepBatch(labelled, None)
        return StepBatch(labelled, sampler.unlabelled(self.config.unlabelled_batch))

    def _learn(self, batch: StepBatch) -> dict[str, float]:
        """One step; where memory runs out, again with smaller parts."""
        while True:
            try:
                return self.parts.strategy.step(batch, Moment(self.step, self.progress))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._use_smaller_parts(batch)

    def _use_smaller_parts(self, batch: StepBatch) -> None:
        strategy = self.parts.strategy
        size = strategy.micro_batch or max(self.config.batch, self.config.unlabelled_batch)
        if size == 1:
            raise DeviceError(
                "The memory does not suffice for a single slice.",
                "Choose a smaller model or image size, or --set mode=features.",
            )
        strategy.micro_batch = size // 2
        message = f"Memory ran out: going on with {size // 2} slices at once."
        log.warning(message)
        self.events("warning", self.step, self.seconds, message=message)

    def _validate(self) -> None:
        found = self.parts.validator(self.parts.strategy.inference_model(), self.control.check)
        self.events(
            "validation",
            self.step,
            self.seconds,
            on="validation" if self.parts.validates else "training",
            dice=found.dice,
            classes=found.classes,
            predicted_share=_named(found.predicted, found),
            true_share=_named(found.true, found),
            confident_share=_named(np.asarray(found.confident), found),
        )
        if self.parts.validates:
            self.without_gain += 1
            if found.dice > self.best_dice:
                self.best_step, self.best_dice = self.step, found.dice
                self.without_gain = 0
                self._export(self.folder)
        if self.progress < self.config.burn_in:
            return  # classes come and go while they are learned from labels alone
        problem = self.guard.look(found.predicted, found.true)
        if problem is not None:
            self.events("warning", self.step, self.seconds, message=problem)

    @property
    def _save_is_overdue(self) -> bool:
        """Whether a kill would cost more than a minute, however slow the steps are."""
        return time.monotonic() - self._saved > MOST_UNSAVED_SECONDS

    def _is_out_of_patience(self) -> bool:
        return self.config.patience is not None and self.without_gain >= self.config.patience

    def _export(self, folder: Path) -> None:
        strategy, preparation = self.parts.strategy, self.parts.preparation
        segmenter = strategy.inference_model()
        facts = TrainedFacts(
            classes=preparation.classes,
            segmenter=segmenter.config,
            window=preparation.window,
            spacing=preparation.spacing,
            focus=self.parts.whereabouts.focus,
            strategy=self.config.strategy,
        )
        save_trained(folder, segmenter, facts, self._card())

    def _card(self) -> dict[str, Any]:
        return {
            "licence": "that of the training data and of the starting model",
            "title": f"Trained by napari-sss with {self.config.strategy}",
            "training": {
                "strategy": self.config.strategy,
                "base_model": self.config.model,
                "base_sha256": self.parts.base_sha256,
                "mode": self.parts.mode,
                "steps": self.step,
                "seconds": round(self.seconds),
                "seed": self.config.seed,
                "labelled_slices": len(self.parts.sampler.survey.slices),
                "unlabelled_volumes": len(self.parts.sampler.pool),
            },
            "scores": {"validation_dice": self.best_dice} if self.parts.validates else {},
            "limits": "Research only, not for clinical use.",
        }

    def _save(self) -> None:
        strategy = self.parts.strategy
        tensors: dict[str, torch.Tensor] = {}
        for name, network in strategy.networks.items():
            learned = learned_state(network, self.parts.mode)
            tensors |= {f"network.{name}.{k}": v for k, v in learned.items()}
        for name, optimiser in strategy.optimisers.items():
            kept = optimiser_tensors(optimiser)
            tensors |= {f"optimiser.{name}.{k}": v for k, v in kept.items()}
        tensors |= {f"strategy.{k}": v for k, v in strategy.tensors().items()}
        tensors["random.torch"] = torch.get_rng_state()
        tensors["random.strategy"] = self.parts.generator.get_state()
        facts: dict[str, Any] = {
            "step": self.step,
            "seconds": self.seconds,
            "best": [self.best_step, self.best_dice, self.without_gain],
            "sampler": self.parts.sampler.state(),
            "views": self.parts.views.state(),
            "whereabouts": self.parts.whereabouts.state(),
            "guard": self.guard.state(),
            "strategy": strategy.facts(),
            "micro_batch": strategy.micro_batch,
            "base_sha256": self.parts.base_sha256,
        }
        write_snapshot(Snapshot(tensors, facts), self.folder / CHECKPOINT_NAME)
        self._saved = time.monotonic()
        self.events("checkpoint", self.step, self.seconds)

    def _restore(self, snapshot: Snapshot) -> None:
        strategy, facts = self.parts.strategy, snapshot.facts
        for name, network in strategy.networks.items():
            restore_network(network, snapshot.under(f"network.{name}"))
        for name, optimiser in strategy.optimisers.items():
            restore_optimiser(optimiser, snapshot.under(f"optimiser.{name}"))
        strategy.restore(snapshot.under("strategy"), facts["strategy"])
        strategy.micro_batch = facts["micro_batch"]
        torch.set_rng_state(snapshot.tensors["random.torch"])
        self.parts.generator.set_state(snapshot.tensors["random.strategy"])
        self.parts.sampler.restore(facts["sampler"])
        self.parts.views.restore(facts["views"])
        self.parts.whereabouts.restore(facts["whereabouts"])
        self.guard.restore(facts["guard"])
        self.step, self._before = facts["step"], facts["seconds"]
        self.best_step, self.best_dice, self.without_gain = facts["best"]


def _named(shares: Any, found: Validation) -> dict[str, float]:
    """A share for the background and each class, by name."""
    names = ["background", *found.classes]
    return {name: round(float(share), 6) for name, share in zip(names, shares, strict=False)}
