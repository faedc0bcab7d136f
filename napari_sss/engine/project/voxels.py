"""From regions and slices to changes of the label array."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.diff import LABEL_DTYPE, LabelDiff
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.state import AnnotationState
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.region import Region


def fill(state: AnnotationState, region: Region, value: int) -> LabelDiff:
    """Give all voxels of a region one value; 0 erases.

    Raises
    ------
    ProjectError
        If the region reaches out of the volume.
    """
    _require_inside(state, region)
    old = state.labels[region.slices]
    new = np.where(region.mask, LABEL_DTYPE(value), old)
    return LabelDiff.between(old, new, region.offset, state.shape)


def replace_region(state: AnnotationState, object_id: int, region: Region) -> LabelDiff:
    """Give an object other voxels than it has."""
    _require_inside(state, region)
    regions = [r for r in (state.region(object_id), region) if r.mask.size]
    if not regions:
        return LabelDiff.empty()
    low = np.min([r.offset for r in regions], axis=0)
    high = np.max([np.add(r.offset, r.mask.shape) for r in regions], axis=0)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    old = state.labels[box]
    new = np.where(old == object_id, LABEL_DTYPE(0), old)
    if region.mask.size:
        inner = tuple(
            slice(s.start - a, s.stop - a) for s, a in zip(region.slices, low, strict=True)
        )
        new[inner][region.mask] = object_id
    return LabelDiff.between(old, new, (box[0].start, box[1].start, box[2].start), state.shape)


def composed(
    state: AnnotationState,
    found: Mapping[int, tuple[Region, float]],
    own: Collection[int],
) -> LabelDiff:
    """Give several objects other voxels than they have, where they overlap to the surer one.

    Parameters
    ----------
    state : AnnotationState
        As it is.
    found : mapping
        Voxels and confidence, 0 to 1, by object id.
    own : collection of int
        The objects whose former voxels go.
    """
    regions = [state.region(i) for i in own]
    for region, _ in found.values():
        _require_inside(state, region)
        regions.append(region)
    regions = [region for region in regions if region.mask.size]
    if not regions:
        return LabelDiff.empty()
    low = np.min([r.offset for r in regions], axis=0)
    high = np.max([np.add(r.offset, r.mask.shape) for r in regions], axis=0)
    goes = np.zeros(int(np.iinfo(LABEL_DTYPE).max) + 1, dtype=bool)
    goes[list(own)] = True
    by_confidence = sorted(found.items(), key=lambda item: item[1][1])
    rows, columns = (slice(int(low[a]), int(high[a])) for a in (1, 2))
    changes = []
    for z in range(int(low[0]), int(high[0])):  # slice by slice: a volume may be large
        old = state.labels[z, rows, columns]
        new = np.where(goes[old], LABEL_DTYPE(0), old)
        for object_id, (region, _) in by_confidence:
            at = z - region.offset[0]
            if 0 <= at < region.mask.shape[0]:
                _, y, x = region.slices
                place = (
                    slice(y.start - rows.start, y.stop - rows.start),
                    slice(x.start - columns.start, x.stop - columns.start),
                )
                new[place][region.mask[at]] = object_id
        offset = (z, rows.start, columns.start)
        changes.append(LabelDiff.between(old[None], new[None], offset, state.shape))
    return LabelDiff.chain(changes)


def replace_on_slice(
    state: AnnotationState,
    object_id: int,
    plane: Plane,
    index: int,
    offset: tuple[int, int],
    mask: NDArray[Any],
) -> LabelDiff:
    """Give an object other pixels on one slice; ``mask`` (rows, columns) is a patch of it.

    Raises
    ------
    ProjectError
        If there is no such slice, or the patch reaches out of it.
    """
    old = state.slice_labels(plane, index)
    new = old.copy()
    new[old == object_id] = 0
    rows, columns = (slice(o, o + n) for o, n in zip(offset, mask.shape, strict=True))
    patch = new[rows, columns]
    if patch.shape != mask.shape or min(offset) < 0:
        raise ProjectError(
            f"A mask of {mask.shape} pixels at {offset} does not fit in a slice of "
            f"{old.shape}.",
            "Give the mask on the scan's own grid.",
        )
    patch[np.asarray(mask) != 0] = object_id
    where = np.nonzero(new != old)
    indices = state.flat_indices(plane, index, *where)
    return LabelDiff.of_voxels(indices, old[where], new[where])


def _require_inside(state: AnnotationState, region: Region) -> None:
    ends = [o + n for o, n in zip(region.offset, region.mask.shape, strict=True)]
    if min(region.offset) < 0 or any(e > n for e, n in zip(ends, state.shape, strict=True)):
        raise ProjectError(
            f"A mask of {region.mask.shape} voxels at {region.offset} does not fit in the "
            f"volume of {state.shape}.",
            "Give the mask on the scan's own grid.",
        )
