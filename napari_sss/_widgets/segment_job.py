"""The worker's half of Auto-prompt and of making an object anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss._layers.mask_painter import MaskPainter, regions_of
from napari_sss._widgets.mask_stream import MaskStream
from napari_sss._widgets.worker import Post
from napari_sss.engine.errors import Cancelled
from napari_sss.engine.inference.result import Event, Segmentation
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.volumes.grid import Grid

Segment = Callable[[Any, Callable[[Event], None], JobControl], Segmentation]


@dataclass(frozen=True)
class SegmentJob:
    """Segments into a label array, streaming; the array survives a failure unchanged.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint16
        Object ids, written in place.
    grid : Grid
        Of the array.
    replaced : tuple of int
        Ids of the objects that are made anew, or give way to new ones.
    id_offset : int
        Added to the engine's ids.
    anew : bool
        Whether the replaced objects come again under their own ids: each keeps its former
        mask until it has a new one. Else they go once new objects are found.
    segment : callable
        ``segment(model, on_event, control) -> Segmentation``: the engine at work.
    """

    labels: NDArray[Any]
    grid: Grid
    replaced: tuple[int, ...]
    id_offset: int
    anew: bool
    segment: Segment

    def run(self, model: Any, control: JobControl, post: Post) -> None:
        """Do the work; what was painted when it is cancelled stays."""
        painter = MaskPainter(self.labels, regions_of(self.labels, self.replaced))
        leaving = () if self.anew else self.replaced
        stream = MaskStream(painter, self.grid, post, self.id_offset, leaving)
        try:
            segmentation = self.segment(model, stream, control)
        except Cancelled:
            raise
        except BaseException:
            stream.undo()
            raise
        stream.finish(segmentation)


def erase(labels: NDArray[Any], ids: tuple[int, ...], grid: Grid, post: Post) -> None:
    """Remove objects from a label array (Z, Y, X)."""
    painter = MaskPainter(labels, regions_of(labels, ids))
    MaskStream(painter, grid, post, leaving=ids).clear()


def class_mask(
    labels: NDArray[Any], class_of: dict[int, int], other_class: int
) -> tuple[NDArray[Any], bool]:
    """Turn object ids into class ids.

    Parameters
    ----------
    labels : (Z, Y, X) array of unsigned int
        Object ids.
    class_of : dict
        Class id of each object.
    other_class : int
        Class id of everything else that is not 0, for instance of what was painted by hand.

    Returns
    -------
    (array, bool)
        Class ids (Z, Y, X), and whether ``other_class`` occurs.
    """
    present = np.flatnonzero(np.bincount(labels.reshape(-1), minlength=1))
    strangers = [int(i) for i in present if i != 0 and int(i) not in class_of]
    values = np.zeros(int(present.max(initial=0)) + 1, dtype=np.uint16)
    for object_id in present:
        if object_id:
            values[object_id] = class_of.get(int(object_id), other_class)
    dtype = np.uint8 if values.max(initial=0) < 256 else np.uint16
    return values.astype(dtype)[labels], bool(strangers)
