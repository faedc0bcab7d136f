"""Axes that are not at right angles: a sheared sform, or a CT taken with a tilted gantry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.volumes.raw import RawVolume

# ITK refuses NIfTI transforms that are further from a right angle than this, so nothing
# beyond it could be written back.
MAX_SHEAR_RADIANS = 1e-4


def shear_angle(affine: NDArray[np.float64]) -> float:
    """By how many radians the axes depart from right angles, at most."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(columns.T @ columns - np.eye(3))
    return float(np.arcsin(min(1.0, cosines.max())))


def resampled_upright(raw: RawVolume) -> RawVolume:
    """The same scan on the smallest grid with right angles that holds it.

    The array's X axis and the plane of X and Y keep their directions; Z becomes the normal
    of that plane, with the spacing the slices have along it. Linear interpolation; what no
    slice covers becomes the volume's minimum.
    """
    import SimpleITK as sitk  # noqa: N813

    upright, shape = _upright_affine(raw)
    image = sitk.GetImageFromArray(raw.array)
    _place(image, raw.affine)
    frame = sitk.Image([int(n) for n in shape[::-1]], sitk.sitkUInt8)
    _place(frame, upright)
    lowest = float(raw.array.min())
    turned = sitk.Resample(image, frame, sitk.Transform(), sitk.sitkLinear, lowest)
    note = (
        f"The axes were {np.rad2deg(shear_angle(raw.affine)):.1f} degrees off a right angle "
        "(sheared header or tilted gantry): the scan was resampled, and masks lie on the "
        "resampled grid."
    )
    return replace(
        raw, array=sitk.GetArrayFromImage(turned), affine=upright, notes=(*raw.notes, note)
    )


def _upright_affine(raw: RawVolume) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    steps = raw.affine[:3, :3]  # columns: the steps along z, y, x
    x = steps[:, 2] / np.linalg.norm(steps[:, 2])
    y = steps[:, 1] - x * (x @ steps[:, 1])
    y /= np.linalg.norm(y)
    z = np.cross(x, y)
    z *= np.sign(z @ steps[:, 0])
    axes = np.stack([z, y, x], axis=1)
    spacing = np.abs(np.einsum("ij,ij->j", axes, steps))
    ends = [(0, n - 1) for n in raw.array.shape]
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
    along = axes.T @ (steps @ corners) / spacing[:, None]
    first, last = along.min(axis=1), along.max(axis=1)
    upright = np.eye(4)
    upright[:3, :3] = axes * spacing
    upright[:3, 3] = raw.affine[:3, 3] + upright[:3, :3] @ first
    shape = tuple(int(n) for n in np.ceil(last - first - 1e-6) + 1)
    return upright, shape


def _place(image: object, affine: NDArray[np.float64]) -> None:
    """Give a SimpleITK image the geometry of an affine for (z, y, x) indices."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    columns = (affine[:3, :3] / spacing)[:, ::-1]
    image.SetSpacing([float(v) for v in spacing[::-1]])  # type: ignore[attr-defined]
    image.SetOrigin([float(v) for v in affine[:3, 3]])  # type: ignore[attr-defined]
    image.SetDirection([float(v) for v in columns.reshape(-1)])  # type: ignore[attr-defined]
