"""The shape of a SAM-2 model, and building it from the ``sam2`` package's own classes.

One description serves the official sizes and the embedded model. Everything that depends on
the image size (positional grids, RoPE tables, prompt encoder) is derived from it, because
SAM-2's own configurations assume 1024 pixels in several places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base
    from torch import nn


class Architecture(BaseModel):
    """A SAM-2 model's sizes, as stored in its card.

    The defaults are those shared by every official SAM 2.1 model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int = Field(1024, description="Side of the square input, pixels.", ge=64)
    embed_dim: int = Field(96, description="Channels of the trunk's first stage.")
    num_heads: int = Field(1, description="Attention heads of the first stage.")
    stages: tuple[int, int, int, int] = Field((1, 2, 7, 2), description="Blocks per stage.")
    global_att_blocks: tuple[int, ...] = Field(
        (5, 7, 9), description="Blocks that attend to the whole image; never a stage's first."
    )
    window_spec: tuple[int, int, int, int] = Field(
        (8, 4, 14, 7), description="Attention window per stage, tokens."
    )
    position_grid: tuple[int, int] = Field(
        (7, 7), description="Size of the trunk's learned background position embedding."
    )
    d_model: int = Field(256, description="Channels of the neck and of all that follows.")
    top_down_levels: tuple[int, ...] = Field(
        (2, 3), description="Neck levels that receive coarser features."
    )
    memory_dim: int = Field(64, description="Channels of a memory.")
    memory_layers: int = Field(4, description="Layers of the memory attention.")
    memory_feedforward: int = Field(2048, description="Hidden width of the memory attention.")
    dropout: float = Field(0.1, description="Dropout in the memory attention.")
    num_memories: int = Field(
        7, description="Slices in the memory bank, prompted one included."
    )
    multimask_tracking: bool = Field(
        True, description="Three candidate masks on tracked slices too, not one."
    )
    pixel_mean: tuple[float, float, float] = Field(
        (0.485, 0.456, 0.406), description="Subtracted from each channel, grey 0 to 1."
    )
    pixel_std: tuple[float, float, float] = Field(
        (0.229, 0.224, 0.225), description="Then divides each channel."
    )
    fallback_stability: float = Field(
        0.98,
        description="A single mask less stable than this gives way to the best of three.",
    )
    drawn_prompts: bool = Field(
        False,
        description="Prompts are also drawn into the dense prompt (the embedded model).",
    )
    refiner_width: int = Field(
        0,
        description="Channels of the U-Net that refines masks; 0 for none.",
        ge=0,
        multiple_of=4,
    )

    @model_validator(mode="after")
    def _check(self) -> Architecture:
        if self.image_size % 32:
            raise ValueError(f"image_size {self.image_size} is not a multiple of 32")
        first_blocks = {sum(self.stages[:i]) for i in range(1, 4)}
        if first_blocks & set(self.global_att_blocks):
            raise ValueError("a block that pools its queries cannot attend globally")
        if self.refiner_width and not self.drawn_prompts:
            raise ValueError("the refiner looks at drawn prompts")
        return self

    def at(self, image_size: int) -> Architecture:
        """The same model for another image size (a multiple of 32)."""
        return Architecture.model_validate({**self.model_dump(), "image_size": image_size})


def build_sam2(architecture: Architecture) -> SAM2Base:
    """A SAM-2 model of this shape with freshly initialised weights.

    Returns
    -------
    SAM2Base
        In training mode, float32, on the CPU.
    """
    from sam2.modeling.sam2_base import SAM2Base

    model = SAM2Base(
        image_encoder=_image_encoder(architecture),
        memory_attention=_memory_attention(architecture),
        memory_encoder=_memory_encoder(architecture),
        num_maskmem=architecture.num_memories,
        image_size=architecture.image_size,
        # Masks enter the memory as scaled, saturated probabilities.
        sigmoid_scale_for_mem_enc=20.0,
        sigmoid_bias_for_mem_enc=-10.0,
        # SAM-2's own predictor remembers prompted masks as 0 or 1; the embedded model was
        # trained on their probabilities.
        binarize_mask_from_pts_for_mem_enc=not architecture.drawn_prompts,
        use_mask_input_as_output_without_sam=True,
        directly_add_no_mem_embed=True,
        no_obj_embed_spatial=True,
        use_high_res_features_in_sam=True,
        multimask_output_in_sam=True,
        iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True,
        add_tpos_enc_to_obj_ptrs=True,
        proj_tpos_enc_in_obj_ptrs=True,
        use_signed_tpos_enc_to_obj_ptrs=True,
        only_obj_ptrs_in_the_past_for_eval=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        fixed_no_obj_ptr=True,
        multimask_output_for_tracking=architecture.multimask_tracking,
        use_multimask_token_for_obj_ptr=True,
        multimask_min_pt_num=0 if architecture.multimask_tracking else 1,
        multimask_max_pt_num=1,
        use_mlp_for_obj_ptr_proj=True,
        sam_mask_decoder_extra_args=_fallback(architecture),
    )
    if architecture.drawn_prompts:
        from napari_sss.engine.models.drawn_prompts import DrawnPromptEncoder

        model.sam_prompt_encoder = DrawnPromptEncoder(
            embed_dim=architecture.d_model,
            image_embedding_size=(architecture.image_size // 16,) * 2,
            input_image_size=(architecture.image_size,) * 2,
            shows_drawing=architecture.refiner_width > 0,
        )
    if architecture.refiner_width:
        from napari_sss.engine.models.refining import RefiningMaskDecoder

        model.sam_mask_decoder = RefiningMaskDecoder(
            architecture.d_model, architecture.refiner_width, **_fallback(architecture)
        )
    return model


def _fallback(architecture: Architecture) -> dict[str, Any]:
    """When a single mask gives way to the best of three."""
    return {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": architecture.fallback_stability,
    }


def _sine_positions(channels: int) -> nn.Module:
    from sam2.modeling.position_encoding import PositionEmbeddingSine

    return PositionEmbeddingSine(
        num_pos_feats=channels, normalize=True, scale=None, temperature=10000
    )


def _image_encoder(a: Architecture) -> nn.Module:
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder

    trunk = Hiera(
        embed_dim=a.embed_dim,
        num_heads=a.num_heads,
        stages=a.stages,
        global_att_blocks=a.global_att_blocks,
        window_spec=a.window_spec,
        window_pos_embed_bkg_spatial_size=a.position_grid,
    )
    neck = FpnNeck(
        position_encoding=_sine_positions(a.d_model),
        d_model=a.d_model,
        backbone_channel_list=trunk.channel_list,
        fpn_top_down_levels=list(a.top_down_levels),
        fpn_interp_model="nearest",
    )
    # The coarsest level (stride 32) has done its work in the neck and is dropped.
    return ImageEncoder(trunk=trunk, neck=neck, scalp=1)


def _memory_attention(a: Architecture) -> nn.Module:
    from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
    from sam2.modeling.sam.transformer import RoPEAttention

    shared = {
        "rope_theta": 10000.0,
        "feat_sizes": (a.image_size // 16, a.image_size // 16),
        "embedding_dim": a.d_model,
        "num_heads": 1,
        "downsample_rate": 1,
        "dropout": a.dropout,
    }
    layer = MemoryAttentionLayer(
        activation="relu",
        d_model=a.d_model,
        dim_feedforward=a.memory_feedforward,
        dropout=a.dropout,
        pos_enc_at_attn=False,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
        self_attention=RoPEAttention(**shared),
        cross_attention=RoPEAttention(rope_k_repeat=True, kv_in_dim=a.memory_dim, **shared),
    )
    return MemoryAttention(
        d_model=a.d_model, pos_enc_at_input=True, layer=layer, num_layers=a.memory_layers
    )


def _memory_encoder(a: Architecture) -> nn.Module:
    from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder

    return MemoryEncoder(
        out_dim=a.memory_dim,
        in_dim=a.d_model,
        position_encoding=_sine_positions(a.memory_dim),
        mask_downsampler=MaskDownSampler(
            embed_dim=a.d_model, kernel_size=3, stride=2, padding=1
        ),
        fuser=Fuser(
            layer=CXBlock(dim=a.d_model, kernel_size=7, padding=3, layer_scale_init_value=1e-6),
            num_layers=2,
        ),
    )
