import numpy as np
import pytest

from napari_sss._layers.directions import (
    EdgeLetters,
    axis_letters,
    dims_order,
    edge_letters,
    plane_shown,
)
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import Grid

# As displayed: slices from head to foot, rows from front to back, columns from the patient's
# right to the left. ITK's direction has the columns X, Y, Z; Z runs downwards.
CANONICAL = Grid((4, 5, 6), direction=(1, 0, 0, 0, 1, 0, 0, 0, -1))


def test_each_axis_runs_from_one_letter_to_the_other():
    assert [axis_letters(CANONICAL, a) for a in range(3)] == [
        ("S", "I"),
        ("A", "P"),
        ("R", "L"),
    ]


@pytest.mark.parametrize(
    ("plane", "letters"),
    [
        (Plane.AXIAL, EdgeLetters("R", "L", "A", "P")),
        (Plane.CORONAL, EdgeLetters("R", "L", "S", "I")),
        (Plane.SAGITTAL, EdgeLetters("A", "P", "S", "I")),
    ],
)
def test_radiologists_see_the_patients_left_on_the_right(plane, letters):
    assert edge_letters(CANONICAL, plane.row_axis, plane.column_axis) == letters


def test_a_flipped_camera_flips_the_letters():
    letters = edge_letters(CANONICAL, 1, 2, rows_downwards=False, columns_rightwards=False)
    assert letters == EdgeLetters("L", "R", "P", "A")


def test_oblique_axes_get_the_nearest_letter():
    tilt = np.deg2rad(30)
    c, s = np.cos(tilt), np.sin(tilt)
    tilted = Grid((4, 5, 6), direction=(1, 0, 0, 0, c, s, 0, s, -c))
    assert [axis_letters(tilted, a) for a in range(3)] == [("S", "I"), ("A", "P"), ("R", "L")]


def test_the_order_of_dims_leaves_leading_axes_alone():
    assert dims_order(Plane.SAGITTAL) == (2, 0, 1)
    assert dims_order(Plane.CORONAL, ndim=4) == (0, 2, 1, 3)


@pytest.mark.parametrize(
    ("displayed", "ndim", "plane"),
    [
        ((1, 2), 3, Plane.AXIAL),
        ((2, 0), 3, Plane.CORONAL),
        ((1, 2), 4, Plane.SAGITTAL),
        ((0, 1), 4, None),
        ((0, 1, 2), 3, None),
    ],
)
def test_the_plane_is_told_from_the_displayed_axes(displayed, ndim, plane):
    assert plane_shown(displayed, ndim) is plane
