"""Mixtures carry everything of a pixel; channels are dropped complementarily."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.training.data.mixing import (
    Targets,
    View,
    complementary_dropout,
    cutmix_boxes,
    mix_features,
)
from napari_sss.engine.training.strategies.bcp import paste_box


def numbered(first: int, shape=(2, 2, 2)) -> torch.Tensor:
    count = int(torch.tensor(shape).prod())
    return torch.arange(first, first + count).reshape(shape)


def test_a_mixture_takes_image_label_confidence_ignore_and_object_alike():
    own = Targets(numbered(0), numbered(0) / 100, numbered(0) % 2 == 0, numbered(10).int())
    partner = Targets(
        numbered(50), numbered(50) / 100, numbered(1) % 2 == 0, numbered(80).int()
    )
    take = torch.zeros(2, 2, 2, dtype=torch.bool)
    take[0, 0, 1] = take[1, 1, 0] = True
    mixed = own.mixed(partner, take)
    assert mixed.labels.flatten().tolist() == [0, 51, 2, 3, 4, 5, 56, 7]
    assert mixed.confidence.flatten().tolist() == pytest.approx(
        [0.0, 0.51, 0.02, 0.03, 0.04, 0.05, 0.56, 0.07]
    )
    # Own: even ones are ignored; the partner's: odd ones.
    assert mixed.ignore.flatten().int().tolist() == [1, 1, 1, 0, 1, 0, 0, 0]
    assert mixed.objects.flatten().tolist() == [10, 81, 12, 13, 14, 15, 86, 17]
    grey = View(grey=numbered(0).float()).mixed(View(grey=numbered(50).float()), take)
    assert grey.grey.flatten().tolist() == [0, 51, 2, 3, 4, 5, 56, 7]


def test_the_partner_is_the_batch_in_reverse():
    view = View(grey=numbered(0).float())
    assert view.flipped_batch().grey[0].flatten().tolist() == [4, 5, 6, 7]
    features = Features(tuple(torch.arange(3.0).reshape(3, 1, 1, 1) for _ in range(3)))
    assert View(features=features).flipped_batch().features.levels[2].flatten().tolist() == [
        2, 1, 0,
    ]  # fmt: skip


def test_features_are_mixed_in_the_cells_of_the_box():
    # Side 32, so levels of 8, 4 and 2 cells; the box is the upper right quarter.
    own = Features(tuple(torch.zeros(1, 1, s, s) for s in (8, 4, 2)))
    partner = Features(tuple(torch.ones(1, 1, s, s) for s in (8, 4, 2)))
    take = torch.zeros(1, 32, 32, dtype=torch.bool)
    take[:, :16, 16:] = True
    mixed = mix_features(own, partner, take)
    for level, side in zip(mixed.levels, (8, 4, 2), strict=True):
        expected = torch.zeros(side, side)
        expected[: side // 2, side // 2 :] = 1
        assert torch.equal(level[0, 0], expected)


def test_cutmix_boxes_keep_to_cells_and_to_their_probability():
    generator = torch.Generator().manual_seed(0)
    boxes = cutmix_boxes(400, 128, 0.5, generator)
    areas = boxes.float().mean(dim=(1, 2))
    assert float((areas > 0).float().mean()) == pytest.approx(0.5, abs=0.08)
    # 2 to 40 % of 64 cells, with rounding of each side by half a cell at most.
    assert float(areas[areas > 0].min()) >= 1 / 64
    assert float(areas.max()) < 0.55
    cells = boxes[:, ::16, ::16]
    assert torch.equal(boxes, cells.repeat_interleave(16, 1).repeat_interleave(16, 2))
    for box in cells[areas > 0][:50]:
        rows, columns = box.any(1).sum(), box.any(0).sum()
        assert int(box.sum()) == int(rows * columns)


def test_no_cutmix_with_probability_zero():
    assert not cutmix_boxes(8, 64, 0.0, torch.Generator()).any()


def test_dropout_is_complementary_on_half_of_the_samples():
    ones = Features(tuple(torch.ones(8, 16, s, s) for s in (4, 2, 1)))
    one, two = complementary_dropout(ones, ones, torch.Generator().manual_seed(0))
    for a, b in zip(one.levels, two.levels, strict=True):
        assert torch.equal(a + b, torch.full_like(a, 2.0))  # m + (2 - m)
        dropped = (a != 1).flatten(1).any(dim=1)
        assert int(dropped.sum()) == 4
        assert set(a[dropped].unique().tolist()) == {0.0, 2.0}
        # A channel is dropped as a whole.
        assert torch.equal(a, a[:, :, :1, :1].expand_as(a))
    kept = [(level != 1).flatten(1).any(dim=1) for level in one.levels]
    assert torch.equal(kept[0], kept[1])


def test_bcp_pastes_two_thirds_of_the_side():
    box = paste_box(5, 96, torch.Generator().manual_seed(0))
    # 6 cells a side, of which 4 are pasted.
    assert box.sum(dim=(1, 2)).tolist() == [64 * 64] * 5
