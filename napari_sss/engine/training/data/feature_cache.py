"""Encoded flips and crops of each slice, kept so that a step needs no encoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.training.data.warps import Warp, WarpRange

Slice = tuple[int, int]


class FeatureCache:
    """The encoder's features of ``variants`` warps of each slice; the first is the slice.

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
    ) -> None:
        self._encode = encode
        self._variants = variants
        self._limits = limits
        self._seed = seed
        self._room = megabytes * 2**20
        self._dtype = dtype
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
        drawn = Warp.draw(self._variants - 1, self._limits, generator)
        return Warp(torch.cat([Warp.identity(1).theta, drawn.theta]))

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
        warped = self.warps(where).images(grey.expand(self._variants, -1, -1))
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
