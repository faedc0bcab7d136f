"""The encoder arranged for speed beside SAM-2's own: the same numbers."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.models.architecture import Architecture, build_sam2
from napari_sss.engine.models.prepared_encoder import PreparedEncoder
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.models.sss.lora import add_lora

SMALL = {
    "embed_dim": 16,
    "d_model": 32,
    "memory_dim": 16,
    "memory_layers": 1,
    "memory_feedforward": 32,
    "num_memories": 3,
}
SHAPES = {
    "windows that fit": {
        "image_size": 128,
        "stages": (1, 1, 2, 1),
        "window_spec": (8, 4, 4, 2),
    },
    # 160 px: grids of 40, 20, 10, 5, of which the last two are no multiples of 4 and 2.
    "windows that do not fit": {
        "image_size": 160,
        "stages": (1, 2, 3, 2),
        "window_spec": (8, 4, 4, 2),
        "global_att_blocks": (4,),
    },
    # The windows of the official models; 224 px: grids of 56, 28, 14, 7.
    "official windows": {"image_size": 224, "stages": (1, 2, 3, 2), "global_att_blocks": (5,)},
    # 192 px: grids of 48, 24, 12, 6; windows of 8 in a grid of 12 that is halved.
    "as embedded": {
        "image_size": 192,
        "stages": (1, 2, 4, 1),
        "global_att_blocks": (5,),
        "window_spec": (8, 4, 8, 4),
        "top_down_levels": (0, 1, 2, 3),
        "pixel_mean": (0.5, 0.5, 0.5),
    },
    "another neck": {
        "image_size": 64,
        "stages": (1, 1, 2, 1),
        "window_spec": (8, 4, 4, 2),
        "top_down_levels": (1, 3),
    },
    "half a neck": {
        "image_size": 64,
        "stages": (1, 1, 2, 1),
        "window_spec": (8, 4, 4, 2),
        "top_down_levels": (0, 3),
    },
}


def model_of(shape: str, precision: torch.dtype = torch.float32) -> Sam2Model:
    chosen = {"global_att_blocks": (3,), **SMALL, **SHAPES[shape]}
    architecture = Architecture.model_validate(chosen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_sam2(architecture).eval()
        # Freshly made position embeddings are zero: they must count.
        torch.nn.init.normal_(net.image_encoder.trunk.pos_embed)
        torch.nn.init.normal_(net.image_encoder.trunk.pos_embed_window)
    return Sam2Model(net, architecture, precision=precision)


def images(model: Sam2Model, count: int = 2) -> torch.Tensor:
    side = model.image_size
    return torch.rand(count, side, side, generator=torch.Generator().manual_seed(1))


def own_levels(model: Sam2Model, grey: torch.Tensor) -> list[torch.Tensor]:
    mean, std = (
        torch.tensor(v)[:, None, None]
        for v in (model.architecture.pixel_mean, model.architecture.pixel_std)
    )
    with torch.no_grad():
        return model.net.forward_image((grey[:, None] - mean) / std)["backbone_fpn"]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_features_as_sam2s_own_code(shape):
    model = model_of(shape)
    grey = images(model)
    for ours, own in zip(
        PreparedEncoder(model.net, model.architecture, torch.float32)(grey),
        own_levels(model, grey),
        strict=True,
    ):
        assert own.std() > 0.01
        torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-5)
        assert ours.is_contiguous()


@pytest.mark.parametrize("shape", ["as embedded", "official windows"])
def test_half_precision_is_as_close_as_autocast(shape):
    model = model_of(shape)
    grey = images(model)
    own = own_levels(model, grey)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = own_levels(model, grey)
    half = PreparedEncoder(model.net, model.architecture, torch.bfloat16)(grey)
    for exact, autocast, ours in zip(own, cast, half, strict=True):
        error = (ours.float() - exact).norm() / exact.norm()
        assert error < 1.5 * (autocast.float() - exact).norm() / exact.norm()
    assert [level.dtype for level in half] == [level.dtype for level in cast]


def test_a_model_uses_it_for_inference_and_its_own_encoder_for_training():
    model = model_of("as embedded")
    grey = images(model)
    with model.inference():
        quick = model.encode(grey)
    own = model.encode(grey)
    assert own.levels[0].requires_grad
    for one, other in zip(quick.levels, own.levels, strict=True):
        assert not one.requires_grad
        torch.testing.assert_close(one, other.detach(), rtol=1e-4, atol=1e-5)


def test_changed_weights_are_noticed():
    model = model_of("as embedded")
    grey = images(model)

    def check() -> torch.Tensor:
        with model.inference():
            found = model.encode(grey).levels
        for ours, own in zip(found, own_levels(model, grey), strict=True):
            torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-5)
        return found[0]

    before = check()
    with torch.no_grad():
        model.net.sam_mask_decoder.conv_s0.weight.mul_(2)
    after = check()
    assert not torch.allclose(before, after)
    add_lora(model.net.image_encoder.trunk, rank=2)
    assert torch.equal(check(), after)  # LoRA begins at zero
    with torch.no_grad():
        for name, parameter in model.net.image_encoder.named_parameters():
            if name.endswith(".up"):
                parameter.normal_()
    assert not torch.allclose(check(), after)
    model.set_image_size(128)
    grey = images(model)
    check()


def test_another_precision_is_noticed():
    model = model_of("as embedded")
    grey = images(model)
    with model.inference():
        assert model.encode(grey).levels[0].dtype == torch.float32
    model.precision = torch.bfloat16
    with model.inference():
        assert model.encode(grey).levels[0].dtype == torch.bfloat16
