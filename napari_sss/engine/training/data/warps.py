"""The weak views' geometry: flips, crops, turns, bends, alike for a slice and all its maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.models.sss.focus import Focus, Window

FIRST_LOOKS = 0.3  # share of the views that show what a first look shows
CLOSENESS = (1.2, 2.2)  # side of the other views as a multiple of what they are to show
OFF_CENTRE = 0.25  # of what is shown: how far it may reach out of view
STRETCH = 0.1  # along one axis against the other, log scale

_FIRST_SCALE, _FIRST_SHIFT = 1.25, 0.1  # around the first look as prediction has it
_KNOTS = 5  # across a view
_BENT = 0.7  # share of the views


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
        Magnification, drawn log-uniformly; above 1 is a crop. Where there is a focus it
        decides instead.
    shift : float
        Largest shift, share of the side, on top of that of a crop inside its slice.
    bend : float
        Largest displacement of a knot, share of half of a view's side.
    focus : Focus, optional
        Where to look; None for whole slices.
    """

    flips: bool = True
    turn: float = 20.0
    zoom: tuple[float, float] = (0.8, 1.6)
    shift: float = 0.1
    bend: float = 0.0
    focus: Focus | None = None


@dataclass(frozen=True)
class Warp:
    """A smooth map for each slice of a batch.

    Parameters
    ----------
    theta : (B, 2, 3) float tensor
        As :func:`torch.nn.functional.affine_grid` takes it: from the view to the slice, both
        in -1 to 1.
    bend : (B, 2, k, k) float tensor, optional
        What is added to x and y in the slice, at knots from corner to corner of the view.
    """

    theta: Tensor
    bend: Tensor | None = None

    @classmethod
    def identity(cls, count: int) -> Warp:
        """Slices as they are."""
        return cls(torch.eye(2, 3).expand(count, 2, 3).clone())

    @classmethod
    def through(cls, window: Window, count: int) -> Warp:
        """The same part of every slice."""
        return cls(window.theta().expand(count, 2, 3).clone())

    @classmethod
    def stack(cls, warps: Sequence[Warp]) -> Warp:
        """Several batches as one; all of them bend, or none."""
        bends = [warp.bend for warp in warps if warp.bend is not None]
        return cls(torch.cat([w.theta for w in warps]), torch.cat(bends) if bends else None)

    @classmethod
    def draw(
        cls,
        count: int,
        limits: WarpRange,
        generator: torch.Generator,
        regions: Sequence[Window | None] = (),
    ) -> Warp:
        """Draw one for each slice.

        Parameters
        ----------
        count : int
            B.
        limits : WarpRange
            How far they go.
        generator : torch.Generator
            Draws them.
        regions : sequence of Window, optional
            For each slice where its volume's classes lie, as far as that is known; used
            where there is a focus.
        """
        u = torch.rand(count, 6, generator=generator)
        angle = (2 * u[:, 0] - 1) * math.radians(limits.turn)
        signs = (
            torch.where(u[:, 2:4] < 0.5, -1.0, 1.0) if limits.flips else torch.ones(count, 2)
        )
        if limits.focus is None:
            scale, shift = _of_whole_slices(limits, u)
            stretch = torch.zeros(count)
        else:
            known = [*regions, *[None] * (count - len(regions))]
            scale, shift, stretch = _of_regions(limits.focus, known, u, generator)
        cos, sin = scale * angle.cos(), scale * angle.sin()
        turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
        axes = signs * torch.stack([stretch.exp(), (-stretch).exp()], 1)
        theta = torch.cat([turn * axes[:, None, :], shift[:, :, None]], dim=2)
        return cls(theta, _bends(limits.bend, scale, generator) if limits.bend else None)

    def __getitem__(self, chosen: slice) -> Warp:
        """The warps of some of the slices."""
        return Warp(self.theta[chosen], None if self.bend is None else self.bend[chosen])

    def images(self, grey: Tensor, side: int | None = None) -> Tensor:
        """Warp grey slices (B, D, D) to (B, side, side), by default D; 0 beyond the border."""
        return self._sample(grey, "bilinear", side)

    def maps(self, values: Tensor, outside: int, side: int | None = None) -> Tensor:
        """Warp integer maps, below 2**24, alike; ``outside`` beyond their border."""
        # Shifted by one so that 0 can only come from beyond the border.
        sampled = self._sample(values.float() + 1, "nearest", side).round().to(torch.int64)
        return torch.where(sampled == 0, outside, sampled - 1).to(values.dtype)

    def _sample(self, values: Tensor, mode: str, side: int | None) -> Tensor:
        shape = (side, side) if side is not None else tuple(values.shape[1:])
        theta = self.theta.to(values.device)
        grid = F.affine_grid(theta, [len(values), 1, *shape], False)
        if self.bend is not None:
            bend = self.bend.to(values.device)
            smooth = F.interpolate(bend, size=shape, mode="bicubic", align_corners=True)
            grid = grid + smooth.permute(0, 2, 3, 1)
        sampled = F.grid_sample(
            values[:, None], grid, mode=mode, padding_mode="zeros", align_corners=False
        )
        return sampled[:, 0]


def _of_whole_slices(limits: WarpRange, u: Tensor) -> tuple[Tensor, Tensor]:
    """Scale (B,) and shift (B, 2) of x and y; a crop may lie anywhere in its slice."""
    low, high = (math.log(z) for z in limits.zoom)
    scale = torch.exp(-(low + (high - low) * u[:, 1]))
    reach = 2 * limits.shift + (1 - scale).clamp(min=0)
    return scale, (2 * u[:, 4:6] - 1) * reach[:, None]


def _of_regions(
    focus: Focus, regions: Sequence[Window | None], u: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Scale (B,), shift (B, 2) and stretch (B,) of views as prediction will have them.

    Most look closely at a region; where its place is not known, at a place within the first
    look, as large as regions are. The others are first looks.
    """
    v = torch.rand(len(regions), 4, generator=generator)
    is_first = v[:, 0] < FIRST_LOOKS
    room = focus.side - focus.typical
    at = torch.tensor(
        [
            (r.x, r.y, r.side)
            if r is not None
            else (focus.x + room * (2 * a - 1), focus.y + room * (2 * b - 1), focus.typical)
            for r, (a, b) in zip(regions, v[:, 1:3].tolist(), strict=True)
        ]
    )
    low, high = (math.log(c) for c in CLOSENESS)
    scale = at[:, 2] * torch.exp(low + (high - low) * u[:, 1])
    reach = (scale - at[:, 2]).clamp(min=0) + OFF_CENTRE * at[:, 2]
    jitter = 2 * u[:, 4:6] - 1
    shift = at[:, :2] + jitter * reach[:, None]
    first = focus.side * _FIRST_SCALE ** (2 * u[:, 1] - 1)
    first_shift = torch.tensor([focus.x, focus.y]) + _FIRST_SHIFT * jitter
    scale = torch.where(is_first, first, scale)
    shift = torch.where(is_first[:, None], first_shift, shift)
    return scale, shift, STRETCH * (2 * v[:, 3] - 1)


def _bends(most: float, scale: Tensor, generator: torch.Generator) -> Tensor:
    """Displacements of the knots (B, 2, k, k), none for some of the views."""
    drawn = 2 * torch.rand(len(scale), 2, _KNOTS, _KNOTS, generator=generator) - 1
    bent = torch.rand(len(scale), generator=generator) < _BENT
    return drawn * (most * scale * bent)[:, None, None, None]
