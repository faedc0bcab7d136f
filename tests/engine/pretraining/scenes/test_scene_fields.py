import math

import pytest
import torch

from napari_sss.engine.pretraining.scenes.draws import Draws
from napari_sss.engine.pretraining.scenes.fields import (
    blur_plane,
    smooth_field,
    spline_matrix,
)


def test_spline_weights_at_a_node_are_the_cubic_ones() -> None:
    """At t = 0 the cubic B-spline weighs its nodes 1/6, 4/6, 1/6, 0."""
    matrix = spline_matrix(5, 7)  # 5 places over 4 intervals: every place on a node
    assert matrix[1, 1:5].tolist() == pytest.approx([1 / 6, 4 / 6, 1 / 6, 0])
    assert matrix.sum(1).tolist() == pytest.approx([1.0] * 5)
    assert float(matrix.min()) >= 0


def test_too_few_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        spline_matrix(10, 3)


def test_fields_have_variance_one_and_are_smooth() -> None:
    fields = [smooth_field(Draws(7, k), (8, 64, 64), (4.0, 1.0, 1.0), 8.0) for k in range(6)]
    stacked = torch.stack(fields)
    assert float(stacked.std()) == pytest.approx(1.0, abs=0.1)
    assert float(stacked.mean()) == pytest.approx(0.0, abs=0.15)
    # Nodes 8 mm apart on pixels of 1 mm: neighbours are nearly alike.
    assert float(stacked.diff(dim=3).std()) < 0.25


def test_blur_keeps_the_sum_and_spreads_a_point_as_a_gaussian() -> None:
    image = torch.zeros(1, 21, 21)
    image[0, 10, 10] = 1.0
    blurred = blur_plane(image, 1.0)
    assert float(blurred.sum()) == pytest.approx(1.0, abs=1e-5)
    # Along x the weights one pixel away are exp(-1/2) of those in the middle.
    assert float(blurred[0, 10, 11] / blurred[0, 10, 10]) == pytest.approx(math.exp(-0.5))


def test_blur_in_one_direction_alone() -> None:
    image = torch.zeros(1, 9, 9)
    image[0, 4, 4] = 1.0
    blurred = blur_plane(image, 0.0, 1.0)
    assert float(blurred[0, 3].abs().sum()) == 0.0
    assert float(blurred[0, 4, 3]) > 0.2
