import numpy as np
import pytest

from napari_sss._layers.prompt_shapes import box_corners, box_of, point_of, point_position
from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import Box, Plane, Point

SHAPE = (20, 30, 40)


def test_a_box_is_drawn_around_its_voxels():
    # Voxels x 5 to 7, y 2 to 3: the outline runs half a voxel outside of them.
    corners = box_corners(Box(5, 2, 8, 4), Plane.AXIAL, 9)
    assert corners.tolist() == [[9, 1.5, 4.5], [9, 1.5, 7.5], [9, 3.5, 7.5], [9, 3.5, 4.5]]


@pytest.mark.parametrize("plane", list(Plane))
def test_a_drawn_box_comes_back(plane):
    box = Box(5, 2, 8, 4)
    assert box_of(box_corners(box, plane, 9), SHAPE) == (plane, 9, box)


def test_a_box_drawn_by_hand_snaps_to_voxels():
    # Rows 1.6 to 4.4 lie half a voxel beyond 2.1 to 3.9: the voxels 2 to 4.
    corners = np.array([[3, 1.6, 0.2], [3, 1.6, 2.9], [3, 4.4, 2.9], [3, 4.4, 0.2]])
    assert box_of(corners, SHAPE) == (Plane.AXIAL, 3, Box(1, 2, 3, 5))


def test_a_box_is_cut_off_at_the_edge_of_the_scan():
    corners = box_corners(Box(-4, -4, 90, 90), Plane.AXIAL, 0)
    assert box_of(corners, SHAPE)[2] == Box(0, 0, 40, 30)


def test_a_click_without_a_drag_is_one_voxel():
    corners = np.tile([3.0, 6.0, 7.0], (4, 1))
    assert box_of(corners, SHAPE)[2] in (Box(7, 6, 8, 7), Box(8, 6, 9, 7), Box(7, 7, 8, 8))


@pytest.mark.parametrize(
    "corners",
    [
        box_corners(Box(50, 2, 60, 4), Plane.AXIAL, 3),  # beyond the last column
        box_corners(Box(5, 2, 8, 4), Plane.AXIAL, 20),  # beyond the last slice
        [[0, 0, 0], [4, 5, 5], [8, 9, 9], [2, 3, 3]],  # in no plane
    ],
)
def test_what_lies_outside_or_askew_is_refused(corners):
    with pytest.raises(PromptError):
        box_of(corners, SHAPE)


@pytest.mark.parametrize(
    ("plane", "position"),
    [(Plane.AXIAL, [9, 2, 5]), (Plane.CORONAL, [2, 9, 5]), (Plane.SAGITTAL, [2, 5, 9])],
)
def test_points_lie_in_their_plane(plane, position):
    point = Point(5, 2, positive=False)
    assert point_position(point, plane, 9).tolist() == position
    assert point_of(position, plane, positive=False) == (9, point)
