"""Actions by which a person decides: accept, reject, reopen, flag; what an object is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.draft import Draft
from napari_sss.engine.project.errors import LockedError, ProjectError
from napari_sss.engine.project.guard import OverwritePolicy, require_open
from napari_sss.engine.project.records import (
    CaseRecord,
    Flag,
    Maker,
    Progress,
    Review,
    SectionKey,
    SectionRecord,
    SliceKey,
    SliceRecord,
    Table,
)
from napari_sss.engine.project.state import Action, AnnotationState
from napari_sss.engine.project.voxels import fill, replace_on_slice

_VERBS = {Review.OPEN: "Reopen", Review.ACCEPTED: "Accept", Review.REJECTED: "Reject"}


def review_objects(state: AnnotationState, ids: Sequence[int], review: Review) -> Action:
    """Accept, reject or reopen objects; a rejected one loses its voxels, not its prompts."""
    draft = Draft(state)
    _require_open_case(state)
    if review is Review.REJECTED:
        require_open(state, ids)
        _take_voxels(draft, LabelDiff.chain(fill(state, state.region(i), 0) for i in ids))
    for object_id in ids:
        state.object(object_id)
        draft.revise(Table.OBJECT, object_id, review=review)
        draft.touched |= {key for key, _ in state.sections_of(object_id)}
    draft.advance(Progress.IN_WORK)
    named = f"object {ids[0]}" if len(ids) == 1 else f"{len(ids)} objects"
    return draft.action("review", f"{_VERBS[review]} {named}")


def review_section(state: AnnotationState, key: SectionKey, review: Review) -> Action:
    """Accept, reject or reopen an object on one slice; rejected, it loses its pixels there."""
    draft = Draft(state)
    _require_open_case(state)
    owner = state.object(key.object_id)
    section: SectionRecord | None = state.get(Table.SECTION, key)
    state.slice_labels(key.plane, key.index)
    if review is Review.REJECTED:
        nothing = np.zeros((0, 0), dtype=bool)
        wanted = replace_on_slice(state, owner.id, key.plane, key.index, (0, 0), nothing)
        _take_voxels(draft, wanted)
        section = draft.get(Table.SECTION, key)
    section = section or SectionRecord(Maker.PAINTED)
    draft.put(Table.SECTION, key, replace(section, review=review))
    draft.touched.add(key)
    draft.advance(Progress.IN_WORK)
    return draft.action(
        "review", f"{_VERBS[review]} object {owner.id} on {_slice_name(key.slice_key)}"
    )


def review_slice(state: AnnotationState, key: SliceKey, review: Review) -> Action:
    """Accept or reopen a slice as a whole, or note that it cannot be used."""
    draft = Draft(state)
    _require_open_case(state)
    state.slice_labels(key.plane, key.index)
    record = state.get(Table.SLICE, key) or SliceRecord()
    draft.put(Table.SLICE, key, _or_none(replace(record, review=review)))
    draft.touched |= {section for section in state.sections if section.slice_key == key}
    draft.advance(Progress.IN_WORK)
    return draft.action("review", f"{_VERBS[review]} {_slice_name(key)}")


def review_case(state: AnnotationState, review: Review) -> Action:
    """Accept or reopen the case as a whole."""
    draft = Draft(state)
    draft.put(Table.CASE, 0, replace(state.case, review=review))
    draft.advance(Progress.IN_WORK)
    return draft.action("review", f"{_VERBS[review]} the case")


def set_flag(
    state: AnnotationState, target: int | SectionKey | SliceKey | None, flag: Flag, on: bool
) -> Action:
    """Raise or lower a flag on an object (its id), a section, a slice or the case (None)."""
    draft = Draft(state)
    table, name = _target(state, target)
    key = 0 if target is None else target
    record = state.get(table, key) or _fresh(table, target)
    flags = record.flags | {flag} if on else record.flags - {flag}
    after = replace(record, flags=flags)
    draft.put(table, key, _or_none(after) if isinstance(after, SliceRecord) else after)
    draft.advance(Progress.IN_WORK)
    return draft.action("flag", f"{'Flag' if on else 'Unflag'} {name}: {flag.value}")


def change_class(state: AnnotationState, ids: Sequence[int], class_id: int) -> Action:
    """Say that objects are of another class."""
    require_open(state, ids)
    if class_id not in state.classes:
        raise ProjectError(f"There is no class {class_id}.", "Add the class first.")
    draft = Draft(state)
    for object_id in ids:
        draft.revise(Table.OBJECT, object_id, class_id=class_id)
        draft.claim(object_id)
    draft.advance(Progress.IN_WORK)
    name = state.classes[class_id].name
    named = f"object {ids[0]}" if len(ids) == 1 else f"{len(ids)} objects"
    return draft.action("class", f"Make {named} {name}")


def _take_voxels(draft: Draft, wanted: LabelDiff) -> None:
    allowed = draft.change_voxels(wanted, None, OverwritePolicy())
    if allowed.refused.runs:
        raise LockedError(
            "Some of these voxels lie on accepted slices.", "Reopen those slices first."
        )
    draft.mark_sections({}, Maker.PAINTED)


def _require_open_case(state: AnnotationState) -> None:
    if state.case.review is Review.ACCEPTED:
        raise LockedError("The case is accepted.", "Reopen it to change it.")


def _target(
    state: AnnotationState, target: int | SectionKey | SliceKey | None
) -> tuple[Table, str]:
    if target is None:
        return Table.CASE, "the case"
    if isinstance(target, SectionKey):
        state.object(target.object_id)
        return Table.SECTION, f"object {target.object_id} on {_slice_name(target.slice_key)}"
    if isinstance(target, SliceKey):
        state.slice_labels(target.plane, target.index)
        return Table.SLICE, _slice_name(target)
    state.object(target)
    return Table.OBJECT, f"object {target}"


def _fresh(
    table: Table, target: int | SectionKey | SliceKey | None
) -> SliceRecord | SectionRecord | CaseRecord:
    if table is Table.SLICE:
        return SliceRecord()
    return CaseRecord() if table is Table.CASE else SectionRecord(Maker.PAINTED)


def _or_none(record: SliceRecord) -> SliceRecord | None:
    """No record where it would say nothing."""
    return None if record == SliceRecord() else record


def _slice_name(key: SliceKey) -> str:
    return f"{key.plane.name.lower()} slice {key.index}"
