"""The semantic head: every class at once, with no prompt; SSS's coarse segmenter D_sam."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from napari_sss.engine.models.sam2_model import Features

Norm = Literal["group", "batch"]
HeadLevels = Literal["finest", "all"]

HIDDEN = 64
_GROUPS = 8


def norm_layer(kind: Norm, channels: int) -> nn.Module:
    """GroupNorm, which small batches and several ranks do not disturb, or BatchNorm."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(_GROUPS, channels)


class SemanticHead(nn.Module):
    """Conv3x3 to 64, norm, ReLU, Conv1x1 to the classes.

    Parameters
    ----------
    in_channels : int
        Channels of each scale.
    classes : int
        Foreground classes K; the background comes on top, as class 0.
    norm : {"group", "batch"}
        The paper has BatchNorm.
    levels : {"finest", "all"}
        The paper's head reads the finest scale alone. ``"all"`` adds the coarser ones, each
        by a 1x1 convolution, and a second 3x3: official encoders stop their top-down path
        two scales above the finest, which then knows nothing of its surroundings.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        norm: Norm = "group",
        levels: HeadLevels = "all",
    ) -> None:
        super().__init__()
        self.levels = levels
        if levels == "all":
            self.lateral = nn.ModuleList(nn.Conv2d(in_channels, HIDDEN, 1) for _ in range(3))
        first = HIDDEN if levels == "all" else in_channels
        layers: list[nn.Module] = []
        for width in (first, HIDDEN)[: 2 if levels == "all" else 1]:
            layers += [nn.Conv2d(width, HIDDEN, 3, padding=1), norm_layer(norm, HIDDEN)]
            layers.append(nn.ReLU())
        self.body = nn.Sequential(*layers, nn.Conv2d(HIDDEN, classes + 1, 1))

    def forward(self, pyramid: Features) -> Tensor:
        """Logits (B, K + 1, S/4, S/4) of a pyramid with the strides 4, 8 and 16."""
        finest = pyramid.levels[0]
        if self.levels == "finest":
            return self.body(finest)
        total = self.lateral[0](finest)
        for level, lateral in zip(pyramid.levels[1:], list(self.lateral)[1:], strict=True):
            total = total + F.interpolate(
                lateral(level), size=finest.shape[-2:], mode="bilinear", align_corners=False
            )
        return self.body(total)
