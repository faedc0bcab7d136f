"""Smooth random fields on a grid, and separable filters.

Fields are cubic B-splines with random coefficients: twice differentiable, so that shapes
warped by them show no facets, and cheap, because three small matrix products make them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .draws import Draws


def spline_matrix(length: int, nodes: int) -> torch.Tensor:
    """Cubic B-spline weights of ``nodes`` coefficients at ``length`` equidistant places.

    Returns
    -------
    Tensor, float32 (length, nodes)
        Non-negative, each row sums to one; four entries of a row differ from zero.
    """
    if nodes < 4:
        raise ValueError(f"A cubic spline needs at least 4 nodes, got {nodes}.")
    place = torch.linspace(0.0, nodes - 3.0, length)
    first = place.floor().clamp(max=nodes - 4).long()
    t = place - first
    weights = torch.stack(
        [
            (1 - t) ** 3,
            3 * t**3 - 6 * t**2 + 4,
            -3 * t**3 + 3 * t**2 + 3 * t + 1,
            t**3,
        ],
        dim=1,
    )
    matrix = torch.zeros(length, nodes)
    columns = first[:, None] + torch.arange(4)
    return matrix.scatter_(1, columns, weights / 6)


def smooth_field(
    draws: Draws,
    shape: Sequence[int],
    spacing: Sequence[float],
    correlation: float,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """A random field of mean about 0 and variance about 1.

    Parameters
    ----------
    draws : Draws
        Source of the coefficients.
    shape, spacing : sequences of 3
        Voxels and millimetres along z, y, x.
    correlation : float
        Distance of the spline's nodes in mm: the size of the field's features. At most
        one node per voxel is used.

    Returns
    -------
    Tensor, float32 (Z, Y, X)
    """
    nodes = [
        max(4, min(n, math.ceil(n * step / correlation)) + 3)
        for n, step in zip(shape, spacing, strict=True)
    ]
    field = draws.gaussian(nodes)
    matrices = [spline_matrix(n, k) for n, k in zip(shape, nodes, strict=True)]
    # The variance of a spline with independent coefficients is the product of the mean
    # squared weights along the axes.
    variance = math.prod(float((m**2).sum(1).mean()) for m in matrices)
    field = (field / math.sqrt(variance)).to(device)
    matrices = [m.to(device) for m in matrices]
    field = field @ matrices[2].T
    field = matrices[1] @ field
    return torch.tensordot(matrices[0], field, dims=1)


def gaussian_kernel(sigma: float, device: torch.device | str = "cpu") -> torch.Tensor:
    """Normalised Gaussian weights reaching three ``sigma`` (in voxels) either side."""
    reach = max(1, math.ceil(3 * sigma))
    place = torch.arange(-reach, reach + 1, dtype=torch.float32, device=device)
    kernel = torch.exp(-0.5 * (place / sigma) ** 2)
    return kernel / kernel.sum()


def blur_plane(
    image: torch.Tensor, sigma_y: float, sigma_x: float | None = None
) -> torch.Tensor:
    """The slices (Z, Y, X), each blurred by a Gaussian of so many pixels.

    A width below 0.15 pixels leaves its axis as it is.
    """
    sigma_x = sigma_y if sigma_x is None else sigma_x
    slices = image[:, None]
    for axis, sigma in ((2, sigma_y), (3, sigma_x)):
        if sigma < 0.15:
            continue
        kernel = gaussian_kernel(sigma, image.device)
        reach = len(kernel) // 2
        pad = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        weights = kernel.view(1, 1, -1, 1) if axis == 2 else kernel.view(1, 1, 1, -1)
        padded = torch.nn.functional.pad(slices, pad, mode="replicate")
        slices = torch.nn.functional.conv2d(padded, weights)
    return slices[:, 0]
