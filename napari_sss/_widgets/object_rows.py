"""The lines of the objects table, made from a case's annotation; called in a worker."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sss._widgets.status import ObjectRow, ObjectState
from napari_sss.engine.project import classes
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.records import (
    Maker,
    ObjectRecord,
    Review,
    SectionKey,
    SectionRecord,
)
from napari_sss.engine.prompts.types import Plane

Box = tuple[slice, slice, slice]

DOUBTFUL = 0.9
"""A confidence below this is a doubt worth looking at."""


class VoxelCounts:
    """How many voxels each object has on each slice along an axis, kept up to date.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint16
        Object ids; read again where a box has changed.
    axis : int
        The axis along which slices count.
    """

    def __init__(self, labels: NDArray[np.uint16], axis: int) -> None:
        self._slices = np.moveaxis(labels, axis, 0)
        self._axis = axis
        self._counts: list[NDArray[np.int64]] = [np.zeros(1, np.int64)] * len(self._slices)
        self._lock = threading.Lock()

    def update(self, box: Box | None) -> None:
        """Count again within a box; None: everywhere."""
        depth = len(self._slices)
        span = range(depth) if box is None else range(*box[self._axis].indices(depth))
        with self._lock:
            for index in span:
                flat = np.ascontiguousarray(self._slices[index]).reshape(-1)
                self._counts[index] = np.bincount(flat)

    def of(self, object_id: int) -> tuple[int, tuple[int, int] | None]:
        """An object's voxels, and its first and last slice; None where it has none."""
        on = [
            (index, int(counts[object_id]))
            for index, counts in enumerate(self._counts)
            if object_id < len(counts) and counts[object_id]
        ]
        return sum(n for _, n in on), (on[0][0], on[-1][0]) if on else None


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of a case.

    Parameters
    ----------
    session : CaseSession
        The annotation.
    counts : VoxelCounts
        Its voxels.
    voxel_ml : float
        Millilitres of a voxel.
    depth : int
        Slices along the displayed first axis.
    flipped : bool
        Whether the displayed slices count from the array's other end.
    """

    session: CaseSession
    counts: VoxelCounts
    voxel_ml: float
    depth: int
    flipped: bool

    def rows(self, waiting: Collection[int] = ()) -> tuple[ObjectRow, ...]:
        """All rows, by object id; ``waiting``: objects whose mask is being made."""
        state = self.session.state
        sections: dict[int, list[tuple[SectionKey, SectionRecord]]] = {}
        for key, section in list(state.sections.items()):
            sections.setdefault(key.object_id, []).append((key, section))
        prompted = {key.object_id for key in list(state.prompts)}
        best = {key.object_id: (key.plane, key.index) for key in reversed(list(state.prompts))}
        table = dict(state.classes)
        return tuple(
            self._row(record, sections.get(object_id, []), best, prompted, table, waiting)
            for object_id, record in sorted(dict(state.objects).items())
        )

    def _row(
        self,
        record: ObjectRecord,
        sections: list[tuple[SectionKey, SectionRecord]],
        best: dict[int, tuple[Plane, int]],
        prompted: Collection[int],
        table: dict[int, classes.ClassRecord],
        waiting: Collection[int],
    ) -> ObjectRow:
        of_class = classes.resolved(table, record.class_id)
        voxels, extent = self.counts.of(record.id)
        if extent is not None and self.flipped:
            extent = (self.depth - 1 - extent[1], self.depth - 1 - extent[0])
        plane, index = best.get(record.id, (record.plane, _middle(sections)))
        return ObjectRow(
            record.id,
            of_class.name,
            plane,
            index,
            first=None if extent is None else extent[0],
            last=None if extent is None else extent[1],
            ml=voxels * self.voxel_ml if voxels or record.id not in waiting else None,
            confidence=record.confidence,
            state=_state(record, sections, bool(voxels), record.id in waiting),
            colour=of_class.colour,
            class_id=of_class.id,
            flags=tuple(sorted(flag.value for flag in record.flags)),
            weakest=_weakest(sections),
        )


def _state(
    record: ObjectRecord,
    sections: list[tuple[SectionKey, SectionRecord]],
    has_voxels: bool,
    is_waiting: bool,
) -> ObjectState:
    if record.review is Review.ACCEPTED:
        return ObjectState.ACCEPTED
    if is_waiting:
        return ObjectState.WAITING
    if record.review is Review.REJECTED:
        return ObjectState.REJECTED
    if not has_voxels:
        return ObjectState.EMPTY
    by_person = record.by_person or any(s.maker is not Maker.AUTO for _, s in sections)
    return ObjectState.EDITED if by_person else ObjectState.SUGGESTED


def _weakest(sections: list[tuple[SectionKey, SectionRecord]]) -> tuple[Plane, int] | None:
    """The slice of which the model is least sure, where that is a doubt."""
    unsure = [
        (section.confidence, key.plane, key.index)
        for key, section in sections
        if section.confidence is not None
        and section.confidence < DOUBTFUL
        and section.review is Review.OPEN
        and section.maker in (Maker.AUTO, Maker.PROMPTED)
    ]
    if not unsure:
        return None
    _, plane, index = min(unsure, key=lambda entry: (entry[0], entry[1].value, entry[2]))
    return plane, index


def _middle(sections: list[tuple[SectionKey, SectionRecord]]) -> int:
    indices = sorted(key.index for key, _ in sections)
    return indices[len(indices) // 2] if indices else 0
