"""Windows: presets, percentiles, and the way through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import (
    PRESETS,
    IntensityWindow,
    percentile_window,
    window_for,
)
from napari_sss.engine.volumes.modality import guess_modality
from napari_sss.engine.volumes.volume import Volume


def volume(array, modality="unknown"):
    array = np.asarray(array)
    return Volume(array, Grid(array.shape), modality=modality)


def test_centre_and_width():
    window = IntensityWindow.from_centre(50, 400)
    assert (window.low, window.high) == (-150, 250)
    assert (window.centre, window.width) == (50, 400)


def test_grey_values_by_hand():
    window = IntensityWindow(-100, 300)
    # (0 + 100) / 400 = 0.25, (100 + 100) / 400 = 0.5; beyond the window is clipped.
    grey = window.apply(np.array([-1000, -100, 0, 100, 300, 3000], dtype=np.int16))
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, [0, 0, 0.25, 0.5, 1, 1])


def test_apply_leaves_its_input_alone():
    array = np.array([1.0, 2.0], dtype=np.float32)
    IntensityWindow(0, 4).apply(array)
    assert array.tolist() == [1, 2]


def test_close_tissues_stay_apart():
    """8 bits over the bone window would give 1 HU steps of 7 HU: here each has its grey."""
    grey = PRESETS["bone"].window.apply(np.arange(0, 100, dtype=np.int16))
    assert len(np.unique(grey)) == 100


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("abdomen", -150, 250),
        ("mediastinum", -125, 225),
        ("lung", -1350, 150),
        ("bone", -500, 1300),
        ("brain", 0, 80),
        ("bleed", -32.5, 182.5),
        ("angiography", 0, 600),
    ],
)
def test_presets(name, low, high):
    preset = PRESETS[name]
    assert (preset.window.low, preset.window.high) == (low, high)
    assert preset.window.name == name
    assert preset.source


def test_json_round_trip():
    window = PRESETS["lung"].window
    assert IntensityWindow.from_dict(json.loads(json.dumps(window.to_dict()))) == window


@pytest.mark.parametrize("content", [{"low": 1}, {"low": 0, "high": 1, "gamma": 2}])
def test_unknown_or_missing_keys(content):
    with pytest.raises(ConfigError, match="low, high and name"):
        IntensityWindow.from_dict(content)


@pytest.mark.parametrize(
    ("low", "high"), [(1, 1), (2, 1), (float("nan"), 1), (0, float("inf"))]
)
def test_empty_windows(low, high):
    with pytest.raises(ConfigError, match="empty"):
        IntensityWindow(low, high)


def test_defaults_by_modality():
    array = np.arange(1000).reshape(10, 10, 10)
    assert window_for(volume(array, "CT")).name == "abdomen"
    assert window_for(volume(array, "MR")).name == "percentiles"
    assert window_for(volume(array)).name == "percentiles"
    assert window_for(volume(array), "lung").name == "lung"


def test_presets_that_do_not_fit():
    array = np.zeros((2, 2, 2))
    with pytest.raises(ConfigError, match=r"'liver'.*abdomen"):
        window_for(volume(array, "CT"), "liver")
    with pytest.raises(ConfigError, match="in HU"):
        window_for(volume(array, "MR"), "abdomen")


def test_percentiles_ignore_the_background():
    # 1000 voxels of foreground, 0 to 999 in steps of 1 plus 1, in 9000 of background.
    array = np.zeros(10000)
    array[:1000] = np.arange(1, 1001)
    window = percentile_window(array.reshape(10, 10, 100))
    # numpy's linear percentile of 1..1000: 1 + 0.005 * 999 = 5.995 and 1 + 0.995 * 999
    assert window.low == pytest.approx(5.995)
    assert window.high == pytest.approx(995.005)


@pytest.mark.parametrize(
    ("array", "low", "high"),
    [(np.full((2, 2, 2), 7), 7, 8), (np.array([[[3, 9]]]), 3, 9)],
)
def test_windows_of_flat_volumes(array, low, high):
    window = percentile_window(array)
    assert (window.low, window.high) == (low, high)


def test_one_window_for_all_slices():
    """A slice that is brighter than the others stays brighter."""
    array = np.ones((4, 20, 20)) * np.arange(1, 5)[:, None, None]
    array += np.linspace(0, 0.1, 400).reshape(20, 20)
    grey = window_for(volume(array)).apply(array)
    assert np.all(np.diff(grey.mean(axis=(1, 2))) > 0.2)


def test_air_and_soft_tissue_make_a_ct():
    rng = np.random.default_rng(0)
    scan = rng.normal(40, 20, (10, 20, 20))
    assert guess_modality(scan) == "unknown"  # no air: could be anything
    scan[:, :4] = rng.normal(-1000, 10, (10, 4, 20))
    assert guess_modality(scan) == "CT"
    assert guess_modality(scan + 1024) == "unknown"  # shifted by a missing intercept
    assert guess_modality(np.abs(scan)) == "unknown"
