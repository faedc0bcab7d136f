"""Boxes and points as prompts, and as napari's layers hold them.

napari counts voxel centres as whole numbers, so the box that holds voxels 5 to 7 is drawn
from 4.5 to 7.5; as a prompt its maximum is exclusive: 5 to 8. A layer's coordinates are
``(z, y, x)`` of the displayed volume.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import Box, Plane, Point
from napari_sss.engine.volumes.grid import Shape3


def box_corners(box: Box, plane: Plane, index: int) -> NDArray[np.float64]:
    """Return the four corners (4, 3) of a box's outline, in order around it."""
    x0, y0, x1, y1 = box.x0 - 0.5, box.y0 - 0.5, box.x1 - 0.5, box.y1 - 0.5
    corners = np.empty((4, 3))
    corners[:, plane.axis] = index
    corners[:, plane.row_axis] = (y0, y0, y1, y1)
    corners[:, plane.column_axis] = (x0, x1, x1, x0)
    return corners


def box_of(corners: Any, shape: Shape3) -> tuple[Plane, int, Box]:
    """Return plane, slice index and box of a drawn rectangle.

    Parameters
    ----------
    corners : (N, 3) array
        ``(z, y, x)`` vertices; the outline's bounds count.
    shape : (int, int, int)
        The volume's shape; what lies outside is cut off.

    Returns
    -------
    (Plane, int, Box)
        The box has whole voxels, at least one, inside the volume.

    Raises
    ------
    PromptError
        If the vertices lie in no plane of the volume, or outside it.
    """
    corners = np.asarray(corners, dtype=np.float64)
    low, high = corners.min(axis=0), corners.max(axis=0)
    plane = _plane_of(high - low)
    index = round(float(low[plane.axis]))
    if not 0 <= index < shape[plane.axis]:
        raise PromptError(
            f"The box lies on slice {index}, outside the scan.", "Draw it on the scan."
        )
    rows = _voxels(low, high, plane.row_axis, shape)
    columns = _voxels(low, high, plane.column_axis, shape)
    return plane, index, Box(columns[0], rows[0], columns[1], rows[1])


def point_position(point: Point, plane: Plane, index: int) -> NDArray[np.float64]:
    """Return ``(z, y, x)`` of a point prompt."""
    position = np.empty(3)
    position[plane.axis] = index
    position[plane.row_axis] = point.y
    position[plane.column_axis] = point.x
    return position


def point_of(position: Any, plane: Plane, positive: bool) -> tuple[int, Point]:
    """Return slice index and point prompt of a ``(z, y, x)`` position, in a plane."""
    position = np.asarray(position, dtype=np.float64)
    x, y = float(position[plane.column_axis]), float(position[plane.row_axis])
    return round(float(position[plane.axis])), Point(x, y, positive)


def _plane_of(extent: NDArray[np.float64]) -> Plane:
    """Return the plane whose axis the outline does not extend along."""
    plane = Plane(int(np.argmin(extent)))
    if extent[plane.axis] > 0.5:
        raise PromptError(
            "The box lies in no plane of the scan.",
            "Draw it on an axial, coronal or sagittal slice.",
        )
    return plane


def _voxels(
    low: NDArray[np.float64], high: NDArray[np.float64], axis: int, shape: Shape3
) -> tuple[int, int]:
    """Return first and past-the-last voxel between two outline positions along an axis."""
    first = max(0, round(float(low[axis]) + 0.5))
    last = min(shape[axis], max(first + 1, round(float(high[axis]) + 0.5)))
    if first >= last:
        raise PromptError("The box lies outside the scan.", "Draw it on the scan.")
    return first, last
