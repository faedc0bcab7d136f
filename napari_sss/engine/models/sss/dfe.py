"""Discriminative feature enhancement: what two views share, and where they differ."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sss.engine.models.sam2_model import Features


class DiscriminativeFeatureEnhancement(nn.Module):
    """DFE of one scale.

    With a = Conv3x3(F1), b = Conv3x3(F2) and s the cosine of their global averages::

        w     = sigmoid(s)
        F_adj = w * MLP(a) + (1 - w) * MLP(b) + (1 - s) * (b - a)

    F1 and F2 are the views' features after one 1x1 projection to C channels that both share,
    as they share the convolution and the MLP.

    Parameters
    ----------
    in_channels : int
        Channels of the features.
    channels : int, optional
        C; by default ``in_channels``.
    normalised_output : bool
        The longer MLP, C-2C-2C-C-C, instead of C-2C-2C-C.

    References
    ----------
    Zhu et al., "SSS", arXiv:2506.08949 (2025).
    """

    def __init__(
        self, in_channels: int, channels: int | None = None, *, normalised_output: bool = False
    ) -> None:
        super().__init__()
        channels = channels or in_channels
        self.project = nn.Conv2d(in_channels, channels, kernel_size=1)
        self.convolve = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        widths = [channels, 2 * channels, 2 * channels, channels]
        if normalised_output:
            widths.append(channels)
        self.mlp = _mlp(widths)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Enhance one scale.

        Parameters
        ----------
        first, second : (B, in_channels, H, W) tensors
            The two views, for instance weak and strong; the same tensor twice where there is
            one view only, which leaves ``MLP(a)``.

        Returns
        -------
        adjusted : (B, C, H, W) tensor
            F_adj.
        similarity : (B,) tensor
            s, -1 to 1.
        """
        a, refined = self.first_half(first)
        if second is first:
            # s = 1 and a = b: the two weights sum to 1 and the difference vanishes.
            return refined, a.new_ones(len(a))
        return self.joined(a, refined, second)

    def first_half(self, first: Tensor) -> tuple[Tensor, Tensor]:
        """Give a and MLP(a) of the first view, (B, C, H, W) each: for several second views."""
        a = self.convolve(self.project(first))
        return a, self._per_position(a)

    def joined(self, a: Tensor, refined: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` gives, from :meth:`first_half` and the second view."""
        b = self.convolve(self.project(second))
        similarity = F.cosine_similarity(a.mean(dim=(2, 3)), b.mean(dim=(2, 3)), dim=1)
        s = similarity[:, None, None, None]
        w = s.sigmoid()
        adjusted = w * refined + (1 - w) * self._per_position(b)
        return adjusted + (1 - s) * (b - a), similarity

    def _per_position(self, values: Tensor) -> Tensor:
        return self.mlp(values.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Half:
    """What DFE makes of its first view alone: a and MLP(a) on every scale."""

    convolved: Features
    refined: Features


class PyramidEnhancement(nn.Module):
    """DFE on every scale of a pyramid, and its way back to the features.

    Parameters
    ----------
    in_channels : int
        Channels of each scale.
    channels : int, optional
        C of DFE; by default ``in_channels``.
    scales : int
        How many scales there are.
    residual : bool
        Add F_adj to both views' features (the paper's figure) or put it in their place.
    layer_scale : float, optional
        Start of a learned factor for each channel of what is added, so that SAM-2's decoder
        first meets features as it knows them. None adds F_adj as it is, as the figure does.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int | None = None,
        *,
        scales: int = 3,
        residual: bool = True,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        channels = channels or in_channels
        self.residual = residual
        self.scales = nn.ModuleList(
            DiscriminativeFeatureEnhancement(in_channels, channels) for _ in range(scales)
        )
        self.restore = nn.ModuleList(
            nn.Identity() if channels == in_channels else nn.Conv2d(channels, in_channels, 1)
            for _ in range(scales)
        )
        self.factors: nn.ParameterList | None = None
        if layer_scale is not None and residual:
            self.factors = nn.ParameterList(
                nn.Parameter(torch.full((in_channels,), layer_scale)) for _ in range(scales)
            )

    def forward(
        self, first: Features, second: Features | None = None
    ) -> tuple[Features, Features, Sequence[Tensor]]:
        """Enhance both views.

        Parameters
        ----------
        first, second : Features
            Three scales each; without ``second`` the first stands for both.

        Returns
        -------
        first, second : Features
            Enhanced; the same object where only one view was given.
        similarities : sequence of (B,) tensors
            s of each scale.
        """
        enhanced: tuple[list[Tensor], list[Tensor]] = ([], [])
        similarities = []
        for scale, dfe in enumerate(self.scales):
            one = first.levels[scale]
            two = one if second is None else second.levels[scale]
            adjusted, similarity = dfe(one, two)
            similarities.append(similarity)
            for view, kept in ((one, enhanced[0]), (two, enhanced[1])):
                kept.append(self._added(scale, view, adjusted))
        result = Features(tuple(enhanced[0]))  # type: ignore[arg-type]
        if second is None:
            return result, result, similarities
        return result, Features(tuple(enhanced[1])), similarities  # type: ignore[arg-type]

    def first_half(self, first: Features) -> Half:
        """What is made of the first view alone, once for several second views."""
        parts = [
            dfe.first_half(level) for dfe, level in zip(self._dfes, first.levels, strict=True)
        ]
        (a0, m0), (a1, m1), (a2, m2) = parts
        return Half(Features((a0, a1, a2)), Features((m0, m1, m2)))

    def second(self, half: Half, second: Features) -> tuple[Features, Sequence[Tensor]]:
        """The second view enhanced, and s of each scale, from the first view's half."""
        enhanced, similarities = [], []
        for scale, dfe in enumerate(self._dfes):
            view = second.levels[scale]
            adjusted, similarity = dfe.joined(
                half.convolved.levels[scale], half.refined.levels[scale], view
            )
            similarities.append(similarity)
            enhanced.append(self._added(scale, view, adjusted))
        return Features(tuple(enhanced)), similarities  # type: ignore[arg-type]

    @property
    def _dfes(self) -> list[DiscriminativeFeatureEnhancement]:
        return [m for m in self.scales if isinstance(m, DiscriminativeFeatureEnhancement)]

    def _added(self, scale: int, view: Tensor, adjusted: Tensor) -> Tensor:
        adjusted = self.restore[scale](adjusted)
        if self.factors is not None:
            adjusted = adjusted * self.factors[scale][:, None, None]
        return view + adjusted if self.residual else adjusted


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with LayerNorm and ReLU between them."""
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(itertools.pairwise(widths)):
        if index:
            layers += [nn.LayerNorm(before), nn.ReLU()]
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers)
