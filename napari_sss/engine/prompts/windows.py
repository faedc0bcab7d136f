"""The sliding window of PCSW: which windows there are, and which one is accepted.

A window's continuity is C = voxels of the largest piece / all voxels, both inside the
window. The paper accepts the first window with C >= tau; where all objects of a class are
sought, each takes the accepted window that holds the most of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.slice_graph import SliceGraph

WindowOrder = Literal["grow", "grow-then-shrink"]

# Components that get a bound of their own; smaller ones share the largest among them.
_BOUNDED_COMPONENTS = 1024


@dataclass(frozen=True)
class Window:
    """A window and its largest piece.

    Parameters
    ----------
    start, stop : int
        Slices of the graph it covers, ``stop`` excluded.
    nodes : int array
        Nodes of the largest piece, ascending.
    voxels : int
        Voxels of the largest piece.
    continuity : float
        Share of the window's voxels that the largest piece holds, above 0, at most 1.
    """

    start: int
    stop: int
    nodes: NDArray[np.int64]
    voxels: int
    continuity: float


def window_lengths(slice_count: int, order: WindowOrder = "grow") -> list[int]:
    """The window lengths N in the order they are tried.

    N lies in [S/3, S/2] for S slices. The paper starts in the middle of the range and
    grows; ``"grow-then-shrink"`` goes on from the middle downwards, so that all of the
    range is tried.

    Examples
    --------
    >>> window_lengths(24)
    [10, 11, 12]
    >>> window_lengths(24, "grow-then-shrink")
    [10, 11, 12, 9, 8]
    """
    high = max(1, slice_count // 2)
    low = min(high, -(-slice_count // 3))
    middle = (low + high) // 2
    growing = list(range(middle, high + 1))
    return growing if order == "grow" else growing + list(range(middle - 1, low - 1, -1))


def largest_piece(graph: SliceGraph, start: int, stop: int) -> Window | None:
    """The largest piece between two slices; None where there is nothing.

    Of equally large pieces the one that begins first counts.
    """
    count, piece = graph.pieces(start, stop)
    if count == 0:
        return None
    first, last = graph.node_start[start], graph.node_start[stop]
    sizes = np.bincount(piece, weights=graph.areas[first:last], minlength=count)
    best = int(np.argmax(sizes))
    voxels = int(sizes[best])
    return Window(
        start, stop, np.flatnonzero(piece == best) + first, voxels, voxels / int(sizes.sum())
    )


def first_accepted_window(
    graph: SliceGraph,
    first_slice: int,
    slice_count: int,
    tau: float,
    order: WindowOrder,
    control: JobControl | None = None,
) -> Window | None:
    """The paper's search: the first window, by length and then by start, with C >= tau.

    Parameters
    ----------
    graph : SliceGraph
        The whole foreground.
    first_slice : int
        The volume's slice that the graph's first is.
    slice_count : int
        Slices of the volume, S.
    tau : float
        Least continuity, in (0, 1].
    order : {"grow", "grow-then-shrink"}
        See :func:`window_lengths`.
    control : JobControl, optional
        Asked at each length whether to stop.
    """
    bound = _ContinuityBound(graph)
    tried: set[tuple[int, int]] = set()
    for length in window_lengths(slice_count, order):
        if control is not None:
            control.check()
        for start, stop in _windows(graph, first_slice, slice_count, length):
            span = (int(graph.node_start[start]), int(graph.node_start[stop]))
            if span in tried or bound.below(tau, start, stop):
                continue
            tried.add(span)
            found = largest_piece(graph, start, stop)
            if found is not None and found.continuity >= tau:
                return found
    return None


def fullest_accepted_window(
    graph: SliceGraph,
    first_slice: int,
    slice_count: int,
    tau: float,
    order: WindowOrder,
    control: JobControl | None = None,
) -> Window | None:
    """The search for one object: of the first length with C >= tau, the fullest window.

    Fullest is the window whose largest piece has the most voxels; then the one with the
    larger cross-section, then the one nearer to the object's middle. Taking the first
    accepted window instead would see no more of the object than its tip.

    Parameters
    ----------
    graph : SliceGraph
        The object alone.
    first_slice, slice_count, tau, order, control
        As for :func:`first_accepted_window`.
    """
    for length in window_lengths(slice_count, order):
        if control is not None:
            control.check()
        found = _fullest_of_length(graph, first_slice, slice_count, tau, length)
        if found is not None:
            return found
    return None


def _fullest_of_length(
    graph: SliceGraph, first_slice: int, slice_count: int, tau: float, length: int
) -> Window | None:
    """The fullest accepted window of one length, or None where none is accepted."""
    before = np.concatenate([[0], np.cumsum(graph.slice_areas)])
    areas = graph.slice_areas
    middle = float(np.average(np.arange(graph.slice_count), weights=areas))
    windows = {
        (int(graph.node_start[start]), int(graph.node_start[stop])): (start, stop)
        for start, stop in _windows(graph, first_slice, slice_count, length)
    }
    by_voxels = sorted(windows.values(), key=lambda w: before[w[0]] - before[w[1]])
    best: Window | None = None
    best_key: tuple[float, ...] = ()
    for start, stop in by_voxels:
        # A piece has no more voxels than its window.
        if best is not None and before[stop] - before[start] < best.voxels:
            break
        found = largest_piece(graph, start, stop)
        if found is None or found.continuity < tau:
            continue
        widest = int(areas[start:stop].max())
        key = (found.voxels, widest, -abs((start + stop - 1) / 2 - middle))
        if best is None or key > best_key:
            best, best_key = found, key
    return best


def _windows(
    graph: SliceGraph, first_slice: int, slice_count: int, length: int
) -> Iterator[tuple[int, int]]:
    """Windows of the volume, slid by one slice, as slices of the graph; empty ones left out."""
    for begin in range(slice_count - length + 1):
        start = max(0, begin - first_slice)
        stop = min(graph.slice_count, begin + length - first_slice)
        if start < stop:
            yield start, stop


class _ContinuityBound:
    """An upper bound of C from running sums, so that hopeless windows cost nothing.

    A window's pieces lie in the whole mask's components: no piece is larger than its
    component's voxels inside the window.
    """

    def __init__(self, graph: SliceGraph) -> None:
        count, component = graph.pieces(0, graph.slice_count)
        sizes = np.bincount(component, weights=graph.areas, minlength=count)
        by_size = np.argsort(-sizes, kind="stable")
        bounded = min(count, _BOUNDED_COMPONENTS)
        self._left_out = float(sizes[by_size[bounded]]) if count > bounded else 0.0
        rank = np.empty(count, dtype=np.int64)
        rank[by_size] = np.arange(count)
        kept = rank[component] < bounded
        per_slice = np.zeros((bounded, graph.slice_count + 1))
        np.add.at(
            per_slice,
            (rank[component][kept], graph.node_slices[kept] + 1),
            graph.areas[kept],
        )
        self._sums = np.cumsum(per_slice, axis=1)
        self._totals = np.concatenate([[0], np.cumsum(graph.slice_areas)])

    def below(self, tau: float, start: int, stop: int) -> bool:
        """Whether C < tau for certain between two slices."""
        most = max(float((self._sums[:, stop] - self._sums[:, start]).max()), self._left_out)
        total = self._totals[stop] - self._totals[start]
        return total == 0 or most / total < tau
