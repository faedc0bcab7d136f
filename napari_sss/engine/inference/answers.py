"""What the model answers on one slice, and how prompts are put to it."""

from __future__ import annotations

from collections.abc import Iterator
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
from napari_sss.engine.prompts.types import Box, Polygon, SlicePrompt, Stroke

PADDING = -1  # SAM-2's label of a point that is none
STROKE_CLICKS = 8  # clicks that stand for one scribble
MASK_LOGIT = 6.0  # of a drawn mask: sure, but not beyond correction


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

    A scribble becomes clicks along it; negative clicks outside the crop are left out. None
    where nothing remains.
    """
    positions: list[Any] = []
    labels: list[int] = []
    if prompt.box is not None:
        box = prompt.box
        # Box edges lie half a voxel outside the centres of its outermost voxels.
        positions += [(box.x0 - 0.5, box.y0 - 0.5), (box.x1 - 0.5, box.y1 - 0.5)]
        labels += [BOX_FIRST_CORNER, BOX_LAST_CORNER]
    for x, y, positive in _clicks(prompt):
        if positive or frame.covers(Box(x, y, x + 1, y + 1)):
            positions.append((x, y))
            labels.append(POSITIVE if positive else NEGATIVE)
    if not positions:
        return None
    coordinates = torch.from_numpy(frame.to_crop(positions, side))
    return PointPrompts(coordinates[None], torch.tensor(labels)[None])


def side_by_side(each: list[PointPrompts | None]) -> PointPrompts:
    """Several objects' points as one batch; padding makes up for those that have fewer."""
    counts = [0 if points is None else points.labels.shape[1] for points in each]
    coordinates = torch.zeros(len(each), max(counts), 2)
    labels = torch.full((len(each), max(counts)), PADDING, dtype=torch.int64)
    for row, (points, count) in enumerate(zip(each, counts, strict=True)):
        if points is not None:
            coordinates[row, :count] = points.coordinates[0]
            labels[row, :count] = points.labels[0]
    return PointPrompts(coordinates, labels)


def drawn_mask(
    prompt: SlicePrompt, shape: tuple[int, int], given: NDArray[np.bool_] | None = None
) -> NDArray[np.float32] | None:
    """A prompt's mask and lassos as one signed mask; None where it has neither.

    Parameters
    ----------
    prompt : SlicePrompt
        Its lassos are drawn over the mask in their order.
    shape : (int, int)
        Rows and columns of the slice.
    given : (rows, columns) bool array, optional
        The mask that the prompt names.

    Returns
    -------
    (rows, columns) float32 array
        1 what belongs, -1 what does not, 0 what the prompt leaves open.
    """
    if given is None and not prompt.polygons:
        return None
    # Who circles an object says as well that the rest is outside.
    closed = given is not None or any(p.positive for p in prompt.polygons)
    drawn = np.full(shape, -1.0 if closed else 0.0, dtype=np.float32)
    if given is not None:
        drawn[given] = 1.0
    for polygon in prompt.polygons:
        drawn[_inside(polygon, shape)] = 1.0 if polygon.positive else -1.0
    return drawn


def mask_as_logits(values: Tensor, side: int) -> Tensor:
    """(1, 1, S/4, S/4) mask prompt from a crop's values in [-1, 1] (S, S)."""
    small = torch.nn.functional.interpolate(
        values[None, None], size=(side // 4, side // 4), mode="area"
    )
    return small * MASK_LOGIT


def _inside(polygon: Polygon, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The voxels whose centres a lasso holds; its corners, where it is too thin for any."""
    from skimage.draw import polygon2mask

    corners = np.asarray(polygon.points, dtype=np.float64)[:, ::-1]
    inside: NDArray[np.bool_] = polygon2mask(shape, corners)
    if not inside.any():
        rows, columns = np.rint(corners).astype(int).T
        inside[rows.clip(0, shape[0] - 1), columns.clip(0, shape[1] - 1)] = True
    return inside


def _clicks(prompt: SlicePrompt) -> Iterator[tuple[float, float, bool]]:
    """``(x, y, positive)`` of the points and of clicks along the scribbles."""
    for point in prompt.points:
        yield point.x, point.y, point.positive
    for stroke in prompt.strokes:
        for x, y in _along(stroke):
            yield x, y, stroke.positive


def _along(stroke: Stroke) -> list[tuple[float, float]]:
    """Positions spread evenly along a scribble."""
    points = np.asarray(stroke.points, dtype=np.float64)
    if len(points) < 2:
        return [(float(x), float(y)) for x, y in points]
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
