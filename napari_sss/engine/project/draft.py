"""Putting an action together: what it changes, beside the state that it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.guard import (
    Guarded,
    OverwritePolicy,
    cut_for,
    guarded,
    slice_indices,
)
from napari_sss.engine.project.records import (
    Flag,
    Key,
    Maker,
    Progress,
    Record,
    Review,
    RunRecord,
    SectionKey,
    SectionRecord,
    Table,
)
from napari_sss.engine.project.state import Action, AnnotationState, RecordChange

NONE: frozenset[Flag] = frozenset()
_PROGRESS = tuple(Progress)


class Draft:
    """An action in the making; the state itself stays as it is.

    Parameters
    ----------
    state : AnnotationState
        What the action will change.
    """

    def __init__(self, state: AnnotationState) -> None:
        self.state = state
        self.diff = LabelDiff.empty()
        self.touched: set[SectionKey] = set()
        self.refused = 0
        self._progress: Progress | None = None
        self._after: dict[tuple[Table, Key], Record | None] = {}

    def get(self, table: Table, key: Key) -> Any:
        """A record as it will be, or None."""
        if (table, key) in self._after:
            return self._after[table, key]
        return self.state.get(table, key)

    def put(self, table: Table, key: Key, record: Record | None) -> None:
        """Let a record be another one, or none."""
        self._after[table, key] = record

    def revise(self, table: Table, key: Key, **fields: Any) -> None:
        """Let some fields of a record be others."""
        self.put(table, key, replace(self.get(table, key), **fields))

    def change_voxels(
        self,
        diff: LabelDiff,
        own: Collection[int] | None,
        policy: OverwritePolicy,
        *,
        by_model: bool = False,
    ) -> Guarded:
        """Let voxels change as far as the locks and the policy allow.

        Raises
        ------
        LockedError, OverlapQuestion
            See :func:`~napari_sss.engine.project.guard.guarded`.
        """
        allowed = guarded(self.state, diff, own, policy, by_model=by_model)
        for table, key in allowed.reopened:
            self.revise(table, key, review=Review.OPEN)
        self.diff = LabelDiff.chain([self.diff, allowed.diff])
        self.refused += allowed.refused.voxels
        return allowed

    def mark_sections(self, made: Mapping[SectionKey, SectionRecord], default: Maker) -> None:
        """Note on every section whose voxels change who changed them.

        Parameters
        ----------
        made : mapping
            What some sections become, also where no voxel changes; a person's review and
            flags stay, and accepted sections stay as they are.
        default : Maker
            Who changed the others. Where that is no person, they were only cut: their
            maker stays.
        """
        for key in {*made, *changed_sections(self, self.diff)}:
            found: SectionRecord | None = self.get(Table.SECTION, key)
            if key in made:
                if found is not None and found.review is Review.ACCEPTED:
                    continue
                review, flags = (found.review, found.flags) if found else (Review.OPEN, NONE)
                after = replace(made[key], review=review, flags=flags)
            elif found is None:
                after = SectionRecord(default, edited=True)
            elif default is Maker.PAINTED:
                after = replace(found, maker=default, edited=True)
            else:
                after = replace(found, edited=True)
            self.put(Table.SECTION, key, after)
            self.touched.add(key)

    def put_run(self, run: RunRecord | None) -> str | None:
        """Note how a model was used; its key."""
        if run is None:
            return None
        if self.get(Table.RUN, run.key) is None:
            self.put(Table.RUN, run.key, run)
        return run.key

    def claim(self, object_id: int) -> None:
        """Note that a person works on an object, if the action changes anything at all."""
        if self.diff.runs or self._changes():
            self.revise(Table.OBJECT, object_id, by_person=True)

    def advance(self, progress: Progress) -> None:
        """Let the case be at least so far, if the action changes anything at all."""
        self._progress = progress

    def action(self, kind: str, title: str) -> Action:
        """The action; records that stay the same are left out."""
        changes = self._changes()
        if self._progress is not None and (changes or self.diff.runs):
            case = self.get(Table.CASE, 0) or self.state.case
            if _PROGRESS.index(case.progress) < _PROGRESS.index(self._progress):
                self.put(Table.CASE, 0, replace(case, progress=self._progress))
                changes = self._changes()
        touched = frozenset(self.touched)
        return Action(kind, title, self.diff, tuple(changes), touched, self.refused)

    def _changes(self) -> list[RecordChange]:
        pairs = ((*key, self.state.get(*key), after) for key, after in self._after.items())
        return [RecordChange(*pair) for pair in pairs if pair[2] != pair[3]]


def changed_sections(draft: Draft, diff: LabelDiff) -> Iterator[SectionKey]:
    """The sections whose voxels a change touches, along each object's own plane."""
    shape = draft.state.shape
    for object_id in sorted(diff.ids):
        record = draft.get(Table.OBJECT, object_id)
        if record is None:
            continue
        own = diff.only((diff.before == object_id) | (diff.after == object_id))
        axis = record.plane.axis
        touched = slice_indices(cut_for(own, shape, {axis}), shape, axis)
        for index in np.flatnonzero(np.bincount(touched)):
            yield SectionKey(object_id, record.plane, int(index))
