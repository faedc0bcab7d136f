"""From rows of the prompt layers to prompts: plain data on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_sss.engine.prompts.types import (
    Box,
    ObjectPrompts,
    Plane,
    Point,
    Polygon,
    SlicePrompt,
    Stroke,
)

DIGITS = 2
"""Decimals of a voxel that count when two drawings are compared: layers round."""

Drawing = Stroke | Polygon | Path
"""What the strokes layer holds: a scribble, a lasso, or the file of a mask."""


@dataclass(frozen=True)
class BoxRow:
    """A rectangle of the boxes layer."""

    object_id: int
    plane: Plane
    index: int
    box: Box


@dataclass(frozen=True)
class PointRow:
    """A point of the points layer."""

    object_id: int
    plane: Plane
    index: int
    point: Point


@dataclass(frozen=True)
class DrawingRow:
    """A scribble, lasso or mask of the strokes layer."""

    object_id: int
    plane: Plane
    index: int
    drawing: Drawing


Row = BoxRow | PointRow | DrawingRow


@dataclass
class Rows:
    """The rows of the three layers."""

    boxes: list[BoxRow] = field(default_factory=list)
    points: list[PointRow] = field(default_factory=list)
    drawings: list[DrawingRow] = field(default_factory=list)

    @property
    def each(self) -> tuple[list[BoxRow], list[PointRow], list[DrawingRow]]:
        """Layer by layer."""
        return self.boxes, self.points, self.drawings

    def without(self, ids: set[int]) -> Rows:
        """The rows of the other objects."""
        return Rows(
            [row for row in self.boxes if row.object_id not in ids],
            [row for row in self.points if row.object_id not in ids],
            [row for row in self.drawings if row.object_id not in ids],
        )

    def split(self, count: int) -> tuple[Rows, Rows]:
        """Return some rows of one layer, and the rest."""
        boxes, points, drawings = self.each
        if boxes:
            return Rows(boxes[:count]), Rows(boxes[count:], points, drawings)
        if points:
            return Rows([], points[:count]), Rows([], points[count:], drawings)
        return Rows([], [], drawings[:count]), Rows([], [], drawings[count:])

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            self.boxes + other.boxes,
            self.points + other.points,
            self.drawings + other.drawings,
        )

    def __bool__(self) -> bool:
        return any(self.each)


def rows_of(objects: Iterable[ObjectPrompts]) -> Rows:
    """Return the rows that show objects' prompts."""
    rows = Rows()
    for o in objects:
        for prompt in o.prompts:
            place = (o.id, prompt.plane, prompt.index)
            if prompt.box is not None:
                rows.boxes.append(BoxRow(*place, prompt.box))
            rows.points += [PointRow(*place, point) for point in prompt.points]
            drawings: list[Drawing] = [*prompt.strokes, *prompt.polygons]
            if prompt.mask is not None:
                drawings.append(prompt.mask)
            rows.drawings += [DrawingRow(*place, drawing) for drawing in drawings]
    return rows


def prompts_of(
    rows: Rows, known: Mapping[int, ObjectPrompts], new_class: str
) -> dict[int, ObjectPrompts]:
    """Return the objects' prompts that rows stand for.

    Parameters
    ----------
    rows : Rows
        As the layers hold them now; of several boxes of an object on a slice the last counts.
    known : mapping
        The prompts as they were: what has not changed is kept as it is, with its confidence,
        and so is the order, best slice first. New slices come before the others, since a
        person chose them.
    new_class : str
        What new objects are called.
    """
    slices: dict[int, dict[tuple[Plane, int], SlicePrompt]] = {}
    each: list[Row] = [*rows.boxes, *rows.points, *rows.drawings]
    for row in each:
        of_object = slices.setdefault(row.object_id, {})
        place = (row.plane, row.index)
        former = of_object.get(place, SlicePrompt(row.index, plane=row.plane))
        of_object[place] = with_row(former, row)
    return {
        object_id: _object(object_id, found, known.get(object_id), new_class)
        for object_id, found in slices.items()
    }


def with_row(prompt: SlicePrompt, row: Row) -> SlicePrompt:
    """Return a slice's prompt with one more row; a box or mask replaces the former one."""
    if isinstance(row, BoxRow):
        return replace(prompt, box=row.box)
    if isinstance(row, PointRow):
        return replace(prompt, points=(*prompt.points, row.point))
    if isinstance(row.drawing, Stroke):
        return replace(prompt, strokes=(*prompt.strokes, row.drawing))
    if isinstance(row.drawing, Polygon):
        return replace(prompt, polygons=(*prompt.polygons, row.drawing))
    return replace(prompt, mask=row.drawing)


def with_rows(
    former: ObjectPrompts | None, rows: Sequence[Row], new_class: str
) -> ObjectPrompts:
    """Return an object's prompts with more rows of its own, or a new object of them.

    The slices that a person has added come first; what is confirmed by a person has no
    confidence any more.
    """
    prompts = () if former is None else former.prompts
    for row in rows:
        here = (row.plane, row.index)
        there = next((p for p in prompts if (p.plane, p.index) == here), None)
        changed = with_row(there or SlicePrompt(row.index, plane=row.plane), row)
        changed = replace(changed, confidence=None)
        if there is None:
            prompts = (changed, *prompts)
        else:
            prompts = tuple(changed if p is there else p for p in prompts)
    if former is None:
        return ObjectPrompts(rows[0].object_id, new_class, prompts)
    return replace(former, prompts=prompts, confidence=None)


def label_of(o: ObjectPrompts) -> str:
    """Return what is written at an object's boxes: class, id and confidence."""
    sure = "" if o.confidence is None else f"  {o.confidence:.2f}"
    return f"{o.class_name} {o.id}{sure}"


def _object(
    object_id: int,
    found: Mapping[tuple[Plane, int], SlicePrompt],
    former: ObjectPrompts | None,
    new_class: str,
) -> ObjectPrompts:
    if former is None:
        return ObjectPrompts(object_id, new_class, tuple(found.values()))
    places = [(p.plane, p.index) for p in former.prompts]
    before = dict(zip(places, former.prompts, strict=True))
    order = [k for k in found if k not in before] + [k for k in places if k in found]
    prompts = tuple(
        before[k] if k in before and _same(before[k], found[k]) else found[k] for k in order
    )
    if prompts == former.prompts:
        return former
    return replace(former, prompts=prompts, confidence=None)


def _same(one: SlicePrompt, other: SlicePrompt) -> bool:
    """Whether two prompts hold the same, in whatever order."""
    return (
        one.box == other.box
        and one.mask == other.mask
        and set(one.points) == set(other.points)
        and _rounded(one.strokes) == _rounded(other.strokes)
        and _rounded(one.polygons) == _rounded(other.polygons)
    )


def _rounded(drawings: Iterable[Stroke | Polygon]) -> set[tuple[object, bool]]:
    """Drawings such that those that a layer cannot tell apart are equal."""
    return {
        (tuple((round(x, DIGITS), round(y, DIGITS)) for x, y in d.points), d.positive)
        for d in drawings
    }
