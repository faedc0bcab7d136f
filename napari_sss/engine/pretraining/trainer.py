"""Training the embedded model from nothing on generated scenes."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_sss.engine.errors import ConfigError, SSSError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.architecture import Architecture, build_sam2
from napari_sss.engine.models.checkpoint import write_checkpoint
from napari_sss.engine.models.embedded import embedded_architecture
from napari_sss.engine.models.loading import WEIGHTS_NAME
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.pretraining.checkpoint import (
    load_checkpoint,
    random_states,
    restore_optimiser,
    restore_random,
    save_checkpoint,
)
from napari_sss.engine.pretraining.clips import Batch
from napari_sss.engine.pretraining.config import PretrainConfig
from napari_sss.engine.pretraining.scenes import SceneGenerator
from napari_sss.engine.pretraining.step import training_loss
from napari_sss.engine.pretraining.stream import BatchStream, Plan

log = logging.getLogger(__name__)

LOG_NAME = "log.jsonl"
LOG_EVERY = 25
GRADIENT_LIMIT = 1.0


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
    """
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
        self.model = Sam2Model(
            build_sam2(self.architecture), self.architecture, config.device, precision
        )
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

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        if self.config.steps is not None:
            return self.step / self.config.steps
        return min(1.0, self.elapsed / (60.0 * (self.config.minutes or 1.0)))

    def run(self, stream: Iterable[tuple[Plan, Batch]] | None = None) -> Path:
        """Train to the end of the budget and write the model folder."""
        own = BatchStream(self.config, self.step) if stream is None else None
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
                    saved = time.monotonic()
                self.control.report("training", round(1000 * self.progress), 1000)
                if self.progress >= 1.0:
                    break
        finally:
            self.save()
            if own is not None:
                own.close()
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
        architecture = self.architecture.at(self.config.final_image_size)
        net = build_sam2(architecture)
        net.load_state_dict(self.averaged)
        target = path or self.out / WEIGHTS_NAME
        write_checkpoint(target, net, self._card(architecture), torch.float16)
        return target.parent

    def _card(self, architecture: Architecture) -> dict[str, Any]:
        """What is known of the model: shape, making, intended use and limits."""
        return {
            "architecture": architecture.model_dump(mode="json"),
            "licence": "BSD-3-Clause",
            "title": "Small SAM-2 trained on procedurally generated scenes only",
            "training": {
                "generator": SceneGenerator.VERSION,
                "seed": self.config.seed,
                "steps": self.step,
                "images": self.step * self.config.batch,
                "hours": round(self.elapsed / 3600, 2),
                "device": self.config.device,
                "config": self.config.model_dump(mode="json"),
            },
            "intended_use": "First masks for a person to correct, in CT and MR. Research only.",
            "limits": (
                "Has never seen a real scan. Not for clinical use. Weak where an object is "
                "told from its neighbours by knowledge of anatomy rather than by its border."
            ),
        }

    def _learn(self, plan: Plan, batch: Batch) -> None:
        """One optimiser step."""
        if plan.image_size != self.model.image_size:
            self.model.set_image_size(plan.image_size)
        rate = self._learning_rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.net.train()
        with self.model.autocast():
            loss, iou = training_loss(
                self.model, batch.to(self.model.device), self.rng, self.torch_rng
            )
        if not torch.isfinite(loss):
            raise SSSError(
                f"The training's loss became {loss.item()} at step {self.step}.",
                "Resume from the checkpoint with a lower learning rate.",
                self.out,
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.net.parameters(), GRADIENT_LIMIT)
        self.optimiser.step()
        self.step += 1
        self._average()
        self._log(plan, float(loss), iou, rate)

    def _learning_rate(self) -> float:
        """Linear warm-up, then a cosine down to a hundredth."""
        warmup, peak = self.config.warmup, self.config.learning_rate
        if self.progress < warmup:
            return peak * max(0.01, self.progress / warmup)
        share = (self.progress - warmup) / max(1e-9, 1 - warmup)
        return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))

    def _average(self) -> None:
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.model.net.state_dict().items():
            self.averaged[name].lerp_(value.float(), 1 - decay)

    def _log(self, plan: Plan, loss: float, iou: float, rate: float) -> None:
        if self.step % LOG_EVERY and self.step != 1:
            return
        entry = {
            "step": self.step,
            "seconds": round(self.elapsed, 1),
            "loss": round(loss, 4),
            "iou": round(iou, 4),
            "slices": plan.slices,
            "image_size": plan.image_size,
            "learning_rate": rate,
        }
        with (self.out / LOG_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        log.info("%s", entry)

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
        kept, mine = PretrainConfig.model_validate(facts["config"]), self.config
        free = {"device", "precision", "checkpoint_every"}
        names = set(PretrainConfig.model_fields) - free
        changed = {name for name in names if getattr(kept, name) != getattr(mine, name)}
        if changed:
            raise ConfigError(
                f"The training in {self.out} was begun with other settings: "
                f"{', '.join(sorted(changed))}.",
                "Resume with the same settings, or start in a new folder.",
                self.out,
            )
        self.model.net.load_state_dict(groups["weights"])
        self.averaged = groups["averaged"]
        restore_optimiser(self.optimiser, groups["optimiser"])
        restore_random(facts["random"], self.rng, self.torch_rng)
        self.step, self.elapsed = facts["step"], facts["elapsed"]


def _parameter_groups(net: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels, none for biases, norms and embeddings."""
    decayed = [p for p in net.parameters() if p.requires_grad and p.ndim >= 2]
    plain = [p for p in net.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
