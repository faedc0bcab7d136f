"""What the image itself says for a mask: an outline that follows an edge.

A model's estimate of its own masks is only as good as the model. That an object is brighter
or darker than what surrounds it, and that the image changes most along its outline, needs
no model.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RING = 2  # cells of the rings inside and outside the outline
FULL_CONTRAST = 0.75  # difference of the rings, in sums of their standard deviations
FULL_EDGE = 1.8  # gradient at the outline, as a multiple of that in and around the mask
NOISE = 0.02  # grey values that are too close to tell apart


def outline_evidence(grey: Tensor, inside: Tensor) -> Tensor:
    """How well the masks' outlines follow edges of the image.

    Parameters
    ----------
    grey : (B or 1, S, S) float tensor
        The crops in which the masks lie, 0 to 1.
    inside : (B, M, s, s) bool tensor
        Masks, at a lower resolution.

    Returns
    -------
    (B, M) float tensor
        0 to 1: the geometric mean of the contrast between the rings on both sides of the
        outline and of the gradient along it, each with the value from which on it counts
        as full.
    """
    small = F.adaptive_avg_pool2d(grey[:, None].float().to(inside.device), inside.shape[-1])
    mask = inside.float()
    contrast = _contrast(small, mask) / FULL_CONTRAST
    edge = (_edge(small, mask) - 1) / (FULL_EDGE - 1)
    return (contrast.clamp(0, 1) * edge.clamp(0, 1)).sqrt()


def _contrast(grey: Tensor, mask: Tensor) -> Tensor:
    """Difference of the mean grey of the two rings over the sum of their deviations."""
    inner = mask - _shrunk(mask, RING)
    outer = _grown(mask, RING) - mask
    inner_mean, inner_deviation = _moments(grey, inner)
    outer_mean, outer_deviation = _moments(grey, outer)
    difference = (inner_mean - outer_mean).abs()
    return difference / (inner_deviation + outer_deviation + NOISE)


def _edge(grey: Tensor, mask: Tensor) -> Tensor:
    """Mean gradient at the outline over that in the mask and around it."""
    down, right = torch.gradient(grey, dim=(-2, -1))
    gradient = torch.hypot(down, right)
    outline = _grown(mask, 1) - _shrunk(mask, 1)
    mean_at, _ = _moments(gradient, outline)
    mean_around, _ = _moments(gradient, _grown(mask, 2 * RING))
    return mean_at / mean_around.clamp(min=1e-6)


def _moments(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B, M) of values (B or 1, 1, s, s) where weight is 1."""
    count = weight.sum(dim=(-2, -1)).clamp(min=1)
    mean = (values * weight).sum(dim=(-2, -1)) / count
    square = (values.square() * weight).sum(dim=(-2, -1)) / count
    return mean, (square - mean.square()).clamp(min=0).sqrt()


def _grown(mask: Tensor, cells: int) -> Tensor:
    return F.max_pool2d(mask, 2 * cells + 1, stride=1, padding=cells)


def _shrunk(mask: Tensor, cells: int) -> Tensor:
    """Eroded; beyond the crop's rim the mask is taken to go on."""
    return -F.max_pool2d(-mask, 2 * cells + 1, stride=1, padding=cells)
