"""Physical constraints: each limit, in the units of the volume's spacing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.prompts.constraints import PhysicalConstraints, median_intensity
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region

_SHAPE = (10, 20, 20)


def _stack(*sides: int, shift: int = 0) -> Region:
    """Squares of the given sides on successive slices, each ``shift`` columns further."""
    width = max(sides) + shift * len(sides)
    mask = np.zeros((len(sides), max(sides), width), dtype=bool)
    for z, side in enumerate(sides):
        mask[z, :side, z * shift : z * shift + side] = True
    return Region((2, 1, 1), mask)


def _grid(z: float = 1.0, y: float = 1.0, x: float = 1.0) -> Grid:
    return Grid(_SHAPE, (z, y, x))


def test_volume_is_in_millilitres() -> None:
    # 5 slices of 4 x 4 voxels are 80 voxels; at 5 x 1 x 1 mm that is 0.4 ml.
    region = _stack(4, 4, 4, 4, 4)
    at_least = PhysicalConstraints(min_volume_ml=0.4)
    at_most = PhysicalConstraints(max_volume_ml=0.4)
    assert at_least.keep(region, _grid(5.0)) is region
    assert at_most.keep(region, _grid(5.0)) is region
    # The same voxels at 4 mm are 0.32 ml, at 6 mm 0.48 ml.
    assert at_least.keep(region, _grid(4.0)) is None
    assert at_most.keep(region, _grid(6.0)) is None


def test_no_limits_keep_everything() -> None:
    region = _stack(1, 8, 1, shift=3)
    assert PhysicalConstraints().keep(region, _grid()) is region


def test_change_of_area_is_per_millimetre() -> None:
    """From side 4 to side 8 the area grows from 16 to 64: by 0.75 of the larger one.

    That is 0.75 per mm at 1 mm between slices, and 0.15 per mm at 5 mm.
    """
    region = _stack(4, 8, 8)
    limit = PhysicalConstraints(max_area_change_per_mm=0.5, slice_rule="reject")
    assert limit.keep(region, _grid(1.0)) is None
    assert limit.keep(region, _grid(5.0)) is region
    exact = PhysicalConstraints(max_area_change_per_mm=0.75, slice_rule="reject")
    assert exact.keep(region, _grid(1.0)) is region


def test_shift_of_the_centroid_is_in_millimetres_per_millimetre() -> None:
    # 3 columns of 2 mm each, over slices 3 mm apart: 6 mm / 3 mm = 2.
    region = _stack(4, 4, 4, shift=3)
    grid = _grid(3.0, 1.0, 2.0)
    for limit, kept in ((2.01, True), (1.99, False)):
        rule = PhysicalConstraints(max_shift_mm_per_mm=limit, slice_rule="reject")
        assert (rule.keep(region, grid) is region) is kept
    # Slices twice as far apart halve the shift per mm.
    rule = PhysicalConstraints(max_shift_mm_per_mm=1.99, slice_rule="reject")
    assert rule.keep(region, _grid(6.0, 1.0, 2.0)) is region


def test_trimming_keeps_the_run_around_the_largest_cross_section() -> None:
    """Areas 4, 64, 64, 49, 4, 4: breaks of 0.94 after the first, of 0.92 after the fourth."""
    region = _stack(2, 8, 8, 7, 2, 2)
    kept = PhysicalConstraints(max_area_change_per_mm=0.5).keep(region, _grid())
    assert kept is not None
    assert kept.offset[0] == 3
    np.testing.assert_array_equal(kept.mask.sum(axis=(1, 2)), [64, 64, 49])


def test_a_trimmed_object_must_still_be_large_enough() -> None:
    # Of 4 + 64 + 4 voxels of 1 mm3, 0.064 ml are left.
    region = _stack(2, 8, 2)
    for smallest, kept in ((0.064, True), (0.065, False)):
        rule = PhysicalConstraints(max_area_change_per_mm=0.5, min_volume_ml=smallest)
        assert (rule.keep(region, _grid()) is not None) is kept


def test_the_median_is_judged_not_single_voxels() -> None:
    volume: NDArray[np.int16] = np.zeros(_SHAPE, dtype=np.int16)
    region = _stack(2, 2)  # 8 voxels
    inside = volume[region.slices]
    inside[region.mask] = [10, 20, 30, 40, 50, 60, 70, 3000]
    assert median_intensity(region, volume) == 45.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_intensity_that_is_no_number(bad: float) -> None:
    volume = np.zeros(_SHAPE, dtype=np.float32)
    region = _stack(2, 2)
    volume[region.offset] = bad
    with pytest.raises(VolumeError, match="NaN or infinite"):
        median_intensity(region, volume)


def test_percentiles_become_intensities() -> None:
    # 0 to 999, each once: the 25th percentile is 249.75, the 90th 899.1.
    volume = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    rule = PhysicalConstraints(intensity_range=(25, 90), intensity_unit="percentile")
    assert rule.intensity_limits(volume) == pytest.approx((249.75, 899.1))
    in_hu = PhysicalConstraints(intensity_range=(25, 90))
    assert in_hu.intensity_limits(volume) == (25, 90)
    assert rule.intensity_limits(None) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"min_volume": 3},
        {"min_volume_ml": -1},
        {"min_volume_ml": 5, "max_volume_ml": 4},
        {"intensity_range": (50, 50)},
        {"max_shift_mm_per_mm": 0},
        {"slice_rule": "cut"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PhysicalConstraints.model_validate(settings)


def test_a_length_is_counted_in_mm_along_the_slices():
    tube = Region((0, 4, 4), np.ones((6, 2, 2), dtype=bool))
    grid = Grid((8, 10, 10), (5.0, 1.0, 1.0))  # 6 slices of 5 mm: 30 mm
    assert PhysicalConstraints(max_length_mm=30).keep(tube, grid) is tube
    assert PhysicalConstraints(max_length_mm=29).keep(tube, grid) is None
    thin = Grid((8, 10, 10), (1.0, 1.0, 1.0))
    assert PhysicalConstraints(max_length_mm=6).keep(tube, thin) is tube
