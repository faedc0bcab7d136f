"""A coarser grid for rough decisions, and the way back to the scan's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.volumes.grid import Shape3, Vector3


@dataclass(frozen=True)
class WorkingGrid:
    """Blocks of whole voxels.

    Parameters
    ----------
    shape : (int, int, int)
        ``(Z, Y, X)`` of the fine grid.
    spacing : (float, float, float)
        Of the coarse grid, mm.
    factors : (int, int, int)
        Fine voxels per block along Z, Y, X; the last block of an axis may be cut short.
    """

    shape: Shape3
    spacing: Vector3
    factors: Shape3

    @classmethod
    def near(cls, shape: Shape3, spacing: Vector3, target: float) -> WorkingGrid:
        """The grid whose blocks measure about ``target`` mm; axes that are coarser stay."""
        z, y, x = (max(1, round(target / step)) for step in spacing)
        coarse = (spacing[0] * z, spacing[1] * y, spacing[2] * x)
        return cls(shape, coarse, (z, y, x))

    @property
    def is_fine(self) -> bool:
        """Whether a block is a voxel."""
        return self.factors == (1, 1, 1)

    def means(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """The mean of each block of a fine ``(Z, Y, X)`` array."""
        for axis, factor in enumerate(self.factors):
            array = _block_means(array, axis, factor)
        return array.astype(np.float32, copy=False)

    def upsample(self, coarse: NDArray[Any]) -> NDArray[Any]:
        """A fine array in which each voxel has the value of its block."""
        for axis, factor in enumerate(self.factors):
            if factor > 1:
                coarse = np.repeat(coarse, factor, axis=axis)
        z, y, x = self.shape
        return coarse[:z, :y, :x]


def _block_means(array: NDArray[Any], axis: int, factor: int) -> NDArray[Any]:
    """The mean of each run of ``factor`` entries along an axis; the last may be shorter."""
    if factor == 1:
        return array
    array = np.moveaxis(array, axis, 0)
    sums = array[::factor].astype(np.float32)
    for step in range(1, factor):
        part = array[step::factor]
        sums[: len(part)] += part
    counts = np.full(len(sums), factor, dtype=np.float32)
    counts[-1] = len(array) - factor * (len(sums) - 1)
    return np.moveaxis(sums / counts[:, None, None], 0, axis)
