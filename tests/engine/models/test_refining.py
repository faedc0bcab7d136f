"""The U-Net behind SAM-2's mask decoder: what it is shown, and that it is never left out."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.models.architecture import Architecture, build_sam2
from napari_sss.engine.models.refining import MaskRefiner, RefiningMaskDecoder, split_dense
from napari_sss.engine.models.sam2_model import PointPrompts, Sam2Model

BOX = PointPrompts(torch.tensor([[[8.0, 8.0], [40.0, 48.0]]]), torch.tensor([[2, 3]]))


@pytest.fixture
def refining(tiny_architecture: Architecture) -> Sam2Model:
    torch.manual_seed(0)
    shape = Architecture.model_validate(
        {**tiny_architecture.model_dump(), "drawn_prompts": True, "refiner_width": 4}
    )
    model = Sam2Model(build_sam2(shape), shape)
    torch.nn.init.normal_(model.net.sam_mask_decoder.refiner.out.weight)
    return model


def decoded(model: Sam2Model, prompts: PointPrompts | None, **more):
    image = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(1))
    with model.inference():
        features = model.encode(image)
        return model.decode(features, model.without_memory(features), prompts, **more)


def test_without_training_nothing_is_changed():
    refiner = MaskRefiner(4, 32)
    masks = torch.randn(2, 3, 16, 16)
    levels = torch.randn(2, 4, 16, 16), torch.randn(2, 8, 8, 8), torch.randn(2, 32, 4, 4)
    assert torch.equal(refiner(masks, *levels, torch.zeros(2, 4, 16, 16)), masks)


def test_each_candidate_is_refined_by_itself(refining):
    refiner = refining.net.sam_mask_decoder.refiner
    channels = refining.architecture.d_model
    masks = torch.randn(2, 3, 16, 16)
    levels = (
        torch.randn(2, channels // 8, 16, 16),
        torch.randn(2, channels // 4, 8, 8),
        torch.randn(2, channels, 4, 4),
    )
    drawn = torch.randn(2, 4, 16, 16)
    together = refiner(masks, *levels, drawn)
    alone = refiner(masks[1:, 2:], *(level[1:] for level in levels), drawn[1:])
    assert torch.allclose(together[1:, 2:], alone, atol=1e-5)
    assert not torch.allclose(together, masks, atol=1e-2)


def test_the_drawing_reaches_the_refiner_as_it_was_drawn(refining):
    encoder = refining.net.sam_prompt_encoder
    _, dense = encoder((BOX.coordinates, BOX.labels), None, None)
    embedding, drawn = split_dense(dense, refining.architecture.d_model)
    assert embedding.shape == (1, refining.architecture.d_model, 4, 4)
    # Cells are 4 pixels wide; the box covers pixels 8.5 to 40.5 across and 8.5 to 48.5 down.
    inside = drawn[0, 1]
    assert inside.shape == (16, 16)
    assert inside[5, 5] == 1
    assert inside[0, 0] == inside[15, 15] == -1
    assert inside[5, 2].item() == pytest.approx(2 * 3.5 / 4 - 1)


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("prompts", [BOX, None])
def test_the_faster_decoder_refines_as_the_network_itself(
    refining, prompts, multimask, monkeypatch
):
    fast = decoded(refining, prompts, multimask=multimask)
    monkeypatch.setattr(Sam2Model, "_prepared_decoder", lambda _: None)
    plain = decoded(refining, prompts, multimask=multimask)
    assert torch.allclose(fast.logits, plain.logits, atol=1e-4)
    refiner = refining.net.sam_mask_decoder.refiner
    monkeypatch.setattr(refiner, "forward", lambda masks, *_: masks)
    assert not torch.allclose(decoded(refining, prompts).logits, plain.logits[:, :1], atol=1e-2)


def test_the_network_is_of_sam2s_kind(refining):
    from sam2.modeling.sam.mask_decoder import MaskDecoder

    assert isinstance(refining.net.sam_mask_decoder, MaskDecoder)
    assert isinstance(refining.net.sam_mask_decoder, RefiningMaskDecoder)


def test_a_refiner_needs_something_to_look_at():
    with pytest.raises(ValueError, match="drawn prompts"):
        Architecture(refiner_width=8)
