"""Simulated annotators: first prompts from a target, corrections where the mask is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.models.drawn_prompts import (
    BOX_FIRST_CORNER,
    BOX_LAST_CORNER,
    NEGATIVE,
    POSITIVE,
)
from napari_sss.engine.models.sam2_model import PointPrompts


@dataclass(frozen=True)
class PromptMix:
    """How often the simulated annotator does what; shares of 1.

    Parameters
    ----------
    box, click, strokes : float
        A box with jitter, one click inside, or a handful of clicks along a scribble.
    jitter : float
        Standard deviation of a box side's displacement, as a share of the box.
    """

    box: float = 0.55
    click: float = 0.35
    strokes: float = 0.1
    jitter: float = 0.05


def first_prompts(
    target: Tensor, kind: str, rng: torch.Generator, jitter: float = 0.05
) -> PointPrompts:
    """Prompts for (B, S, S) targets, all of one kind: ``box``, ``click`` or ``strokes``."""
    if kind == "box":
        return _boxes(target, rng, jitter)
    count = 1 if kind == "click" else 5
    clicks = [_click_inside(target > 0.5, rng) for _ in range(count)]
    coordinates = torch.stack(clicks, dim=1)
    labels = torch.full(coordinates.shape[:2], POSITIVE, dtype=torch.int64)
    return PointPrompts(coordinates, labels.to(target.device))


def with_correction(
    prompts: PointPrompts | None, logits: Tensor, target: Tensor, rng: torch.Generator
) -> PointPrompts:
    """The prompts with one more click, where the mask (B, 1, S, S) is most wrong."""
    mask, truth = logits[:, 0] > 0, target > 0.5
    missing, surplus = truth & ~mask, mask & ~truth
    worse_missing = missing.sum(dim=(1, 2)) >= surplus.sum(dim=(1, 2))
    region = torch.where(worse_missing[:, None, None], missing, surplus)
    click = _click_inside(region, rng)[:, None]
    label = torch.where(worse_missing, POSITIVE, NEGATIVE)[:, None]
    label = torch.where(region.any(dim=(1, 2))[:, None], label, torch.full_like(label, -1))
    if prompts is None:
        return PointPrompts(click, label)
    return PointPrompts(
        torch.cat([prompts.coordinates, click], dim=1),
        torch.cat([prompts.labels, label], dim=1),
    )


def tight_boxes(masks: Tensor) -> PointPrompts:
    """The boxes around (B, S, S) masks; no prompt (label -1) where a mask is empty."""
    edges = _edges(masks)
    corners = torch.stack([edges[:, :2], edges[:, 2:]], dim=1) - 0.5
    labels = torch.tensor([BOX_FIRST_CORNER, BOX_LAST_CORNER], device=masks.device)
    labels = labels.expand(len(edges), 2)
    there = masks.flatten(1).any(dim=1)[:, None]
    return PointPrompts(corners, torch.where(there, labels, torch.full_like(labels, -1)))


def _boxes(target: Tensor, rng: torch.Generator, jitter: float) -> PointPrompts:
    """Corners of the targets' bounding boxes, each side displaced at random."""
    exact = tight_boxes(target > 0.5)
    edges = exact.coordinates.flatten(1)
    size = (edges[:, 2:] - edges[:, :2]).repeat(1, 2)
    # Half of the annotators are exact to about a pixel, half are hasty.
    hasty = torch.rand(len(edges), 1, generator=rng).to(edges.device) < 0.5
    spread = torch.where(hasty, jitter * size, 0.01 * size)
    noise = torch.randn(edges.shape, generator=rng).to(edges.device)
    moved = edges + (noise * spread).clamp(-8, 8)
    return PointPrompts(moved.reshape(-1, 2, 2), exact.labels)


def _edges(masks: Tensor) -> Tensor:
    """First and last column and row of (B, S, S) masks: (B, 4) as x0, y0, x1, y1."""
    side = masks.shape[-1]
    positions = torch.arange(side, device=masks.device).float()

    def extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
        low = torch.where(occupied, positions, torch.full_like(positions, side)).amin(dim=1)
        high = torch.where(occupied, positions, torch.full_like(positions, -1)).amax(dim=1)
        return low, high + 1

    (y0, y1), (x0, x1) = extent(masks.any(dim=2)), extent(masks.any(dim=1))
    return torch.stack([x0, y0, x1, y1], dim=1)


def _click_inside(region: Tensor, rng: torch.Generator) -> Tensor:
    """One (x, y) per (S, S) region, rather in its depth than at its rim."""
    batch, side = region.shape[0], region.shape[-1]
    depth = F.avg_pool2d(region.float()[:, None], 9, stride=1, padding=4)[:, 0]
    noise = torch.rand(depth.shape, generator=rng).to(depth.device)
    score = torch.where(region, depth + 0.5 * noise, torch.full_like(depth, -1.0))
    flat = score.reshape(batch, -1).argmax(dim=1)
    return torch.stack([flat % side, flat // side], dim=1).float()
