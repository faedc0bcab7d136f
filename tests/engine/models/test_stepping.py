"""Sizes, memories and masks as prompts: our steps beside SAM-2's own predictor."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from napari_sss.engine.models.architecture import build_sam2
from napari_sss.engine.models.sam2_model import Decoded, MemoryBank, PointPrompts, Sam2Model

BOX = PointPrompts(
    torch.tensor([[[10.0, 12.0], [40.0, 44.0]]]), torch.tensor([[2, 3]], dtype=torch.int32)
)


def images(count: int, side: int = 64) -> torch.Tensor:
    return torch.rand(count, side, side, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[True, False], ids=["embedded", "official"])
def model(request, tiny_architecture) -> Sam2Model:
    """A model of its own, which finds something on every slice."""
    architecture = tiny_architecture.model_copy(
        update={"drawn_prompts": request.param, "multimask_tracking": not request.param}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_sam2(architecture).eval()
    torch.nn.init.constant_(net.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 10.0)
    return Sam2Model(net, architecture)


def tracked(
    model: Sam2Model, grey: torch.Tensor, reach: int | None = None
) -> tuple[list[Decoded], int]:
    """Answers on slice after slice from a box on the first, and the most memories kept."""
    bank, answers, most = MemoryBank(), [], 0
    for index in range(len(grey)):
        features = model.encode(grey[index : index + 1])
        if index == 0:
            decoded = model.decode(features, model.without_memory(features), BOX)
            bank.prompted[0] = model.remember(features, decoded, prompted=True)
        else:
            pixels = model.with_memory(features, bank, index, backwards=False, slices=len(grey))
            decoded = model.decode(
                features, pixels, None, multimask=model.architecture.multimask_tracking
            ).best()
            bank.tracked[index] = model.remember(features, decoded, prompted=False)
        if reach is not None:
            bank.forget_beyond(index, reach)
        most = max(most, len(bank.tracked))
        answers.append(decoded)
    return answers, most


def test_forgetting_changes_nothing(model):
    grey = images(24)
    with model.inference():
        everything, kept = tracked(model, grey)
        bounded, few = tracked(model, grey, model.memory_reach)
        too_few, _ = tracked(model, grey, 2)
    assert kept == 23
    assert few <= model.memory_reach + 1
    for one, other in zip(everything, bounded, strict=True):
        assert torch.equal(one.logits, other.logits)
    # What matters is really in reach: pointers of 15 slices ago are still read.
    assert not torch.equal(everything[-1].logits, too_few[-1].logits)


def test_another_size_is_as_if_built_at_that_size(model):
    larger = Sam2Model(
        build_sam2(model.architecture.at(96)), model.architecture.at(96), name="at 96"
    )
    larger.net.load_state_dict(model.net.state_dict())
    grey = images(4, 96)
    model.set_image_size(96)
    assert model.image_size == 96
    assert model.architecture == larger.architecture
    with model.inference(), larger.inference():
        for one, other in zip(tracked(model, grey)[0], tracked(larger, grey)[0], strict=True):
            assert one.logits.shape == (1, 1, 24, 24)
            torch.testing.assert_close(one.logits, other.logits)
    model.set_image_size(64)
    with model.inference():
        assert tracked(model, images(2))[0][1].logits.shape == (1, 1, 16, 16)


@pytest.mark.parametrize("model", [False], indirect=True)
def test_a_mask_is_adopted_as_sam2_does(model):
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, 0, 10:30, 20:50] = 1  # the second object has no mask: it is absent
    with model.inference():
        features = model.encode(images(2))
        ours = model.adopt(features, mask)
        low, _, ious, _, _, pointer, score = model.net._use_mask_as_output(
            features.levels[2], list(features.levels[:2]), mask
        )
        memory = model.remember(features, ours, prompted=True)
    torch.testing.assert_close(ours.logits, low)
    torch.testing.assert_close(ours.ious, ious)
    torch.testing.assert_close(ours.object_score, score)
    torch.testing.assert_close(memory["obj_ptr"], pointer)


@pytest.mark.parametrize("model", [False], indirect=True)
def test_tracking_gives_the_masks_of_the_official_predictor(model, monkeypatch):
    from sam2 import sam2_video_predictor
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    grey = images(5)
    predictor = copy.deepcopy(model.net)
    predictor.__class__ = SAM2VideoPredictor
    for name in ("non_overlap_masks", "clear_non_cond_mem_around_input"):
        setattr(predictor, name, False)
    predictor.fill_hole_area, predictor.add_all_frames_to_correct_as_cond = 0, False
    mean, std = (
        torch.tensor(v)[:, None, None]
        for v in (model.architecture.pixel_mean, model.architecture.pixel_std)
    )
    frames = (grey[:, None] - mean) / std
    monkeypatch.setattr(
        sam2_video_predictor, "load_video_frames", lambda **kwargs: (frames, 64, 64)
    )
    state = predictor.init_state("")
    predictor.add_new_points_or_box(state, 0, 1, box=BOX.coordinates[0].flatten())
    expected = {index: masks for index, _, masks in predictor.propagate_in_video(state)}
    with model.inference():
        ours = [model.upsample(d.logits) for d in tracked(model, grey)[0]]
    assert sorted(expected) == [0, 1, 2, 3, 4]
    for index, logits in enumerate(ours):
        assert logits.std() > 0
        torch.testing.assert_close(logits, expected[index].clone(), rtol=1e-3, atol=1e-4)


def test_prompted_masks_are_remembered_as_each_model_learnt_it(model):
    """The official models remember prompted masks as 0 or 1, the embedded their shares."""
    with model.inference():
        features = model.encode(images(1))
        decoded = model.decode(features, model.without_memory(features), BOX)
        kept = [
            model.remember(
                features, replace(decoded, logits=scale * decoded.logits), prompted=True
            )["maskmem_features"]
            for scale in (1.0, 3.0)
        ]
    assert torch.equal(*kept) is not model.architecture.drawn_prompts


def test_gradients_flow_after_inference_at_another_size(model):
    model.set_image_size(96)
    with model.inference():
        tracked(model, images(2, 96))
    model.net.train()
    answers, _ = tracked(model, images(2, 96))
    answers[-1].logits.sum().backward()
    attention = model.net.memory_attention.layers[0].cross_attn_image.q_proj.weight
    assert attention.grad is not None
