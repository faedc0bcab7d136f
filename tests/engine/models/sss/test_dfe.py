"""DFE against values worked out by hand, and what must hold for any features."""

from __future__ import annotations

import math

import pytest
import torch

from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.models.sss.dfe import (
    DiscriminativeFeatureEnhancement,
    PyramidEnhancement,
)


@pytest.fixture
def plain() -> DiscriminativeFeatureEnhancement:
    """Projection and convolution are the identity, the MLP doubles its input where positive.

    First layer: each of two channels is kept twice (C-2C). LayerNorm would change values, so
    it is replaced by nothing; ReLU stays. Last layer: the two copies are added.
    """
    dfe = DiscriminativeFeatureEnhancement(2)
    with torch.no_grad():
        dfe.project.weight.copy_(torch.eye(2)[:, :, None, None])
        dfe.project.bias.zero_()
        dfe.convolve.weight.zero_()
        dfe.convolve.weight[:, :, 1, 1] = torch.eye(2)
        dfe.convolve.bias.zero_()
    first, last = torch.nn.Linear(2, 4, bias=False), torch.nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.cat([torch.eye(2), torch.eye(2)]))
        last.weight.copy_(torch.cat([torch.eye(2), torch.eye(2)], dim=1))
    dfe.mlp = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    return dfe


def test_orthogonal_views_by_hand(plain):
    # One position. a = (1, 0), b = (0, 1): s = 0, w = sigmoid(0) = 1/2, MLP(x) = 2 relu(x).
    # F_adj = 1/2 (2, 0) + 1/2 (0, 2) + 1 * ((0, 1) - (1, 0)) = (1, 1) + (-1, 1) = (0, 2).
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    adjusted, similarity = plain(a.reshape(1, 2, 1, 1), b.reshape(1, 2, 1, 1))
    assert similarity.tolist() == [0.0]
    assert adjusted.flatten().tolist() == pytest.approx([0.0, 2.0])


def test_views_at_an_angle_by_hand(plain):
    # a = (1, 0), b = (3, 4): s = 3/5, w = sigmoid(0.6).
    # F_adj = w (2, 0) + (1 - w) (6, 8) + 0.4 * (2, 4).
    w = 1 / (1 + math.exp(-0.6))
    expected = [2 * w + 6 * (1 - w) + 0.8, 8 * (1 - w) + 1.6]
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([3.0, 4.0])
    adjusted, similarity = plain(a.reshape(1, 2, 1, 1), b.reshape(1, 2, 1, 1))
    assert similarity.item() == pytest.approx(0.6)
    assert adjusted.flatten().tolist() == pytest.approx(expected)


def test_similarity_is_that_of_global_averages(plain):
    # Two positions: a averages to (1, 0), b to (0, 1), though position by position they agree
    # nowhere and everywhere alike; the scalar holds for both positions.
    a = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)
    b = torch.tensor([[0.0, 0.0], [2.0, 0.0]]).reshape(1, 2, 1, 2)
    adjusted, similarity = plain(a, b)
    assert similarity.item() == 0.0
    # Position 0: 1/2 (4, 0) + 1/2 (0, 4) + (-2, 2) = (0, 4). Position 1: nothing.
    assert adjusted[0, :, 0, 0].tolist() == pytest.approx([0.0, 4.0])
    assert adjusted[0, :, 0, 1].tolist() == pytest.approx([0.0, 0.0])


def test_each_sample_has_its_own_similarity(plain):
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).reshape(2, 2, 1, 1)
    b = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).reshape(2, 2, 1, 1)
    _, similarity = plain(a, b)
    assert similarity.tolist() == pytest.approx([1.0, -1.0])


def test_one_view_is_the_formula_with_the_view_twice():
    torch.manual_seed(0)
    dfe = DiscriminativeFeatureEnhancement(4, 6)
    view = torch.randn(2, 4, 5, 5)
    once, similarity = dfe(view, view)
    twice, computed = dfe(view, view.clone())
    torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-5)
    assert similarity.tolist() == [1.0, 1.0]
    assert computed.tolist() == pytest.approx([1.0, 1.0])


def _pyramid(batch: int = 2, channels: int = 4) -> Features:
    sides = (8, 4, 2)
    return Features(tuple(torch.randn(batch, channels, s, s) for s in sides))


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("channels", [None, 6])
def test_shapes_and_gradients_on_every_scale(residual, channels):
    torch.manual_seed(0)
    enhancement = PyramidEnhancement(4, channels, residual=residual, layer_scale=0.1)
    first, second = _pyramid(), _pyramid()
    one, two, similarities = enhancement(first, second)
    for scale in range(3):
        assert one.levels[scale].shape == two.levels[scale].shape == first.levels[scale].shape
        assert similarities[scale].shape == (2,)
    sum(level.square().sum() for level in (*one.levels, *two.levels)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in enhancement.parameters())


def test_residual_adds_the_same_to_both_views():
    torch.manual_seed(0)
    enhancement = PyramidEnhancement(4, residual=True)
    first, second = _pyramid(), _pyramid()
    one, two, _ = enhancement(first, second)
    for scale in range(3):
        torch.testing.assert_close(
            one.levels[scale] - first.levels[scale], two.levels[scale] - second.levels[scale]
        )


def test_without_residual_the_output_stands_alone():
    torch.manual_seed(0)
    enhancement = PyramidEnhancement(4, residual=False)
    first, second = _pyramid(), _pyramid()
    one, two, _ = enhancement(first, second)
    for scale in range(3):
        adjusted, _ = enhancement.scales[scale](first.levels[scale], second.levels[scale])
        torch.testing.assert_close(one.levels[scale], adjusted)
        torch.testing.assert_close(two.levels[scale], adjusted)


def test_layer_scale_starts_small_and_learns():
    enhancement = PyramidEnhancement(4, layer_scale=0.0)
    first = _pyramid()
    one, same, _ = enhancement(first)
    assert one is same
    for scale in range(3):
        torch.testing.assert_close(one.levels[scale], first.levels[scale])
    assert enhancement.factors is not None
    assert all(f.requires_grad for f in enhancement.factors)


def test_the_first_views_half_made_once_gives_the_same():
    torch.manual_seed(0)
    enhancement = PyramidEnhancement(8, 4, layer_scale=0.5)
    weak, strong = (
        Features(tuple(torch.randn(2, 8, side, side) for side in (8, 4, 2))) for _ in range(2)
    )
    _, expected, s = enhancement(weak, strong)
    found, similarities = enhancement.second(enhancement.first_half(weak), strong)
    for one, two in zip(found.levels, expected.levels, strict=True):
        torch.testing.assert_close(one, two)
    torch.testing.assert_close(torch.stack(list(similarities)), torch.stack(list(s)))
