"""Everything that can be done to a case, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_sss.engine.project import (
    classes,
    mask_actions,
    object_actions,
    prompt_actions,
    review_actions,
)
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.guard import OverwritePolicy, anchors
from napari_sss.engine.project.mask_actions import Making, SliceMaskLike, Suggestion
from napari_sss.engine.project.records import (
    ClassRecord,
    Flag,
    Review,
    RunRecord,
    SectionKey,
    SliceKey,
)
from napari_sss.engine.project.session import Session
from napari_sss.engine.project.state import Action, AnnotationState, RecordChange
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, SlicePrompt
from napari_sss.engine.volumes.grid import Vector3
from napari_sss.engine.volumes.region import Region


class CaseSession(Session):
    """A case open for work; see :class:`~napari_sss.engine.project.session.Session`.

    All acts return what they changed, raise without having changed anything, are in the
    journal within moments, and can be undone. Slices are given by a plane and an index along
    its axis, voxels as indices of the scan's array as ``read_volume`` gives it.
    """

    # -- objects and their prompts ------------------------------------------------------

    def add_object(
        self, class_id: int, prompts: Sequence[SlicePrompt] = (), object_id: int | None = None
    ) -> int:
        """Add an object of a class and return its id."""
        new_id = self.free_id() if object_id is None else object_id
        own = [self._with_own_mask(prompt) for prompt in prompts]
        self.act(lambda s: object_actions.add_object(s, new_id, class_id, own))
        return new_id

    def set_prompt(self, object_id: int, prompt: SlicePrompt) -> Applied:
        """Give an object these prompts on a slice; without any, take back those there."""
        prompt = self._with_own_mask(prompt)
        return self.act(lambda s: prompt_actions.set_prompt(s, object_id, prompt))

    def set_prompts(self, object_id: int, prompts: Sequence[SlicePrompt]) -> Applied:
        """Give an object these prompts in place of all that it had."""
        own = [self._with_own_mask(prompt) for prompt in prompts]
        return self.act(lambda s: prompt_actions.set_prompts(s, object_id, own))

    def remove_prompt(self, object_id: int, plane: Plane, index: int) -> Applied:
        """Take back an object's prompts on a slice."""
        return self.set_prompt(object_id, SlicePrompt(index, plane=plane))

    def keep_file(self, path: Path) -> Path:
        """Return a copy, within the project, of a label file that a prompt is to name."""
        return self._surroundings.keep_file(path)

    def prompts(self, object_id: int) -> ObjectPrompts:
        """An object's prompts as the engine takes them."""
        record = self.state.object(object_id)
        name = classes.resolved(self.state.classes, record.class_id).name
        return prompt_actions.object_prompts(record, name, self.state)

    # -- masks --------------------------------------------------------------------------

    def suggest(
        self,
        suggestions: Sequence[Suggestion],
        *,
        run: RunRecord | None = None,
        replaced: Sequence[int] = (),
    ) -> tuple[int, ...]:
        """Enter what auto-prompting found, in place of older suggestions; return the ids."""
        first = self.free_id()
        found = {
            first + k: replace(s, prompts=self._with_own_masks(s.prompts))
            for k, s in enumerate(suggestions)
        }
        self.act(lambda state: mask_actions.suggest(state, found, replaced, run))
        return tuple(found)

    def set_slices(
        self,
        object_id: int,
        masks: Sequence[SliceMaskLike],
        making: Making | None = None,
        *,
        joins: int | None = None,
    ) -> Applied:
        """Enter a model's answer for one object on some slices.

        Slices that a person accepted stay as they are. A propagation that streams hands in
        slice after slice, each joining the one before (``joins=applied.seq``): one undo
        takes them all back.
        """
        making = making or Making()
        return self.act(
            lambda s: mask_actions.set_slices(s, object_id, masks, making), joins=joins
        )

    def set_region(
        self,
        object_id: int,
        region: Region,
        making: Making | None = None,
        *,
        confidence: float | None = None,
        joins: int | None = None,
    ) -> Applied:
        """Enter a model's answer for one object as a whole."""
        making = making or Making()
        return self.act(
            lambda s: mask_actions.set_region(s, object_id, region, confidence, making),
            joins=joins,
        )

    def paint(
        self,
        diff: LabelDiff,
        policy: OverwritePolicy | None = None,
        *,
        class_id: int | None = None,
        plane: Plane = Plane.AXIAL,
        joins: int | None = None,
    ) -> Applied:
        """Change voxels by hand, as far as locks and the policy allow.

        Parameters
        ----------
        diff : LabelDiff
            The stroke; it fits :attr:`labels`.
        policy : OverwritePolicy, optional
            What it may take.
        class_id : int, optional
            Class of ids that no object has yet; they become objects.
        plane : Plane
            Plane of such new objects.
        joins : int, optional
            See :meth:`~napari_sss.engine.project.session.Session.act`.
        """
        policy = policy or OverwritePolicy()
        return self.act(
            lambda s: mask_actions.paint(s, diff, policy, class_id, plane), joins=joins
        )

    def adopt(
        self,
        diff: LabelDiff,
        policy: OverwritePolicy | None = None,
        *,
        class_id: int | None = None,
        plane: Plane = Plane.AXIAL,
        joins: int | None = None,
    ) -> Applied:
        """Take over a stroke that a viewer's brush has already made in :attr:`labels`.

        What must not change is put back, all of it where this raises; the result's box
        covers the whole stroke. Parameters as of :meth:`paint`.
        """
        policy = policy or OverwritePolicy()
        with self._lock:
            diff.inverse().apply(self.labels)
            return self.act(
                lambda s: mask_actions.paint(s, diff, policy, class_id, plane),
                joins=joins,
                also=diff.box(self.state.shape),
            )

    def import_objects(
        self, regions: Mapping[int, tuple[int, Region]], policy: OverwritePolicy | None = None
    ) -> Applied:
        """Enter masks from elsewhere: class id and voxels by new, free object ids."""
        policy = policy or OverwritePolicy()
        return self.act(lambda s: mask_actions.import_objects(s, regions, policy))

    def anchors(self, object_id: int, plane: Plane) -> tuple[int, ...]:
        """Slices of a plane where a person accepted this object; propagation starts there."""
        return anchors(self.state, object_id, plane)

    # -- operations ---------------------------------------------------------------------

    def delete(self, ids: Sequence[int]) -> Applied:
        """Take objects out."""
        return self.act(lambda s: object_actions.delete_objects(s, ids))

    def merge(self, ids: Sequence[int], into: int) -> Applied:
        """Make several objects one."""
        return self.act(lambda s: object_actions.merge_objects(s, ids, into))

    def split(self, object_id: int) -> Applied:
        """Make each connected part of an object an object of its own."""
        first = self.free_id()
        return self.act(lambda s: object_actions.split_object(s, object_id, first))

    def keep_largest(self, object_id: int) -> Applied:
        """Take away all but the largest connected part."""
        return self.act(lambda s: object_actions.keep_largest(s, object_id))

    def fill_holes(self, object_id: int, *, in_slices: bool = True) -> Applied:
        """Fill what an object encloses and nobody else has."""
        return self.act(lambda s: object_actions.fill_holes(s, object_id, in_slices=in_slices))

    def smooth(self, object_id: int, radius: float, spacing: Vector3) -> Applied:
        """Smooth an object's surface; ``radius`` and ``spacing`` (Z, Y, X) in mm."""
        return self.act(lambda s: object_actions.smooth(s, object_id, radius, spacing))

    # -- a person's decisions -----------------------------------------------------------

    def review_objects(self, ids: Sequence[int], review: Review) -> Applied:
        """Accept, reject or reopen objects."""
        return self.act(lambda s: review_actions.review_objects(s, ids, review))

    def review_section(
        self, object_id: int, plane: Plane, index: int, review: Review
    ) -> Applied:
        """Accept, reject or reopen an object on one slice."""
        key = SectionKey(object_id, plane, index)
        return self.act(lambda s: review_actions.review_section(s, key, review))

    def review_slice(self, plane: Plane, index: int, review: Review) -> Applied:
        """Accept or reopen a slice as a whole, or note that it cannot be used."""
        key = SliceKey(plane, index)
        return self.act(lambda s: review_actions.review_slice(s, key, review))

    def review_case(self, review: Review) -> Applied:
        """Accept or reopen the case."""
        return self.act(lambda s: review_actions.review_case(s, review))

    def set_flag(
        self, target: int | SectionKey | SliceKey | None, flag: Flag, on: bool = True
    ) -> Applied:
        """Flag an object (by its id), a section, a slice, or the case (None)."""
        return self.act(lambda s: review_actions.set_flag(s, target, flag, on))

    # -- classes ------------------------------------------------------------------------

    def change_class(self, ids: Sequence[int], class_id: int) -> Applied:
        """Say that objects are of another class."""
        return self.act(lambda s: review_actions.change_class(s, ids, class_id))

    def reclassify(self, class_id: int, into: int) -> Applied:
        """Say that all open objects of one class are of another."""

        def build(state: AnnotationState) -> Action:
            ids = [
                record.id
                for record in state.objects.values()
                if classes.resolved(state.classes, record.class_id).id == class_id
            ]
            return review_actions.change_class(state, ids, into)

        return self.act(build)

    def add_class(self, name: str, colour: str | None = None, key: str | None = None) -> int:
        """Add a class to the project and return its id."""
        applied = self._change_class_table(
            "Add class " + name, lambda known: classes.adding(known, name, colour, key)
        )
        (_, new_id), *_ = applied.keys
        return int(new_id)

    def edit_class(self, record: ClassRecord) -> Applied:
        """Give a class another name, colour or key."""
        return self._change_class_table(
            f"Change class {record.name}", lambda known: classes.editing(known, record)
        )

    def remove_class(self, class_id: int, into: int | None = None) -> Applied:
        """Remove a class; where it has objects they count as ``into`` from then on.

        Raises
        ------
        ClassInUseError
            If it has objects and ``into`` is not given.
        """
        known = self.state.classes.get(class_id)
        return self._change_class_table(
            f"Remove class {known.name if known else class_id}",
            lambda table: classes.removing(table, class_id, into, self._class_users),
        )

    # -- inside -------------------------------------------------------------------------

    def _change_class_table(self, title: str, build: Any) -> Applied:
        def action(state: AnnotationState) -> Action:
            change: RecordChange = build(state.classes)
            if change.before == change.after:
                return Action("class table", title)
            return Action("class table", title, changes=(change,))

        return self.act(action)

    def _class_users(self, class_id: int) -> Mapping[str, int]:
        here = sum(r.class_id == class_id for r in self.state.objects.values())
        users = {"this case": here} if here else {}
        return {**users, **self._surroundings.class_users(class_id)}

    def _with_own_mask(self, prompt: SlicePrompt) -> SlicePrompt:
        if prompt.mask is None:
            return prompt
        return replace(prompt, mask=self._surroundings.keep_file(prompt.mask))

    def _with_own_masks(self, prompts: ObjectPrompts) -> ObjectPrompts:
        own = tuple(self._with_own_mask(prompt) for prompt in prompts.prompts)
        return replace(prompts, prompts=own)
