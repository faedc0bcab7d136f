"""Connected components, and the graph of cross-sections that stands in for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.components import (
    Connectivity,
    find_components,
    keep_components,
    label_components,
    largest_component,
)
from napari_sss.engine.prompts.slice_graph import label_slices


def _volume(*planes: list[str]) -> NDArray[np.bool_]:
    """A mask drawn as text: one list of rows per slice, ``#`` inside."""
    return np.array([[[c == "#" for c in row] for row in plane] for plane in planes])


# Two voxels that meet at a corner across the slices, and a third apart from them.
_CORNER = _volume(["#..", "...", "..#"], [".  ", ".#.", "..."])


def test_sizes_bounds_and_regions() -> None:
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[0, 0, 0] = True
    mask[2:4, 1:3, 2:6] = True  # 2 * 2 * 4 = 16 voxels
    found = find_components(mask)
    assert found.count == 2
    big = int(found.largest_first()[0])
    assert found.voxels[big] == 16
    assert found.slices(big) == (slice(2, 4), slice(1, 3), slice(2, 6))
    assert found.region(big).offset == (2, 1, 2)
    assert found.region(big).voxels == 16
    np.testing.assert_array_equal(largest_component(mask), found.labels == big)


def test_nothing_in_an_empty_mask() -> None:
    empty = np.zeros((2, 3, 4), dtype=bool)
    assert find_components(empty).count == 0
    assert not largest_component(empty).any()
    assert label_slices(empty) is None


@pytest.mark.parametrize(("connectivity", "count"), [(6, 3), (18, 3), (26, 1)])
def test_connectivity_across_a_corner(connectivity: Connectivity, count: int) -> None:
    # (0,0,0)-(1,1,1) and (0,2,2)-(1,1,1) are both corner neighbours.
    assert find_components(_CORNER, connectivity).count == count


def test_different_labels_never_join() -> None:
    labels = np.zeros((1, 1, 4), dtype=np.uint8)
    labels[0, 0] = [1, 1, 2, 2]
    assert find_components(labels).count == 2


def test_small_components_go() -> None:
    mask = np.array([[[1, 1, 0, 1, 0, 1, 1, 1]]], dtype=bool)
    np.testing.assert_array_equal(
        keep_components(mask, 2)[0, 0], np.array([1, 1, 0, 0, 0, 1, 1, 1], dtype=bool)
    )


def test_strided_views_are_labelled_in_place() -> None:
    mask = np.zeros((3, 4, 5), dtype=bool)
    mask[0, 0, :3] = True
    view = mask.transpose(2, 1, 0)[::-1]
    labels = find_components(view).labels
    np.testing.assert_array_equal(labels > 0, view)


@pytest.mark.parametrize(
    "mask",
    [
        # What cc3d's own treatment of binary images gets wrong.
        np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]], dtype=bool),
        np.array([[1, 0, 0, 1, 1]], dtype=bool),
        np.array([[0], [0], [1]], dtype=bool),
        np.array([1, 0, 0, 1, 1, 0, 1], dtype=bool).reshape(7, 1, 1),
    ],
)
def test_thin_and_odd_sized_masks(mask: NDArray[np.bool_]) -> None:
    expected, _ = ndimage.label(mask, np.ones((3,) * mask.ndim))
    np.testing.assert_array_equal(label_components(mask, 8 if mask.ndim == 2 else 26), expected)


_masks = hnp.arrays(
    bool,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7),
    elements=st.booleans(),
)
_labels = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6),
    elements=st.integers(0, 2),
)


@settings(max_examples=60, deadline=None)
@given(_masks, st.sampled_from([6, 18, 26]))
def test_the_graph_finds_what_labelling_finds(
    mask: NDArray[np.bool_], connectivity: Connectivity
) -> None:
    """The components of any window of the graph are those of labelling the window."""
    sections = label_slices(mask, connectivity)
    if sections is None:
        assert not mask.any()
        return
    graph, first = sections.graph, sections.corner[0]
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    for start in range(graph.slice_count):
        for stop in range(start + 1, graph.slice_count + 1):
            labels, count = ndimage.label(mask[first + start : first + stop], structure)
            expected = sorted(np.bincount(labels.ravel())[1:])
            found, piece = graph.pieces(start, stop)
            nodes = graph.areas[graph.node_start[start] : graph.node_start[stop]]
            assert found == count
            assert sorted(np.bincount(piece, weights=nodes, minlength=found)) == expected


@settings(max_examples=40, deadline=None)
@given(_labels, st.sampled_from([6, 18, 26]))
def test_the_graph_keeps_labels_apart(
    labels: NDArray[np.uint8], connectivity: Connectivity
) -> None:
    sections = label_slices(labels, connectivity)
    if sections is None:
        return
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    expected = sum(ndimage.label(labels == value, structure)[1] for value in (1, 2))
    assert sections.graph.pieces(0, sections.graph.slice_count)[0] == expected


@settings(max_examples=40, deadline=None)
@given(_masks)
def test_regions_of_the_graph_are_the_masks(mask: NDArray[np.bool_]) -> None:
    sections = label_slices(mask)
    if sections is None:
        return
    everything = sections.region(np.arange(len(sections.graph.areas)))
    np.testing.assert_array_equal(everything.to_array(mask.shape), mask)
    count, piece = sections.graph.pieces(0, sections.graph.slice_count)
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    for number in range(count):
        region = sections.region(np.flatnonzero(piece == number)).to_array(mask.shape)
        label = labels[region][0]
        np.testing.assert_array_equal(region, labels == label)


def test_a_subgraph_keeps_its_own_edges() -> None:
    # Two columns of three voxels; the second has a gap in the middle slice.
    mask = np.zeros((3, 1, 5), dtype=bool)
    mask[:, 0, 0] = True
    mask[[0, 2], 0, 4] = True
    sections = label_slices(mask)
    assert sections is not None
    graph = sections.graph
    # Nodes: 0, 1 on slice 0; 2 on slice 1; 3, 4 on slice 2. The column is 0, 2, 3.
    column = graph.subgraph(np.array([0, 2, 3]))
    assert column.pieces(0, 3)[0] == 1
    assert graph.subgraph(np.array([1, 4])).pieces(0, 3)[0] == 2
    np.testing.assert_array_equal(column.slice_areas, [1, 1, 1])


def test_labelling_stops_when_asked() -> None:
    control = JobControl()
    control.cancel()
    with pytest.raises(Cancelled):
        label_slices(np.ones((3, 3, 3), dtype=bool), control=control)
