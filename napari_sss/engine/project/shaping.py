"""What operations make of an object's mask; regions in, regions out."""

from __future__ import annotations

import math

import numpy as np

from napari_sss.engine.volumes.grid import Shape3, Vector3
from napari_sss.engine.volumes.region import Region


def components(region: Region) -> list[Region]:
    """The connected parts (26 neighbours), the largest first."""
    from napari_sss.engine.prompts.components import find_components

    if not region.mask.size:
        return []
    found = find_components(region.mask, 26)
    parts = []
    for label in found.largest_first():
        part = found.region(int(label))
        offset = tuple(a + b for a, b in zip(region.offset, part.offset, strict=True))
        parts.append(Region(offset, part.mask))  # type: ignore[arg-type]
    return parts


def filled(region: Region, axis: int | None) -> Region:
    """The region with its holes filled, in each slice across ``axis`` or in 3-D."""
    from scipy.ndimage import binary_fill_holes

    if axis is None:
        return Region(region.offset, binary_fill_holes(region.mask))
    mask = region.mask.copy()
    for plane in np.moveaxis(mask, axis, 0):
        plane[...] = binary_fill_holes(plane)
    return Region(region.offset, mask)


def smoothed(region: Region, radius: float, spacing: Vector3, shape: Shape3) -> Region:
    """The region blurred by a Gaussian of ``radius`` mm and cut at one half.

    At the volume's border the region is taken to go on outside.
    """
    from scipy.ndimage import gaussian_filter

    if not region.mask.size or radius <= 0:
        return region
    sigma = [radius / step for step in spacing]
    margin = [math.ceil(3 * s) for s in sigma]
    before = [min(m, o) for m, o in zip(margin, region.offset, strict=True)]
    ends = [o + n for o, n in zip(region.offset, region.mask.shape, strict=True)]
    after = [min(m, n - e) for m, n, e in zip(margin, shape, ends, strict=True)]
    padded = np.pad(region.mask, list(zip(before, after, strict=True)))
    soft = gaussian_filter(padded.astype(np.float32), sigma, mode="nearest", truncate=3.0)
    offset = tuple(o - b for o, b in zip(region.offset, before, strict=True))
    return Region.of(soft >= 0.5, offset)  # type: ignore[arg-type]
