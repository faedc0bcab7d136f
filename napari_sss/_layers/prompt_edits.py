"""What a person has done to the prompts, slice by slice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

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


def in_main_plane(prompts: ObjectPrompts) -> ObjectPrompts:
    """Return an object with its prompts in one plane only: that of most of them.

    Through the stack an object is followed in one plane; of equally many the first counts.
    """
    planes = Counter(p.plane for p in prompts.prompts)
    if len(planes) < 2:
        return prompts
    main = planes.most_common(1)[0][0]
    return replace(prompts, prompts=tuple(p for p in prompts.prompts if p.plane is main))
