"""Where to click: the body of a slice, the tiles over it, and the grid of points in each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.prompts.body import body_mask
from napari_sss.engine.prompts.types import Box
from napari_sss.engine.volumes.volume import Volume

OPENING_MM = 4.0  # thinner things, such as the table's sheets and lines, are no body
SMALLEST_PART = 0.05  # of the largest part of the body on the slice, as an arm beside it
LEAST_BODY = 0.15  # share of a tile that must be body
_SAMPLES = 500_000


@dataclass(frozen=True)
class Tile:
    """A square piece of a slice and the places in it that are clicked.

    Parameters
    ----------
    frame : CropFrame
        Where it lies.
    points : (N, 2) float array
        ``x, y`` in the slice, whole numbers at voxel centres; N is 1 or more.
    """

    frame: CropFrame
    points: NDArray[np.float64]


class Body:
    """Where the patient is on each axial slice, hollows (lungs, bowel gas) included.

    In a CT it is told from the table by HU and shape. Elsewhere air is what lies below half
    of Otsu's threshold, counted from the darkest intensity: Otsu parts bright tissue from
    all the rest, and dark tissue still lies well above the air.

    Parameters
    ----------
    volume : Volume
        Its slices lie along array axis 0.
    """

    def __init__(self, volume: Volume) -> None:
        self._array = volume.array
        self._spacing = volume.grid.spacing[1:]
        self._ct = body_mask(volume) if volume.modality == "CT" else None
        self._threshold = _half_otsu(volume.array) if self._ct is None else 0.0

    def on(self, index: int) -> NDArray[np.bool_]:
        """(rows, columns) bool array of a slice."""
        if self._ct is not None:
            return self._ct[index]
        return filled_body(self._array[index] > self._threshold, self._spacing)


def filled_body(inside: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.bool_]:
    """What is above the air on a slice, opened, without crumbs, and filled.

    Parameters
    ----------
    inside : (rows, columns) bool array
        Above the air.
    spacing : (float, float)
        Millimetres between rows and between columns.
    """
    reach = [max(0, round(OPENING_MM / 2 / s)) for s in spacing]
    # Beyond the border the body goes on: padding keeps the opening from eating its rim.
    padded = np.pad(inside, [(r, r) for r in reach], mode="edge")
    opened = ndimage.binary_opening(padded, np.ones([2 * r + 1 for r in reach]))
    rows, columns = inside.shape
    opened = opened[reach[0] : reach[0] + rows, reach[1] : reach[1] + columns]
    parts, count = ndimage.label(opened)
    if not count:
        return np.zeros(inside.shape, dtype=bool)
    areas = np.bincount(parts.reshape(-1))
    areas[0] = 0
    kept = areas >= SMALLEST_PART * areas.max()
    kept[0] = False
    return np.asarray(ndimage.binary_fill_holes(kept[parts]), dtype=bool)


def _half_otsu(array: NDArray[Any]) -> float:
    """Half-way from the darkest intensity to Otsu's threshold."""
    from skimage.filters import threshold_otsu

    values = array.reshape(-1)
    sample = np.asarray(values[:: max(1, values.size // _SAMPLES)], dtype=np.float64)
    darkest = float(sample.min())
    if darkest == float(sample.max()):
        return darkest
    return darkest + 0.5 * (float(threshold_otsu(sample)) - darkest)


def whole_tile(
    body: NDArray[np.bool_], spacing: tuple[float, float], step_mm: float
) -> list[Tile]:
    """The body's own square as one tile; none where there is no body.

    Parameters
    ----------
    body : (rows, columns) bool array
        Of the slice.
    spacing : (float, float)
        Millimetres between rows and between columns.
    step_mm : float
        Most millimetres between neighbouring points.
    """
    bounds = _bounds(body)
    if bounds is None:
        return []
    frame = CropFrame.around(bounds, spacing, context=1.05)
    points = _inside(_lattice(frame.box, spacing, step_mm), body)
    return [Tile(frame, points)] if len(points) else []


def tiles_over(
    body: NDArray[np.bool_],
    spacing: tuple[float, float],
    side_mm: float,
    overlap: float,
    step_mm: float,
    wanted: NDArray[np.bool_] | None = None,
) -> list[Tile]:
    """Overlapping tiles over the body, each with the points of its own middle part.

    The middle parts lie side by side, so each place of the body is clicked in one tile, and
    in that one it has context on all sides.

    Parameters
    ----------
    body : (rows, columns) bool array
        Of the slice.
    spacing : (float, float)
        Millimetres between rows and between columns.
    side_mm : float
        Side of a tile.
    overlap : float
        Share of a tile that its next covers too, from 0.
    step_mm : float
        Most millimetres between neighbouring points.
    wanted : (rows, columns) bool array, optional
        Where to click; by default all over the body.

    Returns
    -------
    list of Tile
        Row by row; those without body or points are left out.
    """
    bounds = _bounds(body)
    if bounds is None:
        return []
    wanted = body if wanted is None else wanted
    stride = side_mm * (1 - overlap)
    ys = _cells(bounds.y0, bounds.y1, stride / spacing[0])
    xs = _cells(bounds.x0, bounds.x1, stride / spacing[1])
    tiles: list[Tile] = []
    for y0, y1 in ys:
        for x0, x1 in xs:
            cell = Box(x0, y0, x1, y1)
            points = _inside(_lattice(cell, spacing, step_mm), wanted)
            frame = _square(cell, side_mm, spacing)
            if len(points) and _body_share(body, frame) >= LEAST_BODY:
                tiles.append(Tile(frame, points))
    return tiles


def _bounds(body: NDArray[np.bool_]) -> Box | None:
    """The box around the body."""
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    if not rows.size:
        return None
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _cells(low: float, high: float, longest: float) -> list[tuple[float, float]]:
    """A span cut into equal parts, none of them longer than ``longest``."""
    count = max(1, int(np.ceil((high - low) / longest - 1e-9)))
    edges = np.linspace(low, high, count + 1)
    return [(float(a), float(b)) for a, b in pairwise(edges)]


def _lattice(box: Box, spacing: tuple[float, float], step_mm: float) -> NDArray[np.float64]:
    """Points spread evenly over a box, at most ``step_mm`` apart, half a step from its rim."""
    counts = [
        max(1, int(np.ceil(length * mm / step_mm - 1e-9)))
        for length, mm in ((box.height, spacing[0]), (box.width, spacing[1]))
    ]
    ys = box.y0 - 0.5 + (np.arange(counts[0]) + 0.5) * box.height / counts[0]
    xs = box.x0 - 0.5 + (np.arange(counts[1]) + 0.5) * box.width / counts[1]
    grid_y, grid_x = np.meshgrid(ys, xs, indexing="ij")
    return np.stack([grid_x.reshape(-1), grid_y.reshape(-1)], axis=1)


def _inside(points: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The points that lie on a mask's voxels."""
    columns, rows = np.rint(points).astype(np.int64).T
    known = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    known[known] = mask[rows[known], columns[known]]
    return points[known]


def _square(cell: Box, side_mm: float, spacing: tuple[float, float]) -> CropFrame:
    """The tile around its middle part."""
    rows, columns = round(side_mm / spacing[0]), round(side_mm / spacing[1])
    middle_y, middle_x = (cell.y0 + cell.y1) / 2, (cell.x0 + cell.x1) / 2
    return CropFrame(
        round(middle_y - rows / 2), round(middle_x - columns / 2), max(1, rows), max(1, columns)
    )


def _body_share(body: NDArray[np.bool_], frame: CropFrame) -> float:
    """Share of a tile that is body; beyond the slice there is none."""
    rows = slice(max(frame.row, 0), max(frame.row + frame.rows, 0))
    columns = slice(max(frame.column, 0), max(frame.column + frame.columns, 0))
    return float(np.count_nonzero(body[rows, columns])) / (frame.rows * frame.columns)
