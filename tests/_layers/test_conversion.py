"""Volumes as layers and back: nothing moves, and the notes are told."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from napari_sss._layers.conversion import (
    KEY,
    labels_data_for,
    labels_to_source,
    layer_data_for,
    layer_metadata,
    notes_for,
    source_of,
    volume_of_layer,
)
from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.grid import AxisView, Grid
from napari_sss.engine.volumes.volume import Volume

SHAPE = (4, 5, 6)
PLAIN = Grid(SHAPE, (3.0, 1.0, 0.5), (10, 20, 30))
ARRAY = np.arange(4 * 5 * 6, dtype=np.int16).reshape(SHAPE)


def rotated(degrees):
    sin, cos = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return Grid(SHAPE, (3.0, 1.0, 0.5), direction=(cos, -sin, 0, sin, cos, 0, 0, 0, 1))


def test_a_scan_is_shown_head_first():
    data, keywords, kind = layer_data_for(Volume(ARRAY, PLAIN, "CT"))
    # World z grows along the array's first axis, so the top slice is the last one.
    np.testing.assert_array_equal(data, ARRAY[::-1])
    assert np.shares_memory(data, ARRAY)
    assert kind == "image"
    assert keywords["scale"] == (3.0, 1.0, 0.5)
    assert keywords["units"] == ("mm", "mm", "mm")
    assert keywords["contrast_limits"] == (-150, 250)
    assert keywords["metadata"][KEY]["view"] == AxisView((0, 1, 2), (True, False, False))


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_labels_return_from_every_orientation(order, flips):
    view = AxisView(order, flips)
    volume = Volume(view.apply(ARRAY), PLAIN.viewed(view))
    data, keywords, _ = layer_data_for(volume)
    np.testing.assert_array_equal(data, ARRAY[::-1])
    np.testing.assert_allclose(keywords["scale"], (3.0, 1.0, 0.5))
    found = source_of(keywords["metadata"])
    assert found is not None
    labels = np.asarray(data % 3)
    np.testing.assert_array_equal(
        labels_to_source(labels, found[1], volume.grid), volume.array % 3
    )


def test_labels_layer_carries_the_scan():
    volume = Volume(ARRAY, PLAIN)
    data, keywords, kind = labels_data_for((ARRAY % 4).astype(np.uint8), volume, "truth")
    assert kind == "labels"
    np.testing.assert_array_equal(data, (ARRAY % 4)[::-1])
    assert source_of(keywords["metadata"]) == (volume, volume.grid.canonical_view())


def test_oblique_scans_are_noted():
    assert notes_for(Volume(ARRAY, PLAIN, notes=("odd",))) == ("odd",)
    assert "up to 12 degrees" in notes_for(Volume(ARRAY, rotated(12)))[0]
    metadata = layer_data_for(Volume(ARRAY, rotated(12)))[1]["metadata"]
    assert "oblique" in metadata[KEY]["notes"][0]


def test_own_layer_gives_its_volume_back():
    volume = Volume(ARRAY, rotated(12))
    data, keywords, _ = layer_data_for(volume)
    again, view, warnings = volume_of_layer(keywords["metadata"], data, (9, 9, 9))
    assert again is volume
    assert view == volume.grid.canonical_view()
    assert "oblique" in warnings[0]


@pytest.mark.parametrize(
    ("scale", "units", "spacing", "known"),
    [
        ((1, 1, 1), (), (1, 1, 1), False),
        ((1, 1, 1), ("pixel",) * 3, (1, 1, 1), False),
        ((5, 0.7, 0.7), ("pixel",) * 3, (5, 0.7, 0.7), True),
        ((1, 1, 1), ("millimeter",) * 3, (1, 1, 1), True),
        ((2, 0.1, 0.1), ("mm", "cm", "cm"), (2, 1, 1), True),
        ((2000, 700, 700), ("micrometer",) * 3, (2, 0.7, 0.7), True),
        ((3, 5, 0.7, 0.7), (), (5, 0.7, 0.7), True),
    ],
)
def test_foreign_layers(scale, units, spacing, known):
    volume, view, warnings = volume_of_layer({}, ARRAY, scale, units, "mine")
    assert volume.grid.spacing == pytest.approx(spacing)
    assert volume.spacing_known == known
    assert view == AxisView()
    assert any("spacing of 'mine' is not known" in w for w in warnings) != known
    assert "'mine' lies in the patient" in warnings[0]


def test_foreign_slice():
    volume, _, _ = volume_of_layer({}, ARRAY[0], (0.5, 0.7))
    assert volume.array.shape == (1, 5, 6)
    assert volume.grid.spacing == (1, 0.5, 0.7)


def test_a_layer_that_no_longer_fits_its_metadata_is_foreign():
    metadata = layer_metadata(Volume(ARRAY, PLAIN), AxisView())
    volume, _, _ = volume_of_layer(metadata, ARRAY[:2], (3, 1, 0.5))
    assert volume.array.shape == (2, 5, 6)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.zeros((2, 3, 4, 5)), "has 4 axes"),
        (np.zeros((2, 3, 4), dtype=complex), "complex128"),
        (np.full((2, 3, 4), np.nan), "NaN"),
    ],
)
def test_layers_that_are_no_scan(data, match):
    with pytest.raises(VolumeError, match=match):
        volume_of_layer({}, data, (1, 1, 1))


@pytest.mark.parametrize("entry", [None, "text", {}, {"volume": 1, "view": AxisView()}])
def test_metadata_of_others(entry):
    assert source_of({KEY: entry}) is None


def test_cropped_labels_are_refused():
    with pytest.raises(GeometryError, match=r"\(3, 5, 6\).*cropped"):
        labels_to_source(np.zeros((3, 5, 6), np.uint8), AxisView(), PLAIN)
