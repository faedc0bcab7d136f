"""SAM-2's mask decoder with what does not depend on the image or the prompt worked out once.

The same function of the same weights as ``sam2.modeling.sam.mask_decoder.MaskDecoder``:

- The positions of the image's tokens and their projections are constants.
- Both attentions of a layer read the same image tokens: their three projections are one.
- Of the four masks those are made that are asked for.
- Channels stay on the last axis, where normalising them is one operation and not six.

It works in float32 on any CPU: the decoder's matrices are so small that converting to bfloat16
and back costs more than it saves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.models.drawn_prompts import DRAWN_CHANNELS
from napari_sss.engine.models.prepared_layers import Linear, Norm
from napari_sss.engine.models.refining import RefiningMaskDecoder, split_dense

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

Answer = tuple[Tensor, Tensor, Tensor, Tensor]


def _mlp(layers: Any) -> list[Linear]:
    return [Linear.of(layer, torch.float32) for layer in layers.layers]


def _through(layers: list[Linear], x: Tensor) -> Tensor:
    for layer in layers[:-1]:
        x = F.relu(layer(x))
    return layers[-1](x)


@dataclass(frozen=True)
class _Attention:
    """Projections of one attention from or to the prompt's tokens."""

    query: Linear
    key: Linear
    value: Linear
    out: Linear
    heads: int

    @classmethod
    def of(cls, layer: Any) -> _Attention:
        query, key, value, out = (
            Linear.of(x, torch.float32)
            for x in (layer.q_proj, layer.k_proj, layer.v_proj, layer.out_proj)
        )
        return cls(query, key, value, out, layer.num_heads)

    def among(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of projected tokens (B, N, C'); the projected result."""
        found = F.scaled_dot_product_attention(
            self._by_head(query), self._by_head(key), self._by_head(value)
        )
        return self.out(found.transpose(1, 2).flatten(2))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class _Image:
    """Some projections of the image's tokens, of which some are told their positions too."""

    def __init__(self, layers: list[tuple[Linear, bool]], positions: Tensor) -> None:
        self._weight = torch.cat([layer.weight for layer, _ in layers]).T.contiguous()
        self._offset = torch.cat(
            [layer(positions) if placed else layer.bias.expand(len(positions), -1)
             for layer, placed in layers],
            dim=1,
        )  # fmt: skip
        self._widths = [len(layer.bias) for layer, _ in layers]

    def __call__(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """The projections of (B, HW, C)."""
        together = torch.matmul(tokens, self._weight)
        return together.add_(self._offset).split(self._widths, dim=-1)


class _Layer:
    """One layer of the two-way transformer."""

    def __init__(self, layer: Any, positions: Tensor) -> None:
        self.own = _Attention.of(layer.self_attn)
        self.first: bool = layer.skip_first_layer_pe
        self.to_image = _Attention.of(layer.cross_attn_token_to_image)
        self.to_tokens = _Attention.of(layer.cross_attn_image_to_token)
        self.norms = [
            Norm.of(n, torch.float32)
            for n in (layer.norm1, layer.norm2, layer.norm3, layer.norm4)
        ]
        self.mlp = _mlp(layer.mlp)
        self.image = _Image(
            [(self.to_image.key, True), (self.to_image.value, False),
             (self.to_tokens.query, True)],
            positions,
        )  # fmt: skip

    def __call__(self, tokens: Tensor, prompt: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        own = self.own
        placed = tokens if self.first else tokens + prompt
        found = own.among(own.query(placed), own.key(placed), own.value(tokens))
        tokens = self.norms[0](found if self.first else tokens + found)
        keys, values, image_queries = self.image(image)
        query = self.to_image.query(tokens + prompt)
        tokens = self.norms[1](tokens + self.to_image.among(query, keys, values))
        tokens = self.norms[2](tokens + _through(self.mlp, tokens))
        image = image + self.to_tokens.among(
            image_queries,
            self.to_tokens.key(tokens + prompt),
            self.to_tokens.value(tokens),
        )
        return tokens, self.norms[3](image)


class PreparedDecoder:
    """A copy of a network's mask decoder for inference.

    Parameters
    ----------
    net : SAM2Base
        The network, set to the size of its input.
    """

    def __init__(self, net: SAM2Base) -> None:
        decoder: Any = net.sam_mask_decoder
        encoder: Any = net.sam_prompt_encoder
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            positions = encoder.get_dense_pe()[0].flatten(1).T.float().contiguous()
            self._tokens = torch.cat(
                [decoder.obj_score_token.weight, decoder.iou_token.weight,
                 decoder.mask_tokens.weight]
            ).detach()[None]  # fmt: skip
            self._layers = [_Layer(layer, positions) for layer in decoder.transformer.layers]
            final = decoder.transformer.final_attn_token_to_image
            self._final = _Attention.of(final)
            self._final_image = _Image(
                [(self._final.key, True), (self._final.value, False)], positions
            )
            self._norm = Norm.of(decoder.transformer.norm_final_attn, torch.float32)
            first, norm, _, second, _ = decoder.output_upscaling
            self._twice, self._upscaled_norm = _Twice(first), Norm.of(norm, torch.float32)
            self._four_times = _Twice(second)
            self._masks = [_mlp(m) for m in decoder.output_hypernetworks_mlps]
            self._iou = _mlp(decoder.iou_prediction_head)
            self._present = _mlp(decoder.pred_obj_score_head)
            # What SAM-2 makes of no prompt at all.
            self._no_points = encoder.not_a_point_embed.weight.detach()[None].expand(1, 2, -1)
            self._no_mask = encoder.no_mask_embed.weight.detach()[None]
        self._refining = decoder if isinstance(decoder, RefiningMaskDecoder) else None
        self._pointers_of_all: bool = decoder.use_multimask_token_for_obj_ptr
        gives_way = (
            decoder.dynamic_multimask_via_stability
            and decoder.dynamic_multimask_stability_thresh > 0
        )
        self._stable: Any = decoder._dynamic_multimask_via_stability if gives_way else None

    @staticmethod
    def suits(net: SAM2Base) -> bool:
        """Whether a network's decoder is of the kind that is arranged here."""
        decoder: Any = net.sam_mask_decoder
        return bool(
            decoder.use_high_res_features
            and decoder.pred_obj_scores
            and hasattr(decoder.pred_obj_score_head, "layers")
            and decoder.iou_prediction_head.sigmoid_output
        )

    @torch.no_grad()
    def __call__(
        self,
        fine: Tensor,
        middle: Tensor,
        pixels: Tensor,
        prompt: tuple[Tensor, Tensor] | None,
        multimask: bool,
    ) -> Answer:
        """Masks of B objects.

        Parameters
        ----------
        fine, middle, pixels : tensors
            ``(B, C/8, S/4, S/4)``, ``(B, C/4, S/8, S/8)`` and ``(B, C, S/16, S/16)``.
        prompt : two tensors, optional
            The prompt encoder's sparse (B, N, C) and dense (B, C, S/16, S/16) embeddings;
            None without a prompt.
        multimask : bool
            Three masks instead of one.

        Returns
        -------
        logits, ious, object score, mask tokens
            Shaped as ``MaskDecoder.forward`` gives them.
        """
        with torch.autocast("cpu", enabled=False):
            batch, channels, height, width = pixels.shape
            image = pixels.float().flatten(2).transpose(1, 2)
            drawn = None
            if prompt is None:
                sparse = self._no_points.expand(batch, -1, -1)
                image = image + self._no_mask
            else:
                sparse, dense = (p.float() for p in prompt)
                if self._refining is not None:
                    dense, drawn = split_dense(dense, channels)
                image = image + dense.flatten(2).transpose(1, 2)
            given = torch.cat([self._tokens.expand(batch, -1, -1), sparse], dim=1)
            tokens = given
            for layer in self._layers:
                tokens, image = layer(tokens, given, image)
            keys, values = self._final_image(image)
            query = self._final.query(tokens + given)
            tokens = self._norm(tokens + self._final.among(query, keys, values))
            image = image.view(batch, height, width, channels)
            logits, *rest = self._masks_of(
                tokens, self._upscaled(image, fine, middle), multimask
            )
            if self._refining is not None:
                if drawn is None:
                    drawn = logits.new_zeros(batch, DRAWN_CHANNELS, *logits.shape[-2:])
                levels = [fine.float(), middle.float()]
                logits = self._refining.refined(logits, levels, pixels.float(), drawn)
            return logits, rest[0], rest[1], rest[2]

    def _masks_of(self, tokens: Tensor, fine: Tensor, multimask: bool) -> Answer:
        """The answer in the prompt's tokens (B, N, C) and the finest image (B, H, W, C/8)."""
        count = len(self._masks)
        mask_tokens = tokens[:, 2 : 2 + count]
        ious = _through(self._iou, tokens[:, 1]).sigmoid()
        # A single mask that may give way to another one needs them all.
        made = slice(1, count) if multimask else slice(0, count if self._stable else 1)
        weights = [
            _through(mlp, mask_tokens[:, number])
            for number, mlp in list(enumerate(self._masks))[made]
        ]
        pixels = fine.flatten(1, 2).transpose(1, 2)
        logits = torch.bmm(torch.stack(weights, dim=1), pixels).unflatten(-1, fine.shape[1:3])
        ious = ious[:, made]
        if self._stable and not multimask:
            logits, ious = self._stable(logits, ious)
        read = slice(1, count) if multimask and self._pointers_of_all else slice(0, 1)
        return logits, ious, _through(self._present, tokens[:, 0]), mask_tokens[:, read]

    def _upscaled(self, image: Tensor, fine: Tensor, middle: Tensor) -> Tensor:
        """The image's tokens (B, H, W, C) four times as fine, (B, 4H, 4W, C/8)."""
        x = self._twice(image).add_(middle.permute(0, 2, 3, 1))
        x = F.gelu(self._upscaled_norm(x))
        return F.gelu(self._four_times(x).add_(fine.permute(0, 2, 3, 1)))


class _Twice:
    """A transposed convolution of two by two pixels and the same stride, channels last."""

    def __init__(self, convolution: Any) -> None:
        weight = convolution.weight.detach().float()  # (in, out, 2, 2)
        self._out = weight.shape[1]
        by_place = weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0]).contiguous()
        self._linear = Linear(by_place, convolution.bias.detach().float().repeat(4))

    def __call__(self, x: Tensor) -> Tensor:
        """(B, 2H, 2W, out) of (B, H, W, in)."""
        batch, height, width, _ = x.shape
        spread = self._linear(x).view(batch, height, width, 2, 2, self._out)
        return spread.permute(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, self._out)
