"""Telling organs that touch apart: erosion, and how deep it must go for each.

Kidney and spleen part when a few millimetres are eroded; liver and right kidney only after
more, which would leave nothing of a thin organ. So a ladder of erosions is climbed. The
pieces of each rung, grown back, are the nodes of a tree (a piece lies inside one piece of
the rung before), and of each branch the pieces are kept that stand most by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.prompts.components import find_components
from napari_sss.engine.volumes.grid import Vector3

# A piece is split when its parts stand nearly as free as itself: each erosion rounds off
# more of a piece, which counts against the parts although they are cut at a neck.
_SPLIT_BIAS = 0.9


@dataclass
class _Piece:
    """A piece of one rung; ``isolation`` is the free share of its surface, 0 to 1."""

    rung: int
    label: int
    voxels: int
    isolation: float
    children: list[_Piece] = field(default_factory=list)


@dataclass(frozen=True)
class _Rung:
    """The pieces after one erosion: their cores, and the same grown back inside the mask."""

    cores: NDArray[np.int64]
    grown: NDArray[np.int64]


def separate(
    mask: NDArray[np.bool_],
    spacing: Vector3,
    erosions: tuple[float, ...],
    min_voxels: float = 0.0,
    max_voxels: float = np.inf,
    min_isolation: float = 0.5,
) -> NDArray[np.uint16]:
    """Label the organs that a mask of touching organs consists of.

    Parameters
    ----------
    mask : (Z, Y, X) bool array
        What to take apart.
    spacing : (float, float, float)
        Millimetres along Z, Y, X.
    erosions : tuple of float
        Depths in mm, rising.
    min_voxels, max_voxels : float
        Pieces of other sizes are never kept; too large ones are taken apart further.
    min_isolation : float
        Least share of a piece's surface that borders on no other voxel of the mask.

    Returns
    -------
    (Z, Y, X) uint16 array
        0 outside, 1 and up for the pieces; voxels of the mask that belong to none are 0.
    """
    rungs: list[_Rung] = []
    pieces: list[list[_Piece]] = []
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)
    depth = depth[1:-1, 1:-1, 1:-1]
    for number, erosion in enumerate(erosions):
        cores = find_components(depth > erosion, connectivity=6)
        if not cores.count:
            break
        labels = cores.labels.astype(np.int64)
        grown = _grown_back(labels, mask, spacing, erosion)
        voxels = np.bincount(grown.ravel(), minlength=cores.count + 1)
        isolation = free_surface_share(grown, mask, spacing)
        rungs.append(_Rung(labels, grown))
        pieces.append(
            [
                _Piece(number, label, int(voxels[label]), float(isolation[label]))
                for label in range(1, cores.count + 1)
            ]
        )
    _link(rungs, pieces)
    limits = (min_voxels, max_voxels, min_isolation)
    kept = [best for root in (pieces[0] if pieces else []) for best in _best(root, limits)[0]]
    separated = np.zeros(mask.shape, dtype=np.uint16)
    kept.sort(key=lambda piece: -piece.voxels)
    for value, piece in enumerate(kept[: np.iinfo(np.uint16).max], start=1):
        separated[rungs[piece.rung].grown == piece.label] = value
    return separated


def free_surface_share(
    labels: NDArray[np.int64], mask: NDArray[np.bool_], spacing: Vector3
) -> NDArray[np.float64]:
    """For each label, the share of its surface that borders on nothing of the mask.

    Parameters
    ----------
    labels : (Z, Y, X) int array
        Pieces of the mask from 1; 0 is everything else.
    mask : (Z, Y, X) bool array
        What the pieces were cut from.
    spacing : (float, float, float)
        Weighs a voxel's faces by their area.

    Returns
    -------
    (labels + 1,) float array
        0 to 1 each; index 0 is of no meaning. The array's ends count as neither.
    """
    count = int(labels.max()) + 1
    free, cut = np.zeros(count), np.zeros(count)
    for axis in range(3):
        face = float(np.prod(spacing)) / spacing[axis]
        here, inside = np.moveaxis(labels, axis, 0), np.moveaxis(mask, axis, 0)
        for a, b in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            one, other = here[a], here[b]
            border = (one > 0) & (one != other)
            met = inside[b][border]
            surface = one[border]
            free += face * np.bincount(surface[~met], minlength=count)
            cut += face * np.bincount(surface[met], minlength=count)
    return free / np.maximum(free + cut, 1e-12)


def _grown_back(
    cores: NDArray[np.int64], mask: NDArray[np.bool_], spacing: Vector3, erosion: float
) -> NDArray[np.int64]:
    """Each voxel of the mask near a core gets the nearest core's label."""
    distance, nearest = ndimage.distance_transform_edt(
        cores == 0, sampling=spacing, return_indices=True
    )
    # Half a voxel more than was eroded: what erosion takes is rounded up to whole voxels.
    near = mask & (distance <= erosion + min(spacing) / 2)
    grown = np.zeros(mask.shape, dtype=np.int64)
    grown[near] = cores[tuple(index[near] for index in nearest)]
    return grown


def _link(rungs: list[_Rung], pieces: list[list[_Piece]]) -> None:
    """Make each piece a child of the piece it lies in on the rung before."""
    for number in range(1, len(rungs)):
        cores, before = rungs[number].cores, rungs[number - 1].cores
        inside = cores > 0
        parent = np.zeros(len(pieces[number]) + 1, dtype=np.int64)
        parent[cores[inside]] = before[inside]
        for piece in pieces[number]:
            pieces[number - 1][int(parent[piece.label]) - 1].children.append(piece)


def _best(piece: _Piece, limits: tuple[float, float, float]) -> tuple[list[_Piece], float]:
    """The pieces to keep of a branch, and their mean isolation weighted by size."""
    branches = [_best(child, limits) for child in piece.children]
    below = [kept for chosen, _ in branches for kept in chosen]
    size = sum(kept.voxels for kept in below)
    score = sum(kept.isolation * kept.voxels for kept in below) / size if size else 0.0
    min_voxels, max_voxels, min_isolation = limits
    allowed = min_voxels <= piece.voxels <= max_voxels and piece.isolation >= min_isolation
    bias = _SPLIT_BIAS if len(below) > 1 else 1.0
    if allowed and piece.isolation * bias >= score:
        return [piece], piece.isolation
    return below, score
