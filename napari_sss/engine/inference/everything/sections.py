"""An object's masks on single slices: which are believed, and which are the same object's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.prompts.types import Box

_FINEST_LATTICE = 96  # cells along a slice's longer side, in which masks are compared


@dataclass(frozen=True)
class Section:
    """What is taken for an object's cross-section.

    Parameters
    ----------
    index : int
        Its slice.
    offset : (int, int)
        Row and column of the mask's first voxel in the slice.
    mask : (rows, columns) bool array
        Not empty, as small as the object allows.
    score : float
        How surely it is an object, 0 to 1.
    """

    index: int
    offset: tuple[int, int]
    mask: NDArray[np.bool_]
    score: float

    @classmethod
    def of(
        cls, index: int, offset: tuple[int, int], mask: NDArray[np.bool_], score: float
    ) -> Section | None:
        """The section of a mask's True voxels; None where there are none."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return None
        y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        corner = (offset[0] + int(y0), offset[1] + int(x0))
        return cls(index, corner, mask[y0:y1, x0:x1].copy(), score)

    def scored(self, score: float) -> Section:
        """The same section with another score."""
        return replace(self, score=score)

    @property
    def area(self) -> int:
        """Voxels of the mask."""
        return int(np.count_nonzero(self.mask))

    @property
    def box(self) -> Box:
        """The box around it."""
        (y, x), (rows, columns) = self.offset, self.mask.shape
        return Box(float(x), float(y), float(x + columns), float(y + rows))

    def longer_side(self, spacing: tuple[float, float]) -> float:
        """Millimetres along the longer side of its box."""
        return max(self.mask.shape[0] * spacing[0], self.mask.shape[1] * spacing[1])

    def paint(self, canvas: NDArray[np.bool_]) -> None:
        """Set the section's voxels of its slice (rows, columns)."""
        (y, x), (rows, columns) = self.offset, self.mask.shape
        canvas[y : y + rows, x : x + columns] |= self.mask


def flattened(sections: Sequence[Section], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Sections as rows of one matrix, in which overlaps are products.

    Parameters
    ----------
    sections : sequence of Section
        N of them.
    shape : (int, int)
        Rows and columns of a slice.

    Returns
    -------
    (N, cells) float32 array
        0 or 1 at every n-th voxel, n being such that large slices are compared on a lattice
        of about a hundred cells a side. A section that falls between the cells gets the
        cell nearest to it.
    """
    step = max(1, max(shape) // _FINEST_LATTICE)
    small = (-(-shape[0] // step), -(-shape[1] // step))
    flat = np.zeros((len(sections), *small), dtype=np.float32)
    for row, section in enumerate(sections):
        (y, x), mask = section.offset, section.mask
        part = mask[-y % step :: step, -x % step :: step]
        y0, x0 = -(-y // step), -(-x // step)
        flat[row, y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
        if not part.any():
            flat[row, min(y // step, small[0] - 1), min(x // step, small[1] - 1)] = 1
    return flat.reshape(len(sections), small[0] * small[1])


def overlaps(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Intersections and unions, (N, M) each, of flattened sections (N, P) and (M, P)."""
    common = first @ second.T
    return common, first.sum(axis=1)[:, None] + second.sum(axis=1)[None, :] - common


def suppress(
    flat: NDArray[np.float32], scores: NDArray[np.float64], same_iou: float
) -> NDArray[np.int64]:
    """Non-maximum suppression: of masks that overlap by more than an IoU, the surest.

    Parameters
    ----------
    flat : (N, P) float array
        Masks of 0 and 1.
    scores : (N,) array
        The higher stays; of equal ones the first.
    same_iou : float
        Masks of a larger IoU are one object's.

    Returns
    -------
    (K,) int array
        Which stay, the surest first.
    """
    common, union = overlaps(flat, flat)
    same = common > same_iou * union
    free = np.ones(len(scores), dtype=bool)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        if free[row]:
            kept.append(int(row))
            free &= ~same[row]
    return np.asarray(kept, dtype=np.int64)


def distinct(
    sections: Sequence[Section], shape: tuple[int, int], same_iou: float
) -> list[Section]:
    """The sections of one slice without repeats, the surest first."""
    if not sections:
        return []
    scores = np.array([s.score for s in sections])
    return [sections[i] for i in suppress(flattened(sections, shape), scores, same_iou)]
