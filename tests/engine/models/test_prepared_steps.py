"""Decoding and memory arranged for inference beside the network's own, used for training."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.models.architecture import build_sam2
from napari_sss.engine.models.prepared_memory import KEPT
from napari_sss.engine.models.sam2_model import (
    Decoded,
    Features,
    MemoryBank,
    PointPrompts,
    Sam2Model,
)

CLICKS = PointPrompts(
    torch.tensor([[[20.0, 30.0], [50.0, 10.0]], [[10.0, 12.0], [40.0, 44.0]]]),
    torch.tensor([[1, 0], [2, 3]], dtype=torch.int32),
)


@pytest.fixture(params=["embedded", "official", "official, giving way"])
def model(request, tiny_architecture) -> Sam2Model:
    embedded = request.param == "embedded"
    architecture = tiny_architecture.model_copy(
        update={
            "drawn_prompts": embedded,
            "multimask_tracking": not embedded,
            "memory_layers": 2,
            # 2: no mask is ever that stable, so that every single one gives way.
            "fallback_stability": 2.0 if "giving way" in request.param else 0.0,
        }
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_sam2(architecture).eval()
        for parameter in net.parameters():
            if parameter.ndim == 1:  # biases and scales, which begin at zeros and ones
                torch.nn.init.normal_(parameter, std=0.2)
    return Sam2Model(net, architecture)


@pytest.fixture
def features(model) -> Features:
    grey = torch.rand(2, 64, 64, generator=torch.Generator().manual_seed(1))
    with model.inference():
        return model.encode(grey)


def alike(ours: Decoded, own: Decoded) -> None:
    for name in ("logits", "ious", "object_score", "pointers"):
        one, other = getattr(ours, name), getattr(own, name).detach()
        assert one.shape == other.shape
        assert not one.requires_grad
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prompts", [None, CLICKS], ids=["unprompted", "clicks"])
@pytest.mark.parametrize("with_mask", [False, True], ids=["no mask", "mask"])
@pytest.mark.parametrize("multimask", [False, True], ids=["one", "three"])
def test_decoding(model, features, prompts, with_mask, multimask):
    mask = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    arguments = (
        features,
        model.without_memory(features).detach(),
        prompts,
        mask if with_mask else None,
    )
    own = model.decode(*arguments, multimask=multimask)
    assert own.logits.requires_grad
    assert own.logits.std() > 0.01
    with model.inference():
        alike(model.decode(*arguments, multimask=multimask), own)


@pytest.fixture
def bank(model, features) -> MemoryBank:
    """Slices 3 and 9 prompted, 4 to 8 tracked; each remembered differently."""
    found = MemoryBank()
    random = torch.Generator().manual_seed(3)
    with model.inference():
        for index in range(3, 10):
            decoded = model.decode(features, model.without_memory(features), CLICKS)
            noise = torch.randn(decoded.logits.shape, generator=random)
            decoded = Decoded(
                decoded.logits + noise,
                decoded.ious,
                decoded.object_score,
                decoded.pointers + torch.randn(decoded.pointers.shape, generator=random),
            )
            kept = found.prompted if index in (3, 9) else found.tracked
            kept[index] = model.remember(features, decoded, prompted=index in (3, 9))
    return found


@pytest.mark.parametrize(
    ("index", "backwards"),
    # The last memory; one missing between; before and behind a prompted slice, both ways.
    [(9, False), (10, False), (3, True), (2, True), (6, False), (6, True), (30, False)],
)
def test_memory(model, features, bank, index, backwards):
    keywords = {"backwards": backwards, "slices": 40}
    own = model.with_memory(features, bank, index, **keywords)
    assert own.requires_grad
    with model.inference():
        ours = model.with_memory(features, bank, index, **keywords)
        again = model.with_memory(features, bank, index, **keywords)
    torch.testing.assert_close(ours, own.detach(), rtol=1e-4, atol=1e-5)
    assert torch.equal(ours, again)


def test_queries_in_parts(model, features, bank, monkeypatch):
    with model.inference():
        whole = model.with_memory(features, bank, 9, backwards=False, slices=40)
        monkeypatch.setattr("napari_sss.engine.models.prepared_memory.AT_ONCE", 500)
        parts = model.with_memory(features, bank, 9, backwards=False, slices=40)
    torch.testing.assert_close(parts, whole)


def test_changed_weights_are_noticed(model, features, bank):
    def check() -> tuple[torch.Tensor, torch.Tensor]:
        pixels = model.with_memory(features, bank, 9, backwards=False, slices=40)
        own = model.decode(features, pixels, CLICKS)
        with model.inference():
            ours = model.with_memory(features, bank, 9, backwards=False, slices=40)
            torch.testing.assert_close(ours, pixels.detach(), rtol=1e-4, atol=1e-5)
            alike(model.decode(features, ours, CLICKS), own)
        return ours, own.logits.detach()

    before = check()
    with torch.no_grad():
        model.net.memory_attention.layers[0].cross_attn_image.k_proj.weight.mul_(3)
        model.net.maskmem_tpos_enc.add_(1)
        for mlp in model.net.sam_mask_decoder.output_hypernetworks_mlps:
            mlp.layers[0].bias.add_(1)
    after = check()
    assert not torch.allclose(before[0], after[0], atol=1e-4)
    assert not torch.allclose(before[1], after[1], atol=1e-4)


def test_keys_are_kept_no_longer_than_they_are_read(model, features, bank):
    """Three memories: on slice 8 the prompted one, 7 and 6 are read, and 5 no more."""
    with model.inference():
        for index in (7, 8):
            model.with_memory(features, bank, index, backwards=False, slices=40)
    assert [index for index, memory in bank.tracked.items() if KEPT in memory] == [6, 7]
