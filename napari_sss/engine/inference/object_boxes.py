"""Boxes around the cross-sections of objects, as prompts for whole square slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.models.sss.segmenter import ObjectBoxes

SMALLEST = 6  # pixels; a box of fewer says nothing at the decoder's resolution
MOST_ON_SLICE = 12


@dataclass(frozen=True)
class SlicePrompts:
    """Boxes of the objects on a batch's slices, and the ids they have in its maps."""

    boxes: ObjectBoxes
    ids: Tensor


def prompts_of(
    objects: Tensor,
    generator: torch.Generator,
    *,
    jitter: float = 0.05,
    largest_share: float = 1.0,
    with_points: bool = False,
    most: int | None = None,
) -> SlicePrompts | None:
    """Boxes around the cross-sections of objects.

    Parameters
    ----------
    objects : (B, S, S) int tensor
        Class + 256 * number; 0 where there is none.
    generator : torch.Generator
        Displaces the boxes' sides.
    jitter : float
        Standard deviation of a side's displacement, share of the box.
    largest_share : float
        Boxes that cover more of the slice are left out.
    with_points : bool
        Add the box's centre, as the paper does.
    most : int, optional
        Of more objects so many are drawn.

    Returns
    -------
    SlicePrompts or None
        None where no object is left.
    """
    found: list[tuple[int, int, tuple[int, int, int, int]]] = []
    side = objects.shape[-1]
    for row, section in enumerate(objects.cpu().numpy()):
        for value, box in _boxes(section):
            if (box[2] - box[0]) * (box[3] - box[1]) <= largest_share * side * side:
                found.append((row, value, box))
    if not found:
        return None
    if most is not None and len(found) > most:
        drawn = torch.randperm(len(found), generator=generator)[:most].sort().values
        found = [found[i] for i in drawn.tolist()]
    boxes = torch.tensor([box for _, _, box in found], dtype=torch.float32)
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.randn(boxes.shape, generator=generator) * jitter * size
    # A side never moves by more than a fifth of the box, so that boxes never turn over.
    boxes = boxes + noise.clamp(-0.2 * size, 0.2 * size)
    device = objects.device
    ids = torch.tensor([value for _, value, _ in found], device=device)
    points = (boxes[:, :2] + boxes[:, 2:] - 1) / 2 if with_points else None
    return SlicePrompts(
        ObjectBoxes(
            torch.tensor([row for row, _, _ in found], device=device),
            ids % 256,
            boxes.to(device),
            None if points is None else points.to(device),
        ),
        ids,
    )


def _boxes(section: NDArray[Any]) -> list[tuple[int, tuple[int, int, int, int]]]:
    """Id and ``x0, y0, x1, y1`` of the objects on one slice, the largest first."""
    values, areas = np.unique(section, return_counts=True)
    by_area = [i for i in np.argsort(-areas, kind="stable") if values[i]]
    boxes = []
    for i in by_area[:MOST_ON_SLICE]:
        if areas[i] < SMALLEST:
            continue
        inside = section == values[i]
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        boxes.append((int(values[i]), box))
    return boxes
