"""What a change of voxels may touch: locks, anchors and the question of overwriting."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import LockedError, OverlapQuestion
from napari_sss.engine.project.records import (
    Key,
    Review,
    SectionRecord,
    SliceRecord,
    Table,
)
from napari_sss.engine.project.state import AnnotationState
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import Shape3


class Overwrite(Enum):
    """What happens to voxels that already belong to something else."""

    KEEP = "keep"
    OVERWRITE = "overwrite"
    ASK = "ask"


@dataclass(frozen=True)
class OverwritePolicy:
    """What a change may take.

    Parameters
    ----------
    others : Overwrite
        Voxels of other objects that are not accepted.
    accepted : Overwrite
        Voxels of accepted objects, and all of accepted slices. What is overwritten is
        accepted no longer.
    """

    others: Overwrite = Overwrite.OVERWRITE
    accepted: Overwrite = Overwrite.KEEP


@dataclass(frozen=True)
class Guarded:
    """A change as it is allowed.

    Parameters
    ----------
    diff : LabelDiff
        What may change.
    refused : LabelDiff
        What may not.
    reopened : tuple of (Table, key)
        What is accepted no longer, as the change goes through it.
    """

    diff: LabelDiff
    refused: LabelDiff
    reopened: tuple[tuple[Table, Key], ...] = ()


def guarded(
    state: AnnotationState,
    diff: LabelDiff,
    own: Collection[int] | None,
    policy: OverwritePolicy,
    *,
    by_model: bool = False,
) -> Guarded:
    """Take out of a change what it must not touch.

    Parameters
    ----------
    state : AnnotationState
        Before the change.
    diff : LabelDiff
        The change wanted.
    own : collection of int, optional
        The objects that are worked on, whose voxels are never "others"; None: every object
        that gains or loses voxels is meant.
    policy : OverwritePolicy
        What to do with the rest.
    by_model : bool
        No person makes the change: slices that a person accepted are then anchors, which
        stay as they are whatever the policy says.

    Raises
    ------
    LockedError
        If the whole case is accepted, and the policy keeps it.
    OverlapQuestion
        If the policy is to ask, and there is something to ask about.
    """
    if not diff.runs:
        return Guarded(diff, diff)
    case_lock: list[tuple[Table, Key]] = []
    if state.case.review is Review.ACCEPTED:
        if policy.accepted is not Overwrite.OVERWRITE:
            raise LockedError("The case is accepted.", "Reopen it to change it.")
        case_lock.append((Table.CASE, 0))
    pieces = _Pieces(diff, state)
    diff = pieces.diff
    locks = _locks(state, pieces)
    locked, refused = (np.zeros(diff.runs, dtype=bool) for _ in range(2))
    for (table, _), where in locks.items():
        locked |= where
        if by_model and table is not Table.OBJECT:
            refused |= where
    others = np.zeros_like(locked)
    if own is not None:
        others = ~np.isin(diff.before, [0, *own]) & ~locked
    for where, choice in ((locked, policy.accepted), (others, policy.others)):
        if choice is Overwrite.ASK and (where & ~refused).any():
            raise OverlapQuestion(_counts(diff.only(where & ~refused), own or ()))
        if choice is Overwrite.KEEP:
            refused |= where
    reopened = [lock for lock, where in locks.items() if (where & ~refused).any()]
    return Guarded(diff.only(~refused), diff.only(refused), (*case_lock, *reopened))


def require_open(state: AnnotationState, ids: Iterable[int]) -> None:
    """Refuse to change objects that are accepted.

    Raises
    ------
    LockedError
        Naming the first one.
    """
    if state.case.review is Review.ACCEPTED:
        raise LockedError("The case is accepted.", "Reopen it to change it.")
    for object_id in ids:
        if state.object(object_id).review is Review.ACCEPTED:
            raise LockedError(
                f"Object {object_id} is accepted and therefore locked.",
                "Reopen it to change it.",
            )


def anchors(state: AnnotationState, object_id: int, plane: Plane) -> tuple[int, ...]:
    """Slices of a plane on which a person accepted this object; propagation starts there."""
    sections = {
        key.index
        for key, section in state.sections_of(object_id)
        if key.plane is plane and section.review is Review.ACCEPTED
    }
    slices = {
        key.index
        for key, record in state.slices.items()
        if key.plane is plane and record.review is Review.ACCEPTED
    }
    return tuple(sorted(sections | slices))


def slice_indices(diff: LabelDiff, shape: Shape3, axis: int) -> NDArray[np.int64]:
    """The slice, along an axis, that each run of a :meth:`LabelDiff.cut` change lies on."""
    if axis == 0:
        return diff.starts // (shape[1] * shape[2])
    if axis == 1:
        return (diff.starts // shape[2]) % shape[1]
    return diff.starts % shape[2]


def cut_for(diff: LabelDiff, shape: Shape3, axes: Collection[int]) -> LabelDiff:
    """The change in runs of which each lies on one slice of all these axes."""
    return diff.cut(1 if 2 in axes else shape[2])


class _Pieces:
    """A change cut so that each run lies on one slice of every plane that matters."""

    def __init__(self, diff: LabelDiff, state: AnnotationState) -> None:
        keys = [key for key, record in state.slices.items() if _is_accepted(record)]
        sections = [key for key, record in state.sections.items() if _is_accepted(record)]
        axes = {key.plane.axis for key in keys} | {key.plane.axis for key in sections}
        self.diff = cut_for(diff, state.shape, axes)
        self.ids = diff.ids
        self._shape = state.shape
        self._along: dict[int, NDArray[np.int64]] = {}
        self._slices: dict[int, frozenset[int]] = {}

    def along(self, plane: Plane) -> NDArray[np.int64]:
        """Slice index of each run in a plane."""
        if plane.axis not in self._along:
            self._along[plane.axis] = slice_indices(self.diff, self._shape, plane.axis)
        return self._along[plane.axis]

    def slices(self, plane: Plane) -> frozenset[int]:
        """The slices of a plane that the change touches."""
        if plane.axis not in self._slices:
            counts = np.bincount(self.along(plane))
            self._slices[plane.axis] = frozenset(np.flatnonzero(counts).tolist())
        return self._slices[plane.axis]

    def of(self, object_id: int) -> NDArray[np.bool_]:
        """The runs that an object gains or loses."""
        return (self.diff.before == object_id) | (self.diff.after == object_id)


def _is_accepted(record: SliceRecord | SectionRecord) -> bool:
    return record.review is Review.ACCEPTED


def _locks(
    state: AnnotationState, pieces: _Pieces
) -> dict[tuple[Table, Key], NDArray[np.bool_]]:
    """What is accepted and would be touched, each with the runs that it locks."""
    locks: dict[tuple[Table, Key], NDArray[np.bool_]] = {}
    for object_id in pieces.ids:
        found = state.objects.get(object_id)
        if found is not None and found.review is Review.ACCEPTED:
            locks[Table.OBJECT, object_id] = pieces.of(object_id)
    for key, record in state.slices.items():
        if record.review is Review.ACCEPTED and key.index in pieces.slices(key.plane):
            locks[Table.SLICE, key] = pieces.along(key.plane) == key.index
    for section, made in state.sections.items():
        if made.review is not Review.ACCEPTED or section.object_id not in pieces.ids:
            continue
        if section.index in pieces.slices(section.plane):
            on_slice = pieces.along(section.plane) == section.index
            locks[Table.SECTION, section] = on_slice & pieces.of(section.object_id)
    return locks


def _counts(diff: LabelDiff, own: Collection[int]) -> dict[int, int]:
    """Voxels taken, by the object they are taken from."""
    taken = np.bincount(diff.before, weights=diff.lengths)
    return {int(i): int(taken[i]) for i in np.flatnonzero(taken) if i not in own}
