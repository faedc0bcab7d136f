"""Writing: on the exact grid, all or nothing, and read back only where it belongs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sss.engine.errors import GeometryError, InputError, VolumeError, WriteError
from napari_sss.engine.volumes.grid import AxisView, Grid
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import (
    WRITE_SUFFIXES,
    read_labels,
    sidecar_path,
    write_json,
    write_labels,
    write_volume,
)

TOLERANCE_MM = 1e-4
SIZE = (7, 8, 9)
LABELS = (np.arange(7 * 8 * 9) % 5).astype(np.uint8).reshape(SIZE)


def turned(a: float, b: float, c: float, mirrored: bool = False) -> np.ndarray:
    """Rotation by three angles in radians, left-handed if mirrored."""
    x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    matrix = np.array(z) @ np.array(y) @ np.array(x)
    matrix[:, 2] *= -1 if mirrored else 1
    return matrix


def oblique(mirrored: bool = False) -> Grid:
    direction = tuple(turned(0.3, -0.2, 0.7, mirrored).reshape(-1))
    return Grid(SIZE, (3.3, 0.71, 0.93), (-312.123, 198.456, 1034.789), direction)


def itk_distance(path, grid: Grid) -> float:
    """How far SimpleITK puts the corner voxels from where the grid has them, in mm."""
    image = sitk.ReadImage(str(path))
    ends = np.array(list(product(*[(0, n - 1) for n in grid.shape])))
    seen = [image.TransformIndexToPhysicalPoint([int(i) for i in e[::-1]]) for e in ends]
    return float(np.abs(np.array(seen) - grid.index_to_world(ends)).max())


@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_labels_lie_on_the_grid(tmp_path, suffix, mirrored):
    grid = oblique(mirrored)
    path = write_labels(LABELS, grid, tmp_path / f"mask{suffix}")
    again = read_volume(path)
    assert again.grid.distance_to(grid) < TOLERANCE_MM
    assert itk_distance(path, grid) < TOLERANCE_MM
    np.testing.assert_array_equal(again.array, LABELS)
    assert again.array.dtype == np.uint8
    np.testing.assert_array_equal(read_labels(path, grid), LABELS)
    assert os.listdir(tmp_path) == [path.name]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    st.booleans(),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.tuples(*[st.floats(-1500, 1500)] * 3),
)
def test_any_grid_survives_nifti(tmp_path, angles, mirrored, spacing, origin):
    direction = tuple(turned(*angles, mirrored).reshape(-1))
    grid = Grid(SIZE, spacing, origin, direction)
    path = write_labels(LABELS, grid, tmp_path / "mask.nii")
    # float32 keeps 1500 to 6e-5 mm, so 1e-4 mm per coordinate is what the format allows.
    assert np.abs(read_volume(path).grid.corners() - grid.corners()).max() < TOLERANCE_MM
    assert itk_distance(path, grid) < TOLERANCE_MM


def test_directions_rounded_in_the_source_are_kept(tmp_path):
    # Six decimals, as DICOM writers leave them: not quite a rotation. ITK would store the
    # nearest one, which over 500 columns of 0.9 mm is off by more than the tolerance.
    direction = np.round(turned(0.31, -0.23, 0.71), 5)
    grid = Grid((2, 500, 500), (3.0, 0.9, 0.9), (0, 0, 0), tuple(direction.reshape(-1)))
    straight = sitk.GetImageFromArray(np.zeros(grid.shape, np.uint8))
    straight.SetSpacing(grid.spacing[::-1])
    straight.SetDirection(grid.direction)
    sitk.WriteImage(straight, str(tmp_path / "itk.nii.gz"))
    assert read_volume(tmp_path / "itk.nii.gz").grid.distance_to(grid) > TOLERANCE_MM
    labels = np.zeros(grid.shape, np.uint8)
    labels[1, 400:, 300:] = 3
    path = write_labels(labels, grid, tmp_path / "mask.nii.gz")
    assert read_volume(path).grid.distance_to(grid) < TOLERANCE_MM
    np.testing.assert_array_equal(read_volume(path).array, labels)


@pytest.mark.parametrize(
    ("dtype", "highest", "stored"),
    [
        (bool, 1, "u1"),
        (np.uint16, 3, "u2"),
        (np.int64, 255, "u1"),
        (np.int32, 256, "u2"),
        (np.int64, 70000, "u4"),
    ],
)
def test_stored_types(tmp_path, dtype, highest, stored):
    labels = np.zeros((2, 3, 4), dtype)
    labels[1, 2, 3] = highest
    again = read_volume(write_labels(labels, Grid((2, 3, 4)), tmp_path / "mask.nii.gz"))
    assert again.array.dtype == stored
    np.testing.assert_array_equal(again.array, labels)


@pytest.mark.parametrize(
    "labels",
    [np.full((2, 3, 4), 0.5), np.full((2, 3, 4), -1), np.full((2, 3, 4), 2**40)],
)
def test_what_is_no_label_map(tmp_path, labels):
    with pytest.raises(InputError):
        write_labels(labels, Grid((2, 3, 4)), tmp_path / "mask.nii.gz")
    assert not any(tmp_path.iterdir())


def test_shape_must_be_the_grids(tmp_path):
    with pytest.raises(GeometryError, match="does not fit"):
        write_labels(LABELS, Grid((7, 8, 10)), tmp_path / "mask.nii.gz")


def test_unknown_extension(tmp_path):
    with pytest.raises(InputError, match=r"\.nii\.gz, \.nii, \.nrrd, \.mha"):
        write_labels(LABELS, Grid(SIZE), tmp_path / "mask.png")


@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, np.uint8, np.int32])
def test_intensities_are_kept(tmp_path, suffix, dtype):
    array = np.random.default_rng(0).normal(0, 90, SIZE).astype(dtype)
    path = write_volume(Volume(array, oblique()), tmp_path / f"scan{suffix}")
    again = read_volume(path)
    np.testing.assert_array_equal(again.array, array)
    assert again.array.dtype == dtype
    assert again.grid.distance_to(oblique()) < TOLERANCE_MM


def test_nan_is_not_written(tmp_path):
    array = np.full((2, 2, 2), np.nan)
    with pytest.raises(InputError, match="NaN"):
        write_volume(Volume(array, Grid((2, 2, 2))), tmp_path / "scan.nii")


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", [(False, False, True), (True, True, False)])
def test_a_mask_in_another_axis_order_is_turned(tmp_path, order, flips):
    grid = oblique()
    view = AxisView(order, flips)
    path = write_labels(view.apply(LABELS), grid.viewed(view), tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(read_labels(path, grid), LABELS)


@pytest.mark.parametrize(
    "other",
    [
        Grid(SIZE, (3.3, 0.71, 0.93), (-311, 198.456, 1034.789), oblique().direction),
        Grid(SIZE, (3.3, 0.71, 0.95), oblique().origin, oblique().direction),
        Grid((7, 8, 8), (3.3, 0.71, 0.93), oblique().origin, oblique().direction),
        Grid(SIZE, (3.3, 0.71, 0.93), oblique().origin),
    ],
    ids=["moved", "other spacing", "other size", "turned"],
)
def test_a_mask_of_another_grid_is_refused(tmp_path, other):
    path = write_labels(np.zeros(other.shape, np.uint8), other, tmp_path / "mask.nii.gz")
    with pytest.raises(GeometryError, match=r"mask\.nii\.gz lies on another grid.*resample"):
        read_labels(path, oblique())


def test_float_labels_of_other_programs(tmp_path):
    path = write_volume(Volume(LABELS.astype(np.float32), oblique()), tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(read_labels(path, oblique()), LABELS)
    write_volume(Volume(LABELS + 0.5, oblique()), path)
    with pytest.raises(VolumeError, match="not labels"):
        read_labels(path, oblique())


def test_sidecar(tmp_path):
    path = write_labels(
        LABELS, Grid(SIZE), tmp_path / "a.b.nii.gz", sidecar={"classes": {"liver": 1}}
    )
    assert sidecar_path(path) == tmp_path / "a.b.json"
    assert json.loads(sidecar_path(path).read_text()) == {"classes": {"liver": 1}}
    assert sidecar_path("x/mask.mha").name == "mask.json"


def old_file(tmp_path):
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(b"the old file")
    return path


def test_an_old_file_is_replaced(tmp_path):
    path = old_file(tmp_path)
    write_labels(LABELS, Grid(SIZE), path)
    np.testing.assert_array_equal(read_volume(path).array, LABELS)


def test_no_permission_leaves_the_old_file(tmp_path, monkeypatch):
    path = old_file(tmp_path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(WriteError, match=r"mask\.nii\.gz cannot be written: Permission denied"):
        write_labels(LABELS, Grid(SIZE), path)
    assert path.read_bytes() == b"the old file"


def test_failing_at_the_last_step_leaves_the_old_file(tmp_path, monkeypatch):
    path = old_file(tmp_path)

    def refuse(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(WriteError, match=r"No space left.*disk is not full"):
        write_labels(LABELS, Grid(SIZE), path)
    assert path.read_bytes() == b"the old file"
    assert os.listdir(tmp_path) == ["mask.nii.gz"]


def test_missing_folder(tmp_path):
    with pytest.raises(WriteError, match="folder exists"):
        write_labels(LABELS, Grid(SIZE), tmp_path / "none" / "mask.nii.gz")
    with pytest.raises(WriteError, match="folder exists"):
        write_json({}, tmp_path / "none" / "mask.json")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
def test_full_disk_leaves_the_old_file(tmp_path, suffix):
    """A process that may write no file of more than 20 kB stands for a full disk."""
    path = tmp_path / f"mask{suffix}"
    path.write_bytes(b"the old file")
    program = """
        import resource, signal, sys
        import numpy as np
        from napari_sss.engine.errors import WriteError
        from napari_sss.engine.volumes.grid import Grid
        from napari_sss.engine.volumes.writing import write_labels

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        noise = np.random.default_rng(0).integers(0, 255, (40, 50, 60)).astype(np.uint8)
        try:
            write_labels(noise, Grid((40, 50, 60)), sys.argv[1])
        except WriteError as error:
            sys.exit(f"refused: {error}")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(path)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "refused" in done.stderr
    assert "disk is not full" in done.stderr
    assert path.read_bytes() == b"the old file"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_permissions_are_those_of_any_file(tmp_path):
    path = write_labels(LABELS, Grid(SIZE), tmp_path / "mask.nii.gz")
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    path.chmod(0o640)
    write_labels(LABELS, Grid(SIZE), path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_mask_whose_sidecar_fails_is_not_written_either(tmp_path, monkeypatch):
    """Mask and sidecar go together: a mask with another's sidecar would be a lie."""
    from napari_sss.engine.volumes import atomic

    grid = Grid((2, 3, 4))
    path = write_labels(
        np.ones(grid.shape, np.uint8), grid, tmp_path / "m.nrrd", sidecar={"a": 1}
    )
    before = path.read_bytes(), (tmp_path / "m.json").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.Path, "write_text", full)
    with pytest.raises(WriteError, match="No space left"):
        write_labels(np.zeros(grid.shape, np.uint8), grid, path, sidecar={"a": 2})
    monkeypatch.undo()
    assert (path.read_bytes(), (tmp_path / "m.json").read_bytes()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.nrrd"]
