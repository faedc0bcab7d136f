"""From the anatomy's intensities to what a scanner would have given."""

from __future__ import annotations

import math

import torch

from .appearance import MR_SCALE, Palette
from .draws import Draws
from .fields import blur_plane, smooth_field


def acquire(
    draws: Draws,
    image: torch.Tensor,
    labels: torch.Tensor,
    spacing: tuple[float, float, float],
    palette: Palette,
) -> tuple[torch.Tensor, torch.Tensor]:
    """An ideal image as a scanner would show it.

    Parameters
    ----------
    draws : Draws
        Source of the scanner's faults.
    image : Tensor, float32 (Z, Y, X)
        Ideal intensities in the palette's units.
    labels : Tensor, int16 (Z, Y, X)
        Moved together with the image where slices were taken at different breath-holds,
        and 0 outside a circular field of view.
    spacing : (float, float, float)
        Millimetres along z, y, x.
    palette : Palette
        Tells the modality and the size of soft-tissue contrast.

    Returns
    -------
    image : Tensor, float32 (Z, Y, X)
        HU, or arbitrary units from 0.
    labels : Tensor, int16 (Z, Y, X)
    """
    # Where tissues are nearly alike, as much noise as elsewhere would leave nothing to see.
    noise = max(0.45, palette.contrast**0.5)
    if palette.modality == "CT":
        return _scan_ct(draws, image, labels, spacing, noise)
    return _scan_mr(draws, image, labels, spacing, palette.unit * noise)


def _scan_ct(
    draws: Draws,
    image: torch.Tensor,
    labels: torch.Tensor,
    spacing: tuple[float, float, float],
    noise_scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    image = blur_plane(image, draws.uniform(0.3, 0.9))
    level = noise_scale * draws.log_uniform(5, 30)
    grain = draws.choice((0.0, 0.6, 1.0), (2, 3, 2))
    noise = correlated_noise(draws, image, grain)
    if draws.chance(0.3):
        # Fewer photons reach the middle of the patient: noise grows inwards.
        noise *= 0.6 + 0.8 * _centre_weight(image)
    image = image.add_(noise, alpha=level)
    if draws.chance(0.3):
        image += streaks(draws, image, spacing, draws.log_uniform(4, 40))
    if draws.chance(0.35):
        image, labels = circular_view(draws, image, labels, draws.choice((-1024.0, -2000.0)))
    return image.clamp_(-1024, 3071), labels


def _scan_mr(
    draws: Draws,
    image: torch.Tensor,
    labels: torch.Tensor,
    spacing: tuple[float, float, float],
    unit: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    if draws.chance(0.4):
        image, labels = breath_holds(draws, image, labels, spacing)
    image = image * bias_field(draws, image, spacing)
    if draws.chance(0.5):
        image = limited_k_space(draws, image)
    else:
        image = blur_plane(image, draws.uniform(0.3, 0.9), draws.uniform(0.3, 0.9))
    if draws.chance(0.2):
        image = ghosts(draws, image)
    level = unit * draws.log_uniform(1.2, 11)
    grain = draws.choice((0.0, 0.6, 0.9), (2, 2, 1))
    if draws.chance(0.8):
        real = image + level * correlated_noise(draws, image, grain)
        imaginary = level * correlated_noise(draws, image, grain)
        image = torch.hypot(real, imaginary)
    else:
        image = (image + level * correlated_noise(draws, image, grain)).clamp_(min=0)
    gains = draws.gaussian((image.shape[0], 1, 1)).to(image) * draws.uniform(0, 0.08)
    image = image * (1 + gains).clamp(min=0.5)
    if draws.chance(0.08):
        image, labels = circular_view(draws, image, labels, 0.0)
    elif draws.chance(0.08):
        image, labels = narrow_view(draws, image, labels)
    return image * (draws.log_uniform(60, 4000) / MR_SCALE), labels


def correlated_noise(draws: Draws, image: torch.Tensor, grain: float) -> torch.Tensor:
    """Gaussian noise of variance one, blurred in plane by ``grain`` pixels."""
    noise = draws.gaussian(image.shape).to(image.device)
    if grain <= 0:
        return noise
    noise = blur_plane(noise, grain)
    return noise / noise[:, ::4, ::4].std().clamp(min=1e-6)


def bias_field(
    draws: Draws, image: torch.Tensor, spacing: tuple[float, float, float]
) -> torch.Tensor:
    """The coils' smooth gain, positive, about 1."""
    width = image.shape[-1] * spacing[-1]
    field = smooth_field(draws, image.shape, spacing, width / 1.5, image.device)
    bias = torch.exp(field * draws.uniform(0.0, 0.35))
    if draws.chance(0.4):
        # A surface coil: bright near one side, fading across the body.
        angle = draws.uniform(0, 2 * math.pi)
        y, x = _plane(image)
        slope = math.sin(angle) * y + math.cos(angle) * x
        bias *= torch.exp(slope * draws.uniform(0.1, 0.7))
    return bias


def limited_k_space(draws: Draws, image: torch.Tensor) -> torch.Tensor:
    """The slices from a smaller k-space, filled with zeros: blur and ringing at edges."""
    height, width = image.shape[-2:]
    spectrum = torch.fft.rfft2(image)
    keep = draws.uniform(0.5, 0.95)
    smooth = draws.uniform(0.02, 0.15)
    fy = torch.fft.fftfreq(height, device=image.device).abs() * 2
    fx = torch.fft.rfftfreq(width, device=image.device).abs() * 2
    along = draws.uniform(0.7, 1.0)
    pass_y = torch.sigmoid((keep * along - fy) / smooth * 2)
    pass_x = torch.sigmoid((keep - fx) / smooth * 2)
    spectrum *= pass_y[:, None] * pass_x[None, :]
    return torch.fft.irfft2(spectrum, s=(height, width)).abs_()


def ghosts(draws: Draws, image: torch.Tensor) -> torch.Tensor:
    """Faint copies of the image displaced along the phase-encoding direction."""
    axis = draws.choice((1, 2))
    step = image.shape[axis] // draws.integer(2, 7)
    size = draws.uniform(0.02, 0.1)
    return image + size * (image.roll(step, axis) - image.mean()).clamp(min=0)


def breath_holds(
    draws: Draws,
    image: torch.Tensor,
    labels: torch.Tensor,
    spacing: tuple[float, float, float],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices displaced against each other, image and labels alike."""
    size = draws.uniform(0.3, 2.5)
    image, labels = image.clone(), labels.clone()
    for k in range(image.shape[0]):
        dy = round(draws.normal(0, size) / spacing[1])
        dx = round(draws.normal(0, size) / spacing[2])
        if dy or dx:
            image[k] = _moved(image[k], dy, dx)
            labels[k] = _moved(labels[k], dy, dx)
    return image, labels


def _moved(plane: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    """The plane displaced, its border repeated where nothing comes in."""
    height, width = plane.shape
    rows = (torch.arange(height, device=plane.device) - dy).clamp(0, height - 1)
    columns = (torch.arange(width, device=plane.device) - dx).clamp(0, width - 1)
    return plane[rows][:, columns]


def streaks(
    draws: Draws,
    image: torch.Tensor,
    spacing: tuple[float, float, float],
    strength: float,
) -> torch.Tensor:
    """Rays of a dense object: a profile over the angle, fading with the distance.

    Returns
    -------
    Tensor (Z, Y, X)
        To be added, in HU; ``strength`` is the deviation 40 mm away from the source.
    """
    slices, height, width = image.shape
    y, x = _plane(image)
    extent_y, extent_x = height * spacing[1] / 2, width * spacing[2] / 2
    source_y, source_x = draws.uniform(-0.6, 0.8), draws.uniform(-0.7, 0.7)
    dy, dx = (y - source_y) * extent_y, (x - source_x) * extent_x
    angle = torch.atan2(dy, dx)[0]
    rays = draws.integer(40, 160)
    profile = draws.gaussian((slices, rays)).to(image)
    place = (angle / (2 * math.pi) + 0.5) * (rays - 1)
    low = place.floor().long().clamp(max=rays - 2)
    part = place - low
    values = profile[:, low] * (1 - part) + profile[:, low + 1] * part
    fade = strength * 40.0 / (torch.hypot(dy, dx)[0] + 25.0)
    along = torch.arange(slices, device=image.device) - draws.uniform(0, slices)
    reach = torch.exp(-0.5 * (along / draws.uniform(1.5, 8)) ** 2)
    return values * fade * reach[:, None, None]


def circular_view(
    draws: Draws, image: torch.Tensor, labels: torch.Tensor, outside: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image and labels within a disc; ``outside`` beyond it."""
    y, x = _plane(image)
    disc = (y * y + x * x) < draws.uniform(0.85, 1.15) ** 2
    image = torch.where(disc, image, image.new_tensor(outside))
    return image, torch.where(disc, labels, labels.new_zeros(()))


def narrow_view(
    draws: Draws, image: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image and labels between two straight borders; 0 beyond them."""
    y, x = _plane(image)
    angle = draws.choice((0.0, math.pi / 2)) + draws.normal(0, 0.15)
    across = math.sin(angle) * y + math.cos(angle) * x
    inside = (across > -draws.uniform(0.6, 1.2)) & (across < draws.uniform(0.6, 1.2))
    image = torch.where(inside, image, image.new_zeros(()))
    return image, torch.where(inside, labels, labels.new_zeros(()))


def _plane(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Y (1, Y, 1) and x (1, 1, X), each from -1 to 1."""
    y = torch.linspace(-1, 1, image.shape[1], device=image.device)
    x = torch.linspace(-1, 1, image.shape[2], device=image.device)
    return y[None, :, None].expand(1, -1, image.shape[2]), x[None, None, :].expand(
        1, image.shape[1], -1
    )


def _centre_weight(image: torch.Tensor) -> torch.Tensor:
    y, x = _plane(image)
    return torch.exp(-(y * y + x * x) * 2)
