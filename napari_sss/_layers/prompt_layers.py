"""Prompts as editable layers, and what a person does to them.

What a person changes is found by comparing the layers with what they held before, so that
every way of changing them (mouse, keys, copy and paste, a script) counts alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from psygnal import Signal

from napari_sss._layers.boxes_layer import BoxesLayer
from napari_sss._layers.points_layer import SIGN_KEY, PointsLayer
from napari_sss._layers.prompt_rows import BoxRow, PointRow, prompts_of, rows_of
from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.grid import Shape3

AT_ONCE = 30
"""Rows added in one call: napari needs up to 0.5 ms for each."""

BUDGET_S = 0.004
"""Seconds after which :meth:`PromptLayers.flush` leaves the rest to its next call."""


class PromptLayers:
    """The boxes and points layers of one scan.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are shown, once there is something to show.
    shape : (int, int, int)
        Of the displayed volume.
    placement : mapping
        ``scale``, ``translate`` and ``units`` of the scan's layer.
    plane : callable
        Returns the plane in view, to which a new point belongs.

    Attributes
    ----------
    class_name : str
        What objects are called that a person adds by drawing a box.
    current_id : int or None
        The object to which a new point belongs; None begins a new object.
    """

    edited = Signal(tuple)
    """Emitted with the :class:`ObjectPrompts` that a person changed or made."""
    removed = Signal(tuple)
    """Emitted with the ids of objects whose last prompt a person took away."""
    refused = Signal(PromptError)
    """Emitted when a drawn prompt cannot be used."""

    def __init__(
        self,
        viewer: Any,
        shape: Shape3,
        placement: Mapping[str, Any],
        plane: Callable[[], Plane],
    ) -> None:
        self.class_name = "object"
        self.current_id: int | None = None
        self._viewer = viewer
        self._shape = shape
        self._placement = dict(placement)
        self._plane = plane
        self._known: dict[int, ObjectPrompts] = {}
        self._highest_id = 0
        self._layers: tuple[BoxesLayer, PointsLayer] | None = None
        # What the layers do not show yet: rows to add, and objects whose rows must go first.
        self._to_add: tuple[list[BoxRow], list[PointRow]] = ([], [])
        self._to_remove: tuple[set[int], set[int]] = (set(), set())
        self._counts = (0, 0)
        self._writing = False

    # -- showing ------------------------------------------------------------------------

    @property
    def objects(self) -> tuple[ObjectPrompts, ...]:
        """The prompts, by object id."""
        return tuple(self._known[i] for i in sorted(self._known))

    def show(self, objects: Sequence[ObjectPrompts], remove: Iterable[int] = ()) -> None:
        """Show objects' prompts, in place of those of the removed ones.

        They appear with the next calls of :meth:`flush`, a few at a time: input comes first.
        """
        gone = {*remove, *(o.id for o in objects)} & set(self._known)
        for object_id in gone:
            del self._known[object_id]
        self._known.update({o.id: o for o in objects})
        self._highest_id = max([self._highest_id, *self._known])
        boxes, points = rows_of(objects)
        self._to_add = (
            [row for row in self._to_add[0] if row.object_id not in gone] + boxes,
            [row for row in self._to_add[1] if row.object_id not in gone] + points,
        )
        if self._layers is not None:
            self._to_remove = (self._to_remove[0] | gone, self._to_remove[1] | gone)

    def flush(self) -> bool:
        """Bring the layers up to date, as far as the budget goes; return whether it did not."""
        deadline = time.perf_counter() + BUDGET_S
        while self._step():
            if time.perf_counter() > deadline:
                return self._unfinished
        return False

    def place(self, spacing: tuple[float, ...]) -> None:
        """Give the layers another spacing in mm."""
        self._placement |= {"scale": spacing, "units": ("mm",) * 3}
        for shown in self._layers or ():
            shown.layer.units = ("mm",) * 3
            shown.layer.scale = spacing

    def rename(self, object_id: int, class_name: str) -> None:
        """Give an object another class and write it at its boxes."""
        if object_id not in self._known:
            return
        self._known[object_id] = replace(self._known[object_id], class_name=class_name)
        if self._layers is not None:
            with self._quietly() as (boxes, _):
                boxes.write_labels({object_id: self._known[object_id]})

    def reserve(self, object_id: int) -> None:
        """Let objects that a person adds have ids above this one."""
        self._highest_id = max(self._highest_id, object_id)

    def select(self, object_id: int) -> None:
        """Make an object's boxes ready to be dragged, and let new points be its own."""
        self.current_id = object_id
        if self._layers is None or self._missing():
            return
        boxes, _ = self._layers
        if boxes.select(object_id):
            self._viewer.layers.selection.active = boxes.layer

    def draw_boxes(self) -> None:
        """Make the boxes layer ready to be drawn on."""
        boxes, _ = self.ensure()
        self._viewer.layers.selection.active = boxes.layer
        boxes.draw()

    def draw_points(self) -> None:
        """Make the points layer ready to be clicked on."""
        _, points = self.ensure()
        self._viewer.layers.selection.active = points.layer
        points.draw()

    def ensure(self) -> tuple[BoxesLayer, PointsLayer]:
        """Make the layers, or put them back where a person has deleted them."""
        if self._layers is None:
            self._layers = self._make()
        active = self._viewer.layers.selection.active
        for layer in self._missing():
            self._viewer.add_layer(layer)
        if active is not None:
            self._viewer.layers.selection.active = active
        return self._layers

    # -- writing ------------------------------------------------------------------------

    def _make(self) -> tuple[BoxesLayer, PointsLayer]:
        # A thin line is two pixels wide when the slice fills a window.
        stroke = max(self._shape[1:]) / 350
        boxes = BoxesLayer(self._shape, stroke, self._placement)
        points = PointsLayer(stroke, self._placement)
        points.layer.bind_key(SIGN_KEY, self._toggle_sign)
        for shown in (boxes, points):
            shown.layer.events.data.connect(self._on_data)
        return boxes, points

    def _missing(self) -> list[Any]:
        """The layers that a person has deleted."""
        shown = [shown.layer for shown in self._layers or ()]
        return [layer for layer in shown if layer not in self._viewer.layers]

    @property
    def _unfinished(self) -> bool:
        return any(self._to_remove) or any(self._to_add)

    def _step(self) -> bool:
        """Do one small part of what is to be done; return whether there was any."""
        if not self._unfinished:
            return False
        if self._layers is None or self._missing():
            self.ensure()
            return True
        (gone_boxes, gone_points), (boxes, points) = self._to_remove, self._to_add
        with self._quietly() as (boxes_layer, points_layer):
            if gone_boxes:
                self._to_remove = (set(), gone_points)
                boxes_layer.remove(gone_boxes)
            elif gone_points:
                self._to_remove = (set(), set())
                points_layer.remove(gone_points)
            elif boxes:
                self._to_add = (boxes[AT_ONCE:], points)
                boxes_layer.add(boxes[:AT_ONCE], self._known)
            else:
                self._to_add = (boxes, points[AT_ONCE:])
                points_layer.add(points[:AT_ONCE])
        return True

    @contextmanager
    def _quietly(self) -> Iterator[tuple[BoxesLayer, PointsLayer]]:
        """Change the layers without taking it for a person's edit."""
        assert self._layers is not None
        self._writing = True
        try:
            yield self._layers
        finally:
            self._writing = False
            self._counts = (len(self._layers[0]), len(self._layers[1]))

    # -- reading ------------------------------------------------------------------------

    def _on_data(self, event: Any) -> None:
        """Find out what a person has changed."""
        if self._writing or str(event.action) not in ("added", "changed", "removed"):
            return
        with self._quietly() as (boxes, points):
            former_boxes, former_points = self._counts
            self._adopt_boxes(boxes, len(boxes) - former_boxes)
            self._adopt_points(points, len(points) - former_points)
        self._compare()

    def _adopt_boxes(self, boxes: BoxesLayer, new: int) -> None:
        """Give each new box to a new object."""
        if new > 0:
            ids = range(self._highest_id + 1, self._highest_id + 1 + new)
            self._highest_id = self.current_id = ids[-1]
            boxes.adopt(ids, self.class_name)

    def _adopt_points(self, points: PointsLayer, new: int) -> None:
        """Give new points to the current object, or to a new one."""
        if new > 0:
            if self.current_id is None or self.current_id not in self._known:
                self._highest_id = self.current_id = self._highest_id + 1
            points.adopt(new, self.current_id, self._plane())

    def _compare(self) -> None:
        """Say what is other than it was."""
        assert self._layers is not None
        boxes, points = self._layers
        gone_boxes, gone_points = self._to_remove
        refused: list[PromptError] = []
        box_rows = [r for r in boxes.rows(refused.append) if r.object_id not in gone_boxes]
        point_rows = [r for r in points.rows() if r.object_id not in gone_points]
        found = prompts_of(
            [*box_rows, *self._to_add[0]],
            [*point_rows, *self._to_add[1]],
            self._known,
            self.class_name,
        )
        edited = {i: o for i, o in found.items() if self._known.get(i) != o}
        gone = tuple(set(self._known) - set(found))
        self._known = found
        if edited:
            with self._quietly():
                boxes.mark_as_edited(edited)
            self.edited.emit(tuple(edited.values()))
        if gone:
            self.removed.emit(gone)
        for error in refused:
            self.refused.emit(error)

    def _toggle_sign(self, _: Any) -> None:
        """Turn positive points into negative ones and back."""
        with self._quietly() as (_, points):
            changed = points.toggle_sign()
        if changed:
            self._compare()
