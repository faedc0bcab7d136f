"""Patches of a slice that stand out by their grey: boxes to prompt with, beside the clicks.

A small model answers a box far better than a lone click, and the image itself knows many
boxes. The slice falls into basins, between which the grey changes; the two that differ
least are merged, again and again, until one is left. Every patch on the way is a
hypothesis. One that comes together early and is merged on late stands out; how much later,
its persistence, ranks it. Whether a patch is an object is for the model to say.

References
----------
Salembier P, Garrido L, "Binary partition tree as an efficient representation for image
processing, segmentation, and information retrieval", IEEE Transactions on Image Processing
9(4), 2000.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.inference.everything.sections import Section, distinct

CELL_MM = 2.0  # slices are looked at no finer than this
SMOOTHING_MM = 1.5  # standard deviation: grain is no edge
EDGE_MM = 10.0  # an edge's slope counts as the change of grey over this distance
SMALL_MM2 = 800.0  # patches below this are merged the sooner the smaller they are
AREA_POWER = 0.75
SAME_IOU = 0.7  # patches that overlap by more are one
_RANKED = 5  # times as many as are asked for are compared with each other


def standing_out(
    grey: NDArray[np.float32],
    body: NDArray[np.bool_],
    spacing: tuple[float, float],
    index: int,
    count: int,
    smallest_mm2: float,
) -> list[Section]:
    """The patches of a slice that stand out most; they nest, and none repeats another.

    Parameters
    ----------
    grey : (rows, columns) float32 array
        The slice, 0 to 1, best averaged with its neighbours.
    body : (rows, columns) bool array
        Where to look.
    spacing : (float, float)
        Millimetres between rows and between columns.
    index : int
        Which slice.
    count : int
        How many at most.
    smallest_mm2 : float
        Least area of a patch.

    Returns
    -------
    list of Section
        Those that stand out most first; the score is a rank alone, from 1 towards 0.
    """
    if not body.any():
        return []
    factors = (max(1, round(CELL_MM / spacing[0])), max(1, round(CELL_MM / spacing[1])))
    coarse_spacing = (spacing[0] * factors[0], spacing[1] * factors[1])
    coarse, inside = _reduced(grey, factors), _reduced(body.astype(np.float32), factors) >= 0.5
    sigma = [SMOOTHING_MM / s for s in coarse_spacing]
    smooth = ndimage.gaussian_filter(coarse, sigma)
    slope = np.hypot(*np.gradient(smooth, *coarse_spacing))
    basins = _basins(slope, inside)
    merging = _Merging.of(basins, smooth, slope, coarse_spacing)
    patches = [p for p in merging.run() if p.area >= smallest_mm2]
    patches.sort(key=lambda p: -p.standing)
    sections = []
    for rank, patch in enumerate(patches[: _RANKED * count]):
        chosen = np.zeros(int(basins.max()) + 1, dtype=bool)
        chosen[patch.basins] = True
        mask = np.repeat(np.repeat(chosen[basins], factors[0], 0), factors[1], 1)
        mask = mask[: grey.shape[0], : grey.shape[1]]
        section = Section.of(index, (0, 0), mask, 1.0 / (1 + rank))
        if section is not None:
            sections.append(section)
    return distinct(sections, body.shape, SAME_IOU)[:count]


def _reduced(array: NDArray[np.float32], factors: tuple[int, int]) -> NDArray[np.float32]:
    """Means of blocks; the last ones may be cut short."""
    for axis, factor in enumerate(factors):
        starts = np.arange(0, array.shape[axis], factor)
        sums = np.add.reduceat(array, starts, axis=axis)
        counts = np.diff(np.append(starts, array.shape[axis]))
        array = (sums / (counts[:, None] if axis == 0 else counts)).astype(np.float32)
    return array


def _basins(slope: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(rows, columns) labels from 1 of the catchment basins of the slope; 0 outside."""
    from skimage.segmentation import watershed

    lowest = (slope == ndimage.minimum_filter(slope, size=3)) & inside
    markers, _ = ndimage.label(lowest)
    return np.asarray(watershed(slope, markers, mask=inside), dtype=np.int32)


@dataclass(frozen=True)
class Patch:
    """Basins that were merged.

    Parameters
    ----------
    basins : list of int
        Their labels.
    area : float
        Square millimetres.
    persistence : float
        Cost at which it is merged on, less the cost at which it came together.
    """

    basins: list[int]
    area: float
    persistence: float

    @property
    def standing(self) -> float:
        """How much it stands out: of equally persistent ones the larger does more."""
        return self.persistence * float(self.area**AREA_POWER)


@dataclass
class _Node:
    """A patch while patches are merged; ``edges`` has (sum of slopes, length) by neighbour."""

    basins: list[int]
    area: float
    grey: float
    born: float
    edges: dict[int, tuple[float, int]] = field(default_factory=dict)


class _Merging:
    """Patches that lie side by side, of which the two that differ least are merged.

    The cost is the change of grey across the common border, as far as :data:`EDGE_MM`, plus
    the difference of the mean greys.
    """

    def __init__(self, nodes: dict[int, _Node]) -> None:
        self._nodes = nodes
        self._queue = [
            (self._cost(one, other), one, other)
            for one, node in nodes.items()
            for other in node.edges
            if one < other
        ]
        heapq.heapify(self._queue)

    @classmethod
    def of(
        cls,
        basins: NDArray[np.int32],
        grey: NDArray[np.float32],
        slope: NDArray[np.float32],
        spacing: tuple[float, float],
    ) -> _Merging:
        """The basins (rows, columns; labels from 1) as the first patches."""
        count = int(basins.max()) + 1
        cells = np.bincount(basins.reshape(-1), minlength=count)
        sums = np.bincount(basins.reshape(-1), grey.reshape(-1), minlength=count)
        cell_mm2 = spacing[0] * spacing[1]
        nodes = {
            label: _Node([label], cells[label] * cell_mm2, sums[label] / cells[label], 0.0)
            for label in range(1, count)
        }
        for one, other, slopes, length in _borders(basins, slope):
            nodes[one].edges[other] = nodes[other].edges[one] = (slopes, length)
        return cls(nodes)

    def run(self) -> Iterator[Patch]:
        """Merge until nothing is side by side; every patch when it is merged on."""
        new = max(self._nodes, default=0) + 1
        while self._queue:
            cost, one, other = heapq.heappop(self._queue)
            if one not in self._nodes or other not in self._nodes:
                continue
            for label in (one, other):
                node = self._nodes[label]
                yield Patch(node.basins, node.area, cost - node.born)
            self._merge(one, other, new, cost)
            new += 1

    def _merge(self, one: int, other: int, new: int, cost: float) -> None:
        a, b = self._nodes.pop(one), self._nodes.pop(other)
        area = a.area + b.area
        grey = (a.grey * a.area + b.grey * b.area) / area
        merged = _Node(a.basins + b.basins, area, grey, cost)
        for label in (one, other):
            for beside, (slopes, length) in (a if label == one else b).edges.items():
                if beside in (one, other):
                    continue
                known = merged.edges.get(beside, (0.0, 0))
                merged.edges[beside] = (known[0] + slopes, known[1] + length)
                del self._nodes[beside].edges[label]
        self._nodes[new] = merged
        for beside, edge in merged.edges.items():
            self._nodes[beside].edges[new] = edge
            heapq.heappush(self._queue, (self._cost(beside, new), beside, new))

    def _cost(self, one: int, other: int) -> float:
        a, b = self._nodes[one], self._nodes[other]
        slopes, length = a.edges[other]
        small = min(1.0, min(a.area, b.area) / SMALL_MM2)
        return (EDGE_MM * slopes / length + abs(a.grey - b.grey)) * float(np.sqrt(small))


def _borders(
    basins: NDArray[np.int32], slope: NDArray[np.float32]
) -> Iterator[tuple[int, int, float, int]]:
    """Basins side by side: lower label, higher label, sum of the slopes between, length."""
    codes, slopes = [], []
    count = int(basins.max()) + 1
    for ahead, behind in (
        ((slice(None, -1),), (slice(1, None),)),
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        a, b = basins[ahead].astype(np.int64), basins[behind].astype(np.int64)
        border = (a != b) & (a > 0) & (b > 0)
        codes.append((np.minimum(a, b) * count + np.maximum(a, b))[border])
        slopes.append(np.maximum(slope[ahead], slope[behind])[border])
    pairs, place = np.unique(np.concatenate(codes), return_inverse=True)
    sums = np.bincount(place, np.concatenate(slopes), minlength=len(pairs))
    lengths = np.bincount(place, minlength=len(pairs))
    for pair, total, length in zip(
        pairs.tolist(), sums.tolist(), lengths.tolist(), strict=True
    ):
        yield pair // count, pair % count, total, length
