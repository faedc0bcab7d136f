"""The writer that napari calls: labels land on their scan, whatever the layer went through."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss._layers.conversion import labels_data_for, layer_data_for
from napari_sss._writer import write_labels_layer
from napari_sss.engine.errors import GeometryError
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.volume import Volume

SHAPE = (4, 5, 6)
# Head first along X, left-handed, oblique by 0.2 radians.
SIN, COS = np.sin(0.2), np.cos(0.2)
GRID = Grid(SHAPE, (0.5, 1.0, 3.0), (11, -22, 33), (0, COS, SIN, 0, -SIN, COS, -1, 0, 0))
LABELS = (np.arange(4 * 5 * 6) % 7).astype(np.uint8).reshape(SHAPE)


@pytest.fixture
def scan():
    return Volume(np.zeros(SHAPE, np.int16), GRID, "CT")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_labels_lie_on_their_scan(tmp_path, scan, suffix):
    data, keywords, _ = labels_data_for(LABELS, scan, "liver")
    assert data.shape != SHAPE  # shown in another axis order
    path = str(tmp_path / f"mask{suffix}")
    assert write_labels_layer(path, data, keywords) == [path]
    mask = read_volume(path)
    assert mask.grid.distance_to(GRID) < 1e-4
    np.testing.assert_array_equal(mask.array, LABELS)


def test_moved_and_renamed_layers_still_lie_on_their_scan(tmp_path, scan):
    data, keywords, _ = labels_data_for(LABELS, scan, "liver")
    keywords |= {"name": "copy", "translate": (100, 0, 0), "scale": (7, 7, 7)}
    (path,) = write_labels_layer(str(tmp_path / "mask.nii.gz"), data, keywords)
    assert read_volume(path).grid.distance_to(GRID) < 1e-4


def test_extension_is_added(tmp_path, scan):
    data, keywords, _ = labels_data_for(LABELS, scan, "liver")
    (path,) = write_labels_layer(str(tmp_path / "mask"), data, keywords)
    assert path == str(tmp_path / "mask.nii.gz")


def test_cropped_layer(tmp_path, scan):
    data, keywords, _ = labels_data_for(LABELS, scan, "liver")
    with pytest.raises(GeometryError, match="cropped"):
        write_labels_layer(str(tmp_path / "mask.nii.gz"), data[1:], keywords)
    assert not any(tmp_path.iterdir())


def test_layer_without_a_scan_is_saved_with_a_warning(tmp_path):
    meta = {"name": "mine", "scale": (3, 1, 0.5), "units": ("mm",) * 3, "metadata": {}}
    with pytest.warns(UserWarning, match="'mine' was not made for a scan"):
        (path,) = write_labels_layer(str(tmp_path / "mask.nii.gz"), LABELS, meta)
    mask = read_volume(path)
    assert mask.grid.spacing == (3, 1, 0.5)
    np.testing.assert_array_equal(mask.array, LABELS)


@pytest.mark.gui
@pytest.mark.filterwarnings("ignore:.*oblique")
def test_in_the_viewer(make_napari_viewer, tmp_path, scan):
    """Open, label, duplicate, move, rename, save: as a user would."""
    from napari.layers import Labels, Layer

    viewer = make_napari_viewer()
    viewer.add_layer(Layer.create(*layer_data_for(scan)))
    layer = viewer.add_layer(Layer.create(*labels_data_for(LABELS, scan, "liver")))
    copy = Labels.create(*layer.as_layer_data_tuple())
    copy.name, copy.translate = "moved", (50, 60, 70)
    viewer.add_layer(copy)
    path = tmp_path / "mask.nii.gz"
    assert copy.save(str(path), plugin="napari-sss") == [str(path)]
    mask = read_volume(path)
    assert mask.grid.distance_to(GRID) < 1e-4
    np.testing.assert_array_equal(mask.array, LABELS)
