"""Prompts as the model takes them, and masks that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sss.engine.inference.answers import (
    STROKE_CLICKS,
    SliceAnswer,
    as_points,
    drawn_mask,
    mask_as_logits,
)
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.prompts.types import Box, Point, Polygon, SlicePrompt, Stroke

FRAME = CropFrame(row=10, column=20, rows=32, columns=32)


def test_box_corners_lie_on_the_rim_of_its_voxels():
    # One voxel at (25, 14): in a crop at scale 2 it is the pixels 10, 11 across and 8, 9
    # down, whose outer edges are 9.5 and 11.5, 7.5 and 9.5.
    points = as_points(SlicePrompt(0, box=Box(25, 14, 26, 15)), FRAME, 64)
    assert points.coordinates.tolist() == [[[9.5, 7.5], [11.5, 9.5]]]
    assert points.labels.tolist() == [[2, 3]]


def test_clicks_keep_their_sign_and_follow_the_box():
    prompt = SlicePrompt(
        0, box=Box(25, 14, 26, 15), points=(Point(20, 10), Point(51, 41, positive=False))
    )
    points = as_points(prompt, FRAME, 32)
    # At scale 1 the crop's first voxel (20, 10) is pixel (0, 0).
    assert points.coordinates[0, 2:].tolist() == [[0, 0], [31, 31]]
    assert points.labels.tolist() == [[2, 3, 1, 0]]


def test_a_negative_click_where_the_crop_does_not_look_is_left_out():
    outside = Point(19, 12, positive=False)
    prompt = SlicePrompt(0, points=(Point(21, 12), outside))
    assert as_points(prompt, FRAME, 32).coordinates.tolist() == [[[1, 2]]]
    assert as_points(SlicePrompt(0, points=(outside,)), FRAME, 32) is None


def test_a_scribble_is_clicks_spread_evenly_along_it():
    # An L of 7 + 7 voxels: eight clicks two voxels apart.
    stroke = Stroke(((20, 10), (27, 10), (27, 17)), positive=False)
    points = as_points(SlicePrompt(0, strokes=(stroke,)), FRAME, 32)
    assert points.coordinates[0].tolist() == [
        [0, 0], [2, 0], [4, 0], [6, 0], [7, 1], [7, 3], [7, 5], [7, 7]
    ]  # fmt: skip
    assert points.labels.tolist() == [[0] * STROKE_CLICKS]


def test_a_scribble_of_one_point_is_a_click():
    points = as_points(SlicePrompt(0, strokes=(Stroke(((21, 12),)),)), FRAME, 32)
    assert points.coordinates.tolist() == [[[1, 2]]]


def test_a_scribble_that_stands_still_is_finite():
    points = as_points(SlicePrompt(0, strokes=(Stroke(((21, 12), (21, 12))),)), FRAME, 32)
    assert torch.isfinite(points.coordinates).all()


def test_without_points_there_are_none():
    assert as_points(SlicePrompt(0), FRAME, 32) is None


def test_a_lasso_says_inside_and_outside():
    square = Polygon(((2, 1), (5, 1), (5, 3), (2, 3)))  # x 2 to 5, y 1 to 3
    drawn = drawn_mask(SlicePrompt(0, polygons=(square,)), (6, 8))
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    assert drawn[2, 3] == drawn[2, 4] == 1  # row 2, columns 3 and 4 lie strictly inside
    assert drawn[4, 3] == drawn[2, 6] == -1
    assert drawn[3, 6] == -1  # what swapped axes would mark


def test_a_negative_lasso_alone_leaves_the_rest_open():
    hole = Polygon(((2, 1), (5, 1), (5, 3), (2, 3)), positive=False)
    drawn = drawn_mask(SlicePrompt(0, polygons=(hole,)), (6, 8))
    assert set(np.unique(drawn)) == {-1.0, 0.0}


def test_a_lasso_is_drawn_over_the_mask():
    given = np.zeros((10, 10), dtype=bool)
    given[:, :5] = True
    hole = Polygon(((1, 1), (3, 1), (3, 3), (1, 3)), positive=False)
    drawn = drawn_mask(SlicePrompt(0, polygons=(hole,)), (10, 10), given)
    assert drawn[2, 2] == -1
    assert drawn[8, 2] == 1
    assert drawn[2, 8] == -1


def test_a_lasso_too_thin_for_a_voxel_marks_its_corners():
    thin = Polygon(((2.2, 1.2), (2.4, 1.2), (2.3, 1.4)))
    drawn = drawn_mask(SlicePrompt(0, polygons=(thin,)), (6, 8))
    assert np.argwhere(drawn > 0).tolist() == [[1, 2]]


def test_a_mask_prompt_is_the_share_of_each_cell():
    values = torch.full((8, 8), -1.0)
    values[:4, :2] = 1.0  # half of the first of four cells
    logits = mask_as_logits(values, 8)
    assert logits.shape == (1, 1, 2, 2)
    assert logits[0, 0].tolist() == [[0.0, -6.0], [-6.0, -6.0]]


@pytest.mark.parametrize(("presence", "voxels"), [(0.49, 0), (0.51, 2)])
def test_an_absent_object_has_an_empty_mask(presence, voxels):
    probability = np.array([[0.4, 0.6], [0.9, 0.5]], dtype=np.float32)
    answer = SliceAnswer(0, (0, 0), probability, 0.9, presence)
    assert answer.mask.sum() == voxels
