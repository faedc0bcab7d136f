"""DICOM: series, multi-frame files, and everything a folder can have wrong with it."""

from __future__ import annotations

import os

import numpy as np
import pytest

from napari_sss.engine.errors import GeometryError, SeriesChoiceError, VolumeError
from napari_sss.engine.volumes.dicom_header import read_dicom_header
from napari_sss.engine.volumes.reading import can_read, list_series, read_volume

ROWS, COLUMNS = 3, 4
TILT = np.deg2rad(20)


def plane(value: int) -> np.ndarray:
    """A slice whose every pixel tells its slice and place."""
    return (1000 + 100 * value + np.arange(ROWS * COLUMNS)).reshape(ROWS, COLUMNS).astype("<u2")


@pytest.fixture
def series(make_dicom):
    """Five slices 2 mm apart, files in an order that is not that of their positions."""

    def make(heights=(4, 0, 2, 8, 6), **keywords):
        for height in heights:
            path = make_dicom(plane(height), position=(-10, -20, height), **keywords)
        return path.parent

    return make


def test_series_is_sorted_by_position(series):
    volume = read_volume(series())
    assert volume.array.dtype.kind == "i"
    np.testing.assert_array_equal(
        volume.array[:, 0, 0], 1000 + 100 * np.arange(0, 10, 2) - 1024
    )
    np.testing.assert_array_equal(volume.array[1], plane(2).astype(int) - 1024)
    assert volume.modality == "CT"
    assert volume.source.series_uid == "1.2.3"
    # Rows are 0.5 mm apart, columns 0.25 mm.
    assert volume.grid.spacing == (2, 0.5, 0.25)
    np.testing.assert_allclose(volume.grid.index_to_world((4, 2, 3)), (-9.25, -19, 8))
    assert volume.notes == ()


def test_sagittal_slices_against_the_normal(make_dicom):
    # Rows run to the back, columns to the feet; their cross product points to -x.
    orientation = (0, 1, 0, 0, 0, -1)
    for x in (0, 3, 6):
        path = make_dicom(plane(x), position=(x, 5, 7), orientation=orientation)
    volume = read_volume(path.parent)
    assert volume.array[:, 0, 0].tolist() == [1600 - 1024, 1300 - 1024, 1000 - 1024]
    np.testing.assert_allclose(volume.grid.index_to_world((0, 2, 3)), (6, 5.75, 6))
    np.testing.assert_allclose(volume.grid.index_to_world((2, 0, 0)), (0, 5, 7))


def test_several_series_are_listed(make_dicom, series):
    folder = series()
    make_dicom(plane(1), series="9.9", description="scout", modality="CT")
    with pytest.raises(SeriesChoiceError, match=r"2 series.*'abdomen', 5 slices: 1\.2\.3") as e:
        read_volume(folder)
    assert set(e.value.series) == {"1.2.3", "9.9"}
    assert read_volume(folder, series_uid="1.2.3").array.shape == (5, ROWS, COLUMNS)
    with pytest.raises(SeriesChoiceError, match="no series 4"):
        read_volume(folder, series_uid="4")
    listed = {info.uid: info for info in list_series(folder)}
    assert (listed["1.2.3"].slices, listed["9.9"].description) == (5, "scout")


def test_series_in_sub_folders(make_dicom, tmp_path):
    make_dicom(plane(0), folder="a")
    make_dicom(plane(2), folder="b", position=(0, 0, 2))
    (tmp_path / "a" / "readme.txt").write_text("not an image")
    assert read_volume(tmp_path).array.shape == (2, ROWS, COLUMNS)
    assert can_read(tmp_path)


def test_single_file(make_dicom):
    volume = read_volume(make_dicom(plane(3), position=(1, 2, 3)))
    assert volume.array.shape == (1, ROWS, COLUMNS)
    assert volume.grid.origin == (1, 2, 3)
    assert "One slice" in volume.notes[0]


def test_missing_slice(series):
    with pytest.raises(VolumeError, match=r"lacks slices: between 2\.0 and 6\.0 mm.*4\.0 mm"):
        read_volume(series(heights=(0, 2, 6, 8)))


def test_uneven_spacing(series):
    with pytest.raises(GeometryError, match=r"uneven distances, from 2\.00 to 2\.60 mm"):
        read_volume(series(heights=(0, 2, 4, 6.6, 9.2)))


def test_rounded_positions_are_even(series):
    volume = read_volume(series(heights=(0, 1.333, 2.667, 4)))
    assert volume.grid.spacing[0] == pytest.approx(4 / 3)
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        ({"orientation": (0, 1, 0, 0, 0, -1)}, "orientations"),
        ({"pixel_spacing": (0.5, 0.3)}, "pixel spacings"),
    ],
)
def test_mixed_slices(series, make_dicom, odd, what):
    folder = series()
    make_dicom(plane(9), position=(-10, -20, 10), **odd)
    with pytest.raises(GeometryError, match=f"different {what}.*localizer"):
        read_volume(folder)


def test_mixed_sizes(series, make_dicom):
    folder = series()
    make_dicom(np.zeros((5, 5), "<u2"), position=(-10, -20, 10))
    with pytest.raises(GeometryError, match="different sizes"):
        read_volume(folder)


def test_gantry_tilt_is_refused_with_the_remedy(make_dicom):
    # Slices tilted about x, while the table moves along z: the stack is sheared by the tilt.
    orientation = (1, 0, 0, 0, np.cos(TILT), np.sin(TILT))
    for height in (0, 2, 4):
        path = make_dicom(plane(height), position=(0, 0, height), orientation=orientation)
    with pytest.raises(GeometryError, match=r"20\.00 degrees.*tilted gantry.*resample"):
        read_volume(path.parent)


def test_gantry_tilt_is_resampled_on_request(make_dicom):
    orientation = (1, 0, 0, 0, np.cos(TILT), np.sin(TILT))
    rows = np.arange(30)
    for height in range(0, 40, 2):
        # Intensity is 50 times the world's z, so every correct resampling keeps it.
        world_z = height + 0.5 * rows * np.sin(TILT)
        pixels = np.repeat((50 * world_z)[:, None], 5, axis=1).round().astype("<u2")
        path = make_dicom(pixels, position=(0, 0, height), orientation=orientation, intercept=0)
    volume = read_volume(path.parent, shear="resample")
    assert volume.grid.spacing == pytest.approx((2 * np.cos(TILT), 0.5, 0.25))
    index = np.argwhere(np.ones(volume.array.shape, bool))
    x, y, z = volume.grid.index_to_world(index).T
    row = y / (0.5 * np.cos(TILT))
    height = z - 0.5 * row * np.sin(TILT)
    inside = (row >= 0) & (row <= 29) & (height >= 0) & (height <= 38) & (x >= 0) & (x <= 1)
    assert inside.sum() > 2000
    np.testing.assert_allclose(volume.array[tuple(index[inside].T)], 50 * z[inside], atol=1.5)


def test_points_in_time(make_dicom):
    for time in range(3):
        for height in (0, 2):
            path = make_dicom(
                plane(height) + time, position=(0, 0, height), instance=10 * time + height
            )
    first = read_volume(path.parent)
    assert "3 frames" in first.notes[-1]
    last = read_volume(path.parent, frame=2)
    assert last.array[:, 0, 0].tolist() == [1002 - 1024, 1202 - 1024]
    assert last.source.frame == 2


def test_doubled_slice(series, make_dicom):
    folder = series()
    make_dicom(plane(2), position=(-10, -20, 2))
    with pytest.raises(GeometryError, match="1 slices at some positions and 2 at others"):
        read_volume(folder)


def test_the_same_file_twice(series, tmp_path):
    folder = series()
    first = sorted(folder.iterdir())[0]
    (folder / "copy.dcm").write_bytes(first.read_bytes())
    assert read_volume(folder).array.shape[0] == 5


def test_slopes_that_differ_keep_their_decimals(make_dicom):
    make_dicom(plane(0), position=(0, 0, 0), slope=1, intercept=0)
    path = make_dicom(plane(2), position=(0, 0, 2), slope=0.25, intercept=0.5)
    volume = read_volume(path.parent)
    assert volume.array[:, 0, 1].tolist() == [1001, 1201 * 0.25 + 0.5]


def test_without_positions(make_dicom):
    make_dicom(plane(5), position=None, instance=2)
    path = make_dicom(plane(7), position=None, instance=1)
    volume = read_volume(path.parent)
    assert volume.array[:, 0, 0].tolist() == [1700 - 1024, 1500 - 1024]
    assert not volume.spacing_known
    assert "no positions" in volume.notes[0]


def test_colour(make_dicom):
    path = make_dicom(np.zeros((3, 12), np.uint8), samples=3)
    with pytest.raises(VolumeError, match="colour pixels"):
        read_volume(path)


def test_multi_frame(make_dicom, multi_frame_groups):
    shared, frame = multi_frame_groups
    heights = (6, 0, 3)
    pixels = np.stack([plane(h) for h in heights])
    groups = (
        shared((1, 0, 0, 0, 1, 0), (0.5, 0.25), slope=2, intercept=-1000),
        [frame((5, 6, h)) for h in heights],
    )
    volume = read_volume(make_dicom(pixels, groups=groups))
    assert volume.grid.spacing == (3, 0.5, 0.25)
    assert volume.grid.origin == (5, 6, 0)
    # Frames are sorted by their positions: heights 0, 3, 6; then rescaled.
    expected = 2 * np.stack([plane(h) for h in (0, 3, 6)]).astype(int) - 1000
    np.testing.assert_array_equal(volume.array, expected)


def test_multi_frame_lacks_a_frame(make_dicom, multi_frame_groups):
    shared, frame = multi_frame_groups
    heights = (0, 3, 9, 12)
    groups = (shared((1, 0, 0, 0, 1, 0), (1, 1), 1, 0), [frame((0, 0, h)) for h in heights])
    path = make_dicom(np.stack([plane(0)] * 4), groups=groups)
    with pytest.raises(VolumeError, match="lacks slices"):
        read_volume(path)


def test_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(VolumeError, match="holds no DICOM images"):
        read_volume(tmp_path)
    assert not can_read(tmp_path)


def test_unreadable_folder(tmp_path, monkeypatch):
    inner = tmp_path / "locked"
    inner.mkdir()

    def refuse(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(VolumeError, match=r"locked cannot be read: Permission denied"):
        read_volume(inner)


def test_header_cut_short(make_dicom):
    path = make_dicom(plane(0))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(VolumeError, match=r"damaged.*ends early"):
        read_dicom_header(path)


def test_pixels_cut_short(make_dicom):
    pixels = np.zeros((200, 200), "<u2")
    path = make_dicom(pixels)
    path.write_bytes(path.read_bytes()[:-60000])
    with pytest.raises(VolumeError, match="decoded"):
        read_volume(path)


def test_multi_frame_without_positions(make_dicom):
    volume = read_volume(make_dicom(np.stack([plane(1), plane(2)]), groups=(b"", [b"", b""])))
    assert volume.array.shape == (2, ROWS, COLUMNS)
    assert not volume.spacing_known


def test_multi_frame_of_different_rescaling(make_dicom, multi_frame_groups):
    shared, frame = multi_frame_groups
    both = shared((1, 0, 0, 0, 1, 0), (1, 1), 1, 0)
    own = [frame((0, 0, h)) + shared((1, 0, 0, 0, 1, 0), (1, 1), 1 + h, 0) for h in (0, 1)]
    with pytest.raises(VolumeError, match=r"different rescale.*single slices"):
        read_volume(make_dicom(np.stack([plane(0)] * 2), groups=(both, own)))


def test_a_small_drift_is_told(make_dicom):
    # 0.02 mm sideways over two steps, a twelfth of the 0.25 mm column: rounding, not a tilt.
    for step in range(3):
        path = make_dicom(plane(step), position=(0.01 * step, 0, 2 * step))
    volume = read_volume(path.parent)
    assert volume.grid.index_to_world((2, 0, 0)).tolist() == [0, 0, 4]
    assert "0.02 mm" in volume.notes[0]
