"""Sparse differences of label arrays, by runs that were counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import ProjectError

SHAPE = (2, 3, 4)
LABELS = arrays(np.uint16, SHAPE, elements=st.integers(0, 3))


def runs(diff: LabelDiff) -> list[tuple[int, ...]]:
    columns = (diff.starts, diff.lengths, diff.before, diff.after)
    return [tuple(int(v) for v in run) for run in zip(*columns, strict=True)]


def test_voxels_become_runs_where_neighbours_change_alike():
    """5, 6 and 7 go from 0 to 2; 8 does too, but from 1, so it is a run of its own."""
    diff = LabelDiff.of_voxels([7, 5, 6, 8, 20], [0, 0, 0, 1, 3], [2, 2, 2, 2, 0])
    assert runs(diff) == [(5, 3, 0, 2), (8, 1, 1, 2), (20, 1, 3, 0)]
    assert diff.voxels == 5
    assert diff.ids == {1, 2, 3}


def test_a_stroke_that_crosses_itself_counts_first_before_and_last_after():
    """Voxel 4 goes 1 -> 2 -> 3; voxel 5 goes 1 -> 2 -> 1, which is no change."""
    diff = LabelDiff.of_voxels([4, 5, 4, 5], [1, 1, 2, 2], [2, 2, 3, 1])
    assert runs(diff) == [(4, 1, 1, 3)]


def test_between_gives_runs_row_by_row_in_the_whole_array():
    """A box of 1 x 2 x 2 at (1, 1, 1) in 2 x 3 x 4: its rows begin at 12 + 5 and 12 + 9."""
    old, new = np.zeros((1, 2, 2), np.uint16), np.full((1, 2, 2), 7, np.uint16)
    assert runs(LabelDiff.between(old, new, (1, 1, 1), SHAPE)) == [(17, 2, 0, 7), (21, 2, 0, 7)]


def test_cut_ends_runs_at_rows():
    """3..9 in rows of 4: 3 | 4 5 6 7 | 8 9."""
    diff = LabelDiff.of_voxels(np.arange(3, 10), 0, 1)
    assert runs(diff) == [(3, 7, 0, 1)]
    assert runs(diff.cut(4)) == [(3, 1, 0, 1), (4, 4, 0, 1), (8, 2, 0, 1)]
    assert len(diff.cut(1).starts) == 7
    assert diff.cut(24) is diff


def test_box_is_the_smallest_around_all_voxels():
    """Voxel 5 is (0, 1, 1), voxel 18 is (1, 1, 2)."""
    diff = LabelDiff.of_voxels([5, 18], 0, 1)
    assert diff.box(SHAPE) == (slice(0, 2), slice(1, 2), slice(1, 3))
    assert LabelDiff.empty().box(SHAPE) is None


def test_box_of_a_run_over_the_end_of_a_row_is_as_wide_as_the_array():
    """Voxels 2..5 are (0, 0, 2), (0, 0, 3), (0, 1, 0), (0, 1, 1)."""
    diff = LabelDiff.of_voxels([2, 3, 4, 5], 0, 1)
    assert diff.box(SHAPE) == (slice(0, 1), slice(0, 2), slice(0, 4))


def test_chain_of_disjoint_changes_keeps_their_runs_sorted():
    late, early = LabelDiff.of_voxels([9], 0, 1), LabelDiff.of_voxels([2, 3], 0, 5)
    assert runs(LabelDiff.chain([late, early])) == [(2, 2, 0, 5), (9, 1, 0, 1)]


def test_verify_refuses_a_change_that_does_not_fit():
    labels = np.zeros(SHAPE, np.uint16)
    with pytest.raises(ProjectError, match="does not fit"):
        LabelDiff.of_voxels([3], 1, 2).apply(labels, verify=True)
    assert not labels.any()


def test_two_far_voxels_of_a_large_volume_take_few_bytes():
    """Two runs of 4 + 4 + 2 + 2 bytes and a header of 10, whatever lies between them."""
    far = 2**40  # beyond 32 bits: starts then take 8 bytes
    diff = LabelDiff.of_voxels([0, far], 0, 1)
    assert len(diff.to_bytes()) < 60
    assert runs(LabelDiff.from_bytes(diff.to_bytes())) == [(0, 1, 0, 1), (far, 1, 0, 1)]


@pytest.mark.parametrize(
    "damage", [lambda b: b[:5], lambda b: b[:-3], lambda b: b"\x09" + b[1:]]
)
def test_damaged_bytes_are_refused(damage):
    content = LabelDiff.of_voxels([1, 5, 6], 0, 3).to_bytes()
    with pytest.raises(ProjectError, match="damaged"):
        LabelDiff.from_bytes(damage(content))


@given(LABELS, LABELS)
def test_a_difference_leads_there_and_back_also_through_bytes(old, new):
    diff = LabelDiff.from_bytes(LabelDiff.between(old, new, (0, 0, 0), SHAPE).to_bytes())
    array = old.copy()
    diff.apply(array, verify=True)
    assert np.array_equal(array, new)
    diff.inverse().apply(array, verify=True)
    assert np.array_equal(array, old)
    assert diff.voxels == np.count_nonzero(old != new)


@given(LABELS, LABELS, LABELS)
def test_a_chain_leads_from_the_first_to_the_last(first, second, third):
    one = LabelDiff.between(first, second, (0, 0, 0), SHAPE)
    two = LabelDiff.between(second, third, (0, 0, 0), SHAPE)
    array = first.copy()
    LabelDiff.chain([one, two]).apply(array, verify=True)
    assert np.array_equal(array, third)


@given(LABELS, LABELS, st.integers(1, 24))
def test_cutting_changes_nothing_else(old, new, width):
    diff = LabelDiff.between(old, new, (0, 0, 0), SHAPE)
    pieces = diff.cut(width)
    ends = pieces.starts + pieces.lengths - 1
    assert np.array_equal(pieces.starts // width, ends // width)
    assert np.array_equal(pieces.indices(), diff.indices())
