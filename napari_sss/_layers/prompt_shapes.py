"""Boxes, points and lines as prompts, and as napari's layers hold them.

napari counts voxel centres as whole numbers, so the box that holds voxels 5 to 7 is drawn
from 4.5 to 7.5; as a prompt its maximum is exclusive: 5 to 8. A layer's coordinates are
``(z, y, x)`` of the displayed volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss._layers.prompt_rows import DIGITS
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


def box_of(corners: Any, shape: Shape3, plane: Plane | None = None) -> tuple[Plane, int, Box]:
    """Return plane, slice index and box of a drawn rectangle.

    Parameters
    ----------
    corners : (N, 3) array
        ``(z, y, x)`` vertices; the outline's bounds count.
    shape : (int, int, int)
        The volume's shape; what lies outside is cut off.
    plane : Plane, optional
        The plane it was drawn in; by default the one that it lies in.

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
    plane = plane or _plane_of(high - low)
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


def line_positions(
    points: Sequence[tuple[float, float]], plane: Plane, index: int
) -> NDArray[np.float64]:
    """Return ``(z, y, x)`` (N, 3) of a scribble's or lasso's ``(x, y)`` points."""
    positions = np.empty((len(points), 3))
    positions[:, plane.axis] = index
    positions[:, (plane.column_axis, plane.row_axis)] = points
    return positions


def line_of(
    positions: Any, shape: Shape3, plane: Plane
) -> tuple[int, tuple[tuple[float, float], ...]]:
    """Return slice index and ``(x, y)`` points of a drawn line.

    Parameters
    ----------
    positions : (N, 3) array
        ``(z, y, x)`` vertices.
    shape : (int, int, int)
        The volume's shape; vertices outside are drawn to its edge.
    plane : Plane
        The plane of the drawing.

    Raises
    ------
    PromptError
        If the slice is outside the volume.
    """
    positions = np.asarray(positions, dtype=np.float64)
    index = round(float(positions[0, plane.axis]))
    if not 0 <= index < shape[plane.axis]:
        raise PromptError(
            f"The line lies on slice {index}, outside the scan.", "Draw it on the scan."
        )
    in_plane = positions[:, (plane.column_axis, plane.row_axis)]
    last = (shape[plane.column_axis] - 0.5, shape[plane.row_axis] - 0.5)
    in_plane = np.round(np.clip(in_plane, -0.5, last), DIGITS)
    return index, tuple((float(x), float(y)) for x, y in in_plane)


def thinned(points: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Return the points (N, D) of a line that it needs, by Douglas and Peucker.

    Parameters
    ----------
    points : (N, D) array
        In order along the line.
    tolerance : float
        How far, in the points' own unit, the line may move.
    """
    points = np.asarray(points, dtype=np.float64)
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    pieces = [(0, len(points) - 1)]
    while pieces:
        first, last = pieces.pop()
        if last - first < 2:
            continue
        distances = _distances(points[first + 1 : last], points[first], points[last])
        far = int(np.argmax(distances))
        if distances[far] > tolerance:
            middle = first + 1 + far
            keep[middle] = True
            pieces += [(first, middle), (middle, last)]
    return points[keep]


def _distances(
    points: NDArray[np.float64], start: NDArray[np.float64], stop: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of each point from the segment between two others."""
    along = stop - start
    length = float(along @ along)
    share = np.zeros(len(points)) if length == 0 else (points - start) @ along / length
    nearest = start + np.clip(share, 0, 1)[:, None] * along
    distance: NDArray[np.float64] = np.linalg.norm(points - nearest, axis=1)
    return distance


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
