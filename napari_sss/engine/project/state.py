"""One case's annotation in memory, and the actions that change it.

An action holds both directions of a change: voxels as a :class:`LabelDiff`, records as
pairs of before and after. Applying it costs as much as the change is large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.diff import LABEL_DTYPE, LabelDiff
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.records import (
    CaseRecord,
    ClassRecord,
    Key,
    ObjectRecord,
    Record,
    RunRecord,
    SectionKey,
    SectionRecord,
    SliceKey,
    SliceRecord,
    Table,
)
from napari_sss.engine.prompts.types import Plane, SlicePrompt
from napari_sss.engine.volumes.grid import Shape3
from napari_sss.engine.volumes.region import Region


@dataclass(frozen=True)
class RecordChange:
    """A record that is replaced; None stands for no record."""

    table: Table
    key: Key
    before: Record | None
    after: Record | None

    def inverse(self) -> RecordChange:
        """The change that takes this one back."""
        return RecordChange(self.table, self.key, self.after, self.before)


@dataclass(frozen=True)
class Action:
    """One thing that was done.

    Parameters
    ----------
    kind : str
        What sort of thing, for instance ``"stroke"``.
    title : str
        In the user's words, for the undo menu.
    diff : LabelDiff
        The voxels that change.
    changes : tuple of RecordChange
        The records that change; each at most once.
    touched : frozenset of SectionKey
        What the time spent on it counts for.
    refused : int
        Voxels that were wanted too, and that locks or the policy kept; not stored.
    """

    kind: str
    title: str
    diff: LabelDiff = field(default_factory=LabelDiff.empty)
    changes: tuple[RecordChange, ...] = ()
    touched: frozenset[SectionKey] = frozenset()
    refused: int = field(default=0, compare=False)

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not self.diff.runs and not self.changes

    def inverse(self) -> Action:
        """The action that takes this one back."""
        changes = tuple(change.inverse() for change in reversed(self.changes))
        return Action(self.kind, self.title, self.diff.inverse(), changes, self.touched)


class AnnotationState:
    """Voxels and records of one case.

    Parameters
    ----------
    shape : (int, int, int)
        ``(Z, Y, X)`` of the scan.
    classes : dict, optional
        The project's classes by id, shared by all cases.
    """

    def __init__(self, shape: Shape3, classes: dict[int, ClassRecord] | None = None) -> None:
        self.labels: NDArray[np.uint16] = np.zeros(shape, dtype=LABEL_DTYPE)
        self.objects: dict[int, ObjectRecord] = {}
        self.prompts: dict[SectionKey, SlicePrompt] = {}
        self.sections: dict[SectionKey, SectionRecord] = {}
        self.slices: dict[SliceKey, SliceRecord] = {}
        self.runs: dict[str, RunRecord] = {}
        self.case_table: dict[int, CaseRecord] = {}
        self.classes = {} if classes is None else classes
        self._tables: Mapping[Table, dict[Any, Any]] = {
            Table.OBJECT: self.objects,
            Table.PROMPT: self.prompts,
            Table.SECTION: self.sections,
            Table.SLICE: self.slices,
            Table.RUN: self.runs,
            Table.CASE: self.case_table,
            Table.CLASS: self.classes,
        }

    @property
    def shape(self) -> Shape3:
        """``(Z, Y, X)`` of the label array."""
        z, y, x = self.labels.shape
        return z, y, x

    @property
    def case(self) -> CaseRecord:
        """The case as a whole."""
        return self.case_table.get(0, CaseRecord())

    def table(self, table: Table) -> dict[Any, Any]:
        """One table's records by key."""
        return self._tables[table]

    def get(self, table: Table, key: Key) -> Any:
        """A record, or None."""
        return self._tables[table].get(key)

    def object(self, object_id: int) -> ObjectRecord:
        """An object's record.

        Raises
        ------
        ProjectError
            If there is no such object.
        """
        found = self.objects.get(object_id)
        if found is None:
            raise ProjectError(f"There is no object {object_id}.", "Choose one that is there.")
        return found

    def sections_of(self, object_id: int) -> Iterator[tuple[SectionKey, SectionRecord]]:
        """An object's sections."""
        return ((k, s) for k, s in self.sections.items() if k.object_id == object_id)

    def prompts_of(self, object_id: int) -> tuple[SlicePrompt, ...]:
        """An object's prompts, the first one given first."""
        return tuple(p for k, p in self.prompts.items() if k.object_id == object_id)

    def region(self, object_id: int) -> Region:
        """An object's voxels.

        Only the slices are searched that it has sections on: every change of its voxels
        leaves one there.
        """
        keys = [key for key, _ in self.sections_of(object_id)]
        if not keys:
            return Region((0, 0, 0), np.zeros((0, 0, 0), dtype=bool))
        first, last = min(key.index for key in keys), max(key.index for key in keys)
        axis = keys[0].plane.axis
        slab: list[slice] = [slice(None)] * 3
        slab[axis] = slice(first, last + 1)
        offset = [0, 0, 0]
        offset[axis] = first
        found = self.labels[tuple(slab)] == object_id
        return Region.of(found, tuple(offset))  # type: ignore[arg-type]

    def flat_indices(
        self, plane: Plane, index: int, rows: NDArray[Any], columns: NDArray[Any]
    ) -> NDArray[np.int64]:
        """Flat C-order indices of pixels of a slice."""
        where: list[Any] = [None, None, None]
        where[plane.axis] = np.full(len(rows), index)
        where[plane.row_axis], where[plane.column_axis] = rows, columns
        return np.ravel_multi_index(tuple(where), self.shape).astype(np.int64)

    def slice_labels(self, plane: Plane, index: int) -> NDArray[np.uint16]:
        """One slice of the label array (rows, columns), a view of it.

        Raises
        ------
        ProjectError
            If there is no such slice.
        """
        if not 0 <= index < self.shape[plane.axis]:
            raise ProjectError(
                f"There is no {plane.name.lower()} slice {index} in this case.",
                f"They run from 0 to {self.shape[plane.axis] - 1}.",
            )
        return np.moveaxis(self.labels, plane.axis, 0)[index]

    def apply(self, action: Action) -> None:
        """Carry an action out."""
        action.diff.apply(self.labels)
        self.apply_changes(action.changes)

    def apply_changes(self, changes: Iterable[RecordChange]) -> None:
        """Replace records."""
        for change in changes:
            table = self._tables[change.table]
            if change.after is None:
                table.pop(change.key, None)
            else:
                table[change.key] = change.after
