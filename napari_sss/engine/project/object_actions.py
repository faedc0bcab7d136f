"""Actions on objects as a whole: new, merged, split, tidied, deleted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_sss.engine.project.diff import LABEL_DTYPE, LabelDiff
from napari_sss.engine.project.draft import Draft
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.guard import Overwrite, OverwritePolicy, require_open
from napari_sss.engine.project.prompt_actions import move_prompts, plane_of, put_prompts
from napari_sss.engine.project.records import Maker, ObjectRecord, Progress, Table
from napari_sss.engine.project.shaping import components, filled, smoothed
from napari_sss.engine.project.state import Action, AnnotationState
from napari_sss.engine.project.voxels import fill, replace_region
from napari_sss.engine.prompts.types import Plane, SlicePrompt
from napari_sss.engine.volumes.grid import Vector3
from napari_sss.engine.volumes.region import Region

MAX_ID = int(np.iinfo(LABEL_DTYPE).max)

_KEEP_OTHERS = OverwritePolicy(others=Overwrite.KEEP)


def add_object(
    state: AnnotationState, object_id: int, class_id: int, prompts: Sequence[SlicePrompt]
) -> Action:
    """A new object, with or without prompts."""
    draft = Draft(state)
    new_object(draft, object_id, class_id, plane_of(prompts))
    put_prompts(draft, object_id, prompts)
    draft.claim(object_id)
    draft.advance(Progress.IN_WORK)
    return draft.action("add object", f"Add object {object_id}")


def delete_objects(state: AnnotationState, ids: Sequence[int]) -> Action:
    """Take objects out: voxels, prompts and all that is known of them."""
    require_open(state, ids)
    draft = Draft(state)
    wanted = LabelDiff.chain(fill(state, state.region(i), 0) for i in ids)
    draft.change_voxels(wanted, None, OverwritePolicy())
    if draft.diff.voxels < wanted.voxels:
        raise _partly_locked(ids)
    for object_id in ids:
        drop_object(draft, object_id)
    draft.advance(Progress.IN_WORK)
    return draft.action("delete", f"Delete {_named(ids)}")


def merge_objects(state: AnnotationState, ids: Sequence[int], into: int) -> Action:
    """Make several objects one; the others' voxels and prompts go to ``into``."""
    others = [object_id for object_id in dict.fromkeys(ids) if object_id != into]
    require_open(state, [into, *others])
    draft = Draft(state)
    wanted = LabelDiff.chain(fill(state, state.region(i), into) for i in others)
    draft.change_voxels(wanted, None, OverwritePolicy())
    if draft.diff.voxels < wanted.voxels:
        raise _partly_locked(others)
    draft.mark_sections({}, Maker.PAINTED)
    for object_id in others:
        move_prompts(draft, object_id, into)
        drop_object(draft, object_id)
    draft.advance(Progress.IN_WORK)
    return draft.action("merge", f"Merge {_named(others)} into object {into}")


def split_object(state: AnnotationState, object_id: int, first_id: int) -> Action:
    """Make each connected part an object; the largest keeps the id and the prompts.

    Parts touch where voxels share a corner; the new ones are numbered by falling size.
    """
    require_open(state, [object_id])
    owner = state.object(object_id)
    parts = components(state.region(object_id))[1:]
    if not parts:
        raise ProjectError(f"Object {object_id} is connected.", "There is nothing to split.")
    draft = Draft(state)
    for new_id, part in enumerate(parts, start=first_id):
        new_object(draft, new_id, owner.class_id, owner.plane, owner.confidence)
        draft.diff = LabelDiff.chain([draft.diff, fill(state, part, new_id)])
    wanted, draft.diff = draft.diff, LabelDiff.empty()
    _edit(draft, object_id, wanted)
    return draft.action("split", f"Split object {object_id} into {len(parts) + 1}")


def keep_largest(state: AnnotationState, object_id: int) -> Action:
    """Take away all but the largest connected part of an object."""
    parts = components(state.region(object_id))[1:]
    wanted = LabelDiff.chain(fill(state, part, 0) for part in parts)
    return _edited(state, object_id, wanted, "Keep the largest part of")


def fill_holes(state: AnnotationState, object_id: int, *, in_slices: bool = True) -> Action:
    """Fill what an object encloses and nobody else has.

    Parameters
    ----------
    in_slices : bool
        Holes of each slice of the object's plane, else only those closed in 3-D.
    """
    plane = state.object(object_id).plane
    region = filled(state.region(object_id), plane.axis if in_slices else None)
    return _reshaped(state, object_id, region, "Fill holes of")


def smooth(state: AnnotationState, object_id: int, radius: float, spacing: Vector3) -> Action:
    """Smooth an object's surface, without taking from others.

    Parameters
    ----------
    radius : float
        Millimetres; details smaller than this go.
    spacing : (float, float, float)
        Millimetres between voxels along Z, Y, X.
    """
    region = smoothed(state.region(object_id), radius, spacing, state.shape)
    return _reshaped(state, object_id, region, "Smooth")


def new_object(
    draft: Draft,
    object_id: int,
    class_id: int,
    plane: Plane,
    confidence: float | None = None,
) -> None:
    """Enter a new object into a draft."""
    if not 1 <= object_id <= MAX_ID or draft.get(Table.OBJECT, object_id) is not None:
        raise ProjectError(
            f"{object_id} cannot be the id of a new object.",
            f"Choose a free one from 1 to {MAX_ID}.",
        )
    if class_id not in draft.state.classes:
        raise ProjectError(f"There is no class {class_id}.", "Add the class first.")
    record = ObjectRecord(object_id, class_id, plane, confidence=confidence)
    draft.put(Table.OBJECT, object_id, record)


def drop_object(draft: Draft, object_id: int) -> None:
    """Take all records of an object out in a draft."""
    draft.put(Table.OBJECT, object_id, None)
    for table in (Table.PROMPT, Table.SECTION):
        for key in draft.state.table(table):
            if key.object_id == object_id:
                draft.put(table, key, None)


def _reshaped(state: AnnotationState, object_id: int, region: Region, what: str) -> Action:
    return _edited(state, object_id, replace_region(state, object_id, region), what)


def _edited(state: AnnotationState, object_id: int, wanted: LabelDiff, what: str) -> Action:
    require_open(state, [object_id])
    draft = Draft(state)
    _edit(draft, object_id, wanted)
    return draft.action("edit", f"{what} object {object_id}")


def _edit(draft: Draft, object_id: int, wanted: LabelDiff) -> None:
    draft.change_voxels(wanted, {object_id}, _KEEP_OTHERS)
    draft.mark_sections({}, Maker.PAINTED)
    if draft.diff.runs:
        draft.advance(Progress.IN_WORK)


def _named(ids: Sequence[int]) -> str:
    return f"object {ids[0]}" if len(ids) == 1 else f"{len(ids)} objects"


def _partly_locked(ids: Sequence[int]) -> Exception:
    from napari_sss.engine.project.errors import LockedError

    return LockedError(
        f"Parts of {_named(ids)} lie on accepted slices.", "Reopen those slices first."
    )
