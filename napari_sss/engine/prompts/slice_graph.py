"""A coarse mask as a graph: cross-sections joined from slice to slice.

A sliding window asks the same question thousands of times: which pieces does the mask fall
into between slices a and b? Labelling the volume afresh for each window would take minutes.
Here each slice is labelled once; a node is one connected cross-section, an edge joins two
nodes of neighbouring slices that touch in 3-D. The pieces inside any window are then the
components of the graph's part between a and b: exact, and a matter of microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.components import Connectivity, label_components
from napari_sss.engine.volumes.grid import Shape3
from napari_sss.engine.volumes.region import Region


@dataclass(frozen=True)
class SliceGraph:
    """Cross-sections and which of them touch; nodes are numbered slice by slice.

    Parameters
    ----------
    node_start : (slices + 1,) int array
        Number of each slice's first node; the last entry is how many nodes there are.
    areas : (nodes,) int array
        Voxels of each node.
    edges : (edges, 2) int array
        Touching nodes, the lower slice's first; ordered by slice.
    edge_start : (slices + 1,) int array
        The first edge that leads from each slice to its next.
    """

    node_start: NDArray[np.int64]
    areas: NDArray[np.int64]
    edges: NDArray[np.int64]
    edge_start: NDArray[np.int64]

    @property
    def slice_count(self) -> int:
        """How many slices there are."""
        return len(self.node_start) - 1

    @property
    def node_slices(self) -> NDArray[np.int64]:
        """The slice of each node."""
        return np.repeat(np.arange(self.slice_count), np.diff(self.node_start))

    @property
    def slice_areas(self) -> NDArray[np.int64]:
        """Voxels on each slice."""
        sums = np.concatenate([[0], np.cumsum(self.areas)])
        return sums[self.node_start[1:]] - sums[self.node_start[:-1]]

    def pieces(self, start: int, stop: int) -> tuple[int, NDArray[np.int32]]:
        """What the mask falls into between two slices, ``stop`` excluded.

        Returns
        -------
        count : int
            How many pieces.
        piece : (nodes of the window,) int array
            The piece, from 0, of each node from ``node_start[start]`` on.
        """
        first, last = self.node_start[start], self.node_start[stop]
        if first == last:
            return 0, np.zeros(0, dtype=np.int32)
        # Edges from the window's last slice lead out of it.
        inside = self.edges[self.edge_start[start] : self.edge_start[max(start, stop - 1)]]
        links = inside - first
        graph = coo_array(
            (np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])),
            shape=(last - first, last - first),
        )
        count, piece = connected_components(graph, directed=False)
        return int(count), piece

    def subgraph(self, nodes: NDArray[np.int64]) -> SliceGraph:
        """The graph of some nodes alone (ascending numbers) on the same slices."""
        number = np.full(len(self.areas), -1, dtype=np.int64)
        number[nodes] = np.arange(len(nodes))
        edges = number[self.edges]
        kept = (edges >= 0).all(axis=1)
        kept_before = np.concatenate([[0], np.cumsum(kept)])
        return SliceGraph(
            np.searchsorted(nodes, self.node_start),
            self.areas[nodes],
            edges[kept],
            kept_before[self.edge_start],
        )


@dataclass(frozen=True)
class LabelledSlices:
    """A mask's cross-sections as label images, with their graph.

    Parameters
    ----------
    corner : (int, int, int)
        Slice, row and column of the volume at which ``labels`` begins.
    labels : list of (rows, columns) unsigned arrays
        Per slice: 0 outside, n for the slice's n-th node.
    bounds : (nodes, 2, 2) int array
        First and one past the last row and column of each node in its label image.
    graph : SliceGraph
        The nodes and how they touch; its slices are those of ``labels``.
    """

    corner: Shape3
    labels: list[NDArray[Any]]
    bounds: NDArray[np.int64]
    graph: SliceGraph

    def shifted(self, offset: Shape3) -> LabelledSlices:
        """The same in a volume in which the mask begins at ``offset``."""
        z, y, x = (a + b for a, b in zip(self.corner, offset, strict=True))
        return replace(self, corner=(z, y, x))

    def region(self, nodes: NDArray[np.int64]) -> Region:
        """The voxels of some nodes, one or more (ascending numbers)."""
        starts = self.graph.node_start
        splits = np.searchsorted(nodes, starts)
        slices = np.flatnonzero(np.diff(splits))
        first, last = int(slices[0]), int(slices[-1])
        y0, x0 = self.bounds[nodes, :, 0].min(axis=0)
        y1, x1 = self.bounds[nodes, :, 1].max(axis=0)
        mask = np.zeros((last - first + 1, y1 - y0, x1 - x0), dtype=bool)
        for z in range(first, last + 1):
            wanted = np.zeros(int(starts[z + 1] - starts[z]) + 1, dtype=bool)
            wanted[nodes[splits[z] : splits[z + 1]] - starts[z] + 1] = True
            mask[z - first] = wanted[self.labels[z][y0:y1, x0:x1]]
        z_corner, y_corner, x_corner = self.corner
        return Region((z_corner + first, y_corner + int(y0), x_corner + int(x0)), mask)


def label_slices(
    mask: NDArray[Any],
    connectivity: Connectivity = 26,
    threshold: float | None = None,
    control: JobControl | None = None,
) -> LabelledSlices | None:
    """Label each slice once and join what touches.

    Parameters
    ----------
    mask : (Z, Y, X) array
        Bool; or integer labels, of which different ones never join; or floats with a
        ``threshold``.
    connectivity : {6, 18, 26}
        Voxels that count as neighbours in 3-D.
    threshold : float, optional
        Voxels of this value or more are foreground.
    control : JobControl, optional
        Asked at each slice whether to stop.

    Returns
    -------
    LabelledSlices or None
        None where the mask is empty.
    """
    bounds = _foreground_bounds(mask, threshold)
    if bounds is None:
        return None
    labels: list[NDArray[Any]] = []
    areas, node_bounds, links = [], [], []
    below: NDArray[Any] | None = None
    for plane in mask[bounds]:
        if control is not None:
            control.check()
        values = np.ascontiguousarray(plane if threshold is None else plane >= threshold)
        nodes = label_components(values, 4 if connectivity == 6 else 8)
        node_areas, boxes = _measured(nodes)
        if below is not None:
            links.append(_touching(labels[-1], below, nodes, values, connectivity))
        labels.append(nodes)
        areas.append(node_areas)
        node_bounds.append(boxes)
        below = values
    node_start = np.concatenate([[0], np.cumsum([*map(len, areas)])])
    edges = [pair + node_start[z : z + 2] for z, pair in enumerate(links)]
    graph = SliceGraph(
        node_start,
        np.concatenate(areas),
        np.concatenate([np.zeros((0, 2), dtype=np.int64), *edges]),
        np.concatenate([[0], np.cumsum([*map(len, links), 0])]),
    )
    return LabelledSlices(
        (bounds[0].start, bounds[1].start, bounds[2].start),
        labels,
        np.concatenate(node_bounds),
        graph,
    )


def _measured(nodes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Areas (n,) and bounds (n, 2, 2), first and one past the last, of a slice's n nodes.

    They follow from the runs of equal labels along the rows, of which there are few: five
    times as fast as looking at every voxel.
    """
    height, width = nodes.shape
    flat = np.zeros((height, width + 1), dtype=nodes.dtype)  # no run goes on in the next row
    flat[:, :width] = nodes
    flat = flat.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, stops = np.concatenate([[0], changes]), np.concatenate([changes, [flat.size]])
    inside = flat[starts] > 0
    starts, stops = starts[inside], stops[inside]
    node = flat[starts].astype(np.int64) - 1
    count = int(node.max()) + 1 if node.size else 0
    rows, columns = np.divmod(starts, width + 1)
    areas = np.bincount(node, weights=stops - starts, minlength=count).astype(np.int64)
    boxes = np.zeros((count, 2, 2), dtype=np.int64)
    boxes[:, :, 0] = nodes.size
    for axis, (first, end) in enumerate(
        ((rows, rows + 1), (columns, columns + stops - starts))
    ):
        np.minimum.at(boxes[:, axis, 0], node, first)
        np.maximum.at(boxes[:, axis, 1], node, end)
    return areas, boxes


def _foreground_bounds(
    mask: NDArray[Any], threshold: float | None
) -> tuple[slice, slice, slice] | None:
    """The bounding box of the foreground, or None where there is none."""
    filled = np.zeros(mask.shape[0], dtype=bool)
    footprint = np.zeros(mask.shape[1:], dtype=bool)
    for z, plane in enumerate(mask):
        inside = plane != 0 if threshold is None else plane >= threshold
        filled[z] = inside.any()
        if filled[z]:
            footprint |= inside
    if not filled.any():
        return None
    spans = []
    for line in (filled, footprint.any(axis=1), footprint.any(axis=0)):
        inside = np.flatnonzero(line)
        spans.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return spans[0], spans[1], spans[2]


def _touching(
    lower: NDArray[Any],
    lower_values: NDArray[Any],
    upper: NDArray[Any],
    upper_values: NDArray[Any],
    connectivity: Connectivity,
) -> NDArray[np.int64]:
    """Pairs (from 0) of nodes of two neighbouring slices that touch.

    Nodes that lie over each other are found at once. Nodes that touch by an edge or a
    corner alone do so at a voxel with nothing of its own value above it: were there
    something, it would belong to the same upper node already.
    """
    covered = (lower > 0) & (upper > 0)
    if lower_values.dtype != bool:
        covered &= lower_values == upper_values
    found = [_distinct_pairs(lower[covered], upper[covered])]
    if connectivity != 6:
        height, width = lower.shape
        # Several times as fast as np.nonzero of two axes.
        rows, columns = np.divmod(np.flatnonzero((lower > 0) & ~covered), width)
        for dy, dx in _neighbour_offsets(connectivity):
            y, x = rows + dy, columns + dx
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            here, there = (rows[inside], columns[inside]), (y[inside], x[inside])
            joined = upper[there] > 0
            if lower_values.dtype != bool:
                joined &= lower_values[here] == upper_values[there]
            found.append(_distinct_pairs(lower[here][joined], upper[there][joined]))
    pairs = np.unique(np.concatenate(found))
    return np.stack([pairs >> 32, pairs & 0xFFFFFFFF], axis=1) - 1


def _distinct_pairs(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.int64]:
    """The distinct pairs of two lists, each as ``first * 2**32 + second``."""
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    # Along a row the pair rarely changes: dropping repeats first spares the sort its work.
    changes = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    kept = np.concatenate([[0], np.flatnonzero(changes) + 1])
    return np.unique(first[kept].astype(np.int64) << 32 | second[kept].astype(np.int64))


def _neighbour_offsets(connectivity: Connectivity) -> list[tuple[int, int]]:
    """In-plane steps to the neighbours on the next slice, straight above left out."""
    reach = 1 if connectivity == 18 else 2
    return [
        (dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if 0 < abs(dy) + abs(dx) <= reach
    ]
