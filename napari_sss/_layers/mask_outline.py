"""The edge of a mask on a slice, as a line that a layer can draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss._layers.prompt_shapes import thinned

LEEWAY = 0.3
"""Voxels by which the line may differ from the edge."""


def outline_of(mask: NDArray[Any]) -> tuple[tuple[float, float], ...]:
    """Return the longest edge of a mask as ``(x, y)`` points.

    Parameters
    ----------
    mask : (rows, columns) bool array
        With at least one True.
    """
    from skimage.measure import find_contours

    edges = find_contours(np.pad(np.asarray(mask, float), 1), 0.5)
    longest = thinned(max(edges, key=len) - 1, LEEWAY)
    return tuple((float(x), float(y)) for y, x in longest)
