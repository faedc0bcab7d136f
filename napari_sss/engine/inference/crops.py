"""The zoom: a square piece of a slice around an object, at the model's own resolution.

A small model sees an object best when the object fills its input. The frame is square in
millimetres, so that anisotropic planes are not distorted, and lies on whole voxels, so that
cutting and pasting are plain resizing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.prompts.types import Box

CONTEXT = 1.6  # side of the crop as a multiple of the object's longer side
RIM = 1e-3  # voxels
SMALLEST_SIDE = 12  # voxels; a smaller crop would be interpolation only


@dataclass(frozen=True)
class CropFrame:
    """Where a crop lies in its slice; it may reach beyond the slice's border.

    Parameters
    ----------
    row, column : int
        First voxel of the crop.
    rows, columns : int
        Voxels covered down and across.
    """

    row: int
    column: int
    rows: int
    columns: int

    @classmethod
    def around(
        cls, box: Box, spacing: tuple[float, float], context: float = CONTEXT
    ) -> CropFrame:
        """The frame around a box.

        Parameters
        ----------
        box : Box
            In slice coordinates.
        spacing : (float, float)
            Millimetres between rows and between columns.
        context : float
            Side of the frame as a multiple of the box's longer side, in mm.
        """
        smallest = SMALLEST_SIDE * min(spacing)
        side = max(context * max(box.height * spacing[0], box.width * spacing[1]), smallest)
        rows = max(1, round(side / spacing[0]))
        columns = max(1, round(side / spacing[1]))
        middle_x, middle_y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        row, column = round(middle_y - rows / 2), round(middle_x - columns / 2)
        # Rounding must not leave a rim of the box outside; noise in the last digits is none.
        first_row = min(row, floor(box.y0 + RIM))
        first_column = min(column, floor(box.x0 + RIM))
        last_row = max(row + rows, ceil(box.y1 - RIM))
        last_column = max(column + columns, ceil(box.x1 - RIM))
        return cls(first_row, first_column, last_row - first_row, last_column - first_column)

    @classmethod
    def whole(cls, shape: tuple[int, int], spacing: tuple[float, float]) -> CropFrame:
        """The smallest frame that covers a slice of ``shape`` rows and columns."""
        return cls.around(Box(0, 0, shape[1], shape[0]), spacing, context=1.0)

    @property
    def box(self) -> Box:
        """The frame as a box in the slice."""
        return Box(self.column, self.row, self.column + self.columns, self.row + self.rows)

    def holds(self, x: float, y: float) -> bool:
        """Whether a point of the slice lies inside, a twentieth of the side from its rim."""
        # The frame's first voxel reaches from -1/2 to +1/2 around its centre.
        down, across = (y + 0.5 - self.row) / self.rows, (x + 0.5 - self.column) / self.columns
        return 0.05 <= down <= 0.95 and 0.05 <= across <= 0.95

    def covers(self, box: Box) -> bool:
        """Whether a box of the slice lies inside, its rim included."""
        mine = self.box
        return (
            mine.x0 <= box.x0 and box.x1 <= mine.x1 and mine.y0 <= box.y0 and box.y1 <= mine.y1
        )

    def holding(self, room: Box, spacing: tuple[float, float]) -> CropFrame:
        """Itself where it covers a box of the slice, else the frame around both."""
        if self.covers(room):
            return self
        mine = self.box
        both = Box(
            min(mine.x0, room.x0),
            min(mine.y0, room.y0),
            max(mine.x1, room.x1),
            max(mine.y1, room.y1),
        )
        return CropFrame.around(both, spacing, context=1.0)

    def cut(self, grey: NDArray[np.float32], side: int) -> Tensor:
        """The crop of a slice (H, W), resampled to (side, side); 0 beyond the border."""
        padded = np.zeros((self.rows, self.columns), dtype=np.float32)
        inner, outer = self._overlap(grey.shape)
        padded[outer] = grey[inner]
        resized = F.interpolate(
            torch.from_numpy(padded)[None, None],
            size=(side, side),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        return resized[0, 0]

    def paste(
        self, values: Tensor, shape: tuple[int, ...]
    ) -> tuple[tuple[int, int], NDArray[np.float32]]:
        """What a crop's values (s, s) are on the slice: the patch's offset, and the patch."""
        resized = F.interpolate(
            values.float().cpu()[None, None],
            size=(self.rows, self.columns),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )[0, 0].numpy()
        inner, outer = self._overlap(shape)
        return (inner[0].start, inner[1].start), resized[outer]

    def to_crop(self, points: Any, side: int) -> NDArray[np.float32]:
        """``(x, y)`` positions (..., 2) in the slice as pixels of the crop."""
        points = np.asarray(points, dtype=np.float32)
        scale = np.array([side / self.columns, side / self.rows], dtype=np.float32)
        corner = np.array([self.column, self.row], dtype=np.float32)
        return (points + 0.5 - corner) * scale - 0.5

    def _overlap(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part inside the slice, in the slice's and in the frame's own coordinates."""
        inner, outer = [], []
        for start, count, size in (
            (self.row, self.rows, shape[0]),
            (self.column, self.columns, shape[1]),
        ):
            first, last = max(start, 0), min(start + count, size)
            last = max(last, first)
            inner.append(slice(first, last))
            outer.append(slice(first - start, last - start))
        return (inner[0], inner[1]), (outer[0], outer[1])


def mask_box(mask: NDArray[Any], offset: tuple[int, int] = (0, 0)) -> Box | None:
    """The smallest box around a mask's True pixels, or None where there is none."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return Box(
        float(columns[0] + offset[1]),
        float(rows[0] + offset[0]),
        float(columns[-1] + 1 + offset[1]),
        float(rows[-1] + 1 + offset[0]),
    )
