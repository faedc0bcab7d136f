"""The figures on a real CT: bone as a candidate, spleen and left kidney as objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sss.engine.prompts.cross_section import box_of
from napari_sss.engine.prompts.intensity_source import IntensitySource
from napari_sss.engine.prompts.pcsw import FoundObject, PcswConfig, pcsw
from napari_sss.engine.prompts.presets import tissue_preset
from napari_sss.engine.prompts.types import Box
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.volume import Volume

pytestmark = pytest.mark.data

# TotalSegmentator's ids.
_BONES = [*range(25, 51), *range(69, 79), *range(91, 117)]
_SPLEEN, _LEFT_KIDNEY, _LIVER = 1, 3, 5


@pytest.fixture(scope="module")
def scan(test_data: Path) -> Volume:
    """Abdomen and pelvis without contrast, 3 mm."""
    return _canonical(read_volume(test_data / "ct" / "example_ct.nii.gz"))


@pytest.fixture(scope="module")
def labels(test_data: Path) -> NDArray[np.integer]:
    path = test_data / "ct" / "example_seg_fast_force_split.nii.gz"
    return _canonical(read_volume(path)).array


@pytest.fixture(scope="module")
def soft_tissue(scan: Volume) -> tuple[FoundObject, ...]:
    preset = tissue_preset("soft-tissue")
    (coarse,) = IntensitySource(preset).candidates(scan).values()
    config = PcswConfig(constraints=preset.constraints)
    return pcsw(coarse, scan.grid, config, class_name="organ", intensities=scan.array)


def _canonical(volume: Volume) -> Volume:
    return volume.viewed(volume.grid.canonical_view())


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def _box_iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0))
    height = max(0.0, min(a.y1, b.y1) - max(a.y0, b.y0))
    common = width * height
    return common / (a.width * a.height + b.width * b.height - common)


def test_the_bone_candidate(scan: Volume, labels: NDArray[np.integer]) -> None:
    """A threshold at 120 HU with closing reaches 0.86."""
    (coarse,) = IntensitySource(tissue_preset("bone")).candidates(scan).values()
    assert _dice(coarse > 0, np.isin(labels, _BONES)) >= 0.86


@pytest.mark.parametrize(
    ("organ", "iou", "dice"),
    [(_SPLEEN, 0.6, 0.85), (_LEFT_KIDNEY, 0.6, 0.85), (_LIVER, 0.6, 0.8)],
)
def test_organs_are_objects_of_their_own(
    organ: int,
    iou: float,
    dice: float,
    soft_tissue: tuple[FoundObject, ...],
    labels: NDArray[np.integer],
) -> None:
    """On the prompted slice, the box is that of the organ's cross-section there."""
    truth = labels == organ
    best = max(soft_tissue, key=lambda f: _dice(f.region.to_array(truth.shape), truth))
    assert _dice(best.region.to_array(truth.shape), truth) >= dice
    (prompt,) = best.prompts.prompts
    assert prompt.box is not None
    assert _box_iou(prompt.box, box_of(truth[prompt.index])) >= iou


@pytest.fixture(scope="module")
def enhanced(test_data: Path) -> tuple[Volume, NDArray[np.integer]]:
    """A slab of 40 mm of another patient in the venous phase, with its labels."""
    scan = _canonical(read_volume(test_data / "ct" / "example_ct_dicom"))
    labels = _canonical(read_volume(test_data / "ct" / "example_seg_dicom.nii.gz"))
    np.testing.assert_allclose(scan.grid.affine, labels.grid.affine, atol=1e-2)
    return scan, labels.array


@pytest.mark.parametrize("organ", [_SPLEEN, _LIVER])
def test_organs_with_contrast_and_cut_off_by_the_scan(
    organ: int, enhanced: tuple[Volume, NDArray[np.integer]]
) -> None:
    scan, labels = enhanced
    preset = tissue_preset("soft-tissue")
    (coarse,) = IntensitySource(preset).candidates(scan).values()
    config = PcswConfig(constraints=preset.constraints)
    found = pcsw(coarse, scan.grid, config, class_name="organ", intensities=scan.array)
    truth = labels == organ
    best = max(found, key=lambda f: _dice(f.region.to_array(truth.shape), truth))
    assert _dice(best.region.to_array(truth.shape), truth) >= 0.8
    (prompt,) = best.prompts.prompts
    assert prompt.box is not None
    assert _box_iou(prompt.box, box_of(truth[prompt.index])) >= 0.6


def test_bone_leaves_enhanced_organs_out(
    enhanced: tuple[Volume, NDArray[np.integer]],
) -> None:
    scan, labels = enhanced
    (coarse,) = IntensitySource(tissue_preset("bone")).candidates(scan).values()
    for organ in (_SPLEEN, _LIVER):
        inside = labels == organ
        assert np.count_nonzero(coarse[inside]) < 0.02 * np.count_nonzero(inside)
    bones = np.isin(labels, _BONES)
    assert np.count_nonzero(coarse[bones]) > 0.95 * np.count_nonzero(bones)


def test_the_lung_bases(scan: Volume, labels: NDArray[np.integer]) -> None:
    """Both lower lobes' bases, although bowel gas has the same threshold and more volume."""
    preset = tissue_preset("lung")
    (coarse,) = IntensitySource(preset).candidates(scan).values()
    config = PcswConfig(constraints=preset.constraints)
    found = pcsw(coarse, scan.grid, config, class_name="lung", intensities=scan.array)
    lungs = np.isin(labels, range(10, 15))
    together = np.zeros(lungs.shape, dtype=bool)
    for each in found:
        each.region.paint(together, True)
    assert _dice(together, lungs) >= 0.8
