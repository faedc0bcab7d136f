"""The strong views' intensities, for one channel.

The sources jitter colours, which on CT and MR do little: hue and saturation do not exist.
In their place stand, at matching strength, gamma and contrast with brightness (for colour
jitter 0.5 with probability 0.8), a smooth bias field (the coil's shading of MR; for
grayscale), noise, and Gaussian blur (probability 0.5, sigma 0.1 to 2 pixels of 224, scaled
to the size at hand). Each is a few lines on whole batches, driven by one generator, so that
a resumed training repeats them exactly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

JITTER_SHARE = 0.8
BIAS_SHARE = 0.3
NOISE_SHARE = 0.5
BLUR_SHARE = 0.5

_BLUR_TAPS = 9


def strong_intensities(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Perturb grey slices (B, S, S), 0 to 1; each step has its own probability for a slice."""
    grey = _sometimes(grey, jittered(grey, generator), JITTER_SHARE, generator)
    grey = _sometimes(grey, biased(grey, generator), BIAS_SHARE, generator)
    grey = _sometimes(grey, blurred(grey, generator), BLUR_SHARE, generator)
    grey = _sometimes(grey, noisy(grey, generator), NOISE_SHARE, generator)
    return grey.clamp(0, 1)


def jittered(grey: Tensor, generator: torch.Generator, strength: float = 0.5) -> Tensor:
    """Gamma from 2^-1 to 2, contrast and brightness by up to ``strength`` and half of it."""
    u = 2 * torch.rand(len(grey), 3, generator=generator).to(grey.device) - 1
    gamma = (2.0 ** u[:, 0])[:, None, None]
    contrast = (1 + strength * u[:, 1])[:, None, None]
    brightness = (0.5 * strength * u[:, 2])[:, None, None]
    bent = grey.clamp(min=1e-6) ** gamma
    middle = bent.mean(dim=(1, 2), keepdim=True)
    return (middle + contrast * (bent - middle) + brightness).clamp(0, 1)


def biased(grey: Tensor, generator: torch.Generator, strength: float = 0.4) -> Tensor:
    """Multiply by a field that is smooth over a quarter of the slice."""
    coarse = 2 * torch.rand(len(grey), 1, 4, 4, generator=generator).to(grey.device) - 1
    field = F.interpolate(coarse, size=grey.shape[-2:], mode="bicubic", align_corners=True)
    return grey * (1 + strength * field[:, 0])


def noisy(grey: Tensor, generator: torch.Generator, most: float = 0.1) -> Tensor:
    """Add Gaussian noise of a standard deviation up to ``most`` of the window."""
    sigma = most * torch.rand(len(grey), 1, 1, generator=generator).to(grey.device)
    return grey + sigma * torch.randn(grey.shape, generator=generator).to(grey.device)


def blurred(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Blur by a Gaussian of 0.1 to 2 pixels where the side is 224."""
    drawn = torch.rand(len(grey), 1, generator=generator).to(grey.device)
    sigma = (0.1 + 1.9 * drawn) * grey.shape[-1] / 224
    taps = torch.arange(_BLUR_TAPS, device=grey.device) - _BLUR_TAPS // 2
    kernel = torch.exp(-(taps**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    half = _BLUR_TAPS // 2
    batch = F.pad(grey[None], (half, half, half, half), mode="replicate")
    across = F.conv2d(batch, kernel[:, None, None, :], groups=len(grey))
    return F.conv2d(across, kernel[:, None, :, None], groups=len(grey))[0]


def _sometimes(
    before: Tensor, after: Tensor, share: float, generator: torch.Generator
) -> Tensor:
    chosen = torch.rand(len(before), generator=generator).to(before.device) < share
    return torch.where(chosen[:, None, None], after, before)
