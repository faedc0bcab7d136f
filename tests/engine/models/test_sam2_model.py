"""Our steps against SAM-2's own tracking, on the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_sss.engine.models.sam2_model import (
    Decoded,
    Features,
    MemoryBank,
    PointPrompts,
    Sam2Model,
)

SLICES = 4


@pytest.fixture
def grey() -> torch.Tensor:
    """(4, 64, 64) images in [0, 1]."""
    return torch.rand(SLICES, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def clicks() -> PointPrompts:
    """A positive and a negative click, and a box, for two objects."""
    return PointPrompts(
        torch.tensor([[[20.0, 30.0], [50.0, 10.0]], [[10.0, 12.0], [40.0, 44.0]]]),
        torch.tensor([[1, 0], [2, 3]], dtype=torch.int32),
    )


@pytest.fixture
def present(tiny_official_model):
    """Shift the object score so that the random model always finds something."""
    bias = tiny_official_model.net.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    before = bias.detach().clone()
    torch.nn.init.constant_(bias, 10.0)
    yield
    with torch.no_grad():
        bias.copy_(before)


def own_tracking(
    model: Sam2Model, grey: torch.Tensor, clicks: PointPrompts, order: list[int]
) -> list[torch.Tensor]:
    """Logits of each slice by ``SAM2Base.track_step``, in the order walked."""
    net, logits = model.net, []
    mean = torch.tensor(model.architecture.pixel_mean)[:, None, None]
    std = torch.tensor(model.architecture.pixel_std)[:, None, None]
    seen: dict[str, dict[int, Any]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    for index in order:
        image = (grey[index].expand(1, 3, -1, -1) - mean) / std
        backbone = net.forward_image(image)
        backbone = {
            **backbone,
            "backbone_fpn": [f.expand(2, -1, -1, -1) for f in backbone["backbone_fpn"]],
            "vision_pos_enc": [p.expand(2, -1, -1, -1) for p in backbone["vision_pos_enc"]],
        }
        _, features, positions, sizes = net._prepare_backbone_features(backbone)
        first = index == order[0]
        points = {"point_coords": clicks.coordinates, "point_labels": clicks.labels}
        result = net.track_step(
            frame_idx=index,
            is_init_cond_frame=first,
            current_vision_feats=features,
            current_vision_pos_embeds=positions,
            feat_sizes=sizes,
            point_inputs=points if first else None,
            mask_inputs=None,
            output_dict=seen,
            num_frames=SLICES,
            track_in_reverse=order[0] > order[-1],
        )
        seen["cond_frame_outputs" if first else "non_cond_frame_outputs"][index] = result
        logits.append(result["pred_masks"])
    return logits


def our_tracking(
    model: Sam2Model, grey: torch.Tensor, clicks: PointPrompts, order: list[int]
) -> list[torch.Tensor]:
    """The same with :class:`Sam2Model`'s separate steps."""
    bank, logits = MemoryBank(), []
    for index in order:
        features = model.encode(grey[index : index + 1]).repeated(2)
        if index == order[0]:
            pixels = model.without_memory(features)
            decoded = model.decode(features, pixels, clicks)
            bank.prompted[index] = model.remember(features, decoded, prompted=True)
        else:
            pixels = model.with_memory(
                features, bank, index, backwards=order[0] > order[-1], slices=SLICES
            )
            decoded = model.decode(features, pixels, None, multimask=True).best()
            bank.tracked[index] = model.remember(features, decoded, prompted=False)
        logits.append(decoded.logits)
    return logits


@pytest.mark.usefixtures("present")
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0]], ids=["up", "down"])
def test_tracking_gives_sam2s_own_masks(tiny_official_model, grey, clicks, order):
    with tiny_official_model.inference():
        ours = our_tracking(tiny_official_model, grey, clicks, order)
        expected = own_tracking(tiny_official_model, grey, clicks, order)
    for mine, other in zip(ours, expected, strict=True):
        assert mine.std() > 0
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_an_absent_object_is_remembered_as_absent(tiny_official_model, grey):
    model = tiny_official_model
    with model.inference():
        features = model.encode(grey[:1])
        decoded = model.decode(features, model.without_memory(features), None)
        absent = Decoded(
            decoded.logits, decoded.ious, torch.full((1, 1), -5.0), decoded.pointers
        )
        memory = model.remember(features, absent, prompted=False)
    torch.testing.assert_close(memory["obj_ptr"], model.net.no_obj_ptr)


@pytest.mark.parametrize("model_name", ["tiny_model", "tiny_official_model"])
def test_a_batch_gives_what_its_slices_give_alone(request, model_name, grey, clicks):
    model = request.getfixturevalue(model_name)
    one = PointPrompts(clicks.coordinates[:1], clicks.labels[:1])
    two = PointPrompts(one.coordinates.repeat(2, 1, 1), one.labels.repeat(2, 1))
    with model.inference():
        both = model.encode(grey[:2])
        together = model.decode(both, model.without_memory(both), two).logits
        for row in range(2):
            alone = model.encode(grey[row : row + 1])
            logits = model.decode(alone, model.without_memory(alone), one).logits
            torch.testing.assert_close(together[row : row + 1], logits, rtol=1e-4, atol=1e-5)


def test_shapes(tiny_model, grey, clicks):
    with tiny_model.inference():
        features = tiny_model.encode(grey[:2])
        decoded = tiny_model.decode(
            features, tiny_model.without_memory(features), clicks, multimask=True
        )
    # d_model 32 at 64 pixels: channels 4, 8, 32 at strides 4, 8, 16.
    assert [tuple(level.shape) for level in features.levels] == [
        (2, 4, 16, 16),
        (2, 8, 8, 8),
        (2, 32, 4, 4),
    ]
    assert decoded.logits.shape == (2, 3, 16, 16)
    assert decoded.ious.shape == (2, 3)
    assert decoded.object_score.shape == (2, 1)
    assert tiny_model.upsample(decoded.logits).shape == (2, 3, 64, 64)


def test_inference_keeps_no_gradients_and_restores_nothing_else(tiny_model, grey):
    with tiny_model.inference():
        assert not tiny_model.encode(grey[:1]).levels[0].requires_grad
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_lower_precision_is_used_where_asked_for(tiny_model, grey):
    half = Sam2Model(tiny_model.net, tiny_model.architecture, precision=torch.bfloat16)
    with half.inference():
        features = half.encode(grey[:1])
    with tiny_model.inference():
        expected = tiny_model.encode(grey[:1])
    assert features.levels[0].dtype is torch.bfloat16  # the neck itself adds up in float32
    # bfloat16 keeps 8 bits; a few layers lose one or two more.
    scale = expected.levels[2].abs().max()
    error = (features.levels[2].float() - expected.levels[2]).abs().max()
    assert 0 < error < 0.05 * scale


def test_best_takes_each_objects_own_best_mask():
    logits = torch.arange(2 * 3 * 1 * 1.0).reshape(2, 3, 1, 1)
    decoded = Decoded(
        logits,
        torch.tensor([[0.1, 0.9, 0.2], [0.8, 0.3, 0.7]]),
        torch.zeros(2, 1),
        torch.arange(6.0).reshape(2, 3, 1),
    )
    best = decoded.best()
    # The second mask of the first object (value 1), the first of the second (value 3).
    assert best.logits.flatten().tolist() == [1.0, 3.0]
    assert best.ious.flatten().tolist() == pytest.approx([0.9, 0.8])
    assert best.pointers.flatten().tolist() == [1.0, 3.0]
    assert best.best() is best


def test_features_are_indexed_repeated_and_stacked():
    def level(value: float, side: int) -> torch.Tensor:
        return torch.full((1, 2, side, side), value)

    one, two = (Features((level(v, 4), level(v, 2), level(v, 1))) for v in (1.0, 2.0))
    both = Features.stack([one, two])
    assert len(both) == 2
    assert both[1:2].levels[0].unique().tolist() == [2.0]
    repeated = one.repeated(5)
    assert len(repeated) == 5
    assert repeated.levels[0].data_ptr() == one.levels[0].data_ptr()


def test_the_bank_forgets_only_what_is_tracked_and_far():
    bank = MemoryBank(prompted={0: {}}, tracked={1: {}, 4: {}, 9: {}})
    bank.forget_beyond(8, reach=4)
    assert sorted(bank.tracked) == [4, 9]
    assert sorted(bank.prompted) == [0]
