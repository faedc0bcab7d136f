"""From a prompt to the mask on the screen: asking, painting, keeping the table up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sss._layers.mask_painter import MaskPainter
from napari_sss._widgets.answering import Answered, Answering
from napari_sss._widgets.mask_stream import MaskFinished
from napari_sss._widgets.objects import Objects
from napari_sss._widgets.scene import Scene
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, SlicePrompt


class Answers:
    """Asks for the mask of each prompted slice and paints what comes back.

    Parameters
    ----------
    scene : Scene
        The layers.
    objects : Objects
        The table.
    answering : Answering
        Who answers.
    propagate : callable
        Makes an object anew through the stack, given its prompts.
    """

    kept = Signal(Answered)
    """Emitted when an answer that stands has been painted; provisional ones are only shown."""

    def __init__(
        self,
        scene: Scene,
        objects: Objects,
        answering: Answering,
        propagate: Callable[[ObjectPrompts], None],
    ) -> None:
        self._scene = scene
        self._objects = objects
        self._answering = answering
        self._propagate = propagate
        self._before: dict[tuple[int, Plane, int], int] = {}
        answering.answered.connect(self.paint)

    def answer(self, prompts: ObjectPrompts, prompted: SlicePrompt) -> None:
        """Ask for an object's mask on one slice."""
        self._objects.edit(prompts)
        current = self._on_slice(prompted.plane, prompted.index) == prompts.id
        # The object as it stands on another plane is no part of the question.
        asked = replace(prompts, prompts=(prompted,))
        given = current if current.any() else None
        self._answering.ask(asked, prompted.index, given)

    def propagate(self, ids: Sequence[int]) -> None:
        """Make objects anew through the stack."""
        for prompts in self._scene.prompts():
            if prompts.id in ids:
                self._propagate(prompts)

    def forget(self, ids: Sequence[int]) -> None:
        """Take note that objects are no more."""
        self._answering.forget(ids)

    def paint(self, answered: Answered) -> None:
        """Show an answer, in place of what the object had on that slice."""
        mask = answered.mask
        if self._scene.volume is None or self._objects.get(mask.object_id) is None:
            return
        plane = self._on_slice(mask.plane, mask.index)
        key = (mask.object_id, mask.plane, mask.index)
        self._before.setdefault(key, _count(plane, mask.object_id))
        painter = MaskPainter(self._scene.labels(), {})
        self._scene.redraw(painter.paint_slice(mask, mask.object_id))
        if not answered.provisional:
            gained = _count(plane, mask.object_id) - self._before.pop(key)
            self._enter(mask, gained)
            self.kept.emit(answered)

    def _enter(self, mask: SliceMask, gained: int) -> None:
        """Bring an object's row up to date; counting a whole volume would take too long."""
        row, volume = self._objects.get(mask.object_id), self._scene.volume
        assert row is not None
        assert volume is not None
        ml = max(0.0, (row.ml or 0.0) + gained * volume.grid.voxel_ml)
        extent = self._extent(mask, row.first, row.last)
        self._objects.finish(MaskFinished(mask.object_id, extent, ml, mask.confidence))

    def _extent(
        self, mask: SliceMask, first: int | None, last: int | None
    ) -> tuple[int, int] | None:
        """First and last axial slice of an object, from the former ones and a new slice."""
        touched = (mask.index, mask.index)
        if mask.plane is not Plane.AXIAL:
            touched = (mask.offset[0], mask.offset[0] + mask.mask.shape[0] - 1)
        first = touched[0] if first is None else min(first, touched[0])
        last = touched[1] if last is None else max(last, touched[1])
        labels = self._scene.labels()
        first, last = max(first, 0), min(last, labels.shape[0] - 1)
        while first <= last and not _count(labels[first], mask.object_id):
            first += 1
        while first <= last and not _count(labels[last], mask.object_id):
            last -= 1
        return (first, last) if first <= last else None

    def _on_slice(self, plane: Plane, index: int) -> NDArray[Any]:
        """The labels of a slice (rows, columns): a view, nothing is copied."""
        return np.moveaxis(self._scene.labels(), plane.axis, 0)[index]


def _count(labels: NDArray[Any], object_id: int) -> int:
    return int(np.count_nonzero(labels == object_id))
