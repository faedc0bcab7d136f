from __future__ import annotations

import pytest
from pydantic import ValidationError

from napari_sss.engine.models.architecture import Architecture, build_sam2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 100}, "not a multiple of 32"),
        ({"image_size": 32}, "greater than or equal to 64"),
        # Stages 1-2-7-2 begin at blocks 1, 3 and 10, which pool their queries.
        ({"global_att_blocks": (5, 10)}, "cannot attend globally"),
        ({"colour": 3}, "Extra inputs are not permitted"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Architecture(**settings)


def test_another_image_size_changes_nothing_else(tiny_architecture):
    larger = tiny_architecture.at(128)
    assert larger.image_size == 128
    assert larger.model_copy(update={"image_size": 64}) == tiny_architecture
    with pytest.raises(ValidationError):
        tiny_architecture.at(130)


def test_everything_derived_from_the_image_size_is_set(tiny_architecture):
    net = build_sam2(tiny_architecture.at(128))
    # 128 / 16 = 8 tokens a side, mask prompts at a quarter of the image.
    assert net.sam_prompt_encoder.image_embedding_size == (8, 8)
    assert net.sam_prompt_encoder.mask_input_size == (32, 32)
    for layer in net.memory_attention.layers:
        assert layer.self_attn.freqs_cis.shape[0] == 8 * 8
        assert layer.cross_attn_image.freqs_cis.shape[0] == 8 * 8


def test_the_shape_survives_its_card(tiny_architecture):
    assert Architecture.model_validate_json(tiny_architecture.model_dump_json()) == (
        tiny_architecture
    )
