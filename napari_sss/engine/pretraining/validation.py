"""How good a model is in training: scores on generated scenes that it is never taught."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from napari_sss.engine.models.sam2_model import Decoded, MemoryBank, PointPrompts, Sam2Model
from napari_sss.engine.pretraining.clips import Batch, ClipConfig, ClipSampler
from napari_sss.engine.pretraining.losses import hard_iou
from napari_sss.engine.pretraining.prompting import first_prompts, with_correction
from napari_sss.engine.pretraining.scenes import SceneGenerator

HELD_OUT_SEED = 2**31 - 1  # of the scenes, and of the simulated annotator
SCENES = 8
CORRECTIONS = 2


@dataclass(frozen=True)
class Validation:
    """The same samples at every checkpoint of every training, so that scores compare.

    Parameters
    ----------
    images : int
        Single slices.
    clips : int
        Clips for tracking.
    slices : int
        Slices of a clip.
    image_size : int
        Side of the images, pixels.
    """

    images: int
    clips: int
    slices: int
    image_size: int

    @cached_property
    def samples(self) -> tuple[Batch, Batch]:
        """Single slices and clips; generated at first use."""
        sampler = ClipSampler(
            SceneGenerator(HELD_OUT_SEED), HELD_OUT_SEED, ClipConfig(scenes_in_pool=SCENES)
        )
        return (
            sampler.batch(0, self.images, 1, self.image_size),
            sampler.batch(1, self.clips, self.slices, self.image_size),
        )

    def scores(self, model: Sam2Model) -> dict[str, float]:
        """Mean IoU with a box, with a click, with corrections after it, and when tracked.

        Parameters
        ----------
        model : Sam2Model
            At this validation's image size; left in evaluation mode.
        """
        slices, clips = (batch.to(model.device) for batch in self.samples)
        with model.inference():
            found = {"box": box_iou(model, slices)}
            found["click"], found["corrected"] = click_ious(model, slices)
            found["tracked"] = tracked_iou(model, clips)
        return found


def box_iou(model: Sam2Model, batch: Batch) -> float:
    """Mean IoU on single slices (B, 1, S, S), each prompted with a box."""
    features, target = model.encode(batch.grey[:, 0]), batch.target[:, 0]
    prompts = first_prompts(target, "box", _annotator())
    decoded = model.decode(features, model.without_memory(features), prompts)
    return _mean_iou(model, decoded, target)


def click_ious(model: Sam2Model, batch: Batch) -> tuple[float, float]:
    """Mean IoU on single slices after one click, and after the corrections that follow."""
    features, target = model.encode(batch.grey[:, 0]), batch.target[:, 0]
    pixels, rng = model.without_memory(features), _annotator()
    prompts: PointPrompts = first_prompts(target, "click", rng)
    decoded = model.decode(features, pixels, prompts, multimask=True).best()
    first = _mean_iou(model, decoded, target)
    for _ in range(CORRECTIONS):
        prompts = with_correction(prompts, model.upsample(decoded.logits), target, rng)
        decoded = model.decode(features, pixels, prompts, decoded.logits)
    return first, _mean_iou(model, decoded, target)


def tracked_iou(model: Sam2Model, batch: Batch) -> float:
    """Mean IoU on the slices of clips (B, T, S, S) that follow a slice with a box."""
    clips, slices = batch.grey.shape[:2]
    features = model.encode(batch.grey.flatten(0, 1))
    rows = torch.arange(clips, device=model.device) * slices
    here, bank = features[rows], MemoryBank()
    prompts = first_prompts(batch.target[:, 0], "box", _annotator())
    decoded = model.decode(here, model.without_memory(here), prompts)
    bank.prompted[0] = model.remember(here, decoded, prompted=True)
    ious = []
    for index in range(1, slices):
        here = features[rows + index]
        pixels = model.with_memory(here, bank, index, backwards=False, slices=slices)
        decoded = model.decode(
            here, pixels, None, multimask=model.architecture.multimask_tracking
        ).best()
        bank.tracked[index] = model.remember(here, decoded, prompted=False)
        present = decoded.object_score[..., None, None] > 0
        logits = decoded.logits.masked_fill(~present, -1.0)
        ious.append(hard_iou(model.upsample(logits), batch.target[:, index]).mean())
    return float(torch.stack(ious).mean())


def _mean_iou(model: Sam2Model, decoded: Decoded, target: Tensor) -> float:
    return float(hard_iou(model.upsample(decoded.logits), target).mean())


def _annotator() -> torch.Generator:
    """The randomness of the simulated annotator, the same for every score."""
    return torch.Generator().manual_seed(HELD_OUT_SEED)
