"""Actions on prompts; one record holds all prompts of an object on a slice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from napari_sss.engine.errors import PromptError
from napari_sss.engine.project.draft import Draft
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.guard import require_open
from napari_sss.engine.project.records import ObjectRecord, Progress, SectionKey, Table
from napari_sss.engine.project.state import Action, AnnotationState
from napari_sss.engine.prompts.prompt_bounds import check_prompts
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, PromptSet, SlicePrompt


def set_prompt(state: AnnotationState, object_id: int, prompt: SlicePrompt) -> Action:
    """Give an object these prompts on a slice, in place of those that it had there.

    Raises
    ------
    ProjectError
        If a prompt lies outside the volume.
    LockedError
        If the object is accepted.
    """
    require_open(state, [object_id])
    draft = Draft(state)
    existed = SectionKey(object_id, prompt.plane, prompt.index) in state.prompts
    put_prompts(draft, object_id, [prompt])
    draft.claim(object_id)
    draft.advance(Progress.IN_WORK)
    what = "Remove" if is_empty(prompt) else "Change" if existed else "Add"
    where = f"{prompt.plane.name.lower()} slice {prompt.index}"
    return draft.action("prompt", f"{what} prompts of object {object_id} on {where}")


def set_prompts(
    state: AnnotationState, object_id: int, prompts: Sequence[SlicePrompt]
) -> Action:
    """Give an object these prompts in place of all that it had."""
    require_open(state, [object_id])
    draft = Draft(state)
    kept = {(prompt.plane, prompt.index) for prompt in prompts}
    for key in state.prompts:
        if key.object_id == object_id and (key.plane, key.index) not in kept:
            draft.put(Table.PROMPT, key, None)
            draft.touched.add(key)
    put_prompts(draft, object_id, prompts)
    draft.claim(object_id)
    draft.advance(Progress.IN_WORK)
    return draft.action("prompt", f"Change prompts of object {object_id}")


def put_prompts(draft: Draft, object_id: int, prompts: Iterable[SlicePrompt]) -> None:
    """Enter prompts into a draft; an empty one takes back what was on its slice."""
    for prompt in prompts:
        key = SectionKey(object_id, prompt.plane, prompt.index)
        draft.touched.add(key)
        if is_empty(prompt):
            draft.put(Table.PROMPT, key, None)
            continue
        _check(draft.state, object_id, prompt)
        if prompt.confidence is not None:
            prompt = replace(prompt, confidence=round(prompt.confidence, 4))
        draft.put(Table.PROMPT, key, prompt)


def move_prompts(draft: Draft, source: int, target: int) -> None:
    """Give one object's prompts to another, joined with those on the same slice."""
    for key, prompt in draft.state.prompts.items():
        if key.object_id == source:
            new_key = replace(key, object_id=target)
            there = draft.get(Table.PROMPT, new_key)
            draft.put(Table.PROMPT, key, None)
            draft.put(Table.PROMPT, new_key, prompt if there is None else joined(there, prompt))


def joined(one: SlicePrompt, other: SlicePrompt) -> SlicePrompt:
    """Two objects' prompts on one slice as those of one object."""
    return replace(
        one,
        box=_around(one.box, other.box),
        points=one.points + other.points,
        strokes=one.strokes + other.strokes,
        polygons=one.polygons + other.polygons,
        mask=one.mask or other.mask,
        confidence=None,
    )


def is_empty(prompt: SlicePrompt) -> bool:
    """Whether nothing is prompted."""
    drawn = prompt.points or prompt.strokes or prompt.polygons
    return prompt.box is None and prompt.mask is None and not drawn


def object_prompts(record: ObjectRecord, name: str, state: AnnotationState) -> ObjectPrompts:
    """An object's prompts as the engine takes them."""
    return ObjectPrompts(record.id, name, state.prompts_of(record.id), record.confidence)


def plane_of(prompts: Sequence[SlicePrompt]) -> Plane:
    """The plane of the first prompt; axial where there is none."""
    return prompts[0].plane if prompts else Plane.AXIAL


def _around(one: Box | None, other: Box | None) -> Box | None:
    if one is None or other is None:
        return one or other
    return Box(
        min(one.x0, other.x0),
        min(one.y0, other.y0),
        max(one.x1, other.x1),
        max(one.y1, other.y1),
    )


def _check(state: AnnotationState, object_id: int, prompt: SlicePrompt) -> None:
    owner = ObjectPrompts(object_id, "object", (prompt,))
    try:
        check_prompts(PromptSet((owner,)), state.shape)
    except PromptError as error:
        raise ProjectError(error.problem, error.remedy) from error
