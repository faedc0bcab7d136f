"""Grids and views: where each voxel is, and that turning the axes moves none."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sss.engine.volumes.grid import AxisView, Grid

views = st.builds(
    AxisView,
    st.sampled_from(list(permutations(range(3)))),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
sizes = st.tuples(*[st.integers(1, 6)] * 3)
steps = st.floats(0.2, 9.0)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Any size, spacing, origin and rotation, left-handed ones too."""
    turn, _ = np.linalg.qr(
        draw(arrays(float, (3, 3), elements=st.floats(-1, 1))) + np.eye(3) * 3
    )
    if draw(st.booleans()):
        turn[:, 0] *= -1
    far = st.floats(-2000, 2000)
    return Grid(
        draw(sizes),
        draw(st.tuples(steps, steps, steps)),
        draw(st.tuples(far, far, far)),
        tuple(turn.reshape(-1)),
    )


def test_index_to_world_by_hand():
    # X axis of the array runs along world y, Y along world -x, Z along world z.
    grid = Grid((2, 3, 4), (5.0, 2.0, 0.5), (10.0, 20.0, 30.0), (0, -1, 0, 1, 0, 0, 0, 0, 1))
    # x = 10 - 2 * 2 (two rows), y = 20 + 0.5 * 3 (three columns), z = 30 + 5 * 1
    np.testing.assert_allclose(grid.index_to_world((1, 2, 3)), (6.0, 21.5, 35.0))
    np.testing.assert_allclose(grid.world_to_index((6.0, 21.5, 35.0)), (1, 2, 3))
    assert grid.voxel_ml == pytest.approx(0.005)


@given(grids())
def test_affine_gives_the_grid_back(grid):
    again = Grid.from_affine(grid.shape, grid.affine)
    assert again.distance_to(grid) < 1e-9


@given(grids(), views, st.data())
def test_a_view_moves_no_voxel(grid, view, data):
    numbers = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    seen, seen_grid = view.apply(numbers), grid.viewed(view)
    assert seen.shape == seen_grid.shape
    index = tuple(data.draw(st.integers(0, n - 1)) for n in seen.shape)
    source = np.unravel_index(seen[index], grid.shape)
    np.testing.assert_allclose(
        seen_grid.index_to_world(index), grid.index_to_world(source), rtol=0, atol=1e-9
    )


@given(sizes, views)
def test_undo_is_the_inverse_of_apply(shape, view):
    numbers = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(view.undo(view.apply(numbers)), numbers)
    assert np.shares_memory(view.apply(numbers), numbers)


@given(grids())
def test_canonical_view_runs_to_the_feet_the_back_and_the_left(grid):
    seen = grid.viewed(grid.canonical_view())
    steps = np.asarray(seen.direction).reshape(3, 3)[:, ::-1]  # columns: Z, Y, X of the array
    # Each axis runs in the wanted sense along its own world axis: z falls, y and x grow.
    assert steps[2, 0] <= 1e-12
    assert steps[1, 1] >= -1e-12
    assert steps[0, 2] >= -1e-12


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_all_48_orders_are_recognised(order, flips):
    grid = Grid((4, 5, 6), (3.0, 1.0, 0.5), (7.0, -8.0, 9.0))
    view = AxisView(order, flips)
    assert grid.view_onto(grid.viewed(view)) == view


def test_view_onto_refuses_another_grid():
    grid = Grid((4, 5, 6), (3.0, 1.0, 0.5))
    assert grid.view_onto(Grid((4, 5, 6), (3.0, 1.0, 0.5), (0.01, 0, 0))) is None
    assert grid.view_onto(Grid((4, 5, 7), (3.0, 1.0, 0.5))) is None
    assert grid.view_onto(Grid((4, 5, 6), (3.0, 1.0, 0.6))) is None
    sin, cos = np.sin(np.deg2rad(10)), np.cos(np.deg2rad(10))
    assert (
        grid.view_onto(
            Grid((4, 5, 6), (3.0, 1.0, 0.5), direction=(cos, -sin, 0, sin, cos, 0, 0, 0, 1))
        )
        is None
    )


def test_oblique_is_more_than_a_tenth_of_a_degree():
    for degrees, oblique in ((0.05, False), (0.2, True), (90.0, False)):
        sin, cos = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
        assert (
            Grid((1, 1, 1), direction=(cos, -sin, 0, sin, cos, 0, 0, 0, 1)).is_oblique
            == oblique
        )


def test_distance_is_that_of_the_worst_corner():
    # Only x differs: three columns further, 0.5 mm each.
    distance = Grid((2, 3, 4)).distance_to(Grid((2, 3, 4), (1.0, 1.0, 1.5)))
    assert distance == pytest.approx(1.5)
    assert Grid((2, 3, 4)).distance_to(Grid((2, 3, 5))) == np.inf
