"""A volume as the stack of square slices a semantic model sees, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.inference.crops import SMALLEST_SIDE, CropFrame
from napari_sss.engine.models.sss.focus import WHOLE, Window
from napari_sss.engine.volumes.grid import AxisView, Grid
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume


@dataclass(frozen=True)
class SliceGeometry:
    """How a volume's slices become squares of side S.

    Parameters
    ----------
    source : Grid
        The volume's own grid.
    view : AxisView
        From it to canonical axes, whose first one counts the slices.
    frame : CropFrame
        The square in millimetres around the whole slice.
    side : int
        S, pixels.
    """

    source: Grid
    view: AxisView
    frame: CropFrame
    side: int

    @classmethod
    def of(cls, grid: Grid, side: int) -> SliceGeometry:
        """For a volume of this grid."""
        view = grid.canonical_view()
        canonical = grid.viewed(view)
        frame = CropFrame.whole(canonical.shape[1:], canonical.spacing[1:])
        return cls(grid, view, frame, side)

    def through(self, window: Window) -> SliceGeometry:
        """The geometry of a part of the slices, the same part of all of them."""
        if window == WHOLE:
            return self
        rows = max(SMALLEST_SIDE, round(window.side * self.frame.rows))
        columns = max(SMALLEST_SIDE, round(window.side * self.frame.columns))
        row = self.frame.row + round(((window.y + 1) * self.frame.rows - rows) / 2)
        column = self.frame.column + round(((window.x + 1) * self.frame.columns - columns) / 2)
        return replace(self, frame=CropFrame(row, column, rows, columns))

    @property
    def canonical(self) -> Grid:
        """The volume's grid in canonical axes."""
        return self.source.viewed(self.view)

    @property
    def grid(self) -> Grid:
        """The grid of the stack of squares; its spacing is true, its origin is not kept."""
        spacing = self.canonical.spacing
        return Grid(
            (self.canonical.shape[0], self.side, self.side),
            (
                spacing[0],
                spacing[1] * self.frame.rows / self.side,
                spacing[2] * self.frame.columns / self.side,
            ),
        )

    def squares(self, volume: Volume, window: IntensityWindow) -> NDArray[np.float16]:
        """The grey squares (Z, S, S), 0 to 1.

        Half precision keeps steps of 1/2048, a tenth of a HU in an abdominal window.
        """
        array = self.view.apply(volume.array)
        stack = np.empty((len(array), self.side, self.side), dtype=np.float16)
        for index, section in enumerate(array):
            stack[index] = self.frame.cut(window.apply(section), self.side).numpy()
        return stack

    def label_squares(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels (Z, S, S) of a label map on the volume's own grid; the nearest voxel's."""
        array = self.view.apply(labels)
        rows = self.frame.row + _nearest(self.frame.rows, self.side)
        columns = self.frame.column + _nearest(self.frame.columns, self.side)
        inside = ((rows >= 0) & (rows < array.shape[1]))[:, None] & (
            (columns >= 0) & (columns < array.shape[2])
        )
        picked = array[
            :,
            rows.clip(0, array.shape[1] - 1)[:, None],
            columns.clip(0, array.shape[2] - 1)[None, :],
        ]
        return np.where(inside, picked, 0).astype(np.uint8)

    def probabilities_on_source(self, squares: Tensor) -> NDArray[np.float32]:
        """Class probabilities (K + 1, Z, Y, X) on the volume's own grid.

        Parameters
        ----------
        squares : (Z, K + 1, S, S) tensor
            Probabilities; where the slice has no counterpart, it is background.
        """
        shape = self.canonical.shape
        classes = squares.shape[1]
        full = np.zeros((classes, *shape), dtype=np.float32)
        full[0] = 1.0
        resized_rows, resized_columns = self.frame.rows, self.frame.columns
        (inner_r, outer_r), (inner_c, outer_c) = (
            _overlap(self.frame.row, resized_rows, shape[1]),
            _overlap(self.frame.column, resized_columns, shape[2]),
        )
        for index, square in enumerate(squares):
            resized = F.interpolate(
                square[None].float().cpu(),
                size=(resized_rows, resized_columns),
                mode="bilinear",
                align_corners=False,
                antialias=True,
            )[0].numpy()
            full[:, index, inner_r, inner_c] = resized[:, outer_r, outer_c]
        return np.stack([self.view.undo(part) for part in full])


def _nearest(count: int, side: int) -> NDArray[np.int64]:
    """For each of ``side`` pixels the voxel, of ``count``, in which its centre lies."""
    return np.floor((np.arange(side) + 0.5) * count / side).astype(np.int64)


def _overlap(start: int, count: int, size: int) -> tuple[slice, slice]:
    """Of a frame along one axis: its part in the slice, and the same part of the frame."""
    first, last = max(start, 0), min(start + count, size)
    return slice(first, last), slice(first - start, last - start)
