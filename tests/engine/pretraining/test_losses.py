"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from napari_sss.engine.pretraining.losses import dice_losses, hard_iou, mask_losses

# Of 2 x 2 pixels one belongs.
TARGET = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])


def test_dice_of_an_undecided_mask():
    # p = 1/2 everywhere: overlap 1/2, squares 4/4 + 1 = 2; 1 - (2/2 + 1) / (2 + 1) = 1/3.
    loss = dice_losses(torch.zeros(1, 1, 2, 2), TARGET[:, None])
    assert loss.item() == pytest.approx(1 / 3)


def test_dice_of_the_right_the_empty_and_the_wrong_mask():
    right = torch.where(TARGET > 0, 50.0, -50.0)[:, None]
    assert dice_losses(right, TARGET[:, None]).item() == pytest.approx(0)
    # Nothing found: 1 - 1 / (1 + 1) = 1/2; all that is wrong: 1 - 1 / (3 + 1 + 1) = 4/5.
    assert dice_losses(torch.full_like(right, -50.0), TARGET[:, None]).item() == pytest.approx(
        1 / 2
    )
    assert dice_losses(-right, TARGET[:, None]).item() == pytest.approx(4 / 5)


def test_an_empty_mask_of_nothing_costs_nothing():
    assert dice_losses(torch.full((1, 1, 2, 2), -50.0), torch.zeros(1, 1, 2, 2)).item() == 0


def test_foreground_and_background_weigh_the_same():
    # One of four belongs: the weight of its pixel is (3/4) / (1/4) = 3, as much as the three
    # others together. All judged outside with probability 1/2: entropy log 2 each.
    loss = mask_losses(torch.zeros(1, 1, 2, 2), TARGET)
    assert loss.item() == pytest.approx(2 * math.log(2) + 1 / 3)
    # Logit a inside and b outside: entropy (3 softplus(-a) + 3 softplus(b)) / 6.
    logits = torch.where(TARGET > 0, 2.0, -1.0)[:, None]
    entropy = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    expected = 2 * entropy + dice_losses(logits, TARGET[:, None]).item()
    assert mask_losses(logits, TARGET).item() == pytest.approx(expected)


def test_the_balance_is_capped_at_five():
    # One of 64 belongs: the weight would be 63, and is 5 of 5 + 63.
    target = torch.zeros(1, 8, 8)
    target[0, 0, 0] = 1
    logits = torch.where(target > 0, 0.0, -50.0)[:, None]
    dice = dice_losses(logits, target[:, None]).item()
    assert mask_losses(logits, target).item() == pytest.approx(
        2 * 5 * math.log(2) / 68 + dice, rel=1e-4
    )


def test_large_objects_are_not_weakened():
    # Three of four belong: a weight of 1/3 would blur their border; it stays 1.
    target = torch.ones(1, 2, 2)
    target[0, 0, 0] = 0
    logits = torch.where(target > 0, 0.0, -50.0)[:, None]
    dice = dice_losses(logits, target[:, None]).item()
    assert mask_losses(logits, target).item() == pytest.approx(2 * 3 * math.log(2) / 4 + dice)


def test_every_candidate_mask_has_its_own_loss():
    logits = torch.stack([torch.where(TARGET[0] > 0, v, -v) for v in (5.0, 0.0, -5.0)])[None]
    losses = mask_losses(logits, TARGET)
    assert losses.shape == (1, 3)
    assert losses[0, 0] < losses[0, 1] < losses[0, 2]


def test_iou_by_counting():
    mask = torch.tensor([[[[5.0, 5.0], [-5.0, -5.0]]]])
    # Two pixels found, one of them right, none missed: 1/2.
    assert hard_iou(mask, TARGET).item() == 0.5
    assert hard_iou(-mask, TARGET).item() == 0
    # Half a pixel does not belong.
    assert hard_iou(mask, 0.5 * TARGET).item() == 0
    assert hard_iou(torch.full_like(mask, -1.0), torch.zeros_like(TARGET)).item() == 1
