"""A mask decoder whose last word has a small U-Net.

SAM-2's decoder weighs object against background on a coarse grid, a sixteenth of the image's
side, with two layers; a small model trained for an hour tends to fill a box instead. A U-Net on
the finer grid of the masks sees the image's fine features, the prompts as drawn and that first
mask together, and learns the figure in it soon.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.transformer import TwoWayTransformer
from torch import Tensor, nn

from napari_sss.engine.models.drawn_prompts import DRAWN_CHANNELS

LOGIT_SCALE = 4.0


class MaskRefiner(nn.Module):
    """A U-Net that corrects mask logits; without training it changes nothing.

    Parameters
    ----------
    width : int
        Channels on the finest grid.
    d_model : int
        Channels of the image embedding; its finer levels have a quarter and an eighth.
    """

    def __init__(self, width: int, d_model: int) -> None:
        super().__init__()
        w = width
        self.fine = _convolutions(1 + DRAWN_CHANNELS + d_model // 8, w, 2)
        self.to_middle = _Block(w, 2 * w, stride=2)
        self.middle = _convolutions(2 * w + d_model // 4, 2 * w, 1)
        self.to_coarse = _Block(2 * w, 4 * w, stride=2)
        self.coarse = _convolutions(4 * w + d_model, 4 * w, 2)
        self.to_coarsest = _Block(4 * w, 6 * w, stride=2)
        self.coarsest = _convolutions(6 * w, 6 * w, 1)
        self.from_coarsest = _convolutions(10 * w, 4 * w, 1)
        self.from_coarse = _convolutions(6 * w, 2 * w, 2)
        self.from_middle = _convolutions(3 * w, w, 2)
        self.out = nn.Conv2d(w, 1, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, logits: Tensor, fine: Tensor, middle: Tensor, coarse: Tensor, drawn: Tensor
    ) -> Tensor:
        """Corrected logits.

        Parameters
        ----------
        logits : (B, M, H, W) tensor
            Candidate masks; each is corrected by itself.
        fine, middle, coarse : tensors
            ``(B, C/8, H, W)``, ``(B, C/4, H/2, W/2)`` and ``(B, C, H/4, W/4)`` features.
        drawn : (B, 4, H, W) tensor
            The prompts as a picture.

        Returns
        -------
        (B, M, H, W) tensor
        """
        count = logits.shape[1]

        def for_each(features: Tensor) -> Tensor:
            return features.repeat_interleave(count, dim=0) if count > 1 else features

        masks = logits.flatten(0, 1)[:, None]
        seen = torch.tanh(masks / LOGIT_SCALE)
        a = self.fine(torch.cat([seen, for_each(drawn), for_each(fine)], dim=1))
        b = self.middle(torch.cat([self.to_middle(a), for_each(middle)], dim=1))
        c = self.coarse(torch.cat([self.to_coarse(b), for_each(coarse)], dim=1))
        d = self.coarsest(self.to_coarsest(c))
        c = self.from_coarsest(torch.cat([_as_fine_as(c, d), c], dim=1))
        b = self.from_coarse(torch.cat([_as_fine_as(b, c), b], dim=1))
        a = self.from_middle(torch.cat([_as_fine_as(a, b), a], dim=1))
        return (masks + LOGIT_SCALE * self.out(a))[:, 0].unflatten(0, logits.shape[:2])


class RefiningMaskDecoder(MaskDecoder):
    """SAM-2's mask decoder, followed by a :class:`MaskRefiner`.

    It is called as SAM-2's own, so that every SAM-2 code path has the refined masks; its dense
    prompt carries the drawing behind the embedding, as
    :class:`~napari_sss.engine.models.drawn_prompts.DrawnPromptEncoder` gives it.

    Parameters
    ----------
    d_model : int
        Channels of the image embedding.
    width : int
        Channels of the refiner.
    **options
        SAM-2's own.
    """

    def __init__(self, d_model: int, width: int, **options: Any) -> None:
        transformer = TwoWayTransformer(
            depth=2, embedding_dim=d_model, mlp_dim=2048, num_heads=8
        )
        super().__init__(
            transformer_dim=d_model,
            transformer=transformer,
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
            use_high_res_features=True,
            iou_prediction_use_sigmoid=True,
            pred_obj_scores=True,
            pred_obj_scores_mlp=True,
            use_multimask_token_for_obj_ptr=True,
            **options,
        )
        self.refiner = MaskRefiner(width, d_model)

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
        repeat_image: bool,
        high_res_features: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Masks, their estimated IoU, mask tokens and object scores, as SAM-2 gives them."""
        dense, drawn = split_dense(dense_prompt_embeddings, self.transformer_dim)
        logits, ious, tokens, score = super().forward(
            image_embeddings,
            image_pe,
            sparse_prompt_embeddings,
            dense,
            multimask_output,
            repeat_image,
            high_res_features,
        )
        assert high_res_features is not None
        return (
            self.refined(logits, high_res_features, image_embeddings, drawn),
            ious,
            tokens,
            score,
        )

    def refined(
        self, logits: Tensor, high_res_features: list[Tensor], coarse: Tensor, drawn: Tensor
    ) -> Tensor:
        """Logits (B, M, H, W) after the refiner; one image serves all B masks."""
        batch = len(logits)
        fine, middle, coarse = (
            f.expand(batch, -1, -1, -1) for f in (*high_res_features, coarse)
        )
        return self.refiner(logits, fine, middle, coarse, drawn)


def split_dense(dense: Tensor, d_model: int) -> tuple[Tensor, Tensor]:
    """The embedding (B, C, H, W) and the drawing (B, 4, 4H, 4W) of a dense prompt."""
    return dense[:, :d_model], F.pixel_shuffle(dense[:, d_model:], 4)


def _as_fine_as(finer: Tensor, coarser: Tensor) -> Tensor:
    return F.interpolate(coarser, size=finer.shape[-2:], mode="nearest")


class _Block(nn.Sequential):
    """A convolution, normalised."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(4, out),
            nn.SiLU(inplace=True),
        )


def _convolutions(channels: int, out: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(channels if k == 0 else out, out) for k in range(count)))
