"""The phantom: anatomy where it belongs, HU as in a scan, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.modality import guess_modality
from napari_sss.engine.volumes.phantom import make_phantom
from napari_sss.engine.volumes.smooth_noise import smooth_noise


@pytest.fixture(scope="module")
def phantom():
    return make_phantom((40, 96, 96))


def ids(phantom):
    return {name: value for value, name in phantom.names.items()}


def centre(phantom, name):
    """Mean world position of a structure, LPS mm."""
    index = np.argwhere(phantom.labels == ids(phantom)[name])
    return phantom.volume.grid.index_to_world(index).mean(axis=0)


def test_grid(phantom):
    grid = phantom.volume.grid
    # 320 mm over 40 slices; 345.6 mm over 96 rows and columns
    assert grid.spacing == pytest.approx((8, 3.6, 3.6))
    assert grid.is_oblique
    directions = np.asarray(grid.direction).reshape(3, 3)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-12)
    # The middle of the scan is the world's origin.
    np.testing.assert_allclose(grid.index_to_world((19.5, 47.5, 47.5)), 0, atol=1e-9)


def test_it_is_a_ct(phantom):
    assert phantom.volume.array.dtype == np.int16
    assert phantom.volume.modality == guess_modality(phantom.volume.array) == "CT"


@pytest.mark.parametrize(
    ("name", "low", "high", "litre_low", "litre_high"),
    [
        # portal venous HU and adult volumes in ml, as textbooks give them, widened
        ("liver", 90, 130, 1000, 2000),
        ("spleen", 90, 140, 90, 350),
        ("left kidney", 130, 210, 90, 250),
        ("right kidney", 130, 210, 90, 250),
        ("bladder", -10, 30, 90, 400),
        ("aorta", 110, 180, 50, 200),
        ("gallbladder", -20, 50, 10, 70),
        ("left lung", -900, -650, 200, 1500),
    ],
)
def test_structures_have_their_hu_and_size(phantom, name, low, high, litre_low, litre_high):
    inside = phantom.labels == ids(phantom)[name]
    assert low < np.median(phantom.volume.array[inside]) < high
    assert litre_low < inside.sum() * phantom.volume.grid.voxel_ml < litre_high


def test_every_structure_is_there(phantom):
    assert set(np.unique(phantom.labels)) == {0, *phantom.names}


def test_left_is_left_and_up_is_up(phantom):
    """World x grows to the left, y to the back, z to the head."""
    assert centre(phantom, "spleen")[0] > 40
    assert centre(phantom, "liver")[0] < -20
    assert centre(phantom, "left kidney")[0] > 30 > -30 > centre(phantom, "right kidney")[0]
    assert centre(phantom, "spine")[1] > centre(phantom, "aorta")[1] + 15
    assert centre(phantom, "left lung")[2] > centre(phantom, "liver")[2]
    assert centre(phantom, "liver")[2] > centre(phantom, "bladder")[2] + 100


def test_bone_is_the_brightest(phantom):
    names = ids(phantom)
    bone = np.isin(phantom.labels, [names["spine"], names["ribs"], names["pelvis"]])
    bright = phantom.volume.array > 300
    assert (bright & bone).sum() > 0.9 * bright.sum()


def test_air_around_the_body_and_noise_in_it(phantom):
    array = phantom.volume.array
    assert np.median(array[:, :5]) == pytest.approx(-1000, abs=15)
    liver = array[phantom.labels == ids(phantom)["liver"]]
    assert 5 < np.std(liver[(liver > 60) & (liver < 140)]) < 25


def test_seeds():
    one, same, other = (make_phantom((16, 32, 32), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.volume.array, same.volume.array)
    np.testing.assert_array_equal(one.labels, same.labels)
    assert np.mean(one.labels != other.labels) > 0.005


@pytest.mark.parametrize("shape", [(4, 64, 64), (64, 64)])
def test_too_small(shape):
    with pytest.raises(ConfigError, match="too small"):
        make_phantom(shape)


def test_noise_is_smooth_at_its_scale():
    grid = Grid((30, 80, 80), (3.0, 1.0, 1.0))
    noise = smooth_noise(grid, 20.0, np.random.default_rng(0))
    assert noise.mean() == pytest.approx(0, abs=1e-4)
    assert noise.std() == pytest.approx(1, abs=1e-4)
    # A twentieth of a knot's distance changes little, several knots change everything.
    assert np.abs(np.diff(noise, axis=2)).max() < 0.3
    near = np.corrcoef(noise[:, :, :-2].ravel(), noise[:, :, 2:].ravel())[0, 1]
    far = np.corrcoef(noise[:, :, :-60].ravel(), noise[:, :, 60:].ravel())[0, 1]
    assert near > 0.97
    assert abs(far) < 0.5
