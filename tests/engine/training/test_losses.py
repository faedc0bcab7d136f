"""Losses on a few pixels, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from napari_sss.engine.models.sam2_model import Decoded
from napari_sss.engine.models.sss.segmenter import ObjectBoxes, PromptedMasks
from napari_sss.engine.training.data.mixing import Targets
from napari_sss.engine.training.losses import (
    consistency,
    cross_entropy,
    iou_loss,
    labelled_loss,
    prompted_mask_loss,
    soft_dice,
)


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, -1)


def targets(labels, confidence=None, ignore=None, objects=None) -> Targets:
    count = len(labels)
    return Targets(
        row(*labels).long(),
        row(*(confidence or [1.0] * count)),
        row(*(ignore or [0.0] * count)).bool(),
        row(*(objects or [0] * count)).int(),
    )


def logits(*pixels: tuple[float, ...]) -> torch.Tensor:
    """(1, K + 1, 1, pixels)."""
    return torch.tensor(pixels).T[None, :, None, :]


def test_cross_entropy_counts_the_sure_among_the_known():
    # Three pixels with even odds of two classes: ln 2 each. The second is not sure enough,
    # the third is ignored: ln 2 over two known pixels.
    even = logits((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    wanted = targets([0, 1, 1], [0.99, 0.9, 1.0], [0, 0, 1])
    assert float(cross_entropy(even, wanted, 0.95)) == pytest.approx(math.log(2) / 2)
    assert float(cross_entropy(even, wanted)) == pytest.approx(math.log(2))


def test_cross_entropy_of_nothing_is_zero_with_a_gradient():
    even = logits((0.0, 0.0)).requires_grad_()
    loss = cross_entropy(even, targets([1], ignore=[1]))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert even.grad.abs().sum() == 0


def test_soft_dice_by_hand():
    # Two pixels, certain up to rounding of the softmax: predicted 1 and 0, true 1 and 1.
    # Class 1: 2 * 1 / (1 + 2) = 2/3. Class 0: predicted one pixel, true none: 0.
    sure = logits((-30.0, 30.0), (30.0, -30.0))
    assert float(soft_dice(sure, targets([1, 1]))) == pytest.approx(
        ((1 - 2 / 3) + 1) / 2, abs=1e-4
    )


def test_soft_dice_leaves_ignored_pixels_out():
    sure = logits((-30.0, 30.0), (30.0, -30.0))
    # Without the second pixel class 1 is perfect, and class 0 is in neither: 0 loss.
    assert float(soft_dice(sure, targets([1, 1], ignore=[0, 1]))) == pytest.approx(0, abs=1e-4)


def test_labelled_loss_is_the_sum():
    some = logits((0.2, 0.5), (1.0, -1.0))
    wanted = targets([1, 0])
    expected = cross_entropy(some, wanted) + 2 * soft_dice(some, wanted)
    assert float(labelled_loss(some, wanted, 2.0)) == pytest.approx(float(expected))


class _SameSize:
    """Stands for a model whose masks are as large as its input."""

    @staticmethod
    def upsample(values: torch.Tensor) -> torch.Tensor:
        return values


def _masks(logits_: torch.Tensor, prompted: list[bool]) -> PromptedMasks:
    objects = ObjectBoxes(torch.tensor([0]), torch.tensor([1]), torch.zeros(1, 4))
    decoded = Decoded(logits_[:, :1], torch.tensor([[0.8]]), torch.ones(1, 1), torch.zeros(1))
    return PromptedMasks(objects, decoded, logits_, torch.tensor([prompted]))


def test_prompted_masks_by_hand():
    # Class 1 prompted, even odds on two pixels, true on the first. Cross-entropy ln 2.
    # Dice: overlap 1/2, total 1/4 + 1/4 + 1: 1 - (1 + 1) / (1.5 + 1) = 0.2. Class 2, which
    # is quite wrong, has no prompt and does not count.
    even = torch.zeros(1, 2, 1, 2)
    even[0, 1] = 50.0
    loss = prompted_mask_loss(_masks(even, [True, False]), targets([1, 0]), _SameSize())
    assert float(loss) == pytest.approx(math.log(2) + 0.2)


def test_prompted_masks_learn_only_where_the_pseudo_label_is_sure():
    even = torch.zeros(1, 1, 1, 2).requires_grad_()
    wanted = targets([1, 1], [0.99, 0.5])
    prompted_mask_loss(_masks(even, [True]), wanted, _SameSize(), 0.95).backward()
    assert even.grad[0, 0, 0, 0] != 0
    assert even.grad[0, 0, 0, 1] == 0


def test_iou_loss_by_hand():
    # The mask has pixels 0 and 1, the object 1 and 2: IoU 1/3; the decoder says 0.8.
    logits_ = torch.tensor([1.0, 1.0, -1.0]).reshape(1, 1, 1, 3)
    masks = _masks(logits_, [True])
    truth = replace(targets([0, 1, 1]), objects=row(0, 257, 257).int())
    loss = iou_loss(masks, truth, torch.tensor([257]), _SameSize())
    assert float(loss) == pytest.approx((0.8 - 1 / 3) ** 2)


def test_consistency_by_hand():
    # Even odds against (1, 0): both differ by a half.
    assert float(consistency(logits((0.0, 0.0)), logits((1.0, 0.0)))) == pytest.approx(0.25)


def test_losses_accept_half_precision():
    half = logits((0.2, 0.5), (1.0, -1.0)).bfloat16()
    assert labelled_loss(half, targets([1, 0]), 1.0).dtype == torch.float32
