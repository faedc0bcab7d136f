"""A CT that the package makes itself: an abdomen with known truth.

It is no patient's: shapes are ellipsoids, tubes and shells deformed by smooth noise, blurred
and made noisy as a scanner would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.volumes.grid import Grid, Shape3
from napari_sss.engine.volumes.phantom_anatomy import paint_abdomen
from napari_sss.engine.volumes.phantom_canvas import NAMES, Canvas
from napari_sss.engine.volumes.smooth_noise import smooth_noise
from napari_sss.engine.volumes.volume import Volume

_EXTENT_MM = (320.0, 345.6, 345.6)
_TILT_DEGREES = (4.0, -3.0, 6.0)  # about x, y, z: oblique, so that the demo shows that case
_BLUR_MM = 0.9
_NOISE_HU = 11.0
_NOISE_GRAIN_MM = 1.4


@dataclass(frozen=True)
class Phantom:
    """A made CT and its truth.

    Parameters
    ----------
    volume : Volume
        int16 HU, modality CT, on an anisotropic, oblique grid.
    labels : (Z, Y, X) uint8 array
        The structure at each voxel, 0 for none.
    names : mapping
        Label to structure.
    """

    volume: Volume
    labels: NDArray[np.uint8]
    names: Mapping[int, str] = field(default_factory=lambda: dict(NAMES))


def make_phantom(shape: Shape3 = (64, 192, 192), seed: int = 0) -> Phantom:
    """Make an abdomen, from the lungs' bases to the hips.

    Parameters
    ----------
    shape : (int, int, int)
        Voxels along Z, Y, X, at least 8 each. The extent is always 320 x 346 x 346 mm, so
        the shape decides the spacing: 5 x 1.8 x 1.8 mm by default.
    seed : int
        Shapes, texture and noise follow from it.

    Returns
    -------
    Phantom
        The scan with its truth.

    Raises
    ------
    ConfigError
        If the shape is too small.
    """
    if len(shape) != 3 or min(shape) < 8:
        raise ConfigError(
            f"A phantom of shape {shape} is too small.", "Give at least 8 voxels per axis."
        )
    rng = np.random.default_rng(seed)
    grid = _grid(shape)
    canvas = Canvas.blank(grid, rng)
    paint_abdomen(canvas, rng)
    scan = _scanned(canvas.hu, grid, rng)
    volume = Volume(scan, grid, modality="CT")
    return Phantom(volume, canvas.labels)


def _grid(shape: Shape3) -> Grid:
    """The tilted grid whose middle is the world's origin."""
    spacing = np.array(_EXTENT_MM) / shape
    columns = _rotation() @ np.eye(3)[:, ::-1]  # columns: the steps along z, y, x
    affine = np.eye(4)
    affine[:3, :3] = columns * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid.from_affine(shape, affine)


def _rotation() -> NDArray[np.float64]:
    a, b, c = np.deg2rad(_TILT_DEGREES)
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def _scanned(
    hu: NDArray[np.float32], grid: Grid, rng: np.random.Generator
) -> NDArray[np.int16]:
    """The scan of a body: texture, the scanner's blur, and noise where rays are weakened."""
    from scipy.ndimage import gaussian_filter

    in_plane = float(np.mean(grid.spacing[1:]))
    blur = (0, _BLUR_MM / in_plane, _BLUR_MM / in_plane)
    sharp = hu + 3 * smooth_noise(grid, 3.0, rng) * (hu > -500)
    image = gaussian_filter(sharp, blur, truncate=3)
    image += _noise_level(hu) * _grain(grid, rng)
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)


def _grain(grid: Grid, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise of standard deviation 1 with the in-plane grain that reconstruction leaves."""
    from scipy.ndimage import gaussian_filter

    grain = rng.standard_normal(grid.shape, dtype=np.float32)
    sigma = _NOISE_GRAIN_MM / 2 / float(np.mean(grid.spacing[1:]))
    grain = gaussian_filter(grain, (0, sigma, sigma), truncate=3)
    return grain / grain.std()


def _noise_level(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """HU of noise per slice and column: photons that pass thick bone or tissue are fewer.

    The photons left behind ``n`` mm of water fall off as ``exp(-0.019 n)`` at 70 keV, and
    Poisson noise grows as one over their root; the mean of the ways across and through the
    body stands for all rays through a voxel. Normalised to :data:`_NOISE_HU` in the median.
    """
    density = np.clip(hu / 1000 + 1, 0, 2.5)
    across = density.mean(axis=2, keepdims=True)
    through = density.mean(axis=1, keepdims=True)
    level = np.exp(np.float32(0.5 * 0.019 * _EXTENT_MM[1] / 2) * (across + through) / 2)
    return level * np.float32(_NOISE_HU / np.median(level))
