"""From the engine's events to painted voxels and news for the viewer, in the worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from napari_sss._layers.mask_painter import MaskPainter, Touched
from napari_sss._widgets.worker import Post
from napari_sss.engine.inference.result import (
    Event,
    ObjectDone,
    ObjectsFound,
    Segmentation,
    SliceMask,
)
from napari_sss.engine.prompts.types import ObjectPrompts
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region


@dataclass(frozen=True)
class PromptsFound:
    """News: these objects are known, by the ids they have in the viewer."""

    objects: tuple[ObjectPrompts, ...]


@dataclass(frozen=True)
class MasksChanged:
    """News: voxels of the masks layer in this box have changed."""

    touched: Touched


@dataclass(frozen=True)
class MaskFinished:
    """News: an object's mask is complete.

    Parameters
    ----------
    object_id : int
        As in the viewer.
    extent : (int, int), optional
        First and last slice along axis 0; None for an empty mask.
    ml : float
        Volume in millilitres.
    confidence : float
        0 to 1.
    """

    object_id: int
    extent: tuple[int, int] | None
    ml: float
    confidence: float


class MaskStream:
    """Paints what the engine reports and posts what the viewer has to redraw.

    Parameters
    ----------
    painter : MaskPainter
        Writes into the masks layer's array.
    grid : Grid
        Of the volume.
    post : callable
        Takes the news.
    id_offset : int
        Added to the engine's object ids, so that they differ from those in the viewer.
    leaving : iterable of int
        Objects, by the viewer's ids, that go once others are found.
    """

    def __init__(
        self,
        painter: MaskPainter,
        grid: Grid,
        post: Post,
        id_offset: int = 0,
        leaving: Iterable[int] = (),
    ) -> None:
        self._painter = painter
        self._grid = grid
        self._offset = id_offset
        self._leaving = tuple(leaving)
        self._post = post

    def __call__(self, event: Event) -> None:
        """Take one of the engine's events."""
        if isinstance(event, ObjectsFound):
            self._found(event)
        elif isinstance(event, SliceMask):
            object_id = event.object_id + self._offset
            self._post(MasksChanged(self._painter.paint_slice(event, object_id)))
        elif isinstance(event, ObjectDone):
            self._done(event.object_id, event.region, event.confidence)

    def finish(self, segmentation: Segmentation) -> None:
        """Show the result as it is, whatever was streamed."""
        objects = [
            (o.prompts.id + self._offset, o.region, o.confidence) for o in segmentation.objects
        ]
        self._redraw(self._painter.paint_all(objects))
        for o in segmentation.objects:
            self._post(self._finished(o.prompts.id + self._offset, o.region, o.confidence))

    def clear(self) -> None:
        """Take the voxels of the leaving objects away."""
        self._redraw(self._painter.erase(self._leaving))

    def undo(self) -> None:
        """Bring the masks back to what they were before the job."""
        self._redraw(self._painter.rollback())

    def _found(self, event: ObjectsFound) -> None:
        shifted = tuple(replace(o, id=o.id + self._offset) for o in event.objects)
        for o in shifted:
            self._painter.announce(o.id, 0.0 if o.confidence is None else o.confidence)
        self.clear()
        self._post(PromptsFound(shifted))

    def _done(self, engine_id: int, region: Region, confidence: float) -> None:
        object_id = engine_id + self._offset
        self._redraw(self._painter.paint_object(object_id, region, confidence))
        self._post(self._finished(object_id, region, confidence))

    def _finished(self, object_id: int, region: Region, confidence: float) -> MaskFinished:
        first, depth = region.offset[0], region.mask.shape[0]
        extent = (first, first + depth - 1) if region.voxels else None
        ml = region.voxels * self._grid.voxel_ml
        return MaskFinished(object_id, extent, ml, confidence)

    def _redraw(self, touched: Touched | None) -> None:
        if touched is not None:
            self._post(MasksChanged(touched))
