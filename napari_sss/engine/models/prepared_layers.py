"""Layers of a network as plain tensors, ready in the precision in which they are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Linear:
    """A linear map of the last axis.

    Parameters
    ----------
    weight : (out, in) tensor
        As in ``torch.nn.Linear``.
    bias : (out,) tensor
        Added.
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype) -> Linear:
        """That of a ``torch.nn.Linear``; without a copy where the precision is the same."""
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype))

    @classmethod
    def of_convolution(cls, convolution: Any, dtype: torch.dtype) -> Linear:
        """That of a convolution of one pixel, for channels on the last axis."""
        weight = convolution.weight.detach()[:, :, 0, 0].to(dtype)
        return cls(weight, convolution.bias.detach().to(dtype))

    @classmethod
    def side_by_side(cls, layers: list[Linear]) -> Linear:
        """Several maps of the same input as one, their outputs in a row."""
        return cls(torch.cat([x.weight for x in layers]), torch.cat([x.bias for x in layers]))

    def after(self, first: Linear) -> Linear:
        """One map that is another one and then this one."""
        return Linear(self.weight @ first.weight, self.weight @ first.bias + self.bias)

    def to(self, dtype: torch.dtype) -> Linear:
        """The same in another precision."""
        return Linear(self.weight.to(dtype), self.bias.to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it to (..., in)."""
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class Norm:
    """A layer normalisation of the last axis."""

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype) -> Norm:
        """That of a ``torch.nn.LayerNorm``, or of SAM-2's own one of channels."""
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype), layer.eps)

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it to (..., C)."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
