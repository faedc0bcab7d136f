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
    atoms : iterable
        The value of a Labels layer's ``paint`` event, see :func:`atom_parts`.
    view : AxisView
        From the source's axes to the layer's.
    shape : (int, int, int)
        The source's.
    """
    places: list[NDArray[np.int64]] = []
    former: list[NDArray[np.uint16]] = []
    later: list[NDArray[np.uint16]] = []
    for indices, before, after in map(atom_parts, atoms):
        flat = source_indices(indices, view, shape)
        places.append(flat)
        former.append(np.broadcast_to(np.asarray(before, np.uint16), flat.shape))
        later.append(np.broadcast_to(np.asarray(after, np.uint16), flat.shape))
    if not places:
        return LabelDiff.empty()
    return LabelDiff.of_voxels(*(np.concatenate(part) for part in (places, former, later)))


def atom_parts(atom: Any) -> tuple[Any, Any, Any]:
    """Where a part of a stroke lies in the layer, and the values before and after.

    Parameters
    ----------
    atom : tuple
        Either (indices, before, after) with indices as three arrays, or, as napari's brush
        has it since 0.9, (box as slices, mask in the box or None for all of it, values
        before in the mask, one value after).
    """
    if len(atom) == 3:
        indices, before, after = atom
        return indices, np.asarray(before).reshape(-1), after
    box, mask, before, after = atom
    start = [int(s.start or 0) for s in box]
    shape = [int(s.stop) - first for s, first in zip(box, start, strict=True)]
    inside = np.indices(shape).reshape(3, -1) if mask is None else np.nonzero(mask)
    indices = tuple(place + first for place, first in zip(inside, start, strict=True))
    return indices, np.asarray(before).reshape(-1), after


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
