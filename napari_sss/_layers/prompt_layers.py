"""Prompts as editable layers: boxes with their confidence, points with their sign.

What a person changes is found by comparing the layers with what they held before, so that
every way of changing them (mouse, keys, copy and paste, a script) counts alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from psygnal import Signal

from napari_sss._layers.prompt_rows import BoxRow, PointRow, label_of, prompts_of, rows_of
from napari_sss._layers.prompt_shapes import box_corners, box_of, point_of, point_position
from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.grid import Shape3

BOXES = "prompts: boxes"
POINTS = "prompts: points"

SIGN_KEY = "t"
"""On the points layer: the selected points, or else the next one, change their sign."""

# Okabe and Ito's colours, told apart with every kind of colour vision; the width of a box
# and the symbol of a point say the same without colour.
BY_PROGRAM, BY_PERSON = "#56B4E9", "#E69F00"
COLOURS = {"+": "#56B4E9", "-": "#D55E00"}
SYMBOLS = {"+": "disc", "-": "x"}

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
        self._new_rows: tuple[list[BoxRow], list[PointRow]] = ([], [])
        self._gone: tuple[set[int], set[int]] = (set(), set())
        self._boxes: Any = None
        self._points: Any = None
        self._counts = (0, 0)
        self._writing = False
        self._highest_id = 0
        self._next_sign = "+"

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
        self._highest_id = max(self._known, default=0)
        boxes, points = rows_of(objects)
        self._new_rows = (
            [row for row in self._new_rows[0] if row.object_id not in gone] + boxes,
            [row for row in self._new_rows[1] if row.object_id not in gone] + points,
        )
        if self._boxes is not None:
            self._gone = (self._gone[0] | gone, self._gone[1] | gone)

    def flush(self) -> bool:
        """Bring the layers up to date, as far as the budget goes; return whether it did not."""
        deadline = time.perf_counter() + BUDGET_S
        while self._step():
            if time.perf_counter() > deadline:
                return self._unfinished
        return False

    @property
    def _unfinished(self) -> bool:
        return any(self._gone) or any(self._new_rows)

    def _step(self) -> bool:
        """Do one small part of what is to be done; return whether there was any."""
        if not self._unfinished:
            return False
        if self._boxes is None or self._missing():
            self.ensure()
            return True
        (gone_boxes, gone_points), (boxes, points) = self._gone, self._new_rows
        if gone_boxes:
            self._gone = (set(), gone_points)
            self._remove_rows(self._boxes, gone_boxes)
        elif gone_points:
            self._gone = (set(), set())
            self._remove_rows(self._points, gone_points)
        elif boxes:
            self._new_rows = (boxes[AT_ONCE:], points)
            self._add_boxes(boxes[:AT_ONCE])
        else:
            self._new_rows = (boxes, points[AT_ONCE:])
            self._add_points(points[:AT_ONCE])
        return True

    def place(self, spacing: tuple[float, ...]) -> None:
        """Give the layers another spacing in mm."""
        self._placement |= {"scale": spacing, "units": ("mm",) * 3}
        for layer in (self._boxes, self._points):
            if layer is not None:
                layer.units = ("mm",) * 3
                layer.scale = spacing

    def reserve(self, highest_id: int) -> None:
        """Let objects that a person adds have ids above this one."""
        self._highest_id = max(self._highest_id, highest_id)

    def rename(self, object_id: int, class_name: str) -> None:
        """Give an object another class and write it at its boxes."""
        if object_id in self._known:
            self._known[object_id] = replace(self._known[object_id], class_name=class_name)
            if self._boxes is not None:
                self._write_labels({object_id})

    def select(self, object_id: int) -> None:
        """Make an object's boxes ready to be dragged."""
        self.current_id = object_id
        if self._boxes is None or self._boxes not in self._viewer.layers:
            return
        rows = np.flatnonzero(self._boxes.features["object_id"].to_numpy() == object_id)
        if len(rows):
            self._viewer.layers.selection.active = self._boxes
            self._boxes.mode = "select"
            self._boxes.selected_data = {int(row) for row in rows}

    def draw_boxes(self) -> None:
        """Make the boxes layer ready to be drawn on."""
        self.ensure()
        self._viewer.layers.selection.active = self._boxes
        self._boxes.selected_data = set()
        self._boxes.mode = "add_rectangle"

    def draw_points(self) -> None:
        """Make the points layer ready to be clicked on."""
        self.ensure()
        self._viewer.layers.selection.active = self._points
        self._points.selected_data = set()
        self._points.mode = "add"

    def ensure(self) -> None:
        """Make the layers, or put them back where a person has deleted them."""
        if self._boxes is None:
            self._boxes, self._points = self._make_boxes(), self._make_points()
        active = self._viewer.layers.selection.active
        for layer in self._missing():
            self._viewer.add_layer(layer)
        if active is not None:
            self._viewer.layers.selection.active = active

    def _missing(self) -> list[Any]:
        return [
            layer for layer in (self._boxes, self._points) if layer not in self._viewer.layers
        ]

    # -- layers -------------------------------------------------------------------------

    def _make_boxes(self) -> Any:
        import pandas as pd
        from napari.layers import Shapes

        layer = Shapes(
            ndim=3,
            name=BOXES,
            features=pd.DataFrame({"object_id": np.zeros(0, int), "label": np.zeros(0, str)}),
            text={"string": "{label}", "size": 9, "color": "white", "anchor": "upper_left"},
            edge_color=BY_PERSON,
            edge_width=2 * self._stroke,
            face_color="transparent",
            opacity=0.9,
            **self._placement,
        )
        layer.events.data.connect(self._on_data)
        return layer

    def _make_points(self) -> Any:
        import pandas as pd
        from napari.layers import Points

        layer = Points(
            ndim=3,
            name=POINTS,
            features=pd.DataFrame(
                {
                    "object_id": np.zeros(0, int),
                    "sign": np.zeros(0, object),
                    "plane": np.zeros(0, int),
                }
            ),
            size=8 * self._stroke,
            symbol=SYMBOLS["+"],
            face_color=COLOURS["+"],
            border_color="white",
            opacity=0.9,
            **self._placement,
        )
        layer.bind_key(SIGN_KEY, self._toggle_sign)
        layer.events.data.connect(self._on_data)
        return layer

    @property
    def _stroke(self) -> float:
        """Width of a thin line in voxels, about two pixels when the slice fills a window."""
        return max(self._shape[1:]) / 350

    # -- writing ------------------------------------------------------------------------

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Change the layers without taking it for a person's edit."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
            self._counts = (len(self._boxes.data), len(self._points.data))

    def _add_boxes(self, rows: Sequence[BoxRow]) -> None:
        labels = [label_of(self._known[row.object_id]) for row in rows]
        with self._quietly():
            features = self._boxes.features
            self._boxes.add_rectangles(
                [box_corners(row.box, row.plane, row.index) for row in rows],
                edge_color=BY_PROGRAM,
                edge_width=self._stroke,
                face_color="transparent",
            )
            ids = [row.object_id for row in rows]
            self._boxes.features = {
                "object_id": [*features["object_id"], *ids],
                "label": [*features["label"], *labels],
            }

    def _add_points(self, rows: Sequence[PointRow]) -> None:
        signs = ["+" if row.point.positive else "-" for row in rows]
        with self._quietly():
            features = self._points.features
            self._points.add(
                np.stack([point_position(row.point, row.plane, row.index) for row in rows])
            )
            self._points.features = {
                "object_id": [*features["object_id"], *(row.object_id for row in rows)],
                "sign": [*features["sign"], *signs],
                "plane": [*features["plane"], *(row.plane.axis for row in rows)],
            }
            self._show_signs()

    def _remove_rows(self, layer: Any, ids: set[int]) -> None:
        rows = np.flatnonzero(layer.features["object_id"].isin(list(ids)))
        if len(rows):
            with self._quietly():
                layer.remove([int(row) for row in rows])

    def _show_signs(self) -> None:
        signs = list(self._points.features["sign"])
        if signs:
            self._points.symbol = [SYMBOLS[sign] for sign in signs]
            self._points.face_color = [COLOURS[sign] for sign in signs]

    # -- reading ------------------------------------------------------------------------

    def _on_data(self, event: Any) -> None:
        """Find out what a person has changed."""
        if self._writing or str(event.action) not in ("added", "changed", "removed"):
            return
        with self._quietly():
            self._adopt_boxes()
            self._adopt_points()
        self._compare()

    def _adopt_boxes(self) -> None:
        """Give new boxes to new objects."""
        new = len(self._boxes.data) - self._counts[0]
        if new > 0:
            first = self._highest_id + 1
            self._highest_id += new
            features = self._boxes.features.iloc[:-new]
            ids = list(range(first, first + new))
            self.current_id = ids[-1]
            self._boxes.features = {
                "object_id": [*features["object_id"], *ids],
                "label": [*features["label"], *(f"{self.class_name} {i}" for i in ids)],
            }

    def _adopt_points(self) -> None:
        """Give new points to the current object, or to a new one."""
        new = len(self._points.data) - self._counts[1]
        if new > 0:
            if self.current_id not in self._known:
                self._highest_id += 1
                self.current_id = self._highest_id
            features = self._points.features.iloc[:-new]
            self._points.features = {
                "object_id": [*features["object_id"], *[self.current_id] * new],
                "sign": [*features["sign"], *[self._next_sign] * new],
                "plane": [*features["plane"], *[self._plane().axis] * new],
            }
            self._show_signs()

    def _compare(self) -> None:
        found = prompts_of(self._box_rows(), self._point_rows(), self._known, self.class_name)
        edited = tuple(o for i, o in found.items() if self._known.get(i) != o)
        gone = tuple(set(self._known) - set(found))
        self._known = found
        if edited:
            self._mark_as_edited({o.id for o in edited})
            self.edited.emit(edited)
        if gone:
            self.removed.emit(gone)

    def _mark_as_edited(self, ids: set[int]) -> None:
        """Show whose boxes a person has drawn or moved."""
        rows = np.flatnonzero(self._boxes.features["object_id"].isin(list(ids)))
        colours, widths = self._boxes.edge_color, list(self._boxes.edge_width)
        for row in rows:
            colours[row] = _rgba(BY_PERSON)
            widths[row] = 2 * self._stroke
        with self._quietly():
            self._boxes.edge_color = colours
            self._boxes.edge_width = widths
        self._write_labels(ids)

    def _write_labels(self, ids: set[int]) -> None:
        """Write class, id and confidence at objects' boxes anew."""
        features = self._boxes.features
        labels = [
            label_of(self._known[object_id]) if object_id in ids else label
            for object_id, label in zip(features["object_id"], features["label"], strict=True)
        ]
        with self._quietly():
            self._boxes.features = {"object_id": features["object_id"], "label": labels}

    def _box_rows(self) -> list[BoxRow]:
        rows = list(self._new_rows[0])
        ids = self._boxes.features["object_id"]
        for object_id, corners in zip(ids, self._boxes.data, strict=True):
            if object_id in self._gone[0]:
                continue
            try:
                plane, index, box = box_of(corners, self._shape)
            except PromptError as error:
                self.refused.emit(error)
                continue
            rows.append(BoxRow(int(object_id), plane, index, box))
        return rows

    def _point_rows(self) -> list[PointRow]:
        rows = list(self._new_rows[1])
        features = self._points.features
        for position, object_id, sign, axis in zip(
            self._points.data,
            features["object_id"],
            features["sign"],
            features["plane"],
            strict=True,
        ):
            if object_id in self._gone[1]:
                continue
            plane = Plane(int(axis))
            index, point = point_of(position, plane, sign == "+")
            rows.append(PointRow(int(object_id), plane, index, point))
        return rows

    def _toggle_sign(self, layer: Any) -> None:
        """Turn positive points into negative ones and back."""
        flipped = {"+": "-", "-": "+"}
        signs = list(layer.features["sign"])
        for row in layer.selected_data:
            signs[row] = flipped[signs[row]]
        if layer.selected_data:
            layer.features = {**layer.features, "sign": signs}
            self._show_signs()
            self._compare()
            return
        self._next_sign = flipped[self._next_sign]
        layer.current_symbol = SYMBOLS[self._next_sign]
        layer.current_face_color = COLOURS[self._next_sign]


def _rgba(colour: str) -> tuple[float, ...]:
    return (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0)
