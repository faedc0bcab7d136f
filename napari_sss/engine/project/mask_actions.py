"""Actions that give voxels: a model's answer, a suggestion, a stroke, an imported mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.draft import Draft, changed_sections
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.guard import Overwrite, OverwritePolicy, cut_for, slice_indices
from napari_sss.engine.project.object_actions import drop_object, new_object
from napari_sss.engine.project.prompt_actions import put_prompts
from napari_sss.engine.project.records import (
    Maker,
    Progress,
    RunRecord,
    SectionKey,
    SectionRecord,
    Table,
)
from napari_sss.engine.project.state import Action, AnnotationState
from napari_sss.engine.project.voxels import (
    composed,
    fill,
    replace_on_slice,
    replace_region,
)
from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.region import Region


class SliceMaskLike(Protocol):
    """A mask on one slice, as the engine's ``SliceMask`` event carries it."""

    @property
    def index(self) -> int:
        """Slice index along the plane's axis."""

    @property
    def plane(self) -> Plane:
        """The plane of the slice."""

    @property
    def offset(self) -> tuple[int, int]:
        """Row and column of the patch in the slice."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The patch; outside it the object is absent on this slice."""

    @property
    def confidence(self) -> float:
        """0 to 1."""


@dataclass(frozen=True)
class Suggestion:
    """An object that the program proposes.

    Parameters
    ----------
    prompts : ObjectPrompts
        Its prompts; its id counts only within the proposal.
    class_id : int
        Its class.
    region : Region
        Its voxels.
    confidence : float, optional
        0 to 1.
    """

    prompts: ObjectPrompts
    class_id: int
    region: Region
    confidence: float | None = None

    @property
    def plane(self) -> Plane:
        """The plane of its best prompt."""
        return self.prompts.prompts[0].plane if self.prompts.prompts else Plane.AXIAL


@dataclass(frozen=True)
class Making:
    """How voxels came about.

    Parameters
    ----------
    maker : Maker
        Who made them.
    run : RunRecord, optional
        How the model was used that made them.
    policy : OverwritePolicy
        What they may take from others.
    stored : bool
        The object's prompts alone do not give these voxels again.
    """

    maker: Maker = Maker.PROMPTED
    run: RunRecord | None = None
    policy: OverwritePolicy = field(default_factory=OverwritePolicy)
    stored: bool = False

    @property
    def progress(self) -> Progress:
        """How far the case is then, at least."""
        return Progress.SUGGESTED if self.maker is Maker.AUTO else Progress.IN_WORK


def set_slices(
    state: AnnotationState, object_id: int, masks: Sequence[SliceMaskLike], making: Making
) -> Action:
    """A model's answer for one object on some slices, in place of what it had there."""
    plane = state.object(object_id).plane
    draft = Draft(state)
    wanted = LabelDiff.chain(
        replace_on_slice(state, object_id, m.plane, m.index, m.offset, m.mask) for m in masks
    )
    sure = {
        SectionKey(object_id, plane, m.index): rounded(m.confidence)
        for m in masks
        if m.plane is plane
    }
    _give(draft, wanted, {object_id}, sure, making)
    where = f"slice {masks[0].index}" if len(masks) == 1 else f"{len(masks)} slices"
    return draft.action("mask", f"Mask of object {object_id} on {where}")


def set_region(
    state: AnnotationState,
    object_id: int,
    region: Region,
    confidence: float | None,
    making: Making,
) -> Action:
    """A whole object's mask, in place of all that it had."""
    plane = state.object(object_id).plane
    draft = Draft(state)
    sure = dict.fromkeys(_sections(object_id, plane, region), rounded(confidence))
    _give(draft, replace_region(state, object_id, region), {object_id}, sure, making)
    draft.revise(Table.OBJECT, object_id, confidence=rounded(confidence))
    return draft.action("mask", f"Mask of object {object_id}")


def suggest(
    state: AnnotationState,
    suggestions: Mapping[int, Suggestion],
    replaced: Sequence[int],
    run: RunRecord | None,
) -> Action:
    """The objects that auto-prompting found, by their ids, in place of older suggestions.

    Where suggestions overlap, the surer one wins; objects that were there before win over
    all of them.
    """
    draft = Draft(state)
    wanted = [fill(state, state.region(object_id), 0) for object_id in replaced]
    for object_id in replaced:
        drop_object(draft, object_id)
    sure: dict[SectionKey, float | None] = {}
    for object_id, found in sorted(
        suggestions.items(), key=lambda item: item[1].confidence or 0.0
    ):
        confidence = rounded(found.confidence)
        new_object(draft, object_id, found.class_id, found.plane, confidence)
        put_prompts(draft, object_id, found.prompts.prompts)
        wanted.append(fill(state, found.region, object_id))
        sure |= dict.fromkeys(_sections(object_id, found.plane, found.region), confidence)
    making = Making(Maker.AUTO, run, OverwritePolicy(others=Overwrite.KEEP))
    _give(draft, LabelDiff.chain(wanted), set(replaced), sure, making)
    _mark_covered(draft, suggestions)
    return draft.action("suggest", f"Auto-prompt: {len(suggestions)} objects")


def settle(
    state: AnnotationState,
    found: Mapping[int, tuple[Region, float]],
    dropped: Sequence[int],
    run: RunRecord | None,
) -> Action:
    """The final masks of suggestions that were entered while they were made.

    Parameters
    ----------
    state : AnnotationState
        Holds the suggestions, with whatever voxels they have by now.
    found : mapping
        Voxels and confidence by object id. Where two overlap, the surer one wins; other
        objects keep what they have.
    dropped : sequence of int
        Suggestions that did not stand.
    run : RunRecord, optional
        How the model was used.
    """
    draft = Draft(state)
    sure: dict[SectionKey, float | None] = {}
    for object_id, (region, confidence) in found.items():
        record = state.object(object_id)
        draft.revise(Table.OBJECT, object_id, confidence=rounded(confidence))
        keys = _sections(object_id, record.plane, region)
        sure |= dict.fromkeys(keys, rounded(confidence))
    wanted = composed(state, found, {*found, *dropped})
    for object_id in dropped:
        drop_object(draft, object_id)
    policy = OverwritePolicy(others=Overwrite.KEEP)
    _give(draft, wanted, {*found, *dropped}, sure, Making(Maker.AUTO, run, policy, True))
    return draft.action("suggest", f"Auto-prompt: {len(found)} objects")


def paint(
    state: AnnotationState,
    diff: LabelDiff,
    policy: OverwritePolicy,
    class_id: int | None = None,
    plane: Plane = Plane.AXIAL,
) -> Action:
    """A brush stroke, or any other change of voxels by hand.

    Ids that no object has yet become objects of the class ``class_id``, of that plane.
    """
    draft = Draft(state)
    painted = {int(value) for value in np.unique(diff.after) if value}
    for object_id in sorted(painted - set(state.objects)):
        if class_id is None:
            raise ProjectError(
                f"There is no object {object_id} to paint.", "Add the object, or name a class."
            )
        new_object(draft, object_id, class_id, plane)
    allowed = draft.change_voxels(diff, painted or None, policy)
    draft.mark_sections({}, Maker.PAINTED)
    if allowed.diff.runs:
        draft.advance(Progress.IN_WORK)
    names = ", ".join(f"object {object_id}" for object_id in sorted(painted))
    return draft.action("stroke", f"Paint {names}" if painted else "Erase")


def import_objects(
    state: AnnotationState,
    regions: Mapping[int, tuple[int, Region]],
    policy: OverwritePolicy,
) -> Action:
    """Masks from elsewhere: class and voxels by the new objects' ids."""
    draft = Draft(state)
    wanted: list[LabelDiff] = []
    sure: dict[SectionKey, float | None] = {}
    for object_id, (class_id, region) in regions.items():
        new_object(draft, object_id, class_id, Plane.AXIAL)
        wanted.append(fill(state, region, object_id))
        sure |= dict.fromkeys(_sections(object_id, Plane.AXIAL, region), None)
    making = Making(Maker.IMPORTED, None, policy)
    _give(draft, LabelDiff.chain(wanted), (), sure, making)
    return draft.action("import", f"Import {len(regions)} objects")


def rounded(confidence: float | None) -> float | None:
    """A confidence as it is stored: four digits."""
    return None if confidence is None else round(float(confidence), 4)


def _give(
    draft: Draft,
    wanted: LabelDiff,
    own: Any,
    sure: Mapping[SectionKey, float | None],
    making: Making,
) -> None:
    """Change voxels as far as allowed, and note how each section came about."""
    by_model = making.maker is not Maker.IMPORTED
    allowed = draft.change_voxels(wanted, own, making.policy, by_model=by_model)
    cut = set(changed_sections(draft, allowed.refused))
    stored = making.stored or not by_model
    run = draft.put_run(making.run)
    made = {
        key: SectionRecord(making.maker, run, confidence, edited=key in cut or stored)
        for key, confidence in sure.items()
    }
    draft.mark_sections(made, making.maker)
    draft.advance(making.progress)


def _sections(object_id: int, plane: Plane, region: Region) -> list[SectionKey]:
    """The sections that a region may have voxels on."""
    if not region.mask.size:
        return []
    first = region.offset[plane.axis]
    count = region.mask.shape[plane.axis]
    return [SectionKey(object_id, plane, first + k) for k in range(count)]


def _mark_covered(draft: Draft, suggestions: Mapping[int, Suggestion]) -> None:
    """Mark sections of suggestions that a surer one has covered in part."""
    shape = draft.state.shape
    for object_id, found in suggestions.items():
        axis = found.plane.axis
        own = cut_for(draft.diff.only(draft.diff.after == object_id), shape, {axis})
        along = slice_indices(own, shape, axis)
        given = np.bincount(along, weights=own.lengths, minlength=shape[axis])
        others = tuple(a for a in range(3) if a != axis)
        wanted = np.count_nonzero(found.region.mask, axis=others)
        for key, count in zip(
            _sections(object_id, found.plane, found.region), wanted, strict=True
        ):
            if given[key.index] != count:
                draft.revise(Table.SECTION, key, edited=True)
