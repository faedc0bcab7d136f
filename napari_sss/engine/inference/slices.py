"""A volume as the stack of grey slices that the model sees, in one of the three planes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.models.sam2_model import Features, Sam2Model
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

FEATURES_KEPT = 96  # crops; at 192 pixels one takes about half a megabyte in bfloat16


class SliceStack:
    """Slices of a volume along one axis, windowed, with the features of their crops.

    Parameters
    ----------
    volume : Volume
        The scan.
    window : IntensityWindow
        Decided once for the whole volume.
    model : Sam2Model
        Encodes the crops.
    plane : Plane
        The plane of the slices.
    """

    def __init__(
        self,
        volume: Volume,
        window: IntensityWindow,
        model: Sam2Model,
        plane: Plane = Plane.AXIAL,
    ) -> None:
        self.volume = volume
        self.window = window
        self.model = model
        self.plane = plane
        self._features: OrderedDict[tuple[int, CropFrame, int], Features] = OrderedDict()

    def __len__(self) -> int:
        return int(self.volume.grid.shape[self.plane.axis])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        shape = self.volume.grid.shape
        return shape[self.plane.row_axis], shape[self.plane.column_axis]

    @property
    def spacing(self) -> tuple[float, float]:
        """Millimetres between rows and between columns."""
        spacing = self.volume.grid.spacing
        return spacing[self.plane.row_axis], spacing[self.plane.column_axis]

    @property
    def thickness(self) -> float:
        """Millimetres between slices."""
        return self.volume.grid.spacing[self.plane.axis]

    def grey(self, index: int) -> NDArray[np.float32]:
        """Slice ``index`` (rows, columns), 0 to 1."""
        return self.window.apply(np.take(self.volume.array, index, axis=self.plane.axis))

    def features(self, index: int, frame: CropFrame) -> Features:
        """Features of one crop, from the cache where it was encoded before."""
        return self.features_of([(index, frame)])

    def features_of(
        self, crops: list[tuple[int, CropFrame]], check: Callable[[], None] | None = None
    ) -> Features:
        """Features of several crops as one batch; what is new is encoded together."""
        side = self.model.image_size
        missing = [c for c in dict.fromkeys(crops) if (*c, side) not in self._features]
        if missing:
            import torch

            if check is not None:
                check()
            images = torch.stack([f.cut(self.grey(i), side) for i, f in missing])
            encoded = self.model.encode(images)
            for row, (index, frame) in enumerate(missing):
                # A copy: a view would keep the whole batch alive after the others are gone.
                self._features[index, frame, side] = encoded[row : row + 1].copied()
        parts = [self._features[i, f, side] for i, f in crops]
        for index, frame in crops:
            self._features.move_to_end((index, frame, side))
        while len(self._features) > max(FEATURES_KEPT, len(crops)):
            self._features.popitem(last=False)
        return parts[0] if len(parts) == 1 else Features.stack(parts)
