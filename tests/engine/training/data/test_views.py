"""Warps keep a slice and its maps together; strong views leave the geometry alone."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.training.data.feature_cache import FeatureCache
from napari_sss.engine.training.data.intensities import (
    biased,
    blurred,
    jittered,
    noisy,
    strong_intensities,
)
from napari_sss.engine.training.data.sampling import SliceBatch
from napari_sss.engine.training.data.views import FeatureViews, ImageViews
from napari_sss.engine.training.data.warps import Warp, WarpRange

CPU = torch.device("cpu")


def batch(count: int = 4, side: int = 32) -> SliceBatch:
    """Slices with a bright block, its label and its object."""
    grey = torch.zeros(count, side, side)
    grey[:, 8:20, 10:24] = 0.8
    labels = (grey > 0).to(torch.uint8)
    objects = labels.int() * 257
    return SliceBatch(tuple((0, i) for i in range(count)), grey, labels, objects)


def test_the_identity_changes_nothing():
    b = batch()
    warp = Warp.identity(4)
    torch.testing.assert_close(warp.images(b.grey), b.grey)
    assert torch.equal(warp.maps(b.labels, 0), b.labels)


def test_a_flip_by_hand():
    theta = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    values = torch.tensor([[[1, 2], [3, 4]]], dtype=torch.int32)
    assert Warp(theta).maps(values, 0).tolist() == [[[2, 1], [4, 3]]]


def test_beyond_the_border_stands_what_was_asked_for():
    shifted = Warp(torch.tensor([[[1.0, 0, 1.0], [0, 1, 0]]]))  # half a side to the left
    values = torch.tensor([[[5, 6], [7, 8]]], dtype=torch.int32)
    assert shifted.maps(values, 99).tolist() == [[[6, 99], [8, 99]]]


def test_slice_label_and_object_stay_together():
    views = ImageViews(WarpRange(), CPU, seed=1)
    view, targets = views.weak(batch(16))
    inside = targets.labels == 1
    assert view.grey[inside].mean() > 0.7
    assert view.grey[~inside].mean() < 0.05
    assert torch.equal(targets.objects > 0, inside)
    assert not targets.ignore.any()


def test_a_crop_lies_anywhere_inside_its_slice():
    limits = WarpRange(flips=False, turn=0.0, zoom=(2.0, 2.0), shift=0.0)
    theta = Warp.draw(500, limits, torch.Generator().manual_seed(0)).theta
    # Magnified by 2, a view shows half of the slice: its middle lies within -1/2 to 1/2.
    torch.testing.assert_close(theta[:, :, :2], (torch.eye(2) / 2).expand(500, 2, 2))
    assert 0.47 < float(theta[:, :, 2].abs().max()) <= 0.5
    whole = Warp.draw(9, WarpRange(False, 0.0, (1.0, 1.0), 0.0), torch.Generator()).theta
    torch.testing.assert_close(whole, torch.eye(2, 3).expand(9, 2, 3))


@pytest.mark.parametrize("perturb", [jittered, biased, blurred, noisy, strong_intensities])
def test_intensities_keep_the_shape_and_change_the_values(perturb):
    grey = batch(8).grey
    generator = torch.Generator().manual_seed(3)
    out = perturb(grey, generator)
    assert out.shape == grey.shape
    assert torch.isfinite(out).all()
    assert not torch.allclose(out, grey)


def test_strong_intensities_stay_in_range_and_repeat():
    grey = torch.rand(8, 32, 32)
    one, two = (strong_intensities(grey, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1


def test_blur_keeps_a_constant_and_the_sum_of_weights():
    flat = torch.full((2, 16, 16), 0.4)
    torch.testing.assert_close(blurred(flat, torch.Generator().manual_seed(0)), flat)


def encode(grey: torch.Tensor) -> Features:
    """Means of 4, 8 and 16 pixels, three channels."""
    levels = []
    for stride in (4, 8, 16):
        pooled = torch.nn.functional.avg_pool2d(grey[:, None], stride)
        levels.append(pooled.repeat(1, 3, 1, 1))
    return Features(tuple(levels))


def cache(megabytes: float = 8, variants: int = 3) -> FeatureCache:
    return FeatureCache(
        encode, variants=variants, limits=WarpRange(), seed=7, megabytes=megabytes
    )


def test_cached_features_are_those_of_the_warped_slice_and_so_are_the_targets():
    b = batch()
    kept = cache()
    views = FeatureViews(kept, 3, CPU, seed=2)
    view, targets = views.weak(b)
    finest = view.features.levels[0][:, 0]
    share = torch.nn.functional.avg_pool2d(targets.labels[:, None].float(), 4)[:, 0]
    # 0.8 grey inside: features and labels agree cell by cell.
    assert float((finest / 0.8 - share).abs().mean()) < 0.05


def test_the_first_variant_is_the_slice_itself():
    b = batch(1)
    found = cache().batch([(0, 0)], b.grey, [0])
    torch.testing.assert_close(found.levels[0], encode(b.grey).levels[0], rtol=0.01, atol=0.01)


def test_what_was_dropped_comes_back_bit_for_bit():
    b = batch(2)
    small = cache(megabytes=1e-5)
    first = small.batch([(0, 0), (0, 1)], b.grey, [2, 1])
    again = small.batch([(0, 0), (0, 1)], b.grey, [2, 1])
    assert small.encoded == 4  # there was room for one slice only
    assert all(torch.equal(x, y) for x, y in zip(first.levels, again.levels, strict=True))


def test_a_kept_slice_is_not_encoded_again():
    b = batch(2)
    kept = cache()
    for _ in range(3):
        kept.batch([(0, 0), (0, 1)], b.grey, [0, 2])
    assert kept.encoded == 2


def test_strong_views_on_features_scale_and_drop_channels():
    views = FeatureViews(cache(), 3, CPU, seed=4)
    view, _ = views.weak(batch(32))
    strong = views.strong(view)
    weak, noisy_ = view.features.levels[0], strong.features.levels[0]
    assert noisy_.shape == weak.shape
    lit = weak > 0.3
    assert float(noisy_[lit].std()) > 0
    lost = (noisy_ == 0).flatten(2).all(dim=2) & (weak > 0).flatten(2).any(dim=2)
    # Half of the slices lose half of their channels.
    assert float(lost.float().mean()) == pytest.approx(0.25, abs=0.12)


def test_a_restored_source_draws_the_same_views():
    one = ImageViews(WarpRange(), CPU, seed=1)
    one.weak(batch())
    two = ImageViews(WarpRange(), CPU, seed=99)
    two.restore(one.state())
    assert torch.equal(one.weak(batch())[0].grey, two.weak(batch())[0].grey)
