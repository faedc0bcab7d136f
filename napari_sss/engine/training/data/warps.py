"""The weak views' geometry: flips, crops, turns, the same for a slice and all its maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class WarpRange:
    """How far weak views go.

    Parameters
    ----------
    flips : bool
        Left and right, up and down, each with probability one half. Not for classes that
        differ by their side alone.
    turn : float
        Largest rotation, degrees.
    zoom : (float, float)
        Magnification, drawn log-uniformly; above 1 is a crop.
    shift : float
        Largest shift, share of the side, on top of that of a crop inside its slice.
    """

    flips: bool = True
    turn: float = 20.0
    zoom: tuple[float, float] = (0.8, 1.6)
    shift: float = 0.1


@dataclass(frozen=True)
class Warp:
    """An affine map for each slice of a batch.

    Parameters
    ----------
    theta : (B, 2, 3) float tensor
        As :func:`torch.nn.functional.affine_grid` takes it: from the view to the slice, both
        in -1 to 1.
    """

    theta: Tensor

    @classmethod
    def identity(cls, count: int) -> Warp:
        """Slices as they are."""
        return cls(torch.eye(2, 3).expand(count, 2, 3).clone())

    @classmethod
    def draw(cls, count: int, limits: WarpRange, generator: torch.Generator) -> Warp:
        """Draw one for each slice."""
        u = torch.rand(count, 6, generator=generator)
        angle = (2 * u[:, 0] - 1) * math.radians(limits.turn)
        low, high = (math.log(z) for z in limits.zoom)
        scale = torch.exp(-(low + (high - low) * u[:, 1]))
        signs = (
            torch.where(u[:, 2:4] < 0.5, -1.0, 1.0) if limits.flips else torch.ones(count, 2)
        )
        # A crop may lie anywhere in its slice.
        reach = 2 * limits.shift + (1 - scale).clamp(min=0)
        shift = (2 * u[:, 4:6] - 1) * reach[:, None]
        cos, sin = scale * angle.cos(), scale * angle.sin()
        turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
        return cls(torch.cat([turn * signs[:, None, :], shift[:, :, None]], dim=2))

    def __getitem__(self, chosen: slice) -> Warp:
        """The warps of some of the slices."""
        return Warp(self.theta[chosen])

    def images(self, grey: Tensor) -> Tensor:
        """Warp grey slices (B, S, S); 0 beyond their border."""
        return self._sample(grey, "bilinear")

    def maps(self, values: Tensor, outside: int) -> Tensor:
        """Warp integer maps (B, S, S), below 2**24; ``outside`` beyond their border."""
        # Shifted by one so that 0 can only come from beyond the border.
        sampled = self._sample(values.float() + 1, "nearest").round().to(torch.int64)
        return torch.where(sampled == 0, outside, sampled - 1).to(values.dtype)

    def _sample(self, values: Tensor, mode: str) -> Tensor:
        grid = F.affine_grid(
            self.theta.to(values.device), [len(values), 1, *values.shape[1:]], False
        )
        sampled = F.grid_sample(
            values[:, None], grid, mode=mode, padding_mode="zeros", align_corners=False
        )
        return sampled[:, 0]
