"""From a case's annotation to the arrays that other programs take."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.classes import resolved
from napari_sss.engine.project.diff import LABEL_DTYPE
from napari_sss.engine.project.records import ClassRecord, ObjectRecord, Review
from napari_sss.engine.project.state import AnnotationState
from napari_sss.engine.prompts.types import Plane

IGNORE = 255
"""Value of voxels that nobody has judged, in files for training."""


def class_mask(
    state: AnnotationState, only: Collection[int] | None = None
) -> NDArray[np.uint8]:
    """Class ids (Z, Y, X), 0 outside; of some objects only, where ``only`` names them."""
    table = np.zeros(int(np.iinfo(LABEL_DTYPE).max) + 1, dtype=np.uint8)
    for object_id, record in state.objects.items():
        if only is None or object_id in only:
            table[object_id] = class_of(state, record).id
    return table[state.labels]


def object_mask(
    state: AnnotationState, only: Collection[int] | None = None
) -> NDArray[np.uint16]:
    """Object ids (Z, Y, X), 0 outside; of some objects only, where ``only`` names them."""
    if only is None:
        return state.labels.copy()
    return np.where(np.isin(state.labels, list(only)), state.labels, LABEL_DTYPE(0))


def class_of(state: AnnotationState, record: ObjectRecord) -> ClassRecord:
    """The class that an object counts as."""
    return resolved(state.classes, record.class_id)


def accepted_objects(state: AnnotationState) -> tuple[int, ...]:
    """Objects that are accepted as a whole, by themselves or with the case."""
    whole = state.case.review is Review.ACCEPTED
    return tuple(
        object_id
        for object_id, record in sorted(state.objects.items())
        if record.review is Review.ACCEPTED or (whole and record.review is Review.OPEN)
    )


def known_voxels(state: AnnotationState) -> NDArray[np.bool_]:
    """Where a person has judged (Z, Y, X): there the class mask is right.

    All of an accepted case; all of accepted slices, the background's voxels too; elsewhere
    the voxels of accepted objects and of sections accepted one by one.
    """
    if state.case.review is Review.ACCEPTED:
        return np.ones(state.shape, dtype=bool)
    known = np.zeros(state.shape, dtype=bool)
    for object_id in accepted_objects(state):
        state.region(object_id).paint(known, True)
    for section, made in state.sections.items():
        if made.review is Review.ACCEPTED:
            plane = _slice(known, section.plane, section.index)
            plane |= state.slice_labels(section.plane, section.index) == section.object_id
    for key, record in state.slices.items():
        if record.review is Review.ACCEPTED:
            _slice(known, key.plane, key.index)[...] = True
    for key, record in state.slices.items():
        if record.review is Review.REJECTED:
            _slice(known, key.plane, key.index)[...] = False
    return known


def training_mask(state: AnnotationState) -> NDArray[np.uint8]:
    """Class ids (Z, Y, X) where a person has judged, 255 elsewhere."""
    mask = class_mask(state)
    mask[~known_voxels(state)] = IGNORE
    return mask


def class_names(classes: Mapping[int, ClassRecord]) -> dict[str, int]:
    """Value of each class in a mask, by name, for those that are offered."""
    return {record.name: i for i, record in sorted(classes.items()) if not record.removed}


def _slice(array: NDArray[Any], plane: Plane, index: int) -> NDArray[Any]:
    return np.moveaxis(array, plane.axis, 0)[index]
