"""Smooth random fields, made from few random numbers and cubic B-splines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.volumes.grid import Grid


def smooth_noise(
    grid: Grid, feature_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Noise with features of about ``feature_mm`` millimetres.

    Parameters
    ----------
    grid : Grid
        Only its shape and spacing count.
    feature_mm : float
        Distance of the spline's knots; finer than the voxels it is close to white noise.
    rng : numpy.random.Generator
        Where the numbers come from.

    Returns
    -------
    (Z, Y, X) float32 array
        Mean 0 and standard deviation 1.
    """
    bases = [
        _basis(count, max(1.0, feature_mm / step))
        for count, step in zip(grid.shape, grid.spacing, strict=True)
    ]
    field = rng.standard_normal([basis.shape[1] for basis in bases]).astype(np.float32)
    for basis in bases:  # each turn consumes the first axis and appends the full one
        field = np.tensordot(field, basis, axes=(0, 1))
    field -= field.mean()
    field /= max(float(field.std()), 1e-6)
    return field


def _basis(count: int, distance: float) -> NDArray[np.float32]:
    """Cubic B-spline weights (count, knots) of positions 0 to count - 1."""
    knots = int(np.ceil((count - 1) / distance)) + 4
    offset = np.arange(count)[:, None] / distance - (np.arange(knots)[None] - 1)
    t = np.abs(offset)
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.clip(2 - t, 0, None) ** 3 / 6
    return np.where(t < 1, near, far).astype(np.float32)
