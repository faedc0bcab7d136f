"""Patches that stand out by their grey: nested ones, in order, at any resolution."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.inference.everything.patches import standing_out


def painted(section, shape) -> np.ndarray:
    canvas = np.zeros(shape, dtype=bool)
    section.paint(canvas)
    return canvas


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture
def body() -> np.ndarray:
    body = np.zeros((80, 100), dtype=bool)
    body[4:76, 4:96] = True
    return body


@pytest.fixture
def grey(body) -> np.ndarray:
    """A core in an organ, an organ beside it, on a ground of 0.3."""
    grey = np.where(body, 0.3, 0.0).astype(np.float32)
    grey[20:60, 15:50] = 0.5
    grey[30:50, 25:40] = 0.9
    grey[20:60, 50:80] = 0.7
    return grey


def test_organs_cores_and_neighbours_stand_out(grey, body):
    found = standing_out(grey, body, (2.0, 2.0), 7, count=12, smallest_mm2=100.0)
    masks = [painted(s, grey.shape) for s in found]
    whole = np.zeros_like(body)
    whole[20:60, 15:50] = True
    for truth in (whole, (grey > 0.8), (grey > 0.6) & (grey < 0.8)):
        assert max(dice(mask, truth) for mask in masks) > 0.85
    assert {s.index for s in found} == {7}
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)


def test_fine_slices_give_the_same_patches(grey, body):
    coarse = standing_out(grey, body, (2.0, 2.0), 0, 3, 100.0)
    finer = [np.repeat(np.repeat(a, 2, 0), 2, 1) for a in (grey, body)]
    fine = standing_out(finer[0], finer[1], (1.0, 1.0), 0, 3, 100.0)
    for a, b in zip(coarse, fine, strict=True):
        doubled = np.repeat(np.repeat(painted(a, grey.shape), 2, 0), 2, 1)
        np.testing.assert_array_equal(painted(b, finer[0].shape), doubled)


def test_no_more_than_asked_for_and_none_too_small(grey, body):
    assert len(standing_out(grey, body, (2.0, 2.0), 0, 2, 100.0)) == 2
    large = standing_out(grey, body, (2.0, 2.0), 0, 20, 4000.0)
    assert large
    assert all(s.area * 4.0 >= 4000.0 for s in large)


def test_nothing_but_even_grey_or_no_body_has_no_patches(body):
    even = np.where(body, 0.5, 0.0).astype(np.float32)
    assert standing_out(even, np.zeros_like(body), (2.0, 2.0), 0, 10, 100.0) == []
    flat = np.full(body.shape, 0.5, dtype=np.float32)
    assert standing_out(flat, np.ones_like(body), (2.0, 2.0), 0, 10, 100.0) == []


def test_no_patches_asked_for(grey, body):
    assert standing_out(grey, body, (2.0, 2.0), 0, 0, 100.0) == []
