from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sss._layers.conversion import KEY, layer_data_for
from napari_sss._layers.directions import EdgeLetters
from napari_sss._layers.masks_layer import MASKS
from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.workspace import Workspace
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.entering import enter_scan
from napari_sss.engine.project.project import Project
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, SlicePrompt
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


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "project") as project:
        project.add_class("organ")
        yield project


@pytest.fixture
def opened(viewer, workspace, project):
    """Open the case of the scan in view, as the panel does."""

    def open_case():
        case = enter_scan(project, workspace.volume).case
        session = project.open_case(case.id)
        workspace.attach(session)
        return session

    return open_case


def fill(session, object_id, box):
    """Enter a cuboid of the scan's own array as an object."""
    places = np.ravel_multi_index(np.mgrid[box].reshape(3, -1), session.state.shape)
    session.paint(LabelDiff.of_voxels(places, 0, object_id), class_id=1)


def test_the_opened_image_becomes_the_scan(viewer, workspace):
    assert workspace.key is None
    layer = add_scan(viewer, make_volume())
    assert workspace.image is layer
    assert workspace.volume.grid == GRID
    # The first voxel shown is the last one stored, along every axis.
    assert workspace.current.scan.volume.array[0, 0, 0] == 5 * 6 * 7 - 1


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


def test_masks_lie_on_the_scan_and_are_seen_without_a_copy(viewer, workspace, opened):
    layer = add_scan(viewer, make_volume())
    session = opened()
    assert MASKS not in viewer.layers  # there is nothing to show yet
    fill(session, 3, np.s_[4:5, 5:6, 5:6])
    workspace.redraw((slice(4, 5), slice(5, 6), slice(5, 6)))
    workspace.flush()
    masks = viewer.layers[MASKS]
    assert np.shares_memory(masks.data, session.labels)
    # Index i of an axis of n voxels is shown at n - 1 - i.
    assert np.argwhere(masks.data).tolist() == [[0, 0, 1]]
    assert tuple(masks.scale) == tuple(layer.scale) == (3.0, 2.0, 1.0)
    assert masks.metadata[KEY]["volume"].grid == GRID


def test_the_masks_of_a_case_are_there_when_it_is_opened(viewer, workspace, opened, project):
    add_scan(viewer, make_volume())
    fill(opened(), 3, np.s_[0:2, 0:2, 0:2])
    again = Workspace(ViewerModel())
    add_scan(again.viewer, make_volume())
    again.attach(project.open_case(1))
    assert np.count_nonzero(again.viewer.layers[MASKS].data == 3) == 8


def test_a_deleted_masks_layer_comes_back_with_its_masks(viewer, workspace, opened):
    add_scan(viewer, make_volume())
    session = opened()
    fill(session, 4, np.s_[1:2, 1:2, 1:2])
    workspace.attach(None)
    workspace.attach(session)
    lost = []
    workspace.lost.connect(lost.append)
    viewer.layers.remove(MASKS)
    assert lost == [MASKS]
    assert workspace.restore_masks()
    assert np.count_nonzero(viewer.layers[MASKS].data == 4) == 1
    assert not workspace.restore_masks()


def test_layers_of_a_scan_go_with_it(viewer, workspace, opened):
    first = add_scan(viewer, make_volume())
    session = opened()
    fill(session, 4, np.s_[1:2, 1:2, 1:2])
    workspace.show_prompts([ObjectPrompts(4, "organ", (SlicePrompt(1, Box(1, 1, 3, 3)),))])
    workspace.redraw((slice(1, 2),) * 3)
    while workspace.flush():
        pass
    closed = []
    workspace.closed.connect(closed.append)
    viewer.layers.remove(first)
    assert closed == [id(first)]
    assert list(viewer.layers) == []


def test_only_the_slice_in_view_is_redrawn(viewer, workspace, opened):
    add_scan(viewer, make_volume())
    session = opened()
    fill(session, 1, np.s_[0:1, 0:1, 0:1])
    workspace.attach(None)
    workspace.attach(session)
    workspace.show_slice(Plane.AXIAL, 2)
    drawn = []
    viewer.layers[MASKS].events.set_data.connect(lambda: drawn.append(1))
    workspace.redraw((slice(3, 5), slice(0, 6), slice(0, 7)))
    assert workspace.flush() is False
    assert drawn == []
    workspace.redraw((slice(0, 3), slice(0, 1), slice(0, 1)))
    workspace.flush()
    assert drawn == [1]
    workspace.flush()
    assert drawn == [1]


def test_prompts_are_turned_between_the_scan_and_its_layers(viewer, workspace):
    add_scan(viewer, make_volume())
    given = ObjectPrompts(1, "organ", (SlicePrompt(1, Box(0, 1, 2, 4)),))
    workspace.show_prompts([given])
    # Slice 1 of 5 is shown at 3; columns 0 and 1 of 7 at 5 and 6; rows 1 to 3 of 6 at 2 to 4.
    (shown,) = workspace.current.prompts.objects
    assert shown.prompts == (SlicePrompt(3, Box(5, 2, 7, 5)),)
    assert workspace.prompts() == (given,)


def test_prompts_that_are_shown_already_stay_as_they_are(viewer, workspace):
    add_scan(viewer, make_volume())
    given = ObjectPrompts(1, "organ", (SlicePrompt(1, Box(0.3, 1.1, 2.2, 4.7)),))
    workspace.show_prompts([given])
    while workspace.flush():
        pass
    changes = []
    viewer.layers["prompts: boxes"].events.data.connect(changes.append)
    workspace.show_prompts([given])
    while workspace.flush():
        pass
    assert changes == []


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
    # Slice 6 of 7 is the first one shown.
    assert workspace.view.index(layer, Plane.SAGITTAL) == 0
    assert workspace.shown_slice() == (Plane.SAGITTAL, 6)
    workspace.show_slice(Plane.AXIAL, 1)
    assert workspace.shown_slice() == (Plane.AXIAL, 1)
    viewer.dims.ndisplay = 3
    assert workspace.shown_slice() is None


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


def test_a_given_spacing_is_the_scans_the_layers_and_the_masks(viewer, workspace, opened):
    layer = viewer.add_image(np.zeros((4, 5, 6)))
    session = opened()
    fill(session, 1, np.s_[0:1, 0:1, 0:1])
    workspace.redraw((slice(0, 1),) * 3)
    workspace.flush()
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
    assert workspace.current.scan.volume.grid.shape == (5, 6, 7)
    workspace.give_spacing((3.0, 2.0, 1.0))
    assert workspace.volume.grid.spacing == (1.0, 2.0, 3.0)
    assert workspace.current.scan.volume.grid.spacing == (3.0, 2.0, 1.0)


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


def test_a_stroke_of_the_brush_is_handed_on_in_the_scans_own_axes(viewer, workspace, opened):
    add_scan(viewer, make_volume())
    session = opened()
    fill(session, 4, np.s_[2:3, 0:6, 4:7])
    workspace.redraw((slice(2, 3), slice(0, 6), slice(4, 7)))
    workspace.flush()
    painted = []
    workspace.painted.connect(painted.append)
    masks = viewer.layers[MASKS]
    workspace.show_slice(Plane.AXIAL, 2)
    masks.brush_size = 1
    masks.paint((2, 1, 1), 9)
    # The displayed voxel (2, 1, 1) is (4 - 2, 5 - 1, 6 - 1) of the file.
    (diff,) = painted
    assert diff.indices().tolist() == [np.ravel_multi_index((2, 4, 5), (5, 6, 7))]
    assert (diff.before.tolist(), diff.after.tolist()) == ([4], [9])


def test_a_view_is_found_again(viewer, workspace):
    layer = add_scan(viewer, make_volume())
    workspace.show_slice(Plane.CORONAL, 4)
    layer.contrast_limits = (3, 33)
    camera_of(viewer).zoom = 7.0
    state = workspace.view_state()
    workspace.show_slice(Plane.AXIAL, 0)
    layer.contrast_limits = (0, 100)
    workspace.restore_view(state)
    assert workspace.shown_slice() == (Plane.CORONAL, 4)
    assert tuple(layer.contrast_limits) == (3, 33)
    assert camera_of(viewer).zoom == 7.0
