"""Training the embedded model from nothing on generated scenes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_sss.engine.errors import ConfigError, RunError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.architecture import Architecture, build_sam2
from napari_sss.engine.models.checkpoint import fill, read_checkpoint, write_checkpoint
from napari_sss.engine.models.embedded import embedded_architecture
from napari_sss.engine.models.loading import WEIGHTS_NAME
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.pretraining.card import model_card
from napari_sss.engine.pretraining.checkpoint import (
    TENSORS,
    load_checkpoint,
    random_states,
    restore_optimiser,
    restore_random,
    save_checkpoint,
)
from napari_sss.engine.pretraining.clips import Batch
from napari_sss.engine.pretraining.config import FINAL_FOREGROUND_WEIGHT, PretrainConfig
from napari_sss.engine.pretraining.curves import draw_curves
from napari_sss.engine.pretraining.log import TRAINING, VALIDATION, append_entry
from napari_sss.engine.pretraining.step import training_loss
from napari_sss.engine.pretraining.stream import BatchStream, Plan
from napari_sss.engine.pretraining.validation import Validation

log = logging.getLogger(__name__)

LOG_EVERY = 25
GRADIENT_LIMIT = 1.0
# Parts that models trained earlier lack; without training they change nothing.
YOUNGEST_PARTS = ("sam_mask_decoder.refiner.",)
IMAGES_PER_CLIP = 3  # of the validation: clips cost more
FREE_TO_CHANGE = {"device", "precision", "checkpoint_every", "validation_images"}


def pretrain(
    config: PretrainConfig,
    out: Path,
    *,
    resume: bool = False,
    architecture: Architecture | None = None,
    control: JobControl | None = None,
    stream: Iterable[tuple[Plan, Batch]] | None = None,
) -> Path:
    """Train, and write checkpoints, a log and the averaged weights as a model folder.

    Parameters
    ----------
    config : PretrainConfig
        The settings; with ``resume`` they must be those of the first start.
    out : Path
        The training's folder.
    resume : bool
        Go on from the checkpoint in ``out``.
    architecture : Architecture, optional
        Another shape than the embedded model's.
    control : JobControl, optional
        For progress and cancelling; a cancelled training keeps its checkpoint.
    stream : iterable, optional
        Batches made elsewhere; by default a child process makes them.

    Returns
    -------
    Path
        The model folder inside ``out``.

    Raises
    ------
    ConfigError
        Where ``out`` holds a training already and ``resume`` is not given, or that training
        was begun with other settings.
    ModelError
        Where there is nothing to resume.
    Cancelled
        When asked to.
    """
    if not resume and (out / TENSORS).exists():
        raise ConfigError(
            f"{out} holds a training already.",
            "Add --resume to go on with it, or choose another folder.",
            out,
        )
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, out, architecture, control)
    if resume:
        trainer.restore()
    return trainer.run(stream)


class Trainer:
    """A training in progress: network, average, optimiser, random states, clock."""

    def __init__(
        self,
        config: PretrainConfig,
        out: Path,
        architecture: Architecture | None = None,
        control: JobControl | None = None,
    ) -> None:
        self.config = config
        self.out = out
        self.control = control or JobControl()
        torch.manual_seed(config.seed)
        self.architecture = architecture or embedded_architecture(config.image_size(0.0))
        precision = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
        net = build_sam2(self.architecture)
        if config.start_from is not None:
            fill(net, read_checkpoint(Path(config.start_from)), new=YOUNGEST_PARTS)
        self.model = Sam2Model(net, self.architecture, config.device, precision)
        self.averaged = {
            k: v.detach().clone().float() for k, v in self.model.net.state_dict().items()
        }
        self.optimiser = torch.optim.AdamW(
            _parameter_groups(self.model.net, config.weight_decay),
            lr=config.learning_rate,
            betas=(0.9, 0.98),
        )
        self.rng = np.random.default_rng((config.seed, 2))
        self.torch_rng = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.elapsed = 0.0
        self.validation = Validation(
            config.validation_images,
            -(-config.validation_images // IMAGES_PER_CLIP),
            config.clip_slices,
            config.final_image_size,
        )
        self._between_steps = True

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        if self.config.steps is not None:
            return self.step / self.config.steps
        return min(1.0, self.elapsed / (60.0 * (self.config.minutes or 1.0)))

    def run(self, stream: Iterable[tuple[Plan, Batch]] | None = None) -> Path:
        """Train to the end of the budget and write the model folder."""
        own = BatchStream(self.config, self.step, self.progress) if stream is None else None
        began, before = time.monotonic(), self.elapsed
        saved = began
        try:
            for plan, batch in own if own is not None else stream or ():
                if self.progress >= 1.0:
                    break
                self._learn(plan, batch)
                self.elapsed = before + time.monotonic() - began
                if own is not None:
                    own.tell_progress(self.progress)
                if time.monotonic() - saved > self.config.checkpoint_every:
                    self.save()
                    self.validate()
                    saved = time.monotonic()
                self.control.report("training", round(1000 * self.progress), 1000)
                if self.progress >= 1.0:
                    break
        finally:
            # A step that failed midway, as by a loss that is no number, must not replace
            # the last sound checkpoint.
            if self._between_steps:
                self.save()
            if own is not None:
                own.close()
        self.validate()
        return self.export()

    def export(self, path: Path | None = None) -> Path:
        """Write the averaged weights in half precision with their card.

        Parameters
        ----------
        path : Path, optional
            A ``.safetensors`` file; by default ``model.safetensors`` in the training's folder.

        Returns
        -------
        Path
            The folder, which can be loaded as a model.
        """
        model = self.averaged_model()
        target = path or self.out / WEIGHTS_NAME
        card = model_card(self.config, model.architecture, self.step, self.elapsed)
        write_checkpoint(target, model.net, card, torch.float16)
        return target.parent

    def averaged_model(self) -> Sam2Model:
        """The averaged weights as a model of the final image size."""
        architecture = self.architecture.at(self.config.final_image_size)
        # Fresh weights are drawn and replaced; the training's own draws must not notice.
        with torch.random.fork_rng(devices=[]):
            net = build_sam2(architecture)
        net.load_state_dict(self.averaged)
        return Sam2Model(net, architecture, self.model.device, self.model.precision)

    def validate(self) -> None:
        """Score the averaged weights on held-out scenes, log it and draw the curves."""
        if self.config.validation_images:
            scores = self.validation.scores(self.averaged_model())
            rounded = {name: round(score, 4) for name, score in scores.items()}
            self._log(VALIDATION, rounded)
        draw_curves(self.out)

    def _learn(self, plan: Plan, batch: Batch) -> None:
        """One optimiser step."""
        self._between_steps = False
        if plan.image_size != self.model.image_size:
            self.model.set_image_size(plan.image_size)
        rate = self._learning_rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.net.train()
        self.model.net.image_encoder.requires_grad_(self.progress >= self.config.encoder_from)
        with self.model.autocast():
            loss, iou = training_loss(
                self.model,
                batch.to(self.model.device),
                self.rng,
                self.torch_rng,
                self._foreground_weight(),
            )
        self._require_finite("loss", loss)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.net.parameters(), GRADIENT_LIMIT)
        self._require_finite("gradient", norm)
        self.optimiser.step()
        self.step += 1
        self._average()
        self._between_steps = True
        if self.step % LOG_EVERY == 0 or self.step == 1:
            self._log_step(plan, loss.item(), iou, rate)

    def _require_finite(self, what: str, value: torch.Tensor) -> None:
        if not torch.isfinite(value):
            raise RunError(
                f"The training's {what} became {value.item()} at step {self.step}.",
                "Its last checkpoint is untouched: resume from it, or start again with "
                "another seed or a smaller batch.",
                self.out,
            )

    def _learning_rate(self) -> float:
        """Linear warm-up, then a cosine down to a hundredth."""
        warmup, peak = self.config.warmup, self.config.learning_rate
        if self.progress < warmup:
            return peak * max(0.01, self.progress / warmup)
        share = (self.progress - warmup) / max(1e-9, 1 - warmup)
        return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))

    def _foreground_weight(self) -> float:
        """Straight from what was asked for to what makes masks of the best Dice."""
        first, last = self.config.foreground_weight, FINAL_FOREGROUND_WEIGHT
        return first + (last - first) * self.progress

    def _average(self) -> None:
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.model.net.state_dict().items():
            self.averaged[name].lerp_(value.float(), 1 - decay)

    def _log_step(self, plan: Plan, loss: float, iou: float, rate: float) -> None:
        measured = {
            "loss": round(loss, 4),
            "iou": round(iou, 4),
            "slices": plan.slices,
            "image_size": plan.image_size,
            "learning_rate": rate,
        }
        self._log(TRAINING, measured)

    def _log(self, kind: str, measured: dict[str, Any]) -> None:
        when = {"kind": kind, "step": self.step, "seconds": round(self.elapsed, 1)}
        append_entry(self.out, when | measured)
        log.info("%s", when | measured)

    def save(self) -> None:
        """Write the checkpoint."""
        facts: dict[str, Any] = {
            "step": self.step,
            "elapsed": self.elapsed,
            "config": self.config.model_dump(mode="json"),
            "architecture": self.architecture.model_dump(mode="json"),
            "random": random_states(self.rng, self.torch_rng),
        }
        save_checkpoint(
            self.out,
            weights=self.model.net.state_dict(),
            averaged=self.averaged,
            optimiser=self.optimiser,
            facts=facts,
        )

    def restore(self) -> None:
        """Continue from the checkpoint.

        Raises
        ------
        ConfigError
            Where the checkpoint was made with other settings.
        """
        groups, facts = load_checkpoint(self.out)
        self._require_same_settings(facts)
        self.model.net.load_state_dict(groups["weights"])
        self.averaged = {k: v.to(self.model.device) for k, v in groups["averaged"].items()}
        restore_optimiser(self.optimiser, groups["optimiser"])
        restore_random(facts["random"], self.rng, self.torch_rng)
        self.step, self.elapsed = facts["step"], facts["elapsed"]

    def _require_same_settings(self, facts: dict[str, Any]) -> None:
        kept = PretrainConfig.model_validate(facts["config"])
        names = set(PretrainConfig.model_fields) - FREE_TO_CHANGE
        changed = {n for n in names if getattr(kept, n) != getattr(self.config, n)}
        # The shape is stored at the image size with which the training began.
        shape = Architecture.model_validate(facts["architecture"])
        if shape.at(self.architecture.image_size) != self.architecture:
            changed.add("architecture")
        if changed:
            raise ConfigError(
                f"The training in {self.out} was begun with other settings: "
                f"{', '.join(sorted(changed))}.",
                "Resume with the same settings, or start in a new folder.",
                self.out,
            )


def _parameter_groups(net: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for everything but biases and norms."""
    decayed = [p for p in net.parameters() if p.requires_grad and p.ndim >= 2]
    plain = [p for p in net.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
