"""Tissue presets and the masks they make, on small scans built from their intensities."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_sss.engine.errors import Cancelled, ConfigError, VolumeError
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.prompts.body import body_mask
from napari_sss.engine.prompts.intensity_source import IntensitySource, smoothed
from napari_sss.engine.prompts.pcsw import FoundObject, PcswConfig, pcsw
from napari_sss.engine.prompts.presets import (
    TISSUE_PRESETS,
    Separation,
    TissuePreset,
    tissue_preset,
)
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import PRESETS
from napari_sss.engine.volumes.volume import Modality, Volume

# 3 mm voxels, as the smallest scans have: 120 x 270 x 330 mm.
_SHAPE = (40, 90, 110)
_GRID = Grid(_SHAPE, (3.0, 3.0, 3.0))


def _inside(
    centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """An ellipsoid, in voxels."""
    grid = np.ogrid[tuple(slice(size) for size in _SHAPE)]
    terms = zip(grid, centre, radii, strict=True)
    return sum(((axis - c) / r) ** 2 for axis, c, r in terms) <= 1


_LEFT = _inside((20, 45, 35), (12, 8, 9))
_RIGHT = _inside((20, 45, 51), (12, 8, 9))
_SPINE = _inside((20, 65, 55), (100, 7, 7))
_LUNGS = _inside((0, 35, 55), (8, 20, 30))


def _abdomen(noise: float = 10.0) -> Volume:
    """A trunk of fat with two organs that touch, a spine and lung bases, on a table."""
    hu = np.full(_SHAPE, -1000.0)
    trunk = _inside((20, 45, 55), (1000, 36, 48))
    hu[trunk] = -100
    hu[_SPINE] = 160
    hu[_SPINE & ~_inside((20, 65, 55), (100, 5, 5))] = 500  # cortex
    hu[_SPINE & _inside((20, 65, 55), (100, 1.5, 1.5))] = 40  # 9 mm of marrow
    hu[_LEFT] = hu[_RIGHT] = 45
    hu[_LUNGS] = -800
    hu[:, 84:86, 5:105] = 200  # the table's plate
    rng = np.random.default_rng(0)
    hu += rng.normal(0, noise, _SHAPE)
    return Volume(np.round(hu).astype(np.int16), _GRID, "CT")


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def _mask(name: str, volume: Volume) -> NDArray[np.generic]:
    preset = tissue_preset(name)
    found = IntensitySource(preset).candidates(volume)
    assert set(found) == {preset.class_name}
    mask = found[preset.class_name]
    assert mask.shape == volume.array.shape
    return mask


def _objects(name: str, volume: Volume) -> tuple[FoundObject, ...]:
    config = PcswConfig(constraints=tissue_preset(name).constraints)
    return pcsw(
        _mask(name, volume), volume.grid, config, class_name=name, intensities=volume.array
    )


def test_the_body_is_told_from_air_and_table() -> None:
    body = body_mask(_abdomen())
    trunk = _inside((20, 45, 55), (1000, 36, 48))
    assert _dice(body, trunk) > 0.98
    assert not body[:, 84:86, :20].any()
    assert body[_LUNGS & trunk].all()


def test_a_cut_out_without_any_air_is_body_everywhere() -> None:
    inside = Volume(np.full((8, 9, 10), 40, dtype=np.int16), Grid((8, 9, 10), (3.0,) * 3), "CT")
    assert body_mask(inside).all()
    air = Volume(np.full((8, 9, 10), -1000, dtype=np.int16), Grid((8, 9, 10), (3.0,) * 3), "CT")
    assert body_mask(air).all()


def test_bone_is_found_with_its_marrow_and_without_the_table() -> None:
    bone = _mask("bone", _abdomen())
    assert bone.dtype == bool
    assert _dice(bone > 0, _SPINE) > 0.95
    assert not bone[:, 84:86].any()


def test_bone_is_not_found_in_an_enhanced_organ() -> None:
    """Noise lifts an organ of 110 HU over bone's threshold in places, far from any bone."""
    volume = _abdomen()
    rng = np.random.default_rng(1)
    array = volume.array.copy()
    array[_LEFT] = rng.normal(110, 25, np.count_nonzero(_LEFT))
    bone = _mask("bone", Volume(array, _GRID, "CT"))
    assert np.count_nonzero(array[_LEFT] > 120) > 0.3 * np.count_nonzero(_LEFT)
    assert np.count_nonzero(bone[_LEFT]) < 0.05 * np.count_nonzero(_LEFT)


def test_lung_is_found_and_the_air_around_is_not() -> None:
    objects = _objects("lung", _abdomen())
    assert len(objects) == 1
    assert _dice(objects[0].region.to_array(_SHAPE), _LUNGS) > 0.95


def test_touching_organs_are_objects_of_their_own() -> None:
    volume = _abdomen()
    assert (_LEFT & _RIGHT).any()
    for organ, other in ((_LEFT, _RIGHT), (_RIGHT, _LEFT)):
        best = max(
            _objects("soft-tissue", volume),
            key=lambda f: _dice(f.region.to_array(_SHAPE), organ),
        )
        assert _dice(best.region.to_array(_SHAPE), organ & ~other) > 0.85
        # The organ's middle slice is its largest.
        assert best.prompts.prompts[0].index in (19, 20, 21)


def test_finer_voxels_give_the_same_organs() -> None:
    """The same trunk with voxels of 1.5 mm, where objects are told apart on blocks."""
    coarse = _abdomen(noise=0.0)
    fine = np.repeat(np.repeat(np.repeat(coarse.array, 2, 0), 2, 1), 2, 2)
    volume = Volume(fine, Grid(fine.shape, (1.5, 1.5, 1.5)), "CT")
    labels = _mask("soft-tissue", volume)
    left, right = labels[40, 90, 60], labels[40, 90, 112]
    assert len({0, int(left), int(right)}) == 3
    organ = np.repeat(np.repeat(np.repeat(_LEFT & ~_RIGHT, 2, 0), 2, 1), 2, 2)
    assert _dice(labels == left, organ) > 0.85


def test_dense_tissue_and_its_rim_are_left_out() -> None:
    """A bleed of 70 HU in a head of 35 HU; the skull's blurred rim has 70 HU too."""
    hu = np.full(_SHAPE, -1000.0)
    head = _inside((20, 45, 55), (36, 40, 46))
    brain = _inside((20, 45, 55), (33, 36, 42))
    bleed = _inside((20, 40, 40), (5, 5, 5))
    hu[head], hu[brain], hu[bleed] = 1000, 35, 70
    rim = brain & ~_inside((20, 45, 55), (32, 35, 41))
    hu[rim] = 70
    volume = Volume(hu.astype(np.int16), Grid(_SHAPE, (1.0, 1.0, 1.0)), "CT")
    objects = _objects("acute-bleed", volume)
    assert len(objects) == 1
    assert _dice(objects[0].region.to_array(_SHAPE), bleed) > 0.85


def test_percentiles_follow_the_scanners_scale() -> None:
    """The brightest tenth is found whatever the scale of the intensities."""
    rng = np.random.default_rng(0)
    tissue = rng.normal(100, 5, _SHAPE)
    # 4/3 pi * 18 * 25 * 21 = 39600 of 396000 voxels.
    heart = _inside((20, 45, 55), (18, 25, 21))
    tissue[heart] += 100
    for scale, offset in ((1.0, 0.0), (37.0, -500.0)):
        array = (tissue * scale + offset).astype(np.float32)
        volume = Volume(array, _GRID, "MR")
        objects = _objects("mr-bright", volume)
        assert _dice(objects[0].region.to_array(_SHAPE), heart) > 0.9


def test_light_smoothing_takes_the_spacing_into_account() -> None:
    impulse = np.zeros((9, 9, 9), dtype=np.float32)
    impulse[4, 4, 4] = 100
    # 1 mm is less than a third of 5 mm: slices are left as they are.
    blurred = smoothed(impulse, 1.0, (5.0, 1.0, 1.0))
    assert blurred[3].max() == 0
    assert 0 < blurred[4, 3, 4] < blurred[4, 4, 4] < 100
    assert blurred.sum() == pytest.approx(100, rel=1e-3)


def test_metal_does_not_shine() -> None:
    """A screw of 30000 HU in fat, blurred, would make bone of 120 HU far around."""
    volume = _abdomen(noise=0.0)
    array = volume.array.astype(np.int32)
    screw = np.zeros(_SHAPE, dtype=bool)
    screw[18:22, 25, 40:50] = True
    sizes = []
    for value in (3071, 30000):
        array[screw] = value
        fine = np.repeat(np.repeat(array, 4, 1), 4, 2)
        grid = Grid(fine.shape, (3.0, 0.75, 0.75))
        sizes.append(np.count_nonzero(_mask("bone", Volume(fine, grid, "CT"))))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_volume_with_nan_or_infinities_is_refused(bad: float) -> None:
    array = np.zeros((4, 5, 6), dtype=np.float32)
    array[1, 2, 3] = bad
    with pytest.raises(VolumeError, match="NaN or infinite"):
        IntensitySource(tissue_preset("bone")).candidates(
            Volume(array, Grid(array.shape), "CT")
        )


@pytest.mark.parametrize("value", [-1000, 0, 3000])
@pytest.mark.parametrize("name", TISSUE_PRESETS)
def test_a_uniform_volume_gives_nothing(name: str, value: int) -> None:
    preset = tissue_preset(name)
    array = np.full((9, 12, 14), value, dtype=np.int16)
    volume = Volume(array, Grid(array.shape, (3.0,) * 3), preset.modality)
    assert _objects(name, volume) == ()


@pytest.mark.parametrize(("name", "modality"), [("bone", "MR"), ("mr-bright", "CT")])
def test_a_preset_of_the_other_modality_is_refused(name: str, modality: Modality) -> None:
    volume = Volume(np.zeros((4, 5, 6), dtype=np.int16), Grid((4, 5, 6)), modality)
    with pytest.raises(VolumeError, match=f"{name} is for"):
        IntensitySource(tissue_preset(name)).candidates(volume)


def test_progress_is_told_and_cancelling_honoured() -> None:
    told: list[Progress] = []
    source = IntensitySource(tissue_preset("bone"))
    source.candidates(_abdomen(), JobControl(told.append))
    assert {p.stage for p in told} == {"candidates"}
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert told[-1].fraction == 1.0
    control = JobControl()
    control.cancel()
    with pytest.raises(Cancelled):
        source.candidates(_abdomen(), control)


# Presets


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'liver'") as caught:
        tissue_preset("liver")
    for name in TISSUE_PRESETS:
        assert name in str(caught.value)


@pytest.mark.parametrize("preset", TISSUE_PRESETS.values(), ids=list(TISSUE_PRESETS))
def test_every_preset_is_whole(preset: TissuePreset) -> None:
    assert TISSUE_PRESETS[preset.name] is preset
    assert preset.window is None or preset.window in PRESETS
    assert (preset.window is None) == (preset.modality == "MR")
    assert len(preset.reference) > 20
    # What the constraints allow overlaps with what the threshold lets through.
    limits = preset.constraints.intensity_range
    if limits is not None:
        low, high = preset.intensity_range
        assert low is None or limits[1] > low
        assert high is None or limits[0] < high


@pytest.mark.parametrize(
    "change",
    [{"intensity_range": (5, 5)}, {"closing_mm": -1}, {"keep": "both"}, {"colour": "red"}],
)
def test_presets_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    settings = tissue_preset("bone").model_dump() | change
    with pytest.raises(ValidationError):
        TissuePreset.model_validate(settings)


def test_erosions_must_rise() -> None:
    with pytest.raises(ValidationError):
        Separation(erosion_mm=(5, 3))
