"""NIfTI: what the header says is what we get, and damage is told."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.reading import read_volume

ARRAY = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
# RAS matrix for (i, j, k): x = 0.5 i - 10, y = 2 j + 20, z = 3 k - 30
SFORM = [[0.5, 0, 0, -10], [0, 2, 0, 20], [0, 0, 3, -30]]


def test_sform_only(make_nifti):
    volume = read_volume(make_nifti(ARRAY, pixdim=(0.5, 2, 3), sform=SFORM))
    # Voxel z=1, y=2, x=3 is i=3, j=2, k=1: RAS (-8.5, 24, -27), so LPS (8.5, -24, -27).
    np.testing.assert_allclose(volume.grid.index_to_world((1, 2, 3)), (8.5, -24, -27))
    assert volume.grid.spacing == (3, 2, 0.5)
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.spacing_known
    assert volume.notes == ()


def test_qform_only(make_nifti):
    # Quaternion (b, c, d) = (0, 0, 1): half a turn about z, so i runs to -x and j to -y.
    path = make_nifti(ARRAY, pixdim=(0.5, 2, 3), quaternion=(0, 0, 1), offset=(1, 2, 3))
    volume = read_volume(path)
    # i=3, j=2, k=1: RAS (1 - 1.5, 2 - 4, 3 + 3) = (-0.5, -2, 6), so LPS (0.5, 2, 6).
    np.testing.assert_allclose(volume.grid.index_to_world((1, 2, 3)), (0.5, 2, 6), atol=1e-6)
    assert volume.notes == ()


def test_qform_of_a_left_handed_scan(make_nifti):
    path = make_nifti(ARRAY, pixdim=(1, 1, 2), qfac=-1, quaternion=(0, 0, 0), offset=(0, 0, 5))
    # The third axis is reversed: k=1 lies at 5 - 2.
    np.testing.assert_allclose(read_volume(path).grid.index_to_world((1, 0, 0)), (0, 0, 3))


def test_a_quarter_turn_in_the_qform(make_nifti):
    # (a, b, c, d) = (cos 45, 0, 0, sin 45): a quarter turn about z; i runs along +y.
    half = np.sqrt(0.5)
    path = make_nifti(ARRAY, pixdim=(0.5, 2, 3), quaternion=(0, 0, half), offset=(0, 0, 0))
    # i=2: RAS (0, 1, 0), so LPS (0, -1, 0).
    np.testing.assert_allclose(
        read_volume(path).grid.index_to_world((0, 0, 2)), (0, -1, 0), atol=1e-6
    )


def test_conflict_is_told_and_the_sform_wins(make_nifti):
    path = make_nifti(
        ARRAY, pixdim=(0.5, 2, 3), sform=SFORM, quaternion=(0, 0, 0), offset=(-10, 20, -25)
    )
    volume = read_volume(path)
    np.testing.assert_allclose(volume.grid.origin, (10, -20, -30))
    # The two offsets lie 5 mm apart along z, the axes agree.
    assert "5.00 mm" in volume.notes[0]
    assert "sform is used" in volume.notes[0]


def test_agreeing_transforms_are_not_mentioned(make_nifti):
    path = make_nifti(
        ARRAY, pixdim=(0.5, 2, 3), sform=SFORM, quaternion=(0, 0, 0), offset=(-10, 20, -30)
    )
    assert read_volume(path).notes == ()


def test_sform_of_zeros_falls_back_to_the_qform(make_nifti):
    path = make_nifti(
        ARRAY,
        pixdim=(0.5, 2, 3),
        sform=np.zeros((3, 4)),
        quaternion=(0, 0, 0),
        offset=(1, 2, 3),
    )
    np.testing.assert_allclose(read_volume(path).grid.origin, (-1, -2, 3))


def test_no_transform_at_all(make_nifti):
    volume = read_volume(make_nifti(ARRAY, pixdim=(0.5, 2, 3)))
    assert volume.grid.spacing == (3, 2, 0.5)
    np.testing.assert_allclose(volume.grid.index_to_world((1, 1, 1)), (0.5, 2, 3))
    assert "does not say how it lies" in volume.notes[0]


def test_sheared_sform_is_refused_with_the_remedy(make_nifti):
    sheared = np.array(SFORM, dtype=float)
    sheared[0, 2] = 0.3  # a slice further up, x moves by 0.3 mm: atan(0.3 / 3) = 5.71 degrees
    path = make_nifti(ARRAY, pixdim=(0.5, 2, 3), sform=sheared)
    with pytest.raises(GeometryError, match=r"5\.71 degrees.*resample") as caught:
        read_volume(path)
    assert caught.value.path == path


def test_sheared_sform_is_resampled_on_request(make_nifti):
    # Intensity is the world's x, so that any correct resampling keeps it at every voxel.
    z, y, x = np.mgrid[0:6, 0:5, 0:40]
    sheared = np.array([[0.5, 0, 0.5, 0], [0, 2, 0, 0], [0, 0, 3, 0]])
    world_x = (0.5 * x + 0.5 * z + 0 * y).astype(np.float32)
    volume = read_volume(make_nifti(world_x, sform=sheared), shear="resample")
    # Five slices of 0.5 mm more, at 0.5 mm per column: 5 columns more.
    assert volume.array.shape == (6, 5, 45)
    assert volume.grid.spacing == pytest.approx((3, 2, 0.5))
    inside = volume.array[2, 2, 8:36]
    expected = [-volume.grid.index_to_world((2, 2, c))[0] for c in range(8, 36)]
    np.testing.assert_allclose(inside, expected, atol=1e-4)
    assert "resampled" in volume.notes[0]


def test_units_are_honoured(make_nifti):
    metres = read_volume(make_nifti(ARRAY, sform=np.array(SFORM) / 1000, units=1))
    np.testing.assert_allclose(
        metres.grid.index_to_world((1, 2, 3)), (8.5, -24, -27), atol=1e-5
    )
    microns = read_volume(make_nifti(ARRAY, sform=np.array(SFORM) * 1000, units=3))
    np.testing.assert_allclose(
        microns.grid.index_to_world((1, 2, 3)), (8.5, -24, -27), atol=1e-5
    )


@pytest.mark.parametrize(
    "header",
    [
        {"sform": np.eye(3, 4)},
        {"sform": np.diag([-1, -1, 1, 1])[:3]},
        {"quaternion": (0, 0, 0)},
        {"pixdim": (0, 0, 0)},
        {"pixdim": (1, 1, 1)},
    ],
)
def test_the_geometry_of_bare_arrays_is_no_spacing(make_nifti, header):
    path = make_nifti(ARRAY, **header)
    volume = read_volume(path)
    assert not volume.spacing_known
    assert volume.grid.spacing == (1, 1, 1)
    assert any("gives no spacing" in note for note in volume.notes)
    given = read_volume(path, spacing=(5, 0.8, 0.7))
    assert given.spacing_known
    assert given.grid.spacing == (5, 0.8, 0.7)


def test_one_millimetre_at_a_place_is_a_spacing(make_nifti):
    sform = np.eye(3, 4)
    sform[:, 3] = (1, 2, 3)
    assert read_volume(make_nifti(ARRAY, sform=sform)).spacing_known


def test_replacing_a_known_spacing_is_told(make_nifti):
    volume = read_volume(make_nifti(ARRAY, sform=SFORM), spacing=(3, 2, 1))
    assert volume.grid.spacing == (3, 2, 1)
    assert "0.5 mm) was replaced" in volume.notes[0]


@pytest.mark.parametrize("spacing", [(1, 1, 0), (1, 1), (1, 1, float("nan"))])
def test_spacing_must_be_three_positive_numbers(make_nifti, spacing):
    with pytest.raises(GeometryError, match="three positive numbers"):
        read_volume(make_nifti(ARRAY, sform=SFORM), spacing=spacing)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"),
    [(0, 0, "i2"), (1, 0, "i2"), (1, -1024, "i2"), (2, 0, "f4"), (0.5, 3.25, "f4")],
)
def test_rescaling(make_nifti, slope, intercept, dtype):
    volume = read_volume(make_nifti(ARRAY, sform=SFORM, slope=slope, intercept=intercept))
    np.testing.assert_array_equal(volume.array, ARRAY * (slope or 1.0) + intercept)
    assert volume.array.dtype == dtype


def test_unsigned_ct_keeps_its_range(make_nifti):
    stored = np.array([0, 1024, 40000], dtype=np.uint16).reshape(1, 1, 3)
    volume = read_volume(make_nifti(stored, sform=SFORM, slope=1, intercept=-1024))
    assert volume.array.tolist() == [[[-1024, 0, 38976]]]


def test_big_endian_and_uncompressed(make_nifti):
    volume = read_volume(make_nifti(ARRAY, sform=SFORM, order=">", name="scan.nii"))
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.array.dtype.isnative


def test_four_axes(make_nifti):
    frames = np.stack([ARRAY, ARRAY + 100, ARRAY + 200])
    path = make_nifti(frames, sform=SFORM)
    first = read_volume(path)
    np.testing.assert_array_equal(first.array, ARRAY)
    assert first.source.frame == 0
    assert "3 frames; frame 0 was read" in first.notes[0]
    last = read_volume(path, frame=2)
    np.testing.assert_array_equal(last.array, ARRAY + 200)
    assert last.notes == ()
    with pytest.raises(VolumeError, match=r"3 frames, not a frame 3.*0 to 2"):
        read_volume(path, frame=3)


def test_a_single_frame_is_three_axes(make_nifti):
    volume = read_volume(make_nifti(ARRAY[None], sform=SFORM))
    assert volume.array.shape == (2, 3, 4)
    assert volume.source.frame is None
    with pytest.raises(VolumeError, match="1 frame, not a frame 1"):
        read_volume(make_nifti(ARRAY[None], sform=SFORM), frame=1)


def test_two_axes_are_one_slice(make_nifti):
    volume = read_volume(make_nifti(ARRAY[0], sform=SFORM))
    assert volume.array.shape == (1, 3, 4)
    np.testing.assert_allclose(volume.grid.index_to_world((0, 2, 3)), (8.5, -24, -30))


def test_truncated_gzip(make_nifti):
    noise = np.random.default_rng(0).integers(0, 999, (9, 9, 9)).astype(np.int16)
    path = make_nifti(noise, sform=SFORM)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(VolumeError, match=r"scan\.nii\.gz is damaged.*[Cc]opy or download"):
        read_volume(path)


def test_corrupt_gzip(make_nifti):
    noise = np.random.default_rng(0).integers(0, 999, (9, 9, 9)).astype(np.int16)
    path = make_nifti(noise, sform=SFORM)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # within the checksum: every voxel is there, one bit is not as written
    path.write_bytes(content)
    with pytest.raises(VolumeError, match="damaged"):
        read_volume(path)


def test_gzip_of_too_few_voxels(make_nifti):
    path = make_nifti(ARRAY, sform=SFORM)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-10]))
    # 24 voxels of 2 bytes are wanted, 10 bytes are missing.
    with pytest.raises(VolumeError, match="truncated: 38 of 48 bytes"):
        read_volume(path)


def test_truncated_plain_file(make_nifti):
    path = make_nifti(ARRAY, sform=SFORM, name="scan.nii")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VolumeError, match="47 of 48"):
        read_volume(path)


@pytest.mark.parametrize("content", [b"", b"not a scan", b"x" * 1000])
def test_wrong_magic(tmp_path, content):
    path = tmp_path / "scan.nii"
    path.write_bytes(content)
    with pytest.raises(VolumeError, match=r"scan\.nii (is empty|is not a NIfTI)"):
        read_volume(path)


@pytest.mark.parametrize("dim", [(0, 3, 4), (4, 3, 0), (4, -1, 2), (4,)])
def test_axes_without_voxels(make_nifti, dim):
    with pytest.raises(VolumeError, match="holds no voxels"):
        read_volume(make_nifti(ARRAY, sform=SFORM, dim=dim))


def test_colours_and_vectors(make_nifti):
    with pytest.raises(VolumeError, match="RGB values per voxel"):
        read_volume(make_nifti(ARRAY, sform=SFORM, datatype=128))
    with pytest.raises(VolumeError, match="several values per voxel"):
        read_volume(make_nifti(ARRAY, sform=SFORM, dim=(4, 3, 1, 1, 2)))
    with pytest.raises(VolumeError, match="NIfTI type 1536"):
        read_volume(make_nifti(ARRAY, sform=SFORM, datatype=1536))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities(make_nifti, bad):
    array = ARRAY.astype(np.float32) + 5
    array[0, 0, :2] = bad
    path = make_nifti(array, sform=SFORM)
    with pytest.raises(VolumeError, match=r"2 voxels that are NaN or infinite.*nan='fill'"):
        read_volume(path)
    filled = read_volume(path, nan="fill")
    # The smallest finite value is that of the third voxel: 2 + 5.
    assert filled.array[0, 0].tolist() == [7, 7, 7, 8]
    assert "2 voxels" in filled.notes[0]


def test_nothing_but_nan(make_nifti):
    path = make_nifti(np.full((2, 2, 2), np.nan, np.float32), sform=SFORM)
    with pytest.raises(VolumeError, match="8 voxels"):
        read_volume(path, nan="fill")


def test_positions_that_are_no_numbers(make_nifti):
    path = make_nifti(ARRAY, quaternion=(0, 0, 0), offset=(np.nan, 0, 0))
    with pytest.raises(GeometryError, match="not numbers"):
        read_volume(path)


def test_missing_file(tmp_path):
    with pytest.raises(VolumeError, match="does not exist"):
        read_volume(tmp_path / "none.nii.gz")


def test_unreadable_file(make_nifti, monkeypatch):
    path = make_nifti(ARRAY, sform=SFORM)
    opened = type(path).open

    def refuse(self, *args, **kwargs):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(VolumeError, match=r"cannot be read: Permission denied.*may read it"):
        read_volume(path)


def test_unknown_kind_of_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no scan")
    with pytest.raises(VolumeError, match="no kind of scan"):
        read_volume(path)
