"""What segmenting a volume gives: objects with masks, and the events on the way there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region

MaskOrigin = Literal["sam2", "candidate"]


@dataclass(frozen=True)
class ObjectsFound:
    """Event: the prompts of all objects are known; masks will follow."""

    objects: tuple[ObjectPrompts, ...]


@dataclass(frozen=True)
class SliceMask:
    """Event: one object's mask on one slice.

    Parameters
    ----------
    object_id : int
        Whose mask.
    index : int
        Slice index along the plane's axis.
    plane : Plane
        The plane of the slice.
    offset : (int, int)
        Row and column of the patch in the slice.
    mask : (rows, columns) bool array
        The patch; outside it the object is absent on this slice.
    confidence : float
        The model's own estimate of the mask's IoU, 0 to 1.
    """

    object_id: int
    index: int
    plane: Plane
    offset: tuple[int, int]
    mask: NDArray[np.bool_]
    confidence: float


@dataclass(frozen=True)
class ObjectDone:
    """Event: an object is finished; ``origin`` says which mask was kept."""

    object_id: int
    confidence: float
    origin: MaskOrigin
    region: Region


Event = ObjectsFound | SliceMask | ObjectDone


@dataclass(frozen=True)
class SegmentedObject:
    """One object with its final mask.

    Parameters
    ----------
    prompts : ObjectPrompts
        Its id, class and prompts.
    region : Region
        The final mask.
    confidence : float
        0 to 1.
    origin : {"sam2", "candidate"}
        Whether SAM-2's mask or the candidate source's was kept.
    candidate, sam2 : Region, optional
        Both masks, for reports.
    """

    prompts: ObjectPrompts
    region: Region
    confidence: float
    origin: MaskOrigin = "sam2"
    candidate: Region | None = None
    sam2: Region | None = None


@dataclass(frozen=True)
class Segmentation:
    """All objects of a volume.

    Parameters
    ----------
    grid : Grid
        The grid of the volume, and of the masks.
    objects : tuple of SegmentedObject
        In any order.
    class_ids : mapping
        Class name to the value it has in a class mask (1 or more).
    """

    grid: Grid
    objects: tuple[SegmentedObject, ...]
    class_ids: Mapping[str, int] = field(default_factory=dict)

    def class_mask(self) -> NDArray[Any]:
        """(Z, Y, X) unsigned mask of class ids; where objects overlap the surer one wins."""
        return self._painted({o.prompts.id: self._class_id(o) for o in self.objects})

    def instance_mask(self) -> NDArray[Any]:
        """(Z, Y, X) unsigned mask of object ids; where objects overlap the surer one wins."""
        return self._painted({o.prompts.id: o.prompts.id for o in self.objects})

    def _class_id(self, segmented: SegmentedObject) -> int:
        return self.class_ids[segmented.prompts.class_name]

    def _painted(self, values: Mapping[int, int]) -> NDArray[Any]:
        highest = max(values.values(), default=0)
        labels = np.zeros(self.grid.shape, dtype=np.uint8 if highest < 256 else np.uint16)
        for segmented in sorted(self.objects, key=lambda o: o.confidence):
            segmented.region.paint(labels, values[segmented.prompts.id])
        return labels
