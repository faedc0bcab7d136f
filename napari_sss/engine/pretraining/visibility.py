"""Whether an object can be told from its surroundings in a picture.

A generator that draws contrasts at random also draws objects that nobody could see: nearly
the neighbours' grey, or lost where the window saturates. A model taught to outline these from
a box learns to fill the box, and then does so where the border is plain.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURHOOD = 1 / 12  # of the picture's side: what the eye compares at a border
FAINTEST = 0.03  # grey levels (0 to 1) that the eye tells apart without any noise
CLEAR = 2.0  # a contrast above this looks no clearer


def border_visibility(grey: Tensor, target: Tensor) -> float:
    """How clearly the border stands out, averaged along it.

    At each border pixel the mean grey of the object's and of the other pixels around it are
    compared, in units of their spread within the two groups, and cut at 2.

    Parameters
    ----------
    grey : (S, S) tensor
        A picture, 0 to 1.
    target : (S, S) tensor
        Share of each pixel that belongs to the object, 0 to 1.

    Returns
    -------
    float
        0 (not to be seen) to 2; 0 where the object has no border.
    """
    reach = 2 * max(1, round(grey.shape[-1] * NEIGHBOURHOOD / 2)) + 1
    inside = (target > 0.5).float()
    share_in, mean_in, variance_in = _local_moments(grey, inside, reach)
    share_out, mean_out, variance_out = _local_moments(grey, 1 - inside, reach)
    spread = ((variance_in + variance_out) / 2).clamp(min=0).sqrt()
    contrast = ((mean_in - mean_out).abs() / (spread + FAINTEST)).clamp(max=CLEAR)
    at_border = _border(inside) & (share_in > 0.1) & (share_out > 0.1)
    return float(contrast[at_border].mean()) if bool(at_border.any()) else 0.0


def _local_moments(grey: Tensor, chosen: Tensor, reach: int) -> tuple[Tensor, Tensor, Tensor]:
    """Share of chosen pixels around each pixel, and their mean grey and its variance."""
    sums = torch.stack([chosen, chosen * grey, chosen * grey.square()])[:, None]
    share, first, second = F.avg_pool2d(sums, reach, stride=1, padding=reach // 2)[:, 0]
    count = share.clamp(min=1e-6)
    mean = first / count
    return share, mean, second / count - mean.square()


def _border(inside: Tensor) -> Tensor:
    """Pixels with a neighbour on the other side."""
    grown = F.max_pool2d(inside[None], 3, stride=1, padding=1)[0]
    shrunk = -F.max_pool2d(-inside[None], 3, stride=1, padding=1)[0]
    return grown != shrunk
