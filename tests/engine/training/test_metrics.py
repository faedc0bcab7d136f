"""Scores of masks small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_sss.engine.training.metrics import (
    case_scores,
    overlap_scores,
    summary,
    surface_scores,
)


def mask(shape=(1, 8, 8), **_) -> np.ndarray:
    return np.zeros(shape, dtype=bool)


def test_overlaps_by_hand():
    one, two = mask(), mask()
    one[0, 0, :4] = True
    two[0, 0, 2:5] = True
    # Two voxels in common, four and three in all: 4/7 and 2/5.
    assert overlap_scores(one, two) == {"dice": 4 / 7, "jaccard": 2 / 5}
    assert overlap_scores(mask(), two) == {"dice": 0.0, "jaccard": 0.0}
    assert all(math.isnan(v) for v in overlap_scores(mask(), mask()).values())


def test_surface_distances_of_two_voxels_by_hand():
    one, two = mask((3, 8, 8)), mask((3, 8, 8))
    one[0, 2, 2] = True
    two[2, 2, 5] = True
    # Two slices of 5 mm and three columns of 1.5 mm apart: sqrt(100 + 20.25).
    expected = math.sqrt(10**2 + 4.5**2)
    found = surface_scores(one, two, (5.0, 2.0, 1.5))
    assert found["hd95"] == pytest.approx(expected, rel=1e-5)
    assert found["assd"] == pytest.approx(expected, rel=1e-5)


def test_surface_distances_of_lines_by_hand():
    one, two = mask((1, 12, 12)), mask((1, 12, 12))
    one[0, 3, 2:7] = True  # columns 2 to 6 of row 3
    two[0, 3, 2:7] = True
    two[0, 3, 7] = True  # one more
    # From one to two: all 0. Back: 0 five times, and 1 column of 2 mm once. Of these eleven
    # distances together the mean is 2/11, and the 95th percentile lies at place 0.95 * 10 =
    # 9.5 from 0, halfway from the tenth (0) to the last (2): 1. The larger of the directed
    # percentiles would be 1.5.
    found = surface_scores(one, two, (1.0, 1.0, 2.0))
    assert found["assd"] == pytest.approx(2 / 11, rel=1e-5)
    assert found["hd95"] == pytest.approx(1.0, rel=1e-5)


def test_the_inside_of_a_mask_is_no_surface():
    one, two = mask((9, 9, 9)), mask((9, 9, 9))
    one[2:7, 2:7, 2:7] = True
    two[2:7, 2:7, 2:7] = True
    two[4, 4, 4] = False  # a hole: its walls are surface, two voxels from the outer one
    found = surface_scores(one, two, (1.0, 1.0, 1.0))
    # 98 outer voxels each way at 0; the six walls of the hole at 1. One way 98 zeros, the
    # other 98 zeros and 6 ones: 6 / (98 + 104).
    assert found["assd"] == pytest.approx(6 / 202, rel=1e-5)


def test_a_distance_to_nothing_is_not_defined():
    one = mask()
    one[0, 1, 1] = True
    assert all(math.isnan(v) for v in surface_scores(one, mask(), (1, 1, 1)).values())


def test_what_is_to_be_ignored_does_not_count():
    truth = np.array([[[1, 1, 255, 255]]], dtype=np.uint8)
    predicted = np.array([[[1, 0, 1, 0]]], dtype=np.uint8)
    found = case_scores(predicted, truth, [1], (1, 1, 1), surfaces=False)
    assert found[1]["dice"] == pytest.approx(2 / 3)


def test_means_leave_out_what_is_undefined_and_keep_what_was_missed():
    nan = math.nan
    cases = {
        "a": {1: {"dice": 0.8, "jaccard": 0.6, "hd95": 2.0, "assd": 1.0},
              2: {"dice": nan, "jaccard": nan, "hd95": nan, "assd": nan}},
        "b": {1: {"dice": 0.0, "jaccard": 0.0, "hd95": nan, "assd": nan},
              2: {"dice": 0.4, "jaccard": 0.2, "hd95": 4.0, "assd": 3.0}},
    }  # fmt: skip
    found = summary(cases)
    assert found["mean"]["dice"] == pytest.approx((0.8 + 0.0 + 0.4) / 3)
    assert found["mean"]["hd95"] == pytest.approx(3.0)
    assert found["classes"]["1"]["dice"] == pytest.approx(0.4)
    assert found["classes"]["2"] == {"dice": 0.4, "jaccard": 0.2, "hd95": 4.0, "assd": 3.0}
    assert found["cases"]["a"]["2"]["dice"] is None
