"""Prompts and masks carried from one axis order of a volume to another.

Work happens in the order in which the viewer shows a volume; files keep the order in which
the scan is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from napari_sss.engine.prompts.types import (
    Box,
    ObjectPrompts,
    Plane,
    Point,
    PromptSet,
    SlicePrompt,
)
from napari_sss.engine.volumes.grid import AxisView, Shape3
from napari_sss.engine.volumes.region import Region


def prompts_to_source(prompts: PromptSet, view: AxisView, source_shape: Shape3) -> PromptSet:
    """Prompts given in the view, as prompts on the source's array."""
    return _mapped(prompts, lambda o: object_to_source(o, view, source_shape))


def prompts_to_view(prompts: PromptSet, view: AxisView, source_shape: Shape3) -> PromptSet:
    """Prompts given on the source's array, as prompts in the view."""
    inverse, shape = inverse_view(view), viewed_shape(view, source_shape)
    return _mapped(prompts, lambda o: object_to_source(o, inverse, shape))


def object_to_source(
    prompts: ObjectPrompts, view: AxisView, source_shape: Shape3
) -> ObjectPrompts:
    """One object's prompts given in the view, as prompts on the source's array."""
    moved = tuple(_slice_to_source(p, view, source_shape) for p in prompts.prompts)
    return replace(prompts, prompts=moved)


def region_to_source(region: Region, view: AxisView, source_shape: Shape3) -> Region:
    """A region found in the view, as a region of the source's array."""
    offset = [0, 0, 0]
    for target, axis in enumerate(view.order):
        start, count = region.offset[target], region.mask.shape[target]
        offset[axis] = source_shape[axis] - start - count if view.flips[target] else start
    return Region(tuple(offset), view.undo(region.mask))  # type: ignore[arg-type]


def inverse_view(view: AxisView) -> AxisView:
    """The view that leads back to the source."""
    order = [0, 0, 0]
    flips = [False, False, False]
    for target, axis in enumerate(view.order):
        order[axis], flips[axis] = target, view.flips[target]
    return AxisView(tuple(order), tuple(flips))  # type: ignore[arg-type]


def viewed_shape(view: AxisView, shape: Shape3) -> Shape3:
    """The shape of the view of an array of ``shape``."""
    z, y, x = (shape[axis] for axis in view.order)
    return z, y, x


def _mapped(prompts: PromptSet, move: Callable[[ObjectPrompts], ObjectPrompts]) -> PromptSet:
    return replace(prompts, objects=tuple(move(o) for o in prompts.objects))


def _slice_to_source(prompt: SlicePrompt, view: AxisView, shape: Shape3) -> SlicePrompt:
    plane = Plane(view.order[prompt.plane.axis])
    flipped = view.flips[prompt.plane.axis]
    index = shape[plane.axis] - 1 - prompt.index if flipped else prompt.index
    turn = _Turn(prompt.plane, plane, view, shape)
    return replace(
        prompt,
        index=index,
        plane=plane,
        box=None if prompt.box is None else turn.box(prompt.box),
        points=tuple(Point(*turn.position(p.x, p.y), p.positive) for p in prompt.points),
        strokes=tuple(turn.drawn(s) for s in prompt.strokes),
        polygons=tuple(turn.drawn(p) for p in prompt.polygons),
    )


class _Turn:
    """In-plane positions of a slice of the view, in the source's slice."""

    def __init__(
        self, plane: Plane, source_plane: Plane, view: AxisView, shape: Shape3
    ) -> None:
        self._swapped = view.order[plane.row_axis] != source_plane.row_axis
        self._flips = (view.flips[plane.column_axis], view.flips[plane.row_axis])
        self._sizes = (
            shape[view.order[plane.column_axis]],
            shape[view.order[plane.row_axis]],
        )

    def position(self, x: float, y: float) -> tuple[float, float]:
        """Where the voxel-centre position is in the source's slice."""
        if self._flips[0]:
            x = self._sizes[0] - 1 - x
        if self._flips[1]:
            y = self._sizes[1] - 1 - y
        return (y, x) if self._swapped else (x, y)

    def box(self, box: Box) -> Box:
        """The box in the source's slice; maxima stay exclusive."""
        ax, ay = self.position(box.x0, box.y0)
        bx, by = self.position(box.x1 - 1, box.y1 - 1)
        return Box(min(ax, bx), min(ay, by), max(ax, bx) + 1, max(ay, by) + 1)

    def drawn(self, drawing: Any) -> Any:
        """A scribble or lasso in the source's slice."""
        return replace(drawing, points=tuple(self.position(x, y) for x, y in drawing.points))
