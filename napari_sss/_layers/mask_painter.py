"""Writing objects' masks into a label array while they are being made.

Numpy only, called in the worker: the viewer's thread is told which box has changed and has
nothing to do but to redraw it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.volumes.region import Region

PROTECTED = np.float32(np.inf)
"""Rank of what a job must not touch."""

REPLACED = np.float32(-1.0)
"""Rank of the voxels of an object that is being made anew; nothing is lost on them."""

EMPTY = np.float32(-2.0)
"""Rank of unlabelled voxels."""


@dataclass(frozen=True)
class Touched:
    """The box of voxels that a change lies in.

    Parameters
    ----------
    start, stop : (int, int, int)
        ``(z, y, x)``; ``stop`` is exclusive.
    """

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    def joined(self, other: Touched) -> Touched:
        """The smallest box around both."""
        return Touched(
            tuple(min(a, b) for a, b in zip(self.start, other.start, strict=True)),  # type: ignore[arg-type]
            tuple(max(a, b) for a, b in zip(self.stop, other.stop, strict=True)),  # type: ignore[arg-type]
        )

    def crosses(self, axis: int, index: int) -> bool:
        """Whether the slice ``index`` along ``axis`` shows part of the box."""
        return self.start[axis] <= index < self.stop[axis]

    @classmethod
    def by(cls, region: Region) -> Touched:
        """The box of a region."""
        stop = tuple(o + n for o, n in zip(region.offset, region.mask.shape, strict=True))
        return cls(region.offset, stop)


class MaskPainter:
    """Paints one job's objects into a label array.

    Voxels of objects that are not the job's are never written. Among the job's own objects
    the surer one wins. :meth:`rollback` brings back what was there before the job.

    Parameters
    ----------
    labels : (Z, Y, X) array of unsigned int
        Object ids; written in place.
    replaced : mapping
        The voxels of the objects that the job makes anew, or removes, by id.
    """

    def __init__(self, labels: NDArray[Any], replaced: Mapping[int, Region]) -> None:
        self._labels = labels
        self._replaced = dict(replaced)
        self._ranks = np.full(int(np.iinfo(labels.dtype).max) + 1, PROTECTED, np.float32)
        self._ranks[0] = EMPTY
        for object_id in replaced:
            self._ranks[object_id] = REPLACED
        self._painted: dict[int, Touched] = {}

    def announce(self, object_id: int, confidence: float) -> None:
        """Say how sure an object is, 0 to 1, before its first voxel."""
        self._ranks[object_id] = confidence

    def erase(self, ids: Iterable[int]) -> Touched | None:
        """Take objects of the job away."""
        touched = None
        for object_id in ids:
            touched = self._join(touched, self._erase(object_id))
        return touched

    def paint_slice(self, event: SliceMask, object_id: int) -> Touched:
        """Show an object's mask on one slice, in place of what it had there."""
        if np.isposinf(self._ranks[object_id]):
            self.announce(object_id, event.confidence)
        axis = event.plane.axis
        plane = np.moveaxis(self._labels, axis, 0)[event.index]
        rows = slice(event.offset[0], event.offset[0] + event.mask.shape[0])
        columns = slice(event.offset[1], event.offset[1] + event.mask.shape[1])
        start, stop = [rows.start, columns.start], [rows.stop, columns.stop]
        former = Region.of((plane == object_id)[None])
        if former.voxels:
            plane[plane == object_id] = 0
            for a in range(2):
                start[a] = min(start[a], former.offset[a + 1])
                stop[a] = max(stop[a], former.offset[a + 1] + former.mask.shape[a + 1])
        self._take(plane[rows, columns], event.mask, object_id)
        start.insert(axis, event.index)
        stop.insert(axis, event.index + 1)
        return self._note(object_id, Touched(tuple(start), tuple(stop)))  # type: ignore[arg-type]

    def paint_object(self, object_id: int, region: Region, confidence: float) -> Touched:
        """Show an object's final mask, in place of everything it had."""
        self._ranks[object_id] = confidence
        touched = self._erase(object_id)
        if region.voxels:
            self._take(self._labels[region.slices], region.mask, object_id)
            touched = self._join(touched, Touched.by(region))
            self._note(object_id, Touched.by(region))
        return touched or Touched((0, 0, 0), (0, 0, 0))

    def paint_all(self, objects: Iterable[tuple[int, Region, float]]) -> Touched | None:
        """Show the job's result, whatever order its objects were finished in.

        Parameters
        ----------
        objects : iterable of (int, Region, float)
            Id, mask and confidence of every object of the job; the job's other objects
            (those announced or replaced) disappear.
        """
        objects = sorted(objects, key=lambda entry: entry[2])
        touched = None
        for object_id in {*self._painted, *self._replaced}:
            touched = self._join(touched, self._erase(object_id))
        for object_id, region, confidence in objects:
            self._ranks[object_id] = confidence
            if region.voxels:
                self._take(self._labels[region.slices], region.mask, object_id)
                touched = self._join(touched, self._note(object_id, Touched.by(region)))
        return touched

    def rollback(self) -> Touched | None:
        """Bring the label array back to what it was before the job."""
        touched = None
        for object_id in {*self._painted, *self._replaced}:
            touched = self._join(touched, self._erase(object_id))
        for object_id, region in self._replaced.items():
            if region.voxels:
                patch = self._labels[region.slices]
                patch[region.mask & (patch == 0)] = object_id
                touched = self._join(touched, Touched.by(region))
        self._painted.clear()
        return touched

    def _take(self, patch: NDArray[Any], mask: NDArray[np.bool_], object_id: int) -> None:
        """Write the id where the mask is and nothing surer stands."""
        free = self._ranks[patch] <= self._ranks[object_id]
        patch[mask & free] = object_id

    def _erase(self, object_id: int) -> Touched | None:
        """Remove the object's voxels, the former ones included."""
        former = self._replaced.get(object_id)
        box = self._painted.pop(object_id, None)
        if former is not None and former.voxels:
            box = self._join(box, Touched.by(former))
        if box is None:
            return None
        patch = self._labels[tuple(map(slice, box.start, box.stop))]
        patch[patch == object_id] = 0
        return box

    def _note(self, object_id: int, touched: Touched) -> Touched:
        self._painted[object_id] = self._join(self._painted.get(object_id), touched)  # type: ignore[assignment]
        return touched

    @staticmethod
    def _join(one: Touched | None, other: Touched | None) -> Touched | None:
        if one is None or other is None:
            return one or other
        return one.joined(other)


def regions_of(labels: NDArray[Any], ids: Iterable[int]) -> dict[int, Region]:
    """The voxels of the objects ``ids`` in a label array (Z, Y, X); absent ones are empty."""
    from scipy import ndimage

    boxes = ndimage.find_objects(labels)
    regions = {}
    for object_id in ids:
        box = boxes[object_id - 1] if object_id <= len(boxes) else None
        if box is None:
            regions[object_id] = Region((0, 0, 0), np.zeros((0, 0, 0), dtype=bool))
        else:
            offset = (box[0].start, box[1].start, box[2].start)
            regions[object_id] = Region(offset, labels[box] == object_id)
    return regions
