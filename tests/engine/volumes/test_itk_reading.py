"""NRRD and MetaImage: geometry, four and two axes, and files that are not as they should be."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.reading import read_volume

ARRAY = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
SUFFIXES = ("nrrd", "mha", "mhd")


def write(array, path, *, vector=False, **geometry):
    image = sitk.GetImageFromArray(array, isVector=vector)
    for name, value in geometry.items():
        getattr(image, f"Set{name}")(value)
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_geometry(tmp_path, suffix):
    path = write(
        ARRAY,
        tmp_path / f"scan.{suffix}",
        Spacing=(0.5, 2, 3),
        Origin=(10, 20, 30),
        Direction=(0, 1, 0, -1, 0, 0, 0, 0, 1),
    )
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, ARRAY)
    # x = 10 + 2 rows of 2 mm, y = 20 - 3 columns of 0.5 mm, z = 30 + 1 slice of 3 mm
    np.testing.assert_allclose(volume.grid.index_to_world((1, 2, 3)), (14, 18.5, 33))
    assert volume.spacing_known


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bare_arrays_have_no_spacing(tmp_path, suffix):
    volume = read_volume(write(ARRAY, tmp_path / f"scan.{suffix}"))
    assert not volume.spacing_known


def test_nrrd_without_spacing_fields(tmp_path):
    path = tmp_path / "scan.nrrd"
    header = (
        "NRRD0004\ntype: int16\ndimension: 3\nsizes: 4 3 2\nencoding: raw\nendian: little\n\n"
    )
    path.write_bytes(header.encode() + ARRAY.astype("<i2").tobytes())
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert not volume.spacing_known


def test_nrrd_in_ras(tmp_path):
    path = tmp_path / "scan.nrrd"
    header = (
        "NRRD0004\ntype: int16\ndimension: 3\nspace: right-anterior-superior\nsizes: 4 3 2\n"
        "space directions: (0.5,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)\n"
        "encoding: raw\nendian: little\n\n"
    )
    path.write_bytes(header.encode() + ARRAY.astype("<i2").tobytes())
    # RAS (1 + 1.5, 2 + 4, 3 + 3) is LPS (-2.5, -6, 6).
    np.testing.assert_allclose(read_volume(path).grid.index_to_world((1, 2, 3)), (-2.5, -6, 6))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_four_axes(tmp_path, suffix):
    frames = [sitk.GetImageFromArray(ARRAY + 100 * f) for f in range(3)]
    path = tmp_path / f"scan.{suffix}"
    sitk.WriteImage(sitk.JoinSeries(frames), str(path))
    np.testing.assert_array_equal(read_volume(path, frame=2).array, ARRAY + 200)
    assert "3 frames" in read_volume(path).notes[0]
    with pytest.raises(VolumeError, match="0 to 2"):
        read_volume(path, frame=-1)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_two_axes_are_one_slice(tmp_path, suffix):
    path = write(ARRAY[0], tmp_path / f"scan.{suffix}", Spacing=(0.5, 2), Origin=(10, 20))
    volume = read_volume(path)
    assert volume.array.shape == (1, 3, 4)
    np.testing.assert_allclose(volume.grid.index_to_world((0, 2, 3)), (11.5, 24, 0))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_colours(tmp_path, suffix):
    path = write(np.zeros((2, 3, 4, 3), np.uint8), tmp_path / f"scan.{suffix}", vector=True)
    with pytest.raises(VolumeError, match="3 values per voxel"):
        read_volume(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_shear(tmp_path, suffix):
    sin, cos = np.sin(0.1), np.cos(0.1)
    path = write(ARRAY, tmp_path / f"scan.{suffix}", Direction=(1, 0, sin, 0, 1, 0, 0, 0, cos))
    with pytest.raises(GeometryError, match=r"5\.73 degrees"):  # 0.1 radians
        read_volume(path)
    assert "resampled" in read_volume(path, shear="resample").notes[0]


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
@pytest.mark.parametrize("compressed", [True, False])
def test_truncated(tmp_path, suffix, compressed):
    noise = np.random.default_rng(0).integers(0, 999, (9, 30, 30)).astype(np.int16)
    path = tmp_path / f"scan.{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path), useCompression=compressed)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(VolumeError, match=r"cannot be read.*truncated"):
        read_volume(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"\n\n", b"no header at all", bytes(500)])
def test_wrong_magic(tmp_path, suffix, content):
    path = tmp_path / f"scan.{suffix}"
    path.write_bytes(content)
    with pytest.raises(VolumeError, match=rf"scan\.{suffix} (is empty|cannot be read)"):
        read_volume(path)


def test_axes_without_voxels(tmp_path):
    nrrd, mha = tmp_path / "scan.nrrd", tmp_path / "scan.mha"
    nrrd.write_text("NRRD0004\ntype: short\ndimension: 3\nsizes: 0 3 3\nencoding: raw\n\n")
    mha.write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 3 0 3\nElementType = MET_SHORT\n"
        "ElementDataFile = LOCAL\n"
    )
    for path in (nrrd, mha):
        with pytest.raises(VolumeError, match="holds no voxels"):
            read_volume(path)


def test_header_without_its_voxels(tmp_path):
    path = write(ARRAY, tmp_path / "scan.mhd")
    path.with_suffix(".raw").unlink(missing_ok=True)
    path.with_suffix(".zraw").unlink(missing_ok=True)
    with pytest.raises(VolumeError, match="cannot be read"):
        read_volume(path)
