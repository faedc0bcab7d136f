"""The official shapes, compared with what the sam2 package itself builds."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.models.architecture import build_sam2
from napari_sss.engine.models.embedded import embedded_architecture
from napari_sss.engine.models.official import OFFICIAL, recognise_official
from napari_sss.engine.models.registry import EMBEDDED, entry, model_names
from napari_sss.engine.models.sam2_model import Sam2Model

CONFIGS = {
    "sam2.1-tiny": "t",
    "sam2.1-small": "s",
    "sam2.1-base-plus": "b+",
    "sam2.1-large": "l",
}
# Parts that only training uses or that both builders leave at their defaults.
COMPARED = (
    "num_maskmem",
    "image_size",
    "sigmoid_scale_for_mem_enc",
    "sigmoid_bias_for_mem_enc",
    "use_mask_input_as_output_without_sam",
    "directly_add_no_mem_embed",
    "use_high_res_features_in_sam",
    "multimask_output_in_sam",
    "multimask_min_pt_num",
    "multimask_max_pt_num",
    "multimask_output_for_tracking",
    "use_multimask_token_for_obj_ptr",
    "iou_prediction_use_sigmoid",
    "use_obj_ptrs_in_encoder",
    "add_tpos_enc_to_obj_ptrs",
    "proj_tpos_enc_in_obj_ptrs",
    "use_signed_tpos_enc_to_obj_ptrs",
    "only_obj_ptrs_in_the_past_for_eval",
    "pred_obj_scores",
    "fixed_no_obj_ptr",
    "use_mlp_for_obj_ptr_proj",
    "sam_mask_decoder_extra_args",
)


def packages_own(name: str, *overrides: str) -> torch.nn.Module:
    from sam2.build_sam import build_sam2 as build_from_yaml

    config = f"configs/sam2.1/sam2.1_hiera_{CONFIGS[name]}.yaml"
    # The package's video predictor adds this one, and ours follows objects as that does.
    tracking = "++model.binarize_mask_from_pts_for_mem_enc=true"
    return build_from_yaml(config, device="cpu", hydra_overrides_extra=[tracking, *overrides])


def test_every_official_entry_has_its_shape():
    assert set(OFFICIAL) == set(model_names()) - {EMBEDDED}


@pytest.mark.parametrize(
    "name",
    ["sam2.1-tiny", *(pytest.param(n, marks=pytest.mark.slow) for n in list(CONFIGS)[1:])],
)
def test_the_same_tensors_and_settings_as_the_packages_own(name):
    ours, theirs = build_sam2(OFFICIAL[name]), packages_own(name)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    for setting in COMPARED:
        assert getattr(ours, setting) == getattr(theirs, setting), setting
    # What the tensors do not show: which blocks see the whole image, through which heads.
    for mine, other in zip(
        ours.image_encoder.trunk.blocks, theirs.image_encoder.trunk.blocks, strict=True
    ):
        assert mine.window_size == other.window_size
        assert mine.attn.num_heads == other.attn.num_heads
    assert recognise_official(ours.state_dict()) == name
    parameters = sum(p.numel() for p in ours.parameters())
    assert entry(name).parameters == pytest.approx(parameters, abs=50_000)


@pytest.fixture(scope="module")
def pair() -> tuple[Sam2Model, torch.nn.Module]:
    """Our tiny at 128 pixels and the package's own, with the same random weights."""
    architecture = OFFICIAL["sam2.1-tiny"].at(128)
    ours, theirs = (
        build_sam2(architecture),
        packages_own("sam2.1-tiny", "++model.image_size=128"),
    )
    # Untrained, it may find nothing, and then every mask is the same constant.
    torch.nn.init.constant_(theirs.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 10.0)
    ours.load_state_dict(theirs.state_dict())
    return Sam2Model(ours.eval(), architecture), theirs


def tracked_two_slices(net: torch.nn.Module) -> list[torch.Tensor]:
    """Mask logits of a clicked slice and of the next one, found through the memory."""
    images = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    click = {
        "point_coords": torch.tensor([[[40.0, 60.0]]]),
        "point_labels": torch.ones(1, 1, dtype=torch.int32),
    }
    seen = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    logits = []
    for index in range(2):
        backbone = net.forward_image(images[index : index + 1])
        _, features, positions, sizes = net._prepare_backbone_features(backbone)
        result = net.track_step(
            frame_idx=index,
            is_init_cond_frame=index == 0,
            current_vision_feats=features,
            current_vision_pos_embeds=positions,
            feat_sizes=sizes,
            point_inputs=click if index == 0 else None,
            mask_inputs=None,
            output_dict=seen,
            num_frames=2,
        )
        seen["cond_frame_outputs"][index] = result
        logits.append(result["pred_masks"])
    return logits


def test_the_same_masks_as_the_packages_own(pair):
    """Every part, from encoder to memory, computes the same numbers on the same weights."""
    model, theirs = pair
    with model.inference():
        ours, expected = tracked_two_slices(model.net), tracked_two_slices(theirs)
    for mine, other in zip(ours, expected, strict=True):
        assert mine.std() > 0
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


@pytest.mark.parametrize("image_size", [64, 96, 256])
def test_any_multiple_of_32_gives_features_of_that_size(pair, image_size):
    model, _ = pair
    model.set_image_size(image_size)
    with model.inference():
        features = model.encode(torch.rand(1, image_size, image_size))
    sides = [level.shape[-1] for level in features.levels]
    assert sides == [image_size // 4, image_size // 8, image_size // 16]


def test_the_embedded_entry_agrees_with_its_architecture():
    net = build_sam2(embedded_architecture())
    parameters = sum(p.numel() for p in net.parameters())
    assert entry(EMBEDDED).parameters == pytest.approx(parameters, abs=50_000)
    assert entry(EMBEDDED).image_size == embedded_architecture().image_size


def test_weights_of_no_official_trunk_are_not_recognised(tiny_model):
    assert recognise_official(tiny_model.net.state_dict()) is None
    assert recognise_official({"conv1.weight": torch.zeros(3, 3)}) is None
