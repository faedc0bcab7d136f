"""A part of a volume as a small mask with an offset, so that many objects stay cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.volumes.grid import Shape3


@dataclass(frozen=True)
class Region:
    """The voxels of one object.

    Parameters
    ----------
    offset : (int, int, int)
        ``(z, y, x)`` of the mask's first voxel in the volume.
    mask : (z, y, x) bool array
        True where the voxel belongs; as small as the object allows.
    """

    offset: Shape3
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, mask: NDArray[Any], offset: Shape3 = (0, 0, 0)) -> Region:
        """The region of the non-zero voxels of ``mask``, which begins at ``offset``."""
        mask = np.asarray(mask) != 0
        bounds = []
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            inside = np.flatnonzero(mask.any(axis=others))
            if inside.size == 0:
                return cls(offset, np.zeros((0, 0, 0), dtype=bool))
            bounds.append(slice(int(inside[0]), int(inside[-1]) + 1))
        starts = tuple(o + b.start for o, b in zip(offset, bounds, strict=True))
        return cls(starts, mask[tuple(bounds)].copy())  # type: ignore[arg-type]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where the mask lies in the volume, for indexing an array of the volume's shape."""
        z, y, x = (slice(o, o + n) for o, n in zip(self.offset, self.mask.shape, strict=True))
        return z, y, x

    @property
    def voxels(self) -> int:
        """How many voxels belong."""
        return int(np.count_nonzero(self.mask))

    def paint(self, labels: NDArray[Any], value: int) -> None:
        """Set the region's voxels of ``labels`` (Z, Y, X) to ``value``."""
        labels[self.slices][self.mask] = value

    def to_array(self, shape: Shape3) -> NDArray[np.bool_]:
        """The whole volume's bool array (Z, Y, X)."""
        full = np.zeros(shape, dtype=bool)
        full[self.slices] = self.mask
        return full
