"""SAM-2 with a semantic head: shapes, gradients, unions of objects, LoRA, files."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from napari_sss.engine.errors import ModelError
from napari_sss.engine.models.architecture import build_sam2
from napari_sss.engine.models.sam2_model import Decoded, Features
from napari_sss.engine.models.sss.head import SemanticHead
from napari_sss.engine.models.sss.lora import merged_state
from napari_sss.engine.models.sss.memory_bank import SelfSortingMemoryBank
from napari_sss.engine.models.sss.segmenter import (
    ObjectBoxes,
    PromptedMasks,
    Segmenter,
    SegmenterConfig,
    prompted_probabilities,
)
from napari_sss.engine.models.sss.trained import TrainedFacts, load_trained, save_trained


@pytest.fixture
def segmenter(tiny_model) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(copy.deepcopy(tiny_model), SegmenterConfig(classes=2, dfe=True))


def boxes() -> ObjectBoxes:
    """Two objects of class 1 on the first slice, one of class 2 on the second."""
    return ObjectBoxes(
        torch.tensor([0, 0, 1]),
        torch.tensor([1, 1, 2]),
        torch.tensor([[8.0, 8, 24, 24], [40.0, 40, 56, 56], [10.0, 20, 50, 60]]),
    )


def test_a_box_becomes_its_corners_and_point():
    prompts = ObjectBoxes(
        torch.tensor([0]),
        torch.tensor([1]),
        torch.tensor([[4.0, 6, 10, 12]]),
        torch.tensor([[6.5, 8.5]]),
    ).as_points()
    # The edges lie half a pixel before the centres of the first pixels.
    assert prompts.coordinates.tolist() == [[[3.5, 5.5], [9.5, 11.5], [6.5, 8.5]]]
    assert prompts.labels.tolist() == [[2, 3, 1]]


def test_everything_that_should_learn_gets_a_gradient(segmenter):
    segmenter.train()
    pyramid = segmenter.encode(torch.rand(2, 64, 64))
    assert [tuple(level.shape) for level in pyramid.levels] == [
        (2, 32, 16, 16),
        (2, 32, 8, 8),
        (2, 32, 4, 4),
    ]
    enhanced = segmenter.enhance(pyramid)
    logits = segmenter.classify(enhanced)
    assert logits.shape == (2, 3, 64, 64)
    masks = segmenter.decode(enhanced, boxes())
    assert masks.logits.shape == (2, 2, 16, 16)
    assert masks.prompted.tolist() == [[True, False], [False, True]]
    (logits.square().mean() + masks.decoded.logits.square().mean()).backward()
    for part in (segmenter.head, segmenter.dfe, segmenter.net.image_encoder.trunk):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    # The convolutions that SAM-2 runs with its encoder learn here with the decoder.
    assert segmenter.net.sam_mask_decoder.conv_s0.weight.grad.abs().sum() > 0


def test_objects_of_a_class_are_united_by_their_largest_logit(segmenter):
    pyramid = segmenter.encode(torch.rand(2, 64, 64))
    masks = segmenter.decode(pyramid, boxes())
    union = torch.maximum(masks.decoded.logits[0, 0], masks.decoded.logits[1, 0])
    torch.testing.assert_close(masks.logits[0, 0], union)
    torch.testing.assert_close(masks.logits[1, 1], masks.decoded.logits[2, 0])
    assert masks.logits[0, 1].max() < -1000


def test_memories_inform_only_their_class(segmenter):
    segmenter.eval()
    with torch.no_grad():
        pyramid = segmenter.encode(torch.rand(2, 64, 64))
        plain = segmenter.decode(pyramid, boxes())
        entries = segmenter.memories(pyramid, plain)
        bank = SelfSortingMemoryBank()
        bank.insert(entries[2])
        informed = segmenter.decode(
            pyramid, boxes(), {1: SelfSortingMemoryBank(), 2: bank},
            generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
    assert entries[0].memory.shape == (16, 4, 4)
    assert entries[0].embedding.shape == (32, 4, 4)
    torch.testing.assert_close(informed.decoded.logits[:2], plain.decoded.logits[:2])
    assert not torch.allclose(informed.decoded.logits[2], plain.decoded.logits[2])


def test_prompted_probabilities_by_hand():
    # One pixel block, two classes. Class 1 is prompted with logit 0, so p = 1/2; class 2 is
    # not and keeps the head's 0.2. Background: 1/2 * 0.8 = 0.4. Sum 1.1.
    logits = torch.tensor([[0.0, -1e4]]).reshape(1, 2, 1, 1)
    decoded = Decoded(logits[:, :1], torch.ones(1, 1), torch.ones(1, 1), torch.zeros(1, 1, 4))
    objects = ObjectBoxes(torch.tensor([0]), torch.tensor([1]), torch.zeros(1, 4))
    masks = PromptedMasks(objects, decoded, logits, torch.tensor([[True, False]]))
    semantic = torch.tensor([0.7, 0.1, 0.2]).reshape(1, 3, 1, 1)
    found = prompted_probabilities(masks, semantic).flatten().tolist()
    assert found == pytest.approx([0.4 / 1.1, 0.5 / 1.1, 0.2 / 1.1])


def test_masks_are_believed_as_far_as_their_estimated_iou():
    # Two objects of class 1 with estimated IoUs 0.4 and 0.8: 0.6. Its mask says 1/2, the head
    # 0.1: 0.1 + 0.6 * 0.4 = 0.34. Class 2 keeps 0.2. Background 0.66 * 0.8 = 0.528.
    logits = torch.tensor([[0.0, -1e4]]).reshape(1, 2, 1, 1)
    ious = torch.tensor([[0.4], [0.8]])
    decoded = Decoded(torch.zeros(2, 1, 1, 1), ious, torch.ones(2, 1), torch.zeros(2, 1, 4))
    objects = ObjectBoxes(torch.tensor([0, 0]), torch.tensor([1, 1]), torch.zeros(2, 4))
    masks = PromptedMasks(objects, decoded, logits, torch.tensor([[True, False]]))
    assert masks.estimated_iou().tolist() == [[pytest.approx(0.6), 0.0]]
    semantic = torch.tensor([0.7, 0.1, 0.2]).reshape(1, 3, 1, 1)
    found = prompted_probabilities(masks, semantic, trust=True).flatten().tolist()
    total = 0.528 + 0.34 + 0.2
    assert found == pytest.approx([0.528 / total, 0.34 / total, 0.2 / total])


@pytest.mark.parametrize(("norm", "kind"), [("group", "GroupNorm"), ("batch", "BatchNorm2d")])
@pytest.mark.parametrize("levels", ["finest", "all"])
def test_the_head_has_the_norm_and_the_scales_asked_for(norm, kind, levels):
    head = SemanticHead(16, 2, norm=norm, levels=levels)
    assert kind in {type(m).__name__ for m in head.modules()}
    fine, coarse = torch.randn(2, 16, 8, 8), torch.randn(2, 16, 4, 4, requires_grad=True)
    pyramid = Features((fine, coarse, torch.randn(2, 16, 2, 2)))
    out = head(pyramid)
    assert out.shape == (2, 3, 8, 8)
    out.square().sum().backward()
    assert (coarse.grad is not None) == (levels == "all")


def test_features_mode_freezes_the_encoder_alone(segmenter):
    segmenter.tune("features")
    assert not segmenter.encoder_parameters()
    names = {n.split(".")[1] for n, p in segmenter.named_parameters() if p.requires_grad}
    assert "sam_mask_decoder" in names


def test_lora_starts_as_the_model_it_is_put_on_and_merges_without_change(segmenter):
    grey = torch.rand(1, 64, 64)
    segmenter.eval()
    before = segmenter.encode(grey).levels[0]
    segmenter.tune("lora", rank=2)
    torch.testing.assert_close(segmenter.encode(grey).levels[0], before)
    learning = segmenter.encoder_parameters()
    assert learning
    assert sum(p.numel() for p in learning) < 0.3 * sum(
        p.numel() for p in segmenter.net.image_encoder.parameters()
    )
    with torch.no_grad():
        for p in learning:
            p.add_(0.05)
    tuned = segmenter.encode(grey).levels[0]
    assert not torch.allclose(tuned, before)
    merged = build_sam2(segmenter.sam2.architecture).eval()
    merged.load_state_dict(merged_state(segmenter.net))
    segmenter.net, segmenter.sam2.net = merged, merged
    torch.testing.assert_close(segmenter.encode(grey).levels[0], tuned, rtol=1e-4, atol=1e-5)


def _facts(segmenter: Segmenter) -> TrainedFacts:
    return TrainedFacts(classes={"a": 1, "b": 5}, segmenter=segmenter.config)


def test_a_saved_model_comes_back_the_same(segmenter, tmp_path):
    save_trained(tmp_path, segmenter.eval(), _facts(segmenter), {"licence": "none"})
    again = load_trained(tmp_path, device="cpu", precision=torch.float32)
    assert again.facts.classes == {"a": 1, "b": 5}
    grey = torch.rand(1, 64, 64)
    with torch.no_grad():
        one, two = (s.classify(s.enhance(s.encode(grey))) for s in (segmenter, again.segmenter))
    torch.testing.assert_close(one, two)


def test_memories_are_kept_with_the_model(segmenter, tmp_path):
    with torch.no_grad():
        pyramid = segmenter.encode(torch.rand(2, 64, 64))
        entries = segmenter.memories(pyramid, segmenter.decode(pyramid, boxes()))
    segmenter.banks = {1: SelfSortingMemoryBank(4), 2: SelfSortingMemoryBank(4)}
    for entry in entries[:2]:
        segmenter.banks[1].insert(entry)
    save_trained(tmp_path, segmenter, _facts(segmenter), {})
    again = load_trained(tmp_path, device="cpu").segmenter
    assert {place: len(bank) for place, bank in again.banks.items()} == {1: 2}
    torch.testing.assert_close(
        again.banks[1].entries[0].memory, entries[0].memory, rtol=1e-2, atol=1e-3
    )
    # At another image size they would not fit, and are left out.
    assert load_trained(tmp_path, device="cpu", image_size=96).segmenter.banks == {}


def test_foreign_weights_beside_a_card_are_refused(segmenter, tmp_path):
    save_trained(tmp_path, segmenter, _facts(segmenter), {})
    (tmp_path / "semantic.safetensors").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"semantic\.safetensors"):
        load_trained(tmp_path, device="cpu")


def test_a_model_without_head_is_refused_by_name(segmenter, tmp_path):
    save_trained(tmp_path, segmenter, _facts(segmenter), {})
    card = json.loads((tmp_path / "model.json").read_text())
    del card["sss"]
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="no semantic head"):
        load_trained(tmp_path, device="cpu")
    with pytest.raises(ModelError, match="no trained model"):
        load_trained(tmp_path / "nowhere", device="cpu")
