"""Where the grid of points clicks: in the body, millimetres apart, once in each place."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.inference.everything.point_grid import (
    Body,
    filled_body,
    tiles_over,
    whole_tile,
)
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume

SPACING = (2.0, 1.0)


@pytest.fixture
def body() -> np.ndarray:
    """Rows 5 to 44 and columns 10 to 89: 80 mm each way, with a corner cut out."""
    body = np.zeros((60, 120), dtype=bool)
    body[5:45, 10:90] = True
    body[5:15, 10:30] = False
    return body


def inside(points: np.ndarray, body: np.ndarray) -> np.ndarray:
    columns, rows = np.rint(points).astype(int).T
    return body[rows, columns]


def test_the_whole_body_is_one_square_tile(body):
    (tile,) = whole_tile(body, SPACING, step_mm=21.0)
    # 1.05 times 80 mm: 42 rows of 2 mm, 84 columns of 1 mm, around row 25 and column 50.
    assert (tile.frame.rows, tile.frame.columns) == (42, 84)
    assert (tile.frame.row, tile.frame.column) == (4, 8)
    # 21 mm apart: 4 x 4 points; the one in the missing corner is left out.
    assert len(tile.points) == 15
    assert inside(tile.points, body).all()
    np.testing.assert_allclose(np.diff(np.unique(tile.points[:, 0])), 21.0)
    np.testing.assert_allclose(np.diff(np.unique(tile.points[:, 1])), 10.5)


def test_tiles_have_their_side_in_mm_and_share_the_points(body):
    tiles = tiles_over(body, SPACING, 40.0, overlap=0.5, step_mm=10.0)
    assert {(t.frame.rows, t.frame.columns) for t in tiles} == {(20, 40)}
    # A stride of 20 mm cuts the 80 mm into 4 x 4 middle parts with 2 x 2 points each, 10 mm
    # apart; 20 mm by 20 mm of the body are missing: one part.
    assert len(tiles) == 15
    assert [len(t.points) for t in tiles] == [4] * 15
    points = np.concatenate([t.points for t in tiles])
    assert inside(points, body).all()
    assert len(np.unique(points, axis=0)) == len(points)
    np.testing.assert_allclose(np.unique(points[:, 0]), 9.5 + 5 + 10 * np.arange(8))
    np.testing.assert_allclose(np.unique(points[:, 1]), 4.5 + 2.5 + 5 * np.arange(8))


def test_points_lie_in_the_middle_of_their_tile(body):
    for tile in tiles_over(body, SPACING, 40.0, overlap=0.5, step_mm=10.0):
        x = (tile.points[:, 0] + 0.5 - tile.frame.column) / tile.frame.columns
        y = (tile.points[:, 1] + 0.5 - tile.frame.row) / tile.frame.rows
        assert ((x > 0.25) & (x < 0.75) & (y > 0.25) & (y < 0.75)).all()


def test_only_what_is_wanted_is_clicked(body):
    wanted = body.copy()
    wanted[:, :50] = False
    tiles = tiles_over(body, SPACING, 40.0, 0.5, 10.0, wanted)
    points = np.concatenate([t.points for t in tiles])
    assert len(points) == 2 * 4 * 4
    assert (points[:, 0] > 49.5).all()


def test_no_body_no_tiles():
    nothing = np.zeros((30, 30), dtype=bool)
    assert whole_tile(nothing, SPACING, 20.0) == []
    assert tiles_over(nothing, SPACING, 40.0, 0.5, 10.0) == []


def test_body_is_filled_and_without_crumbs():
    inside = np.zeros((60, 60), dtype=bool)
    inside[10:50, 10:50] = True
    inside[20:30, 20:30] = False  # a hollow: lung, or gas
    inside[2:8, 52:58] = True  # 36 voxels are less than a twentieth of 1500
    inside[55, :] = True  # a line, as of the table
    expected = np.zeros((60, 60), dtype=bool)
    expected[10:50, 10:50] = True
    np.testing.assert_array_equal(filled_body(inside, (1.0, 1.0)), expected)


def test_body_at_the_border_stays_whole():
    np.testing.assert_array_equal(
        filled_body(np.ones((20, 20), dtype=bool), (1.0, 1.0)), np.ones((20, 20), dtype=bool)
    )


def test_body_of_a_scan_without_units():
    array = np.zeros((3, 40, 40), dtype=np.float32)
    array[:, 5:35, 5:35] = 60.0  # dark tissue
    array[:, 10:25, 10:25] = 200.0
    body = Body(Volume(array, Grid(array.shape), "MR"))
    # Otsu parts 200 from the rest, somewhere from 60 to 200; half of that may lie above 60
    # only if Otsu's threshold exceeds 120, and its lowest optimum is at 60.
    np.testing.assert_array_equal(body.on(1), array[1] > 0)


def test_a_scan_of_one_value_has_no_body():
    array = np.full((2, 10, 10), 7, dtype=np.int16)
    assert not Body(Volume(array, Grid(array.shape))).on(0).any()
