"""Several prompts of an object on one slice, as the one that they are."""

from __future__ import annotations

from dataclasses import replace

from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import Box, SlicePrompt


def merged_by_slice(prompts: tuple[SlicePrompt, ...]) -> tuple[SlicePrompt, ...]:
    """One prompt per slice, in the order in which the slices first appear.

    Points and drawings are joined; of several boxes the one around them all is taken, as a
    single box around an object of several pieces would be.

    Raises
    ------
    PromptError
        Where one slice names two different masks.
    """
    merged: dict[int, SlicePrompt] = {}
    for prompt in prompts:
        known = merged.get(prompt.index)
        merged[prompt.index] = prompt if known is None else _joined(known, prompt)
    return tuple(merged.values())


def _joined(one: SlicePrompt, other: SlicePrompt) -> SlicePrompt:
    """Two prompts of an object on the same slice, as one."""
    masks = {p.mask for p in (one, other) if p.mask is not None}
    if len(masks) > 1:
        raise PromptError(
            f"Slice {one.index} has two masks as prompts: {', '.join(map(str, masks))}.",
            "Put them into one file.",
        )
    return replace(
        one,
        box=_around_both(one.box, other.box),
        points=one.points + other.points,
        strokes=one.strokes + other.strokes,
        polygons=one.polygons + other.polygons,
        mask=next(iter(masks), None),
    )


def _around_both(one: Box | None, other: Box | None) -> Box | None:
    if one is None or other is None:
        return one or other
    return Box(
        min(one.x0, other.x0),
        min(one.y0, other.y0),
        max(one.x1, other.x1),
        max(one.y1, other.y1),
    )
