"""Where the patient is in a CT: without the table, the air around and the clothes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.prompts.components import find_components
from napari_sss.engine.prompts.morphology import close, dilate, erode
from napari_sss.engine.prompts.working_grid import WorkingGrid
from napari_sss.engine.volumes.volume import Volume

# Between air (-1000) and fat (-100): half-way for blocks that the skin cuts through.
_SKIN_HU = -300.0
# Table tops and blankets are thinner than twice this; limbs are thicker.
_THINNEST_MM = 5.0
# The chest wall may be thinner too: gaps up to twice this do not let the lungs out.
_GAP_MM = 10.0
# Limbs and the second leg are parts of the patient too, loose objects are smaller.
_LEAST_SHARE = 0.05
_BLOCK_MM = 4.0


def body_mask(volume: Volume) -> NDArray[np.bool_]:
    """The patient in a CT, with lungs and bowel gas, about as exact as 4 mm.

    Parameters
    ----------
    volume : Volume
        A CT in HU.

    Returns
    -------
    (Z, Y, X) bool array
        All True where nothing of a body can be told from its surroundings, as in a small
        cut-out.
    """
    grid = WorkingGrid.near(volume.grid.shape, volume.grid.spacing, _BLOCK_MM)
    dense = grid.means(_clipped(volume.array)) > _SKIN_HU
    core = erode(dense, _THINNEST_MM, grid.spacing)
    parts = find_components(core, connectivity=6)
    if not parts.count:
        return np.ones(volume.grid.shape, dtype=bool)
    large = parts.voxels >= _LEAST_SHARE * parts.voxels[1:].max()
    large[0] = False
    body = dilate(large[parts.labels], _THINNEST_MM, grid.spacing) & dense
    axial = volume.grid.canonical_view().order[0]
    walls = np.moveaxis(close(body, _GAP_MM, grid.spacing), axial, 0)
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in walls])
    return grid.upsample(np.moveaxis(filled, 0, axial))


def _clipped(array: NDArray[Any]) -> NDArray[Any]:
    """Metal and padding values kept from drowning the blocks they lie in."""
    return np.clip(array, -1024, 1024)
