"""Prompts as editable layers, and what a person does to them.

What is drawn with our tools is known first and shown afterwards, so that the answer can be
on its way before napari has drawn anything. What a person changes by other means is found
by comparing the layers with what they held before, so that every way of changing them
(mouse, keys, copy and paste, a script) counts alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from psygnal import Signal

from napari_sss._layers.drawing import Drawing, Drawn, Stencil
from napari_sss._layers.prompt_edits import PromptEdit, edit_between
from napari_sss._layers.prompt_picking import follow_prompts
from napari_sss._layers.prompt_rows import (
    BoxRow,
    DrawingRow,
    PointRow,
    Row,
    Rows,
    prompts_of,
    rows_of,
    with_rows,
)
from napari_sss._layers.prompt_stack import PromptStack
from napari_sss._layers.stencils import row_drawn
from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.grid import Shape3

AT_ONCE = 30
"""Rows added in one call: napari needs up to 0.5 ms for each."""

BUDGET_S = 0.004
"""Seconds after which :meth:`PromptLayers.flush` leaves the rest to its next call."""

OWN_BUDGET_S = 0.1
"""The same for what a person has just drawn, which must be seen at once."""


class PromptLayers:
    """The points, boxes and strokes layers of one scan.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are shown, once there is something to show.
    shape : (int, int, int)
        Of the displayed volume.
    placement : mapping
        ``scale``, ``translate`` and ``units`` of the scan's layer.
    plane : callable
        Returns the plane in view, to which a new prompt belongs.

    Attributes
    ----------
    class_name : str
        What objects are called that a person adds.
    current_id : int or None
        The object to which a new prompt belongs; None begins a new object.
    why_locked : callable
        Returns why an object takes no prompts now, by its id; "" where it does.
    drawing : Drawing
        What the mouse draws.
    """

    prompted = Signal(tuple)
    """Emitted with a :class:`PromptEdit` for each object that a person changed or made."""
    edited = Signal(tuple)
    """Emitted right after it with their :class:`ObjectPrompts`."""
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
        self.why_locked: Callable[[int], str] = lambda _: ""
        self.drawing = Drawing()
        self.drawing.drawn.connect(self._on_drawn)
        self._viewer = viewer
        self._shape = shape
        self._placement = dict(placement)
        self._plane = plane
        self._known: dict[int, ObjectPrompts] = {}
        self._highest_id = 0
        self._stack: PromptStack | None = None
        # What the layers do not show yet: rows to add, and objects whose rows must go first.
        self._to_add = Rows()
        self._to_remove: set[int] = set()
        self._counts = (0, 0, 0)
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
        self._to_add = self._to_add.without(gone) + rows_of(objects)
        if self._stack is not None:
            self._to_remove |= gone

    def flush(self, budget: float | None = None) -> bool:
        """Bring the layers up to date, as far as the budget goes; return whether it did not."""
        deadline = time.perf_counter() + (BUDGET_S if budget is None else budget)
        while self._step():
            if time.perf_counter() > deadline:
                return self._unfinished
        return False

    def place(self, spacing: tuple[float, ...]) -> None:
        """Give the layers another spacing in mm."""
        self._placement |= {"scale": spacing, "units": ("mm",) * 3}
        for layer in self._stack.layers if self._stack is not None else ():
            layer.units = ("mm",) * 3
            layer.scale = spacing

    def rename(self, object_id: int, class_name: str) -> None:
        """Give an object another class and write it at its boxes."""
        if object_id not in self._known:
            return
        self._known[object_id] = replace(self._known[object_id], class_name=class_name)
        if self._stack is not None:
            with self._quietly() as stack:
                stack.boxes.write_labels({object_id: self._known[object_id]})

    @property
    def next_id(self) -> int:
        """The id that the next object gets."""
        return self._highest_id + 1

    def reserve(self, object_id: int) -> None:
        """Let objects that a person adds have ids above this one."""
        self._highest_id = max(self._highest_id, object_id)

    def select(self, object_id: int) -> None:
        """Let new prompts be an object's own; its boxes are ready to be dragged.

        Whoever is drawing goes on drawing.
        """
        self.current_id = object_id
        if self._stack is None or self._missing() or self.stencil is not None:
            return
        if self._stack.boxes.select(object_id):
            self._viewer.layers.selection.active = self._stack.boxes.layer

    # -- drawing ------------------------------------------------------------------------

    @property
    def stencil(self) -> Stencil | None:
        """What the mouse draws now; None where it draws no prompts.

        Layers are compared by ``==``: a plugin is given proxies of the viewer's.
        """
        active = self._viewer.layers.selection.active
        if self._stack is None or active not in self._stack.layers:
            return None
        mode = str(active.mode)
        return next(
            (s for s in Stencil if s.value == mode and self._layer_of(s) == active), None
        )

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers, as far as they have been made."""
        return () if self._stack is None else self._stack.layers

    def draw(self, stencil: Stencil) -> None:
        """Let the mouse draw on the layer that holds such prompts."""
        self.ensure()
        layer = self._layer_of(stencil)
        layer.selected_data = set()
        self._viewer.layers.selection.active = layer
        layer.mode = stencil.value

    def draw_boxes(self) -> None:
        """Let the next drag draw a box."""
        self.draw(Stencil.BOX)

    def draw_points(self) -> None:
        """Let the next click set a point."""
        self.draw(Stencil.POINT)

    def pick(self) -> None:
        """Let the mouse select and move prompts, on whichever of the layers they lie."""
        stack = self.ensure()
        for layer in stack.layers:
            layer.mode = "select"
        if self._viewer.layers.selection.active not in stack.layers:
            self._viewer.layers.selection.active = stack.boxes.layer

    def rest(self) -> None:
        """Let the mouse move the view."""
        for layer in self.layers:
            layer.mode = "pan_zoom"

    def toggle_selected(self) -> bool:
        """Turn the sign of the selected prompts; return whether there were any."""
        if self._stack is None:
            return False
        with self._quietly() as stack:
            turned = [stack.points.toggle_sign(), stack.strokes.toggle_sign()]
        if any(turned):
            self._compare()
        return any(turned)

    def add(self, row: Row) -> int | None:
        """Enter a prompt of a person's; return its object, or None where it is locked.

        Parameters
        ----------
        row : Row
            The prompt; its object 0 means a new one.
        """
        if row.object_id == 0:
            self._highest_id += 1
            row = replace(row, object_id=self._highest_id)
        reason = self.why_locked(row.object_id)
        if reason:
            self.refused.emit(PromptError(reason, "Begin a new object, or unlock this one."))
            return None
        former = self._known.get(row.object_id)
        now = with_rows(former, [row], self.class_name)
        self.current_id = row.object_id
        if former is not None and _replaces(former, row):
            self.show([now])
        else:
            self._known[row.object_id] = now
            self._to_add = self._to_add + _rows(row)
        self._tell([edit_between(former, now)])
        self.ensure()
        self.flush(OWN_BUDGET_S)
        if former is not None and former.confidence is not None:
            with self._quietly() as stack:
                stack.boxes.mark_as_edited({row.object_id: now})
        return row.object_id

    def target(self, stencil: Stencil | None = None, to_object: bool = False) -> int:
        """Return the object that a new prompt belongs to; 0 begins one.

        A box begins an object, unless it is asked to belong to the one at work.
        """
        begins = self.current_id is None or (stencil is Stencil.BOX and not to_object)
        return 0 if begins or self.current_id is None else self.current_id

    def _on_drawn(self, drawn: Drawn) -> None:
        try:
            row = row_drawn(
                drawn,
                self.target(drawn.stencil, drawn.to_object),
                self._plane(),
                self._shape,
            )
        except PromptError as error:
            self.refused.emit(error)
        else:
            self.add(row)

    # -- writing ------------------------------------------------------------------------

    def ensure(self) -> PromptStack:
        """Make the layers, or put them back where a person has deleted them."""
        if self._stack is None:
            self._stack = self._make()
        while self._missing():
            self._add_missing()
        return self._stack

    def _add_missing(self) -> None:
        """Show one of the layers that are not there: napari takes a while for each."""
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(self._missing()[0])
        if active is not None:
            self._viewer.layers.selection.active = active

    def _make(self) -> PromptStack:
        stack = PromptStack(self._shape, self._placement)
        self.drawing.take_over(stack.boxes.layer, Stencil.BOX)
        self.drawing.take_over(stack.points.layer, Stencil.POINT)
        self.drawing.take_over(stack.strokes.layer, Stencil.SCRIBBLE, Stencil.LASSO)
        follow_prompts(self._viewer, stack)
        for layer in stack.layers:
            layer.events.data.connect(self._on_data)
        return stack

    def _layer_of(self, stencil: Stencil) -> Any:
        assert self._stack is not None
        if stencil is Stencil.POINT:
            return self._stack.points.layer
        return (self._stack.boxes if stencil is Stencil.BOX else self._stack.strokes).layer

    def _missing(self) -> list[Any]:
        """The layers that a person has deleted."""
        return [layer for layer in self.layers if layer not in self._viewer.layers]

    @property
    def _unfinished(self) -> bool:
        return bool(self._to_remove) or bool(self._to_add)

    def _step(self) -> bool:
        """Do one small part of what is to be done; return whether there was any."""
        if not self._unfinished:
            return False
        if self._stack is None:
            self._stack = self._make()
            return True
        if self._missing():
            self._add_missing()
            return True
        with self._quietly() as stack:
            if self._to_remove:
                gone, self._to_remove = self._to_remove, set()
                stack.remove(gone)
            else:
                now, self._to_add = self._to_add.split(AT_ONCE)
                stack.add(now, self._known)
        return True

    @contextmanager
    def _quietly(self) -> Iterator[PromptStack]:
        """Change the layers without taking it for a person's edit."""
        assert self._stack is not None
        self._writing = True
        try:
            yield self._stack
        finally:
            self._writing = False
            self._counts = self._stack.counts

    # -- reading ------------------------------------------------------------------------

    def _on_data(self, event: Any) -> None:
        """Find out what a person has changed."""
        if self._writing or str(event.action) not in ("added", "changed", "removed"):
            return
        with self._quietly() as stack:
            self._adopt(stack)
        self._compare()

    def _adopt(self, stack: PromptStack) -> None:
        """Give new rows to objects: a box to a new one, others to the one at work."""
        boxes, points, strokes = (
            max(0, now - before) for now, before in zip(stack.counts, self._counts, strict=True)
        )
        if boxes:
            ids = range(self._highest_id + 1, self._highest_id + 1 + boxes)
            self._highest_id = self.current_id = ids[-1]
            stack.boxes.adopt(ids, self.class_name)
        if (points or strokes) and self.current_id not in self._known:
            self._highest_id = self.current_id = self._highest_id + 1
        about = (self.current_id, self._plane(), self.drawing.positive)
        if points:
            stack.points.adopt(points, *about)  # type: ignore[arg-type]
        if strokes:
            stack.strokes.adopt(strokes, *about)  # type: ignore[arg-type]

    def _compare(self) -> None:
        """Say what is other than it was."""
        assert self._stack is not None
        refused: list[PromptError] = []
        shown = self._stack.rows(refused.append).without(self._to_remove)
        found = prompts_of(shown + self._to_add, self._known, self.class_name)
        former, self._known = self._known, found
        changed = {i: o for i, o in found.items() if former.get(i) != o}
        gone = set(former) - set(found)
        locked = {i: self.why_locked(i) for i in {*changed, *gone} if i in former}
        for object_id, reason in locked.items():
            if reason:
                refused.append(PromptError(reason, "Unlock the object first."))
                changed.pop(object_id, None)
                gone.discard(object_id)
                self.show([former[object_id]])
                self._to_remove.add(object_id)
        if changed:
            with self._quietly() as stack:
                stack.boxes.mark_as_edited(changed)
            self._tell([edit_between(former.get(i), o) for i, o in changed.items()])
        if gone:
            self.removed.emit(tuple(gone))
        for error in refused:
            self.refused.emit(error)
        self.flush(OWN_BUDGET_S)

    def _tell(self, edits: Sequence[PromptEdit]) -> None:
        self.prompted.emit(tuple(edits))
        self.edited.emit(tuple(edit.prompts for edit in edits))


def _rows(row: Row) -> Rows:
    """One row as rows of the three layers."""
    rows = Rows()
    if isinstance(row, BoxRow):
        rows.boxes.append(row)
    elif isinstance(row, PointRow):
        rows.points.append(row)
    else:
        rows.drawings.append(row)
    return rows


def _replaces(former: ObjectPrompts, row: Row) -> bool:
    """Whether a row takes the place of another one: a slice has one box and one mask."""
    there = [p for p in former.prompts if (p.plane, p.index) == (row.plane, row.index)]
    if isinstance(row, BoxRow):
        return any(p.box is not None for p in there)
    is_mask = isinstance(row, DrawingRow) and not hasattr(row.drawing, "points")
    return is_mask and any(p.mask is not None for p in there)
