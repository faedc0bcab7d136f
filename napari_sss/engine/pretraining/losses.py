"""What the embedded model is trained to minimise."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def mask_losses(logits: Tensor, target: Tensor, foreground_weight: float = 5.0) -> Tensor:
    """Cross-entropy plus Dice of each candidate mask.

    Foreground and background share the cross-entropy's weight half and half, because an
    unbalanced one collapses to empty masks where objects are small. A weight of w makes a
    doubtful pixel foreground from a probability of 1 / (1 + w) on, so it is capped.

    Parameters
    ----------
    logits : (B, M, S, S) tensor
        Candidate masks.
    target : (B, S, S) tensor
        Shares 0 to 1.
    foreground_weight : float
        The cap, 1 or more; 1 makes masks unbiased.

    Returns
    -------
    (B, M) tensor
    """
    target = target[:, None].expand_as(logits)
    share = target.mean(dim=(-2, -1), keepdim=True).clamp(1e-3, 1.0)
    weight = 1.0 + target * ((1 - share) / share).clamp(1.0, foreground_weight).sub(1.0)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = (entropy * weight).sum(dim=(-2, -1)) / weight.sum(dim=(-2, -1))
    return 2.0 * entropy + dice_losses(logits, target)


def dice_losses(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice over the last two axes; 0 where both are empty."""
    probability = logits.sigmoid()
    overlap = (probability * target).sum(dim=(-2, -1))
    total = (probability.square() + target.square()).sum(dim=(-2, -1))
    return 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)


def hard_iou(logits: Tensor, target: Tensor) -> Tensor:
    """Intersection over union of the masks at logit 0 with the target at one half.

    Parameters
    ----------
    logits : (B, M, S, S) tensor
    target : (B, S, S) tensor

    Returns
    -------
    (B, M) tensor
        1 where both are empty.
    """
    mask = logits > 0
    truth = (target > 0.5)[:, None].expand_as(mask)
    union = (mask | truth).sum(dim=(-2, -1)).float()
    overlap = (mask & truth).sum(dim=(-2, -1)).float()
    return torch.where(union > 0, overlap / union.clamp(min=1), torch.ones_like(union))
