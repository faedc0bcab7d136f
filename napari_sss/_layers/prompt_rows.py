"""From rows of the prompt layers to prompts: plain data on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, Point, SlicePrompt


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


def rows_of(objects: Iterable[ObjectPrompts]) -> tuple[list[BoxRow], list[PointRow]]:
    """Return the rows that show objects' prompts."""
    boxes, points = [], []
    for o in objects:
        for prompt in o.prompts:
            if prompt.box is not None:
                boxes.append(BoxRow(o.id, prompt.plane, prompt.index, prompt.box))
            points += [PointRow(o.id, prompt.plane, prompt.index, p) for p in prompt.points]
    return boxes, points


def prompts_of(
    boxes: Iterable[BoxRow],
    points: Iterable[PointRow],
    known: Mapping[int, ObjectPrompts],
    new_class: str,
) -> dict[int, ObjectPrompts]:
    """Return the objects' prompts that rows stand for.

    Parameters
    ----------
    boxes, points : iterable of rows
        As the layers hold them now; of several boxes of an object on a slice the last counts.
    known : mapping
        The prompts as they were: what has not changed is kept as it is, with its confidence,
        and so is the order, best slice first. New slices come before the others, since a
        person chose them.
    new_class : str
        What new objects are called.
    """
    slices: dict[int, dict[tuple[Plane, int], SlicePrompt]] = {}
    for b in boxes:
        prompt = _on_slice(slices, b)
        slices[b.object_id][b.plane, b.index] = replace(prompt, box=b.box)
    for p in points:
        prompt = _on_slice(slices, p)
        with_point = replace(prompt, points=(*prompt.points, p.point))
        slices[p.object_id][p.plane, p.index] = with_point
    return {
        object_id: _object(object_id, found, known.get(object_id), new_class)
        for object_id, found in slices.items()
    }


def label_of(o: ObjectPrompts) -> str:
    """Return what is written at an object's boxes: class, id and confidence."""
    sure = "" if o.confidence is None else f"  {o.confidence:.2f}"
    return f"{o.class_name} {o.id}{sure}"


def _on_slice(
    slices: dict[int, dict[tuple[Plane, int], SlicePrompt]], row: BoxRow | PointRow
) -> SlicePrompt:
    of_object = slices.setdefault(row.object_id, {})
    return of_object.get((row.plane, row.index), SlicePrompt(row.index, plane=row.plane))


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
    """Whether two prompts hold the same boxes and points, in whatever order."""
    return one.box == other.box and set(one.points) == set(other.points)
