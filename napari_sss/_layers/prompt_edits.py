"""What a person has done to the prompts, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sss.engine.prompts.types import ObjectPrompts, SlicePrompt


@dataclass(frozen=True)
class PromptEdit:
    """One object's prompts before and after an edit.

    Parameters
    ----------
    prompts : ObjectPrompts
        As they are now.
    slices : tuple of SlicePrompt
        The edited slices as they are now; without any prompt where the last one of a slice
        was taken away.
    former : ObjectPrompts, optional
        As they were; None: the object is new.
    """

    prompts: ObjectPrompts
    slices: tuple[SlicePrompt, ...]
    former: ObjectPrompts | None = None


def edit_between(former: ObjectPrompts | None, now: ObjectPrompts) -> PromptEdit:
    """Return what has changed from one state of an object's prompts to another."""
    before = {} if former is None else {(p.plane, p.index): p for p in former.prompts}
    after = {(p.plane, p.index): p for p in now.prompts}
    changed = [p for place, p in after.items() if before.get(place) != p]
    emptied = [SlicePrompt(index, plane=plane) for plane, index in before.keys() - after.keys()]
    return PromptEdit(now, (*changed, *emptied), former)


def is_empty(prompt: SlicePrompt) -> bool:
    """Whether nothing is prompted on the slice."""
    drawn = prompt.points or prompt.strokes or prompt.polygons
    return prompt.box is None and prompt.mask is None and not drawn
