"""What one cross-section of an object gives: its box, its point, its confidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.prompts.types import Box, Point
from napari_sss.engine.volumes.region import Region


def box_of(section: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> Box:
    """The smallest box around a cross-section, maxima exclusive.

    Parameters
    ----------
    section : (rows, columns) bool array
        Not empty.
    corner : (int, int)
        Row and column of the slice at which it begins.
    """
    rows = np.flatnonzero(section.any(axis=1)) + corner[0]
    columns = np.flatnonzero(section.any(axis=0)) + corner[1]
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def interior_point(
    section: NDArray[np.bool_],
    corner: tuple[int, int] = (0, 0),
    spacing: tuple[float, float] = (1.0, 1.0),
) -> Point:
    """The voxel farthest from the cross-section's edge, so surely inside it.

    Of several the one nearest to the centroid is taken, and of those the first in reading
    order.

    Parameters
    ----------
    section : (rows, columns) bool array
        Not empty; what lies beyond its ends counts as outside.
    corner : (int, int)
        Row and column of the slice at which it begins.
    spacing : (float, float)
        Millimetres between rows and between columns.
    """
    depth = ndimage.distance_transform_edt(np.pad(section, 1), sampling=spacing)[1:-1, 1:-1]
    deepest = np.argwhere(depth >= depth.max() * (1 - 1e-9))
    centroid = np.argwhere(section).mean(axis=0)
    distance = np.linalg.norm((deepest - centroid) * np.asarray(spacing), axis=1)
    row, column = deepest[int(np.argmin(distance.round(6)))]
    return Point(float(column + corner[1]), float(row + corner[0]))


def slice_confidence(
    region: Region,
    index: int,
    continuity: float,
    probability: float | None,
    single_slice_volume: bool = False,
) -> float:
    """Confidence of a prompt on one slice: the mean of what speaks for it.

    Parameters
    ----------
    region : Region
        The object.
    index : int
        The volume's slice.
    continuity : float
        C of the accepted window.
    probability : float or None
        Mean probability on the slice, where the coarse mask has probabilities.
    single_slice_volume : bool
        There are no neighbouring slices to agree with: leave them out.
    """
    agreement = np.concatenate([[0.0], neighbour_agreement(region), [0.0]])
    place = index - region.offset[0]
    neighbours = None if single_slice_volume else float(agreement[place : place + 2].mean())
    return _mean(continuity, probability, neighbours)


def object_confidence(
    region: Region,
    continuity: float,
    probability: float | None,
    single_slice_volume: bool = False,
) -> float:
    """Confidence of an object as a whole; parameters as for :func:`slice_confidence`."""
    agreement = neighbour_agreement(region)
    neighbours = float(agreement.mean()) if agreement.size else 0.0
    return _mean(continuity, probability, None if single_slice_volume else neighbours)


def neighbour_agreement(region: Region) -> NDArray[np.float64]:
    """Dice, 0 to 1, between each cross-section and its next, (slices - 1,)."""
    mask = region.mask
    common = np.count_nonzero(mask[1:] & mask[:-1], axis=(1, 2))
    areas = np.count_nonzero(mask, axis=(1, 2))
    return 2.0 * common / np.maximum(areas[1:] + areas[:-1], 1)


def _mean(*terms: float | None) -> float:
    """The mean of the terms that are there, 0 to 1."""
    return float(np.clip(np.mean([term for term in terms if term is not None]), 0.0, 1.0))
