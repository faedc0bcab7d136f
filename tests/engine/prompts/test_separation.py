"""Growing, blocks, and telling touching objects apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_sss.engine.prompts.morphology import close, dilate, erode, open_
from napari_sss.engine.prompts.separation import free_surface_share, separate
from napari_sss.engine.prompts.working_grid import WorkingGrid

_UNIT = (1.0, 1.0, 1.0)
_masks = hnp.arrays(
    bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.booleans()
)


def _dot(shape: tuple[int, int, int] = (9, 9, 9)) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(size // 2 for size in shape)] = True
    return mask


def test_a_voxel_grows_by_a_cross_and_then_by_a_cube() -> None:
    # One step: itself and 6 neighbours. Two: each of these 7 grown by a cube, 81 in all: the
    # cube of side 3 (27) and a plate of 3 x 3 on each of its 6 sides (54).
    assert dilate(_dot(), 1.0, _UNIT).sum() == 7
    assert dilate(_dot(), 2.0, _UNIT).sum() == 27 + 6 * 9


def test_each_axis_grows_by_its_own_spacing() -> None:
    grown = dilate(_dot(), 3.0, (5.0, 1.0, 3.0))
    # 3 mm are 0.6 of 5 mm, so one voxel; 3 voxels of 1 mm; 1 of 3 mm.
    extents = [np.flatnonzero(grown.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    assert [(e[0], e[-1]) for e in extents] == [(3, 5), (1, 7), (3, 5)]
    # Less than half a voxel changes nothing along that axis.
    flat = dilate(_dot(), 2.0, (5.0, 1.0, 1.0))
    assert np.flatnonzero(flat.any(axis=(1, 2))).tolist() == [4]


def test_closing_fills_gaps_up_to_twice_its_reach() -> None:
    line = np.zeros((1, 1, 12), dtype=bool)
    line[0, 0, [0, 1, 4, 5, 11]] = True
    # The gap of 2 voxels closes by 1 mm, that of 5 does not by 2.
    assert close(line, 1.0, _UNIT)[0, 0].tolist() == [True] * 6 + [False] * 5 + [True]
    assert not close(line, 2.0, _UNIT)[0, 0, 6:11].any()
    assert close(line, 3.0, _UNIT).all()


def test_opening_removes_what_is_thin() -> None:
    mask = np.zeros((1, 7, 12), dtype=bool)
    mask[0, 1:6, 1:6] = True
    mask[0, 3, 6:11] = True  # a thread
    opened = open_(mask, 1.0, _UNIT)
    assert not opened[0, 3, 7:].any()
    assert opened[0, 2:5, 2:5].all()


@settings(max_examples=50, deadline=None)
@given(_masks, st.sampled_from([0.0, 1.0, 2.0, 3.0]))
def test_growing_and_shrinking_are_ordered(mask: NDArray[np.bool_], reach: float) -> None:
    assert not (erode(mask, reach, _UNIT) & ~mask).any()
    assert not (mask & ~dilate(mask, reach, _UNIT)).any()
    assert not (mask & ~close(mask, reach, _UNIT)).any()
    assert not (open_(mask, reach, _UNIT) & ~mask).any()


def test_blocks_are_near_the_target() -> None:
    grid = WorkingGrid.near((10, 10, 10), (5.0, 0.7, 1.0), 2.5)
    # 2.5 / 0.7 = 3.6, so 4; 2.5 / 1 = 2.5, so 2 (even); 5 mm stay as they are.
    assert grid.factors == (1, 4, 2)
    assert grid.spacing == pytest.approx((5.0, 2.8, 2.0))


def test_block_means_and_back() -> None:
    grid = WorkingGrid((1, 2, 5), (1.0, 2.0, 2.0), (1, 2, 2))
    array = np.array([[[1, 3, 5, 7, 9], [1, 3, 5, 7, 11]]], dtype=np.int16)
    means = grid.means(array)
    # The last block holds a single column.
    np.testing.assert_allclose(means, [[[2, 6, 10]]])
    np.testing.assert_allclose(grid.upsample(means), [[[2, 2, 6, 6, 10]] * 2])


def test_means_of_large_integers_do_not_overflow() -> None:
    grid = WorkingGrid((4, 4, 4), (4.0, 4.0, 4.0), (4, 4, 4))
    assert grid.means(np.full((4, 4, 4), 30000, dtype=np.int16)).item() == 30000


def _ball(
    shape: tuple[int, int, int], centre: tuple[int, int, int], radius: float
) -> NDArray[np.bool_]:
    grid = np.ogrid[tuple(slice(size) for size in shape)]
    return sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2


_SHAPE = (30, 40, 80)


def _dumbbell(neck: int) -> NDArray[np.bool_]:
    """Two balls of radius 10, joined by a bar of ``neck`` voxels' width."""
    mask = _ball(_SHAPE, (15, 20, 18), 10) | _ball(_SHAPE, (15, 20, 58), 10)
    low, high = -(neck // 2), neck - neck // 2
    mask[15 + low : 15 + high, 20 + low : 20 + high, 18:58] = True
    return mask


@pytest.mark.parametrize("neck", [1, 4, 8])
def test_a_neck_is_cut_whatever_its_width(neck: int) -> None:
    labels = separate(_dumbbell(neck), _UNIT, (1, 2, 3, 4, 5, 6))
    assert labels.max() == 2
    left, right = labels[15, 20, 18], labels[15, 20, 58]
    assert {left, right} == {1, 2}
    for value, x in ((left, 18), (right, 58)):
        ball = _ball(_SHAPE, (15, 20, x), 10)
        piece = labels == value
        dice = 2 * np.count_nonzero(piece & ball) / (piece.sum() + ball.sum())
        assert dice > 0.9


def test_a_ball_is_not_cut() -> None:
    ball = _ball(_SHAPE, (15, 20, 30), 10)
    labels = separate(ball, _UNIT, (1, 2, 3, 4, 5, 6))
    assert labels.max() == 1
    assert np.count_nonzero(labels) > 0.97 * ball.sum()


def test_a_thin_object_is_found_beside_one_that_needs_deep_erosion() -> None:
    """A rod of radius 3 by itself, and two balls whose neck of 8 needs 5 mm: three objects."""
    mask = _dumbbell(8)
    mask[2:7, 2:7, 5:75] = True
    labels = separate(mask, _UNIT, (1, 2, 3, 4, 5, 6))
    assert labels.max() == 3
    assert np.count_nonzero(labels == labels[4, 4, 40]) > 0.9 * 5 * 5 * 70


def test_pieces_that_are_too_large_or_too_small_are_not_kept() -> None:
    mask = _dumbbell(4)
    half = mask.sum() / 2
    assert separate(mask, _UNIT, (1, 2, 3, 4), max_voxels=half / 2).max() == 0
    assert separate(mask, _UNIT, (1, 2, 3, 4), min_voxels=half).max() == 1
    assert separate(mask, _UNIT, (1,), max_voxels=half).max() == 0


def test_nothing_to_separate() -> None:
    empty = np.zeros((4, 4, 4), dtype=bool)
    assert not separate(empty, _UNIT, (1, 2)).any()
    # A sheet of one voxel vanishes at the first erosion.
    empty[2] = True
    assert not separate(empty, _UNIT, (1, 2)).any()


def test_the_free_share_of_a_surface_weighs_faces_by_area() -> None:
    """Two cubes side by side in x: each has 5 free faces of 6 and one cut."""
    mask = np.zeros((4, 4, 6), dtype=bool)
    mask[1:3, 1:3, 1:5] = True
    labels = np.zeros(mask.shape, dtype=np.int64)
    labels[1:3, 1:3, 1:3], labels[1:3, 1:3, 3:5] = 1, 2
    np.testing.assert_allclose(free_surface_share(labels, mask, _UNIT)[1:], 5 / 6)
    # At 2 x 1 x 1 mm a face across z measures 1 mm2, across y and x 2 mm2 each: of 4 such
    # faces per side, free are 2 sides of 1, 2 of 2 and 1 of 2, cut is 1 of 2: 8 of 10.
    share = free_surface_share(labels, mask, (2.0, 1.0, 1.0))
    np.testing.assert_allclose(share[1:], 8 / 10)
