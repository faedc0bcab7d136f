import pytest
import torch

from napari_sss.engine.pretraining.scenes.appearance import Palette, Tissue
from napari_sss.engine.pretraining.scenes.canvas import Canvas, coverage
from napari_sss.engine.pretraining.scenes.draws import Draws
from napari_sss.engine.pretraining.scenes.shapes import (
    ellipsoid,
    grown,
    half_space,
    intersection,
    inverted,
    placed,
    rotation,
    star,
    tube,
    union,
    without,
)


@pytest.fixture
def canvas() -> Canvas:
    """A straight canvas of 2 x 1 x 1 mm voxels, its middle at the origin."""
    return Canvas(Draws(1), (9, 41, 41), (2.0, 1.0, 1.0), Palette(Draws(2), "CT"), bend=0.0)


def test_coverage_of_a_plane_is_the_share_of_the_voxel_inside() -> None:
    """Voxel centres at x = 0 to 4; a plane at 1.75 leaves voxel 2 (1.5 to 2.5) a quarter."""
    x = torch.arange(5.0).expand(3, 3, 5)
    share = coverage(x - 1.75)[1, 1]
    assert share.tolist() == pytest.approx([1, 1, 0.25, 0, 0], abs=1e-4)


def test_blur_widens_the_transition() -> None:
    """Four times as wide: the share falls by a quarter per voxel instead of by one."""
    x = torch.arange(9.0).expand(3, 3, 9)
    share = coverage(x - 4.0, blur=4.0)[1, 1]
    assert share.tolist() == pytest.approx([1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0], abs=1e-4)


def test_a_ball_has_its_volume_and_its_tissue(canvas: Canvas) -> None:
    """4/3 pi 8^3 = 2145 mm3 are 1072 voxels of 2 mm3."""
    label = canvas.new_label()
    canvas.paint(ellipsoid((8.0, 8.0, 8.0)), Tissue(50.0), label)
    assert int((canvas.labels == label).sum()) == pytest.approx(1072, rel=0.06)
    assert float(canvas.image[4, 20, 20]) == 50.0
    assert float(canvas.image[0, 0, 0]) == -1000.0


def test_a_later_shape_covers_an_earlier_one_and_may_erase_its_label(canvas: Canvas) -> None:
    ball = ellipsoid((8.0, 12.0, 12.0))
    label = canvas.new_label()
    canvas.paint(ball, Tissue(50.0), label)
    canvas.paint(grown(ball, -0.5), Tissue(80.0), None)
    assert int(canvas.labels[4, 20, 20]) == label
    assert float(canvas.image[4, 20, 20]) == 80.0
    canvas.paint(grown(ball, -0.5), Tissue(20.0), 0)
    assert int(canvas.labels[4, 20, 20]) == 0
    assert int(canvas.labels[4, 20, 30]) == label


def test_small_bodies_between_the_places_first_looked_at_are_found(canvas: Canvas) -> None:
    for y, x in ((-14.0, 3.0), (3.0, 3.0), (9.0, -15.0)):
        label = canvas.new_label()
        canvas.paint(placed(ellipsoid((2.5, 1.6, 1.6)), (0.0, y, x)), Tissue(0.0), label)
        assert int((canvas.labels == label).sum()) >= 5


def test_groups_name_two_or_more_objects(canvas: Canvas) -> None:
    canvas.group(1, None)
    canvas.group(2, 1, 2)
    assert canvas.groups == [(1, 2)]


def test_rotations_keep_lengths_and_place_bodies(canvas: Canvas) -> None:
    turn = rotation(0.3, 0.5, -0.2)
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-6)
    # A rod along x (half-axes 2, 2, 15), turned by 90 degrees in plane, lies along y.
    label = canvas.new_label()
    rod = placed(ellipsoid((2.0, 2.0, 15.0)), (0.0, 0.0, 0.0), rotation(torch.pi / 2))
    canvas.paint(rod, Tissue(0.0), label)
    plane = canvas.labels[4] == label
    assert bool(plane[10, 20])
    assert not bool(plane[20, 10])


def test_sets_of_shapes(canvas: Canvas) -> None:
    left, right = half_space((0.0, 0.0, 1.0), 0.0), half_space((0.0, 0.0, -1.0), 0.0)
    points = canvas.points
    assert bool((union(left, right)(points) <= 0).all())
    assert bool((intersection(left, right)(points) >= 0).all())
    assert torch.equal(inverted(left)(points), -left(points))
    # A ball without its left half: nothing at x = -5, something at x = 5.
    half = without(ellipsoid((10.0, 10.0, 10.0)), left)(points)
    assert float(half[4, 20, 15]) > 0
    assert float(half[4, 20, 25]) < 0


def test_a_tube_has_its_radius_along_its_path(canvas: Canvas) -> None:
    """3 mm at one end and 5 mm at the other: 4 mm from the axis at the middle."""
    values = tube([(0.0, 0.0, -10.0), (0.0, 0.0, 10.0)], [3.0, 5.0])(canvas.points)
    assert float(values[4, 24, 20]) == pytest.approx(0.0, abs=1e-4)
    assert float(values[4, 20, 20]) == pytest.approx(-4.0, abs=1e-4)


def test_a_star_without_irregularity_is_an_ellipsoid(canvas: Canvas) -> None:
    radii = (6.0, 9.0, 12.0)
    body = star(Draws(3), radii, 0.0)(canvas.points)
    assert torch.allclose(body, ellipsoid(radii)(canvas.points), atol=1e-5)
