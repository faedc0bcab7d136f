"""What the model answers on one slice, and how prompts are put to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.models.drawn_prompts import (
    BOX_FIRST_CORNER,
    BOX_LAST_CORNER,
    NEGATIVE,
    POSITIVE,
)
from napari_sss.engine.models.sam2_model import PointPrompts
from napari_sss.engine.prompts.types import SlicePrompt, Stroke

STROKE_CLICKS = 8  # clicks that stand for one scribble


@dataclass(frozen=True)
class SliceAnswer:
    """An object's mask on one slice, as probabilities in the slice's own voxels.

    Parameters
    ----------
    index : int
        Slice index.
    offset : (int, int)
        Row and column of the patch in the slice.
    probability : (rows, columns) float32 array
        The patch, 0 to 1; outside it the object is absent.
    iou : float
        The model's own estimate of the mask's IoU, 0 to 1.
    presence : float
        Probability that the object is on this slice at all, 0 to 1.
    """

    index: int
    offset: tuple[int, int]
    probability: NDArray[np.float32]
    iou: float
    presence: float

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The patch as a mask; empty where the object is judged absent."""
        if self.presence < 0.5:
            return np.zeros(self.probability.shape, dtype=bool)
        return self.probability > 0.5


def as_points(prompt: SlicePrompt, frame: CropFrame, side: int) -> PointPrompts | None:
    """A slice's prompts as SAM-2's labelled points in the crop's pixels, for one object.

    A scribble becomes clicks along it. None where the prompt has neither box nor point.
    """
    positions: list[Any] = []
    labels: list[int] = []
    if prompt.box is not None:
        box = prompt.box
        # Box edges lie half a voxel outside the centres of its outermost voxels.
        positions += [(box.x0 - 0.5, box.y0 - 0.5), (box.x1 - 0.5, box.y1 - 0.5)]
        labels += [BOX_FIRST_CORNER, BOX_LAST_CORNER]
    for point in prompt.points:
        positions.append((point.x, point.y))
        labels.append(POSITIVE if point.positive else NEGATIVE)
    for stroke in prompt.strokes:
        for position in _along(stroke):
            positions.append(position)
            labels.append(POSITIVE if stroke.positive else NEGATIVE)
    if not positions:
        return None
    coordinates = torch.from_numpy(frame.to_crop(positions, side))
    return PointPrompts(coordinates[None], torch.tensor(labels)[None])


def drawn_mask(prompt: SlicePrompt, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """The lassos of a prompt as one signed mask: +1 inside positive, -1 inside negative."""
    if not prompt.polygons:
        return None
    from skimage.draw import polygon2mask

    drawn = np.zeros(shape, dtype=np.float32)
    for polygon in prompt.polygons:
        corners = np.asarray(polygon.points, dtype=np.float64)[:, ::-1]
        drawn[polygon2mask(shape, corners)] = 1.0 if polygon.positive else -1.0
    return drawn


def mask_as_logits(values: Tensor, side: int) -> Tensor:
    """(1, 1, S/4, S/4) mask prompt from a crop's values in [-1, 1] (side, side)."""
    small = torch.nn.functional.interpolate(
        values[None, None], size=(side // 4, side // 4), mode="area"
    )
    return small * 6.0


def _along(stroke: Stroke) -> list[tuple[float, float]]:
    """Positions spread evenly along a scribble."""
    points = np.asarray(stroke.points, dtype=np.float64)
    if len(points) < 2:
        return [tuple(p) for p in points]
    steps = np.hypot(*np.diff(points, axis=0).T)
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0.0, reached[-1], STROKE_CLICKS)
    return list(
        zip(
            np.interp(wanted, reached, points[:, 0]).tolist(),
            np.interp(wanted, reached, points[:, 1]).tolist(),
            strict=True,
        )
    )
