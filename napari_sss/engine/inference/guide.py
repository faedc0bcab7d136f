"""A coarse mask that tracking is held against, where there is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.answers import SliceAnswer
from napari_sss.engine.inference.crops import mask_box
from napari_sss.engine.prompts.types import Box, Plane
from napari_sss.engine.volumes.region import Region

PARTED = 0.8  # Dice of tracked and coarse mask below which the slice is prompted anew


@dataclass(frozen=True)
class Guide:
    """A coarse mask of the object that tracking may hold itself against.

    Parameters
    ----------
    region : Region
        The coarse mask.
    plane : Plane
        The plane of the slices that are tracked.
    """

    region: Region
    plane: Plane

    def disagreement(self, answer: SliceAnswer) -> Box | None:
        """The coarse mask's box on a slice where it and the answer part ways, else None.

        Where the coarse mask has nothing the answer stands: the object may reach further.
        """
        plane, region = self.plane, self.region
        position = answer.index - region.offset[plane.axis]
        if not 0 <= position < region.mask.shape[plane.axis]:
            return None
        coarse = np.take(region.mask, position, axis=plane.axis)
        offset = (region.offset[plane.row_axis], region.offset[plane.column_axis])
        box = mask_box(coarse, offset)
        if box is None or _dice(coarse, offset, answer) >= PARTED:
            return None
        return box


def _dice(coarse: NDArray[np.bool_], offset: tuple[int, int], answer: SliceAnswer) -> float:
    """Dice of a coarse mask's patch with an answer, each at its own place in the slice."""
    mask = answer.mask
    rows, columns = (
        (max(a, b), min(a + m, b + n))
        for a, m, b, n in zip(offset, coarse.shape, answer.offset, mask.shape, strict=True)
    )
    common = 0
    if rows[0] < rows[1] and columns[0] < columns[1]:
        first, second = (
            patch[rows[0] - o[0] : rows[1] - o[0], columns[0] - o[1] : columns[1] - o[1]]
            for patch, o in ((coarse, offset), (mask, answer.offset))
        )
        common = int(np.count_nonzero(first & second))
    return 2.0 * common / (np.count_nonzero(coarse) + np.count_nonzero(mask))
