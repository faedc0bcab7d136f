"""Telling organs that touch apart: erosion, and how deep it must go for each.

Kidney and spleen part when a few millimetres are eroded; liver and right kidney only after
more, which would leave nothing of a thin organ. So a ladder of erosions is climbed. The
pieces of each rung, grown back, are the nodes of a tree: a piece lies inside one piece of
the rung before. A piece is taken apart where that leaves at least two parts that are much
thicker than what was eroded, so that they hung together by a neck; of the rungs at which a
part is one, the one is taken where it stands most by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.components import find_components
from napari_sss.engine.volumes.grid import Vector3

# Parts are told apart when the erosion that did it is at most this share of the thinner
# part's radius: a neck, and not a waist.
_NECK = 0.7


@dataclass
class _Piece:
    """A piece of one rung.

    ``isolation`` is the free share of its surface, 0 to 1; ``slenderness`` the erosion's
    depth as a share of the piece's radius, which is the largest depth in it.
    """

    rung: int
    label: int
    voxels: int
    isolation: float
    slenderness: float
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
    control: JobControl | None = None,
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
    control : JobControl, optional
        Asked at each depth whether to stop.

    Returns
    -------
    (Z, Y, X) uint16 array
        0 outside, 1 and up for the pieces; voxels of the mask that belong to none are 0.
    """
    rungs: list[_Rung] = []
    pieces: list[list[_Piece]] = []
    depth = _depth(mask, spacing)
    for number, erosion in enumerate(erosions):
        if control is not None:
            control.check()
        cores = find_components(depth > erosion, connectivity=6)
        if not cores.count:
            break
        labels = cores.labels.astype(np.int64)
        grown = _grown_back(labels, mask, spacing, erosion)
        voxels = np.bincount(grown.ravel(), minlength=cores.count + 1)
        isolation = free_surface_share(grown, mask, spacing)
        radius = ndimage.maximum(depth, labels, np.arange(cores.count + 1))
        rungs.append(_Rung(labels, grown))
        pieces.append(
            [
                _Piece(number, n, int(voxels[n]), float(isolation[n]), erosion / radius[n])
                for n in range(1, cores.count + 1)
            ]
        )
    _link(rungs, pieces)
    limits = _Limits(min_voxels, max_voxels, min_isolation)
    kept = [best for root in (pieces[0] if pieces else []) for best in _best(root, limits)]
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


def _depth(mask: NDArray[np.bool_], spacing: Vector3) -> NDArray[np.float64]:
    """How deep each voxel lies in the mask, mm.

    Beyond the array's ends nothing is known: an organ that the scan cuts off is not taken
    to end there.
    """
    if mask.all():
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(mask, sampling=spacing)


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


@dataclass(frozen=True)
class _Limits:
    """What a piece must keep to be an object."""

    min_voxels: float
    max_voxels: float
    min_isolation: float

    def allow(self, piece: _Piece) -> bool:
        """Whether the piece keeps them."""
        size_fits = self.min_voxels <= piece.voxels <= self.max_voxels
        return size_fits and piece.isolation >= self.min_isolation


def _best(piece: _Piece, limits: _Limits) -> list[_Piece]:
    """The pieces to keep of a branch."""
    branches = [(child, _best(child, limits)) for child in piece.children]
    below = [kept for _, found in branches for kept in found]
    parts = [child for child, found in branches if found and child.slenderness <= _NECK]
    taken_apart = len(parts) > 1 or any(len(found) > 1 for _, found in branches)
    stands_freer = all(piece.isolation >= kept.isolation for kept in below)
    if limits.allow(piece) and stands_freer and not taken_apart:
        return [piece]
    return below
