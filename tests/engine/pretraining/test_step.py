"""One training step: finite, taught everywhere, and right about absence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sss.engine.models.architecture import build_sam2
from napari_sss.engine.models.sam2_model import Decoded, Sam2Model
from napari_sss.engine.pretraining.step import _answer_loss, _rough_mask, training_loss


@pytest.fixture
def fresh(tiny_architecture) -> Sam2Model:
    """A model of its own, in training mode."""
    torch.manual_seed(0)
    return Sam2Model(build_sam2(tiny_architecture).train(), tiny_architecture)


@pytest.mark.parametrize("slices", [1, 3])
def test_losses_are_finite_and_reach_the_network(fresh, discs, slices):
    taught: set[str] = set()
    for seed in range(6):
        rng, torch_rng = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        loss, iou = training_loss(fresh, discs(2, slices, 64), rng, torch_rng)
        fresh.net.zero_grad()
        loss.backward()
        assert torch.isfinite(loss)
        assert 0 <= iou <= 1
        for name, parameter in fresh.net.named_parameters():
            if parameter.grad is not None and bool(parameter.grad.any()):
                assert torch.isfinite(parameter.grad).all(), name
                taught.add(name.split(".")[0])
    parts = {"image_encoder", "sam_prompt_encoder", "sam_mask_decoder"}
    if slices > 1:
        parts |= {"memory_attention", "memory_encoder", "obj_ptr_proj", "maskmem_tpos_enc"}
    assert parts <= taught


def test_the_same_random_states_give_the_same_loss(fresh, discs):
    batch = discs(2, 3, 64)
    losses = [
        training_loss(fresh, batch, np.random.default_rng(4), torch.Generator().manual_seed(4))[
            0
        ].item()
        for _ in range(2)
    ]
    assert losses[0] == losses[1]


def decoded(logits: torch.Tensor, score: float, ious: list[list[float]]) -> Decoded:
    batch = len(logits)
    return Decoded(
        logits, torch.tensor(ious), torch.full((batch, 1), score), torch.zeros(batch, 1, 1)
    )


def test_a_slice_without_the_object_teaches_its_absence_alone(tiny_model):
    empty = torch.zeros(1, 64, 64)
    wrong = torch.full((1, 1, 16, 16), 20.0)
    # Rightly judged absent: neither the mask nor the IoU that it claims cost anything.
    assert _answer_loss(tiny_model, decoded(wrong, -20.0, [[0.9]]), empty).item() < 1e-6
    # Presence at even odds costs log 2.
    loss = _answer_loss(tiny_model, decoded(wrong, 0.0, [[0.9]]), empty).item()
    assert loss == pytest.approx(np.log(2))


def test_only_the_best_candidate_is_taught_but_all_learn_their_worth(tiny_model):
    target = torch.zeros(1, 64, 64)
    target[0, :32] = 1
    right = torch.full((16, 16), -50.0)
    right[:8] = 50.0
    logits = torch.stack([right, -right, -right])[None].requires_grad_()
    # IoU 1, 0 and 0 are claimed to be 1, 1/2 and 1/2: squared errors 0, 1/4, 1/4.
    loss = _answer_loss(tiny_model, decoded(logits, 50.0, [[1.0, 0.5, 0.5]]), target)
    loss.backward()
    assert loss.item() == pytest.approx(1 / 6, abs=0.02)  # upsampling blurs the edge
    assert logits.grad[0, 1:].abs().max() == 0


def test_a_rough_mask_is_the_target_more_or_less():
    target = torch.zeros(2, 64, 64)
    target[:, 16:48, 16:48] = 1
    small = torch.zeros(16, 16, dtype=torch.bool)
    small[4:12, 4:12] = True
    for seed in range(10):
        logits = _rough_mask(target, np.random.default_rng(seed))
        assert logits.shape == (2, 1, 16, 16)
        mask = logits[0, 0] > 0
        assert (mask & small).sum() / (mask | small).sum() > 0.6
        assert logits.abs().max() <= 12
