"""The zoom's geometry: squares in millimetres, and nothing shifted by cutting and pasting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sss.engine.inference.crops import CropFrame, mask_box
from napari_sss.engine.prompts.types import Box


def ramp(rows: int, columns: int) -> np.ndarray:
    """A plane: grey = 0.3 + 0.02 row + 0.01 column."""
    r, c = np.mgrid[:rows, :columns].astype(np.float32)
    return (0.3 + 0.02 * r + 0.01 * c).astype(np.float32)


def test_the_frame_is_square_in_millimetres():
    # 10 voxels of 3 mm down are 30 mm, 20 of 1 mm across are 20 mm: side 1.6 * 30 = 48 mm,
    # so 16 rows of 3 mm and 48 columns of 1 mm, centred on row 15 and column 40 (edges).
    frame = CropFrame.around(Box(30, 10, 50, 20), spacing=(3.0, 1.0))
    assert frame == CropFrame(row=7, column=16, rows=16, columns=48)


def test_a_tiny_object_gets_twelve_voxels_of_the_finer_axis():
    # Side 12 * 1 mm although 1.6 * 2 mm would do; 12 / 3 = 4 rows.
    frame = CropFrame.around(Box(30, 10, 32, 11), spacing=(3.0, 1.0))
    assert (frame.rows, frame.columns) == (4, 12)
    assert frame.column == 25  # centre 31, half of 12 before it


@given(
    size=st.tuples(st.integers(4, 300), st.integers(4, 300)),
    spacing=st.tuples(st.floats(0.3, 6), st.floats(0.3, 6)),
)
def test_sides_differ_by_rounding_alone(size, spacing):
    frame = CropFrame.around(Box(0, 0, size[0], size[1]), spacing)
    difference = abs(frame.rows * spacing[0] - frame.columns * spacing[1])
    # Each side is rounded by half a voxel at most, but has one voxel at least.
    assert difference <= sum(spacing) / 2 + 1e-6 or 1 in (frame.rows, frame.columns)
    assert frame.covers(Box(0, 0, size[0], size[1]))


def test_the_whole_slice_fits_into_its_frame():
    frame = CropFrame.whole((40, 60), (1.0, 1.0))
    # 60 rows around the middle of 40: ten beyond the border on each side.
    assert frame == CropFrame(row=-10, column=0, rows=60, columns=60)


def test_cut_at_scale_one_is_a_copy():
    grey = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    cut = CropFrame(5, 10, 32, 32).cut(grey, 32)
    np.testing.assert_array_equal(cut.numpy(), grey[5:37, 10:42])


def test_cut_and_paste_at_scale_one_change_nothing():
    grey = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    frame = CropFrame(5, 10, 32, 32)
    offset, patch = frame.paste(frame.cut(grey, 32), grey.shape)
    assert offset == (5, 10)
    np.testing.assert_array_equal(patch, grey[5:37, 10:42])


def test_beyond_the_border_is_zero_and_not_pasted():
    grey = np.ones((10, 12), dtype=np.float32)
    frame = CropFrame(-3, 8, 8, 8)  # three rows above, four columns to the right of it
    cut = frame.cut(grey, 8)
    assert cut[:3].sum() == 0
    assert cut[:, 4:].sum() == 0
    assert cut[3:, :4].min() == 1
    offset, patch = frame.paste(cut, grey.shape)
    assert offset == (0, 8)
    assert patch.shape == (5, 4)
    assert patch.min() == 1


def test_a_frame_outside_the_slice_is_empty():
    grey = np.ones((10, 12), dtype=np.float32)
    for frame in (CropFrame(20, 0, 8, 8), CropFrame(-20, 0, 8, 8), CropFrame(0, 30, 8, 8)):
        assert frame.cut(grey, 16).sum() == 0
        _, patch = frame.paste(torch.ones(16, 16), grey.shape)
        assert patch.size == 0


@pytest.mark.parametrize("side", [32, 64, 96, 160])
def test_a_ramp_stays_the_same_ramp_at_every_scale(side):
    # Pixel j of a crop of 64 voxels lies at voxel (j + 1/2) * 64 / side - 1/2 of the crop.
    frame = CropFrame(8, 16, 64, 64)
    cut = frame.cut(ramp(80, 96), side).numpy()
    at = (np.arange(side) + 0.5) * 64 / side - 0.5
    expected = 0.3 + 0.02 * (8 + at)[:, None] + 0.01 * (16 + at)[None, :]
    inner = slice(4, -4)  # interpolation has no neighbours beyond the rim
    np.testing.assert_allclose(cut[inner, inner], expected[inner, inner], atol=1e-4)


@pytest.mark.parametrize("side", [32, 64, 96, 160])
def test_pasting_puts_a_ramp_back_where_it_was(side):
    frame, grey = CropFrame(8, 16, 64, 64), ramp(80, 96)
    (row, column), patch = frame.paste(frame.cut(grey, side), grey.shape)
    expected = grey[row : row + 64, column : column + 64]
    # Antialiasing by a fraction is linear to a twentieth of a voxel: 0.02 / 20.
    np.testing.assert_allclose(patch[6:-6, 6:-6], expected[6:-6, 6:-6], atol=1e-3)


def test_points_go_where_the_picture_goes():
    # The ramp's value at a voxel position must be the crop's value at that point's pixel.
    frame, side = CropFrame(8, 16, 64, 64), 96
    cut = frame.cut(ramp(80, 96), side).numpy()
    x, y = 41.0, 30.0
    (px, py) = frame.to_crop([(x, y)], side)[0]
    left, top = int(px), int(py)
    fx, fy = px - left, py - top
    seen = (
        cut[top, left] * (1 - fx) * (1 - fy)
        + cut[top, left + 1] * fx * (1 - fy)
        + cut[top + 1, left] * (1 - fx) * fy
        + cut[top + 1, left + 1] * fx * fy
    )
    assert seen == pytest.approx(0.3 + 0.02 * y + 0.01 * x, abs=1e-5)


def test_the_rim_of_the_frame_is_the_rim_of_the_crop():
    frame = CropFrame(10, 20, 30, 60)
    corners = frame.to_crop([(19.5, 9.5), (79.5, 39.5)], 48)
    # Outer edges of the first and last pixel: -1/2 and 48 - 1/2; x before y.
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [47.5, 47.5]], atol=1e-5)


def test_holds_leaves_a_twentieth_free_on_every_side():
    frame = CropFrame(0, 100, 40, 40)  # cells 0 to 40: a twentieth is 2 cells
    # The centre of voxel i lies at cell i + 1/2.
    assert frame.holds(120, 1.5)
    assert not frame.holds(120, 1.4)
    assert frame.holds(120, 37.5)
    assert not frame.holds(120, 37.6)
    assert frame.holds(101.5, 20)
    assert not frame.holds(101.4, 20)
    assert not frame.holds(20, 120)  # x and y swapped


def test_covers_counts_the_rim():
    frame = CropFrame(0, 0, 40, 40)
    assert frame.covers(Box(0, 0, 40, 40))
    assert not frame.covers(Box(-1, 0, 40, 40))
    assert not frame.covers(Box(0, 0, 40, 41))


def test_holding_keeps_what_suffices_and_grows_where_it_must():
    frame = CropFrame(10, 10, 20, 20)
    assert frame.holding(Box(12, 12, 30, 30), (1.0, 1.0)) is frame
    # From 10 to 45 across: 35 voxels, and as many down around the middle, row 20.
    larger = frame.holding(Box(12, 12, 45, 30), (1.0, 1.0))
    assert larger.covers(frame.box)
    assert larger.covers(Box(12, 12, 45, 30))
    assert larger.columns == 35
    assert larger.rows in (35, 36)


def test_mask_box_is_exclusive_and_offset():
    mask = np.zeros((10, 12), dtype=bool)
    mask[3:5, 6:9] = True
    assert mask_box(mask) == Box(6, 3, 9, 5)
    assert mask_box(mask, offset=(100, 200)) == Box(206, 103, 209, 105)
    assert mask_box(np.zeros((4, 4), dtype=bool)) is None


@settings(max_examples=50, deadline=None)
@given(
    first=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    size=st.tuples(st.integers(8, 30), st.integers(8, 30)),
)
def test_a_mask_survives_the_crop_of_its_box(first, size):
    # Cut to twice the resolution and back, the thresholded block is the block.
    mask = np.zeros((70, 80), dtype=np.float32)
    mask[first[0] : first[0] + size[0], first[1] : first[1] + size[1]] = 1
    box = mask_box(mask > 0)
    frame = CropFrame.around(box, (1.0, 1.0))
    offset, patch = frame.paste(frame.cut(mask, 2 * frame.rows), mask.shape)
    back = np.zeros(mask.shape, dtype=bool)
    back[offset[0] : offset[0] + patch.shape[0], offset[1] : offset[1] + patch.shape[1]] = (
        patch > 0.5
    )
    np.testing.assert_array_equal(back, mask > 0)
