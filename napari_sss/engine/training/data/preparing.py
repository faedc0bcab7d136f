"""A case as the square slices a model sees, with its labels and their objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.inference.squares import SliceGeometry
from napari_sss.engine.prompts.components import find_components
from napari_sss.engine.training.data.cases import Case
from napari_sss.engine.training.errors import DataError
from napari_sss.engine.volumes.grid import Grid, Vector3
from napari_sss.engine.volumes.intensity import IntensityWindow, window_for
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import read_labels

IGNORE = 255
MAX_OBJECTS = 255  # of one class in one volume; class + 256 * number fills 16 bits


@dataclass(frozen=True)
class PreparedCase:
    """A case's slices, ready for the model.

    Parameters
    ----------
    case : Case
        Where they come from.
    geometry : SliceGeometry
        The way back.
    grey : (Z, S, S) float16 array
        0 to 1.
    labels : (Z, S, S) uint8 array, optional
        0 background, 1 to K the classes in their order, :data:`IGNORE` where not known.
    objects : (Z, S, S) uint16 array, optional
        The labels' connected objects: class + 256 * number within the class, from 0.
    window : IntensityWindow
        Decided once for the volume.
    """

    case: Case
    geometry: SliceGeometry
    grey: NDArray[np.float16]
    labels: NDArray[np.uint8] | None
    objects: NDArray[np.uint16] | None
    window: IntensityWindow

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        arrays = (self.grey, self.labels, self.objects)
        return sum(array.nbytes for array in arrays if array is not None)


def read_case_volume(case: Case) -> Volume:
    """The case's image; NaN and sheared axes are mended rather than refused."""
    asked: dict[str, Any] = {"nan": "fill", "shear": "resample"}
    return read_volume(case.image, **asked | dict(case.reading))


def read_case_labels(case: Case, grid: Grid, values: dict[int, int]) -> NDArray[np.uint8]:
    """The case's labels on the grid of its image, as 0 and the classes' places 1 to K.

    Parameters
    ----------
    case : Case
        With a label.
    grid : Grid
        The image's, as its header gives it.
    values : dict
        Label value to place; 0 need not be named.

    Raises
    ------
    DataError
        There are values that no class names.
    GeometryError
        Image and label lie on different grids.
    """
    if case.label is None:
        raise DataError(f"{case.name} has no label.", "Leave it unlabelled.", case.image)
    labels = read_labels(case.label, grid)
    table = np.full(int(labels.max(initial=0)) + 1, 254, dtype=np.uint8)
    table[0] = 0
    for value, place in values.items():
        if value < len(table):
            table[value] = place
    if len(table) > IGNORE:
        table[IGNORE] = IGNORE
    placed = table[labels]
    if (placed == 254).any():
        unknown = sorted(int(v) for v in np.unique(labels[placed == 254]))
        raise DataError(
            f"{case.label} holds the values {unknown[:8]}, which no class names.",
            f"Name them with --set classes, or correct the label; known are "
            f"{sorted(values)}, and {IGNORE} for what is to be ignored.",
            case.label,
        )
    return placed


def prepare_case(
    case: Case,
    side: int,
    values: dict[int, int],
    *,
    window: str | None = None,
    spacing: Vector3 | None = None,
) -> PreparedCase:
    """Read a case and make its squares.

    Parameters
    ----------
    case : Case
        The case.
    side : int
        S.
    values : dict
        Label value to place among the classes.
    window : str, optional
        Name of the intensity window; by default the one for the volume's modality.
    spacing : (float, float, float), optional
        Instead of the file's.
    """
    volume = read_case_volume(case)
    file_grid = volume.grid
    if spacing is not None:
        volume = replace(volume, grid=replace(file_grid, spacing=spacing))
    geometry = SliceGeometry.of(volume.grid, side)
    chosen = window_for(volume, window)
    grey = geometry.squares(volume, chosen)
    labels = objects = None
    if case.label is not None:
        truth = read_case_labels(case, file_grid, values)
        labels = geometry.label_squares(truth)
        # The border around a slice is known to be empty, unless nothing is known of it.
        labels[(geometry.view.apply(truth) == IGNORE).all(axis=(1, 2))] = IGNORE
        objects = number_objects(labels)
    return PreparedCase(case, geometry, grey, labels, objects, chosen)


def number_objects(labels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The 3-D connected objects of a label map: class + 256 * number, the largest first."""
    known = np.where(labels == IGNORE, 0, labels)
    found = find_components(known)
    table = np.zeros(found.count + 1, dtype=np.uint16)
    counted: dict[int, int] = {}
    for label in found.largest_first():
        box = found.slices(int(label))
        cls = int(known[box][found.labels[box] == label][0])
        number = counted.get(cls, 0)
        if number < MAX_OBJECTS:
            table[label] = cls + 256 * number
            counted[cls] = number + 1
    return table[found.labels]


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Grey squares as float32."""
    return torch.from_numpy(np.ascontiguousarray(array)).float()
