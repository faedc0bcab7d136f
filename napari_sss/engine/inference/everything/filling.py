"""A chain of sections as a region: the slices between them are filled in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.inference.everything.sections import Section
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region


def filled(sections: Sequence[Section], grid: Grid, step: int) -> Region:
    """Sections as one region, with the slices between them.

    Between two sections the signed distances from their edges are interpolated. The ends
    reach half a step further, for there, on average, the object ends.

    Parameters
    ----------
    sections : sequence of Section
        Along array axis 0, by rising index; one or more.
    grid : Grid
        Of the volume.
    step : int
        Slices from one that was looked at to the next.

    References
    ----------
    Raya SP, Udupa JK, "Shape-based interpolation of multidimensional objects", IEEE
    Transactions on Medical Imaging 9(1), 1990.
    """
    y0 = min(s.offset[0] for s in sections)
    x0 = min(s.offset[1] for s in sections)
    y1 = max(s.offset[0] + s.mask.shape[0] for s in sections)
    x1 = max(s.offset[1] + s.mask.shape[1] for s in sections)
    first = max(0, sections[0].index - step // 2)
    last = min(grid.shape[0] - 1, sections[-1].index + step // 2)
    mask = np.zeros((last - first + 1, y1 - y0, x1 - x0), dtype=bool)
    planes = [_plane(s, (y0, x0), mask.shape[1:]) for s in sections]
    mask[: sections[0].index - first + 1] = planes[0]
    mask[sections[-1].index - first :] = planes[-1]
    for (lower, below), (upper, above) in pairwise(zip(sections, planes, strict=True)):
        mask[lower.index - first], mask[upper.index - first] = below, above
        between = upper.index - lower.index
        if between > 1:
            low, high = _depth(below, grid.spacing[1:]), _depth(above, grid.spacing[1:])
            for k in range(1, between):
                share = k / between
                mask[lower.index - first + k] = (1 - share) * low + share * high > 0
    return Region.of(mask, (first, y0, x0))


def _plane(
    section: Section, corner: tuple[int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """A section in a patch that begins at ``corner``."""
    plane = np.zeros(shape, dtype=bool)
    y, x = section.offset[0] - corner[0], section.offset[1] - corner[1]
    plane[y : y + section.mask.shape[0], x : x + section.mask.shape[1]] = section.mask
    return plane


def _depth(plane: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Signed distance in mm from a section's edge, positive inside."""
    padded = np.pad(plane, 1)
    inside = ndimage.distance_transform_edt(padded, sampling=spacing)
    outside = ndimage.distance_transform_edt(~padded, sampling=spacing)
    return np.asarray(inside - outside)[1:-1, 1:-1]
