"""Encoded flips and crops of each slice, kept so that a step needs no encoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.models.sss.focus import WHOLE, Window
from napari_sss.engine.training.data.warps import Warp, WarpRange

Slice = tuple[int, int]


class FeatureCache:
    """The encoder's features of ``variants`` warps of each slice.

    The first one is as prediction looks first: the slice, or the part of it in focus.

    The warps are a function of seed, case and slice, and all variants of a slice are always
    encoded together: what was dropped for want of room comes back bit for bit.

    Parameters
    ----------
    encode : callable
        (B, S, S) grey to features, without gradients.
    variants : int
        Encoded views of each slice.
    limits : WarpRange
        How far they go.
    seed : int
        Decides them.
    megabytes : float
        Room; the slices of one batch are always kept.
    dtype : torch.dtype
        Precision in which features are kept.
    side : int, optional
        S of what is encoded; by default that of the slices.
    regions : callable, optional
        From a case's number to where its classes lie; must not change.
    """

    def __init__(
        self,
        encode: Callable[[Tensor], Features],
        *,
        variants: int,
        limits: WarpRange,
        seed: int,
        megabytes: float,
        dtype: torch.dtype = torch.bfloat16,
        side: int | None = None,
        regions: Callable[[int], Window | None] = lambda number: None,
    ) -> None:
        self._encode = encode
        self._variants = variants
        self._limits = limits
        self._seed = seed
        self._room = megabytes * 2**20
        self._dtype = dtype
        self.side = side
        self._regions = regions
        self._kept: OrderedDict[Slice, Features] = OrderedDict()
        self._bytes = 0
        self.encoded = 0

    @property
    def slice_megabytes(self) -> float:
        """Room that a kept slice takes with all its variants; 0 while none is kept."""
        return self._bytes / max(1, len(self._kept)) / 2**20

    def warps(self, where: Slice) -> Warp:
        """The warps of a slice's variants."""
        seed = np.random.SeedSequence((self._seed, *where)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(seed[0] >> np.uint64(1)))
        region = self._regions(where[0])
        drawn = Warp.draw(self._variants, self._limits, generator, [region] * self._variants)
        theta, bend = drawn.theta, drawn.bend
        theta[:1] = self.first.theta()
        if bend is not None:
            bend[:1] = 0
        return Warp(theta, bend)

    @property
    def first(self) -> Window:
        """What the first variant shows."""
        focus = self._limits.focus
        return WHOLE if focus is None else focus.first

    def features(self, where: Slice, grey: Tensor, variant: int) -> Features:
        """One variant (1 row) of a slice (S, S)."""
        if where not in self._kept:
            self._keep(where, grey)
        self._kept.move_to_end(where)
        return self._kept[where][variant : variant + 1]

    def batch(self, slices: list[Slice], grey: Tensor, variants: list[int]) -> Features:
        """Variants of several slices (B, S, S) as one batch in float32."""
        rows = [
            self.features(where, image, variant)
            for where, image, variant in zip(slices, grey, variants, strict=True)
        ]
        a, b, c = (level.float() for level in Features.stack(rows).levels)
        return Features((a, b, c))

    def _keep(self, where: Slice, grey: Tensor) -> None:
        warped = self.warps(where).images(grey.expand(self._variants, -1, -1), self.side)
        encoded = self._encode(warped)
        a, b, c = (level.detach().to(self._dtype) for level in encoded.levels)
        self._kept[where] = Features((a, b, c))
        self._bytes += _bytes(self._kept[where])
        self.encoded += 1
        while self._bytes > self._room and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= _bytes(dropped)


def _bytes(features: Features) -> int:
    return sum(level.numel() * level.element_size() for level in features.levels)
