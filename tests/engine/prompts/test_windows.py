"""The sliding window: lengths, order, continuity, the first and the fullest accepted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.prompts.slice_graph import SliceGraph, label_slices
from napari_sss.engine.prompts.windows import (
    Window,
    first_accepted_window,
    fullest_accepted_window,
    largest_piece,
    window_lengths,
)


def _graph(mask: NDArray[np.bool_]) -> tuple[SliceGraph, int]:
    sections = label_slices(mask)
    assert sections is not None
    return sections.graph, sections.corner[0]


def _columns(slices: int, **columns: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Bars along z, each ``(first slice, past the last, width)``, two voxels apart in x."""
    mask = np.zeros((slices, 1, sum(width + 2 for _, _, width in columns.values())), dtype=bool)
    x = 0
    for first, stop, width in columns.values():
        mask[first:stop, 0, x : x + width] = True
        x += width + 2
    return mask


@pytest.mark.parametrize(
    ("slices", "grow", "then_shrink"),
    [
        # [24/3, 24/2] = [8, 12], middle 10.
        (24, [10, 11, 12], [9, 8]),
        # [100/3, 100/2] = [34, 50] in whole slices, middle 42.
        (100, list(range(42, 51)), list(range(41, 33, -1))),
        # [7/3, 7/2] holds 3 alone.
        (7, [3], []),
        # [4/3, 4/2] holds 2 alone.
        (4, [2], []),
        # Below three slices the range holds no whole number of 1 or more but 1.
        (2, [1], []),
        (1, [1], []),
        (3, [1], []),
    ],
)
def test_lengths_start_in_the_middle_and_grow(
    slices: int, grow: list[int], then_shrink: list[int]
) -> None:
    assert window_lengths(slices, "grow") == grow
    assert window_lengths(slices, "grow-then-shrink") == grow + then_shrink


@given(st.integers(3, 2000))
def test_lengths_stay_in_the_range_of_the_paper(slices: int) -> None:
    lengths = window_lengths(slices, "grow-then-shrink")
    low, high = -(-slices // 3), slices // 2
    assert set(lengths) == set(range(min(low, high), high + 1))


def test_continuity_is_the_largest_pieces_share() -> None:
    # Slices 0 to 3: 4 voxels of the wide bar's 3 columns = 12, and 2 of the narrow one.
    graph, _ = _graph(_columns(6, wide=(0, 4, 3), narrow=(2, 6, 1)))
    found = largest_piece(graph, 0, 4)
    assert found is not None
    assert found.voxels == 12
    assert found.continuity == pytest.approx(12 / 14)
    # Slices 4 and 5 hold the narrow bar alone.
    alone = largest_piece(graph, 4, 6)
    assert alone is not None
    assert alone.continuity == 1.0


def test_the_first_window_with_enough_continuity_is_taken() -> None:
    """S = 12: lengths 5 and 6, starts from 0.

    Two bars of equal width run through slices 0 to 6, one of them on to 11. A window of 5
    from slice b holds 5 of the long bar and 7 - b of the short one, so C = 5 / (12 - b):
    b = 5 gives 5/7 = 0.71, b = 6 gives 5/6 = 0.83 and is the first with 0.8 or more.
    """
    graph, first = _graph(_columns(12, long=(0, 12, 1), short=(0, 7, 1)))
    found = first_accepted_window(graph, first, 12, 0.8, "grow")
    assert found is not None
    assert (found.start, found.stop) == (6, 11)
    assert found.continuity == pytest.approx(5 / 6)


def test_tau_itself_is_enough() -> None:
    # C = 4/5 exactly in every window of one slice.
    graph, first = _graph(_columns(1, wide=(0, 1, 4), narrow=(0, 1, 1)))
    assert first_accepted_window(graph, first, 1, 0.8, "grow") is not None
    assert first_accepted_window(graph, first, 1, 0.81, "grow") is None


def test_a_longer_window_is_tried_after_all_starts_of_the_shorter() -> None:
    """Two legs meet in an arch: only a window that reaches it holds one piece.

    S = 4, so N = 2. The legs on slices 0 and 1 give C = 0.5 from start 0; from start 1 the
    arch on slice 2 joins what is left of them: C = 1.
    """
    mask = np.zeros((4, 1, 5), dtype=bool)
    mask[0:3, 0, [0, 4]] = True
    mask[2, 0, :] = True
    graph, first = _graph(mask)
    found = first_accepted_window(graph, first, 4, 0.8, "grow")
    assert found is not None
    assert (found.start, found.stop) == (1, 3)


def test_the_window_grows_where_the_first_length_fails() -> None:
    """Three bars on slices 0 to 5; the left two meet on slice 0, the right two on slice 5.

    S = 12, so N = 5 and then 6. Of slices 0 to 4, 16 voxels, the left two bars hold
    3 + 4 * 2 = 11; of slices s to 5, the right two hold 3 + 2 * (5 - s) of 4 + 3 * (5 - s),
    at most 3/4 (s = 5). So no window of 5 reaches 0.8, and the first of 6 is in one piece.
    """
    mask = np.zeros((12, 1, 5), dtype=bool)
    mask[0:6, 0, [0, 2, 4]] = True
    mask[0, 0, 1] = mask[5, 0, 3] = True
    graph, first = _graph(mask)
    found = first_accepted_window(graph, first, 12, 0.8, "grow")
    assert found is not None
    assert (found.start, found.stop) == (0, 6)
    assert found.continuity == 1.0


def test_two_equal_bars_are_rejected_in_every_window() -> None:
    graph, first = _graph(_columns(12, left=(2, 10, 2), right=(2, 10, 2)))
    assert first_accepted_window(graph, first, 12, 0.8, "grow-then-shrink") is None


def test_an_object_takes_the_window_that_holds_the_most_of_it() -> None:
    """S = 12, N = 5: the bar of 8 slices is 1 wide on slices 2 to 4 and 3 wide to slice 9.

    Windows of 5 hold at most 5 slices of width 3, from slice 5 on: 15 voxels.
    """
    mask = _columns(12, bar=(2, 10, 1))
    mask[5:10, 0, 1:3] = True
    graph, first = _graph(mask)
    found = fullest_accepted_window(graph, first, 12, 0.8, "grow")
    assert found is not None
    assert first == 2
    assert (found.start + first, found.stop + first) == (5, 10)
    assert found.voxels == 15


def test_a_window_with_the_object_in_two_pieces_is_passed_over() -> None:
    """An arch: two legs of 10 slices, joined on slice 10; S = 11, so N = 4 or 5.

    Windows of 4 with both legs alone hold 8 voxels at C = 0.5; only the last one, with the
    arch of 5 voxels and three slices of legs, is in one piece: 5 + 3 * 2 = 11 voxels.
    """
    mask = np.zeros((11, 1, 5), dtype=bool)
    mask[:, 0, [0, 4]] = True
    mask[10, 0, :] = True
    graph, first = _graph(mask)
    found = fullest_accepted_window(graph, first, 11, 0.8, "grow")
    assert found is not None
    assert (found.start, found.stop, found.voxels) == (7, 11, 11)
    assert found.continuity == 1.0


def _plain_first(mask: NDArray[np.bool_], tau: float) -> tuple[int, int] | None:
    """The paper's search as it is written down: every window labelled afresh."""
    slices = len(mask)
    for length in window_lengths(slices, "grow"):
        for start in range(slices - length + 1):
            labels, count = ndimage.label(mask[start : start + length], np.ones((3, 3, 3)))
            if count:
                sizes = np.bincount(labels.ravel())[1:]
                if sizes.max() / sizes.sum() >= tau:
                    return start, start + length
    return None


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        bool,
        st.tuples(st.integers(1, 14), st.integers(1, 4), st.integers(1, 6)),
        elements=st.booleans(),
    ),
    st.sampled_from([0.5, 0.8, 1.0]),
)
def test_shortcuts_change_nothing(mask: NDArray[np.bool_], tau: float) -> None:
    """Bounds and skipped repeats find the very window that plain labelling finds."""
    if not mask.any():
        return
    graph, first = _graph(mask)
    found: Window | None = first_accepted_window(graph, first, len(mask), tau, "grow")
    expected = _plain_first(mask, tau)
    if expected is None:
        assert found is None
        return
    assert found is not None
    # The graph knows no slices before the first and after the last with anything on them.
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    start, stop = max(expected[0], filled[0]), min(expected[1], filled[-1] + 1)
    assert (found.start + first, found.stop + first) == (start, stop)
