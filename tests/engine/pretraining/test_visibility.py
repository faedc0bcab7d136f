"""How visible a border is, on pictures whose contrast and noise are known."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.pretraining.visibility import CLEAR, FAINTEST, border_visibility


@pytest.fixture
def half() -> torch.Tensor:
    target = torch.zeros(64, 64)
    target[:, 32:] = 1.0
    return target


def test_contrast_without_noise_is_counted_in_the_faintest_steps(half):
    grey = 0.4 + 0.03 * half
    # The two sides differ by 0.03 and spread by nothing: 0.03 / (0 + 0.03) = 1.
    assert border_visibility(grey, half) == pytest.approx(0.03 / FAINTEST, abs=1e-2)


def test_noise_hides_a_border(half):
    noise = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    grey = 0.4 + 0.2 * half
    # 0.2 / (0.1 + 0.03) = 1.54 and 0.2 / (0.4 + 0.03) = 0.47, within the noise of the means.
    assert border_visibility(grey + 0.1 * noise, half) == pytest.approx(1.54, abs=0.2)
    assert border_visibility(grey + 0.4 * noise, half) == pytest.approx(0.47, abs=0.2)


def test_a_clear_border_is_cut_at_the_limit(half):
    assert border_visibility(half.clone(), half) == pytest.approx(CLEAR)


def test_what_looks_like_its_surroundings_is_not_visible(half):
    assert border_visibility(torch.full((64, 64), 0.5), half) == 0.0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_a_border_nothing_is_visible(value):
    picture = torch.rand(64, 64, generator=torch.Generator().manual_seed(1))
    assert border_visibility(picture, torch.full((64, 64), value)) == 0.0


def test_only_the_border_counts(half):
    far = 0.4 + 0.03 * half
    far[:, :8] = 1.0  # further from the border than a neighbourhood
    assert border_visibility(far, half) == pytest.approx(1.0, abs=1e-2)
