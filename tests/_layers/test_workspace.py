from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sss._layers.conversion import KEY, layer_data_for
from napari_sss._layers.directions import EdgeLetters
from napari_sss._layers.mask_painter import Touched
from napari_sss._layers.masks_layer import MASKS
from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.workspace import Workspace
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Source, Volume

# Stored from foot to head, back to front, left to right: every axis is shown flipped.
GRID = Grid((5, 6, 7), (3.0, 2.0, 1.0), (10.0, 20.0, 30.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))


def make_volume(**changes):
    array = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
    return Volume(array, GRID, "CT", Source(Path("scan.nii.gz")), **changes)


def add_scan(viewer, volume):
    data, keywords, _ = layer_data_for(volume)
    layer = Image(data, **keywords)
    viewer.add_layer(layer)
    return layer


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def workspace(viewer):
    return Workspace(viewer)


def test_the_opened_image_becomes_the_scan(viewer, workspace):
    assert workspace.key is None
    layer = add_scan(viewer, make_volume())
    assert workspace.image is layer
    assert workspace.volume.grid.shape == (5, 6, 7)
    # The first voxel shown is the last one stored, along every axis.
    assert workspace.volume.array[0, 0, 0] == 5 * 6 * 7 - 1


def test_a_running_job_keeps_its_scan(viewer, workspace):
    first = add_scan(viewer, make_volume())
    workspace.locked = lambda: True
    add_scan(viewer, make_volume())
    assert workspace.image is first


def test_when_the_scan_is_closed_another_takes_its_place(viewer, workspace):
    first, second = add_scan(viewer, make_volume()), add_scan(viewer, make_volume())
    viewer.layers.remove(second)
    assert workspace.image is first
    viewer.layers.remove(first)
    assert workspace.key is None
    assert workspace.volume is None


def test_masks_lie_on_the_scan_and_carry_its_grid(viewer, workspace):
    layer = add_scan(viewer, make_volume())
    labels = workspace.labels()
    masks = viewer.layers[MASKS]
    assert masks.data is labels
    assert labels.shape == (5, 6, 7)
    assert tuple(masks.scale) == tuple(layer.scale) == (3.0, 2.0, 1.0)
    assert masks.metadata[KEY]["volume"].grid == GRID


def test_masks_turn_back_into_the_order_of_the_file(viewer, workspace):
    add_scan(viewer, make_volume())
    labels = workspace.labels()
    labels[0, 0, 1] = 3
    source, turn = workspace.for_export()
    # Index i of an axis of n voxels is shown at n - 1 - i.
    assert np.argwhere(turn(labels)).tolist() == [[4, 5, 5]]
    assert source.grid == GRID


def test_a_deleted_masks_layer_comes_back_with_its_masks(viewer, workspace):
    add_scan(viewer, make_volume())
    workspace.labels()[1, 1, 1] = 4
    viewer.layers.remove(MASKS)
    assert workspace.labels()[1, 1, 1] == 4
    assert MASKS in viewer.layers


def test_only_the_slice_in_view_is_redrawn(viewer, workspace):
    add_scan(viewer, make_volume())
    workspace.labels()
    workspace.show_slice(Plane.AXIAL, 2)
    drawn = []
    viewer.layers[MASKS].events.set_data.connect(lambda: drawn.append(1))
    workspace.redraw(Touched((3, 0, 0), (5, 6, 7)))
    assert workspace.flush() is False
    assert drawn == []
    workspace.redraw(Touched((0, 0, 0), (3, 1, 1)))
    workspace.flush()
    assert drawn == [1]
    workspace.flush()
    assert drawn == [1]


def test_planes_turn_upright(viewer, workspace):
    add_scan(viewer, make_volume())
    workspace.view.show(Plane.CORONAL)
    assert viewer.dims.order == (1, 0, 2)
    assert workspace.view.plane is Plane.CORONAL
    scan = workspace.current.scan
    assert workspace.view.letters(scan) == EdgeLetters("R", "L", "S", "I")
    viewer.dims.ndisplay = 3
    assert workspace.view.plane is None
    assert workspace.view.letters(scan) == EdgeLetters()


def test_letters_follow_the_camera(viewer, workspace):
    add_scan(viewer, make_volume())
    camera_of(viewer).orientation2d = ("up", "left")
    letters = workspace.view.letters(workspace.current.scan)
    assert letters == EdgeLetters("L", "R", "P", "A")


def test_a_slice_is_shown_in_its_plane(viewer, workspace):
    layer = add_scan(viewer, make_volume())
    workspace.show_slice(Plane.SAGITTAL, 6)
    assert workspace.view.plane is Plane.SAGITTAL
    assert workspace.view.index(layer, Plane.SAGITTAL) == 6
    assert workspace.shown_index() is None
    workspace.show_slice(Plane.AXIAL, 1)
    assert workspace.shown_index() == 1


def test_the_readout_tells_value_place_and_voxel_of_the_file(viewer, workspace):
    layer = add_scan(viewer, make_volume())
    viewer.cursor.position = (3.0, 4.0, 1.0)  # mm: the displayed voxel (1, 2, 1)
    readout = workspace.view.readout(layer, workspace.current.scan)
    # In the file: z 4 - 1, y 5 - 2, x 6 - 1; value 3 * 42 + 3 * 7 + 5.
    assert readout.indices == (3, 3, 5)
    assert readout.value == 152
    # World: x 10 - 5 * 1, y 20 - 3 * 2, z 30 + 3 * 3; LPS.
    assert readout.world == pytest.approx((5.0, 14.0, 39.0))
    assert str(readout) == (
        "152 HU   |   L 5.0, P 14.0, S 39.0 mm   |   file voxel z 3, y 3, x 5"
    )


def test_there_is_no_readout_beside_the_scan(viewer, workspace):
    layer = add_scan(viewer, make_volume())
    viewer.cursor.position = (-9.0, 4.0, 1.0)
    assert workspace.view.readout(layer, workspace.current.scan) is None


def test_a_plain_image_has_no_letters_and_unknown_spacing(viewer, workspace):
    viewer.add_image(np.zeros((4, 5, 6)))
    assert not workspace.volume.spacing_known
    assert workspace.view.letters(workspace.current.scan) == EdgeLetters()


def test_a_given_spacing_is_the_scans_the_layers_and_the_masks(viewer, workspace):
    layer = viewer.add_image(np.zeros((4, 5, 6)))
    workspace.labels()
    workspace.give_spacing((3.0, 0.7, 0.6))
    assert workspace.volume.spacing_known
    assert workspace.volume.grid.spacing == (3.0, 0.7, 0.6)
    assert tuple(layer.scale) == (3.0, 0.7, 0.6)
    assert tuple(viewer.layers[MASKS].scale) == (3.0, 0.7, 0.6)
    assert viewer.layers[MASKS].metadata[KEY]["volume"].grid.spacing == (3.0, 0.7, 0.6)


def test_a_given_spacing_reaches_the_axes_of_the_file(viewer, workspace):
    # Stored as x, y, z: the displayed Z is the file's last axis.
    grid = Grid((7, 6, 5), direction=(0, 0, -1, 0, 1, 0, 1, 0, 0))
    add_scan(viewer, Volume(np.zeros((7, 6, 5)), grid, spacing_known=False))
    shown = workspace.volume.grid.viewed(workspace.volume.grid.canonical_view()).shape
    assert workspace.volume.grid.shape == shown == (5, 6, 7)
    workspace.give_spacing((3.0, 2.0, 1.0))
    assert workspace.current.scan.source.grid.spacing == (1.0, 2.0, 3.0)
    assert workspace.volume.grid.spacing == (3.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("data", "keywords", "reason"),
    [
        (np.zeros((5, 6, 3), np.uint8), {"rgb": True}, "colour"),
        (np.zeros((2, 3, 4, 5)), {}, "4 axes"),
    ],
)
def test_what_is_no_scan_is_said_with_a_remedy(viewer, workspace, data, keywords, reason):
    viewer.add_image(data, **keywords)
    assert workspace.volume is None
    assert workspace.key is not None
    assert reason in workspace.problem


def test_each_scan_has_masks_of_its_own(viewer, workspace):
    first = add_scan(viewer, make_volume())
    workspace.labels()[0, 0, 0] = 1
    add_scan(viewer, make_volume())
    assert workspace.labels()[0, 0, 0] == 0
    workspace.choose(first)
    assert workspace.labels()[0, 0, 0] == 1


def test_a_stroke_of_the_brush_is_told_with_whose_voxels_it_changed(viewer, workspace):
    add_scan(viewer, make_volume())
    workspace.labels()[2, :, :3] = 4
    painted = []
    workspace.painted.connect(painted.append)
    masks = viewer.layers[MASKS]
    workspace.show_slice(Plane.AXIAL, 2)
    masks.brush_size = 1
    masks.paint((2, 1, 1), 9)
    assert painted == [(4, 9)]
    workspace.current.prompts.draw_boxes()
    viewer.layers["prompts: boxes"].add_rectangles(
        [np.array([[2, 0, 0], [2, 0, 3], [2, 3, 3], [2, 3, 0.0]])]
    )
    assert [o.id for o in workspace.prompts()] == [10]  # not the painted one's number
