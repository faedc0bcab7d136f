"""The geometry contract on real files: in, out, and every voxel where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.volumes.grid import AxisView, Grid
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.writing import read_labels, write_labels

pytestmark = pytest.mark.data

TOLERANCE_MM = 1e-4
SIGNS = {
    "L": (1, "R"),
    "R": (-1, "L"),
    "P": (1, "A"),
    "A": (-1, "P"),
    "S": (1, "I"),
    "I": (-1, "S"),
}
WORLD_AXIS = {"L": 0, "R": 0, "P": 1, "A": 1, "S": 2, "I": 2}


def itk_grid(path: Path) -> Grid:
    image = sitk.ReadImage(str(path))
    return Grid(
        image.GetSize()[::-1], image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection()
    )


def scans(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.name.endswith((".nii.gz", ".nrrd", ".mha")))


@pytest.fixture(scope="module")
def orientation(test_data) -> list[Path]:
    found = scans(test_data / "orientation")
    if not found:
        pytest.skip(f"{test_data} holds no folder 'orientation'.")
    return found


def test_every_file_is_read_as_itk_reads_it(orientation):
    for path in orientation:
        volume = read_volume(path)
        assert volume.grid.distance_to(itk_grid(path)) < TOLERANCE_MM, path.name
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        np.testing.assert_array_equal(volume.array, array, err_msg=path.name)
        assert volume.array.dtype == array.dtype


def test_names_and_directions_agree(orientation):
    """``nifti_space/ALI`` has an X axis that runs to the front, a Y to the left, a Z down."""
    checked = 0
    for path in orientation:
        if path.parent.name != "nifti_space":
            continue
        columns = np.asarray(read_volume(path).grid.direction).reshape(3, 3)
        for axis, letter in enumerate(path.name[:3]):
            assert np.sign(columns[WORLD_AXIS[letter], axis]) == SIGNS[letter][0], path.name
        checked += 1
    assert checked == 48


def test_all_orders_of_one_brain_are_shown_alike(orientation):
    """Flipped and transposed to canonical axes, the 48 files hold the same array."""
    shown = {}
    for path in orientation:
        if path.parent.name == "nifti_space":
            volume = read_volume(path)
            shown[path.name] = volume.viewed(volume.grid.canonical_view())
    reference = shown["LPI.nii.gz"]  # stored head first, front up, left on the right
    assert Grid.canonical_view(reference.grid) == AxisView()
    for name, volume in shown.items():
        np.testing.assert_array_equal(volume.array, reference.array, err_msg=name)
        assert volume.grid.distance_to(reference.grid) < 1e-3, name


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_labels_return_to_every_grid(orientation, tmp_path, suffix):
    for path in orientation:
        volume = read_volume(path)
        labels = np.digitize(volume.array, np.percentile(volume.array, (60, 90))).astype(
            np.uint8
        )
        mask = write_labels(labels, volume.grid, tmp_path / f"mask{suffix}")
        assert itk_grid(mask).distance_to(volume.grid) < TOLERANCE_MM, path.name
        np.testing.assert_array_equal(read_labels(mask, volume.grid), labels)
        itk_array = sitk.GetArrayFromImage(sitk.ReadImage(str(mask)))
        np.testing.assert_array_equal(itk_array, labels)


def test_dicom_in_and_nifti_out(test_data, tmp_path):
    folder = test_data / "ct" / "example_ct_dicom"
    volume = read_volume(folder)
    assert volume.modality == "CT"
    assert volume.array.shape == (20, 512, 512)
    assert volume.grid.spacing == pytest.approx((2, 0.9765625, 0.9765625))
    images = [sitk.ReadImage(str(f), imageIO="GDCMImageIO") for f in folder.iterdir()]
    images.sort(key=lambda image: image.GetOrigin()[2])
    itk_array = np.concatenate([sitk.GetArrayFromImage(image) for image in images])
    np.testing.assert_array_equal(volume.array, itk_array)
    for z, image in enumerate(images):
        corner = image.TransformIndexToPhysicalPoint((511, 0, 0))
        np.testing.assert_allclose(
            volume.grid.index_to_world((z, 0, 511)), corner, rtol=0, atol=TOLERANCE_MM
        )
    bones = (volume.array > 200).astype(np.uint8)
    mask = write_labels(bones, volume.grid, tmp_path / "bones.nii.gz")
    assert itk_grid(mask).distance_to(volume.grid) < TOLERANCE_MM
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(mask))), bones)


def test_a_mask_flipped_against_its_series_is_turned(test_data):
    """The example's labels are flipped in y; turned, its bones lie on the scan's bones."""
    ct = test_data / "ct"
    volume = read_volume(ct / "example_ct_dicom")
    labels = read_labels(ct / "example_seg_dicom.nii.gz", volume.grid)
    stored = read_volume(ct / "example_seg_dicom.nii.gz").array
    np.testing.assert_array_equal(labels, stored[:, ::-1])
    inside = [volume.array[labels == k].mean() for k in np.unique(labels) if 26 <= k <= 50]
    flipped = [volume.array[stored == k].mean() for k in np.unique(labels) if 26 <= k <= 50]
    assert min(inside) > 100 > max(flipped)


def test_modalities(test_data):
    assert read_volume(test_data / "ct" / "example_ct.nii.gz").modality == "CT"
    assert read_volume(test_data / "ct" / "example_mr_sm.nii.gz").modality == "unknown"


def test_acdc_has_no_spacing(test_data):
    scan = read_volume(test_data / "acdc" / "images" / "patient054_ED.nii.gz")
    assert not scan.spacing_known
    assert scan.modality == "unknown"
