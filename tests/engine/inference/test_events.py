"""Slices' masks in all 48 axis orders, against the whole arrays."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_sss.engine.inference.events import slice_to_source
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import AxisView

SHAPE = (5, 7, 11)
VIEWS = [
    AxisView(order, flips)
    for order in permutations(range(3))
    for flips in product((False, True), repeat=3)
]


def whole(event: SliceMask, shape) -> np.ndarray:
    array = np.zeros(shape, dtype=bool)
    index: list = [0, 0, 0]
    index[event.plane.axis] = event.index
    for axis, start, count in zip(
        (event.plane.row_axis, event.plane.column_axis),
        event.offset,
        event.mask.shape,
        strict=True,
    ):
        index[axis] = slice(start, start + count)
    array[tuple(index)] = event.mask
    return array


@given(
    view=st.sampled_from(VIEWS),
    plane=st.sampled_from(Plane),
    place=st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 2)),
    seed=st.integers(0, 99),
)
def test_a_slice_lands_on_the_same_voxels(view, plane, place, seed):
    shape = tuple(SHAPE[axis] for axis in view.order)
    mask = np.random.default_rng(seed).random((2, 3)) > 0.4
    event = SliceMask(7, place[0], plane, place[1:], mask, 0.8)
    moved = slice_to_source(event, view, SHAPE)
    np.testing.assert_array_equal(whole(moved, SHAPE), view.undo(whole(event, shape)))
    assert (moved.object_id, moved.confidence) == (7, 0.8)
