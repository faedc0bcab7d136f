"""Which way the patient lies on the screen: planes and the letters at the edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import Grid

TOWARDS = (("R", "L"), ("A", "P"), ("I", "S"))
"""Letters at the negative and the positive end of the world's x, y and z (LPS)."""


@dataclass(frozen=True)
class EdgeLetters:
    """What lies beyond each edge of the canvas: one of L, R, A, P, S, I; "" if unknown."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""


def axis_letters(grid: Grid, axis: int) -> tuple[str, str]:
    """Return the letters at the first and the last voxel of an array axis.

    Parameters
    ----------
    grid : Grid
        Of the array.
    axis : int
        0, 1 or 2 for Z, Y, X.
    """
    along = grid.affine[:3, axis]
    world = int(np.argmax(np.abs(along)))
    negative, positive = TOWARDS[world]
    return (negative, positive) if along[world] > 0 else (positive, negative)


def edge_letters(
    grid: Grid,
    rows: int,
    columns: int,
    rows_downwards: bool = True,
    columns_rightwards: bool = True,
) -> EdgeLetters:
    """Return the letters at the edges of a slice.

    Parameters
    ----------
    grid : Grid
        Of the displayed array.
    rows, columns : int
        The array axes shown vertically and horizontally.
    rows_downwards, columns_rightwards : bool
        How the camera shows growing indices.
    """
    top, bottom = axis_letters(grid, rows)
    left, right = axis_letters(grid, columns)
    if not rows_downwards:
        top, bottom = bottom, top
    if not columns_rightwards:
        left, right = right, left
    return EdgeLetters(left, right, top, bottom)


def dims_order(plane: Plane, ndim: int = 3) -> tuple[int, ...]:
    """Return the order of a viewer's axes that shows a plane of the last three of them."""
    leading = ndim - 3
    cut = (plane.axis, plane.row_axis, plane.column_axis)
    return (*range(leading), *(leading + axis for axis in cut))


def plane_shown(displayed: tuple[int, ...], ndim: int) -> Plane | None:
    """Return the plane that two displayed axes of the last three span; else None."""
    spatial = {axis - (ndim - 3) for axis in displayed}
    left_out = {0, 1, 2} - spatial
    if len(displayed) != 2 or len(left_out) != 1 or not spatial <= {0, 1, 2}:
        return None
    return Plane(left_out.pop())
