"""Sections of a slice: what they overlap, and which of several stays."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.inference.everything.sections import (
    Section,
    distinct,
    flattened,
    overlaps,
    suppress,
)

SHAPE = (40, 50)


def block(y0: int, y1: int, x0: int, x1: int, score: float = 0.5, index: int = 0) -> Section:
    return Section(index, (y0, x0), np.ones((y1 - y0, x1 - x0), dtype=bool), score)


def test_section_is_as_small_as_its_mask():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:4, 3:7] = True
    section = Section.of(5, (10, 20), mask, 0.75)
    assert section is not None
    assert (section.index, section.offset, section.score) == (5, (12, 23), 0.75)
    assert section.mask.shape == (2, 4)
    assert section.area == 8
    assert (section.box.x0, section.box.y0, section.box.x1, section.box.y1) == (23, 12, 27, 14)
    assert section.longer_side((3.0, 1.0)) == 6.0  # 2 rows of 3 mm, 4 columns of 1 mm
    assert Section.of(5, (10, 20), np.zeros((6, 8), dtype=bool), 0.75) is None


def test_overlaps_of_blocks():
    # 10 x 10 and 10 x 10 shifted by 5 columns: 50 in common, 150 together.
    flat = flattened([block(0, 10, 0, 10), block(0, 10, 5, 15)], SHAPE)
    common, union = overlaps(flat, flat)
    np.testing.assert_array_equal(common, [[100, 50], [50, 100]])
    np.testing.assert_array_equal(union, [[100, 150], [150, 100]])


def test_large_slices_are_compared_on_a_lattice():
    # 400 // 96: every fourth voxel. Rows 8 to 47 hold 8, 12 .. 44: 10 cells; columns 7 to 20
    # hold 8, 12, 16, 20: 4.
    flat = flattened([block(8, 48, 7, 21)], (400, 300))
    assert flat.shape == (1, 100 * 75)
    assert flat.sum() == 40
    cells = flat.reshape(100, 75)
    assert cells[2:12, 2:6].all()


def test_a_speck_between_the_cells_still_counts():
    flat = flattened([block(9, 11, 9, 11)], (400, 300)).reshape(100, 75)
    assert flat.sum() == 1
    assert flat[2, 2] == 1


def test_suppression_by_hand():
    # 0 and 1 share 90 of 110: IoU 0.818. 1 and 2 share 80 of 120: 0.667. 0 and 2 share 70 of
    # 130: 0.538.
    blocks = [block(0, 10, 0, 10), block(0, 10, 1, 11), block(0, 10, 3, 13)]
    flat = flattened(blocks, SHAPE)
    # 1 is surest: at 0.7 it takes 0 away and leaves 2; at 0.6 it takes both.
    scores = np.array([0.6, 0.9, 0.7])
    np.testing.assert_array_equal(suppress(flat, scores, 0.7), [1, 2])
    np.testing.assert_array_equal(suppress(flat, scores, 0.6), [1])
    # 0 is surest: at 0.6 it takes 1 away, which then takes nobody else.
    np.testing.assert_array_equal(suppress(flat, np.array([0.9, 0.8, 0.7]), 0.6), [0, 2])


def test_of_equals_the_first_stays():
    flat = flattened([block(0, 10, 0, 10), block(0, 10, 0, 10)], SHAPE)
    np.testing.assert_array_equal(suppress(flat, np.array([0.5, 0.5]), 0.7), [0])


def test_nested_and_touching_sections_stay():
    outer, inner = block(0, 20, 0, 20, 0.9), block(5, 15, 5, 15, 0.8)  # IoU 100 / 400
    beside = block(0, 20, 20, 40, 0.7)
    assert distinct([inner, beside, outer], SHAPE, 0.7) == [outer, inner, beside]


@pytest.mark.parametrize("shape", [(40, 50), (400, 300)])
def test_nothing_found_is_nothing(shape):
    assert distinct([], shape, 0.7) == []
    assert flattened([], shape).shape[0] == 0
