"""One training step: an annotator prompts, the model answers, the losses are added up."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.models.sam2_model import (
    Decoded,
    Features,
    MemoryBank,
    PointPrompts,
    Sam2Model,
)
from napari_sss.engine.pretraining.clips import Batch
from napari_sss.engine.pretraining.losses import hard_iou, mask_losses
from napari_sss.engine.pretraining.prompting import (
    PromptMix,
    first_prompts,
    tight_boxes,
    with_correction,
)

IOU_WEIGHT, OBJECT_WEIGHT = 1.0, 1.0
CORRECTION_ROUNDS = (0.4, 0.3, 0.2, 0.1)  # shares of steps with 0, 1, 2, 3 corrections
MASK_PROMPT_SHARE = 0.08
CORRECTED_CLIP_SHARE = 0.25
# On a slice that nobody prompted: the memory alone, as SAM-2 has it, or beside it the slice
# before as a mask or as a box, which a small model learns to follow much sooner.
MEMORY_ALONE, LAST_MASK, LAST_BOX = 0.35, 0.4, 0.25


def training_loss(
    model: Sam2Model,
    batch: Batch,
    rng: np.random.Generator,
    torch_rng: torch.Generator,
    foreground_weight: float = 5.0,
) -> tuple[Tensor, float]:
    """The loss of one step, and the mean Dice-like IoU of its last answers.

    Parameters
    ----------
    model : Sam2Model
        In training mode, at the batch's image size.
    batch : Batch
        Single slices (T = 1) or clips.
    rng, torch_rng
        Decide the annotator's behaviour.
    foreground_weight : float
        See :func:`~napari_sss.engine.pretraining.losses.mask_losses`.
    """
    clips, slices = batch.grey.shape[:2]
    features = model.encode(batch.grey.flatten(0, 1))
    targets = batch.target
    if slices == 1:
        return _interact(model, features, targets[:, 0], rng, torch_rng, foreground_weight)
    return _follow(model, features, targets, clips, slices, rng, torch_rng, foreground_weight)


def _interact(
    model: Sam2Model,
    features: Features,
    target: Tensor,
    rng: np.random.Generator,
    torch_rng: torch.Generator,
    foreground_weight: float,
) -> tuple[Tensor, float]:
    """Prompt one slice, then correct it for a few rounds."""
    pixels = model.without_memory(features)
    prompts, mask, multimask = _opening(model, target, rng, torch_rng)
    rounds = 1 + int(rng.choice(len(CORRECTION_ROUNDS), p=CORRECTION_ROUNDS))
    losses: list[Tensor] = []
    for _ in range(rounds):
        decoded = model.decode(features, pixels, prompts, mask, multimask=multimask)
        losses.append(_answer_loss(model, decoded, target, foreground_weight))
        best = decoded.best()
        mask, multimask = best.logits.detach(), False
        prompts = with_correction(prompts, model.upsample(mask), target, torch_rng)
    iou = hard_iou(model.upsample(best.logits.detach()), target).mean()
    return torch.stack(losses).mean(), float(iou)


def _follow(
    model: Sam2Model,
    features: Features,
    targets: Tensor,
    clips: int,
    slices: int,
    rng: np.random.Generator,
    torch_rng: torch.Generator,
    foreground_weight: float,
) -> tuple[Tensor, float]:
    """Prompt the first slice of each clip and follow the object through the rest."""
    rows = torch.arange(clips, device=features.levels[0].device) * slices
    bank = MemoryBank()
    backwards = bool(rng.random() < 0.5)
    corrected = int(rng.integers(1, slices)) if rng.random() < CORRECTED_CLIP_SHARE else -1
    losses, iou = [], 0.0
    best: Decoded | None = None
    for step in range(slices):
        here, target = features[rows + step], targets[:, step]
        index = slices - 1 - step if backwards else step
        if best is None:
            prompts, mask, multimask = _opening(model, target, rng, torch_rng)
            pixels = model.without_memory(here)
        else:
            prompts, mask = _last_answer(model, best, rng)
            multimask = False
            pixels = model.with_memory(here, bank, index, backwards=backwards, slices=slices)
        decoded = model.decode(here, pixels, prompts, mask, multimask=multimask)
        losses.append(_answer_loss(model, decoded, target, foreground_weight))
        if step == corrected:
            mask = decoded.best().logits.detach()
            prompts = with_correction(None, model.upsample(mask), target, torch_rng)
            decoded = model.decode(here, pixels, prompts, mask)
            losses.append(_answer_loss(model, decoded, target, foreground_weight))
        best = decoded.best()
        iou = float(hard_iou(model.upsample(best.logits.detach()), target).mean())
        memory = model.remember(here, best, prompted=step in (0, corrected))
        (bank.prompted if step in (0, corrected) else bank.tracked)[index] = memory
    return torch.stack(losses).mean(), iou


def _last_answer(
    model: Sam2Model, last: Decoded, rng: np.random.Generator
) -> tuple[PointPrompts | None, Tensor | None]:
    """What the slice before says of the next one, as a prompt; nothing, or a box, or a mask."""
    kind = str(rng.choice(["memory", "mask", "box"], p=[MEMORY_ALONE, LAST_MASK, LAST_BOX]))
    logits = last.logits.detach()
    if kind == "mask":
        return None, logits
    if kind == "box":
        return tight_boxes(model.upsample(logits)[:, 0] > 0), None
    return None, None


def _opening(
    model: Sam2Model, target: Tensor, rng: np.random.Generator, torch_rng: torch.Generator
) -> tuple[PointPrompts | None, Tensor | None, bool]:
    """The first prompt: points or box, or a rough mask; and whether it is ambiguous."""
    if rng.random() < MASK_PROMPT_SHARE:
        return None, _rough_mask(target, rng), False
    mix = PromptMix()
    kind = str(rng.choice(["box", "click", "strokes"], p=[mix.box, mix.click, mix.strokes]))
    return first_prompts(target, kind, torch_rng, mix.jitter), None, kind == "click"


def _rough_mask(target: Tensor, rng: np.random.Generator) -> Tensor:
    """Logits of a mask that is shifted and thinned or thickened, at a quarter of the size."""
    side = target.shape[-1]
    shifts = [int(s) for s in rng.integers(-side // 32, side // 32 + 1, size=2)]
    moved = torch.roll(target, shifts, dims=(-2, -1))[:, None]
    small = F.interpolate(moved, size=(side // 4,) * 2, mode="area")
    return (small - rng.uniform(0.3, 0.7)) * 12.0


def _answer_loss(
    model: Sam2Model, decoded: Decoded, target: Tensor, foreground_weight: float = 5.0
) -> Tensor:
    """Mask, IoU and presence losses of one answer.

    Of several candidate masks only the best is taught, so that they may come to mean
    different things; every candidate learns how good it is. A slice without the object
    teaches its absence, not a mask.
    """
    logits = model.upsample(decoded.logits)
    present = (target > 0.5).flatten(1).any(dim=1).float()
    per_mask = mask_losses(logits, target, foreground_weight)
    best = per_mask.argmin(dim=1, keepdim=True)
    mask_loss = (per_mask.gather(1, best)[:, 0] * present).sum() / present.sum().clamp(min=1)
    iou_error = (decoded.ious - hard_iou(logits.detach(), target)).square().mean(dim=1)
    iou_loss = (iou_error * present).sum() / present.sum().clamp(min=1)
    presence = F.binary_cross_entropy_with_logits(decoded.object_score[:, 0], present)
    return mask_loss + IOU_WEIGHT * iou_loss + OBJECT_WEIGHT * presence
