"""What napari's brush, fill and polygon have changed, as a change of the source's array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.volumes.grid import AxisView, Shape3


def stroke_diff(atoms: Iterable[Any], view: AxisView, shape: Shape3) -> LabelDiff:
    """The change that a stroke has made.

    Parameters
    ----------
    atoms : iterable of (indices, before, after)
        The value of a Labels layer's ``paint`` event: indices of the layer's (Z, Y, X) array
        as a tuple of three arrays, the values there before, and the value or values after.
    view : AxisView
        From the source's axes to the layer's.
    shape : (int, int, int)
        The source's.
    """
    places: list[NDArray[np.int64]] = []
    former: list[NDArray[np.uint16]] = []
    later: list[NDArray[np.uint16]] = []
    for indices, before, after in atoms:
        flat = source_indices(indices, view, shape)
        places.append(flat)
        former.append(np.broadcast_to(np.asarray(before, np.uint16), flat.shape))
        later.append(np.broadcast_to(np.asarray(after, np.uint16), flat.shape))
    if not places:
        return LabelDiff.empty()
    return LabelDiff.of_voxels(*(np.concatenate(part) for part in (places, former, later)))


def source_indices(indices: Any, view: AxisView, shape: Shape3) -> NDArray[np.int64]:
    """Flat C-order indices of the source's array, of a layer's (Z, Y, X) indices."""
    turned: list[Any] = [None, None, None]
    for target, axis in enumerate(view.order):
        place = np.asarray(indices[target], dtype=np.int64).reshape(-1)
        turned[axis] = shape[axis] - 1 - place if view.flips[target] else place
    return np.ravel_multi_index(tuple(turned), shape).astype(np.int64)


def viewed_box(
    box: tuple[slice, slice, slice], view: AxisView, shape: Shape3
) -> tuple[slice, slice, slice]:
    """A box of the source's array in the layer's."""
    z, y, x = (
        slice(shape[axis] - box[axis].stop, shape[axis] - box[axis].start)
        if flip
        else slice(box[axis].start, box[axis].stop)
        for axis, flip in zip(view.order, view.flips, strict=True)
    )
    return z, y, x
