"""Linking rules, worked out by hand on blocks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.inference.everything.linking import (
    Chain,
    distinct_chains,
    filled,
    link,
)
from napari_sss.engine.inference.everything.sections import Section
from napari_sss.engine.volumes.grid import Grid

SHAPE = (40, 50)


def block(index: int, y0: int, y1: int, x0: int, x1: int, score: float = 0.5) -> Section:
    return Section(index, (y0, x0), np.ones((y1 - y0, x1 - x0), dtype=bool), score)


def linked(*slices: list[Section], link_dice: float = 0.5) -> list[list[Section]]:
    return [list(chain.sections) for chain in link(slices, SHAPE, link_dice)]


def test_an_object_is_one_chain():
    a, b, c = (block(k, 5, 15, 10 + k, 20 + k) for k in range(3))  # Dice 0.9 each
    assert linked([a], [b], [c]) == [[a, b, c]]


def test_too_little_overlap_is_no_link():
    a, b = block(0, 0, 10, 0, 10), block(1, 0, 10, 5, 15)  # 2 * 50 / 200
    assert linked([a], [b], link_dice=0.5) == [[a, b]]
    assert linked([a], [b], link_dice=0.51) == [[a], [b]]


def test_where_an_object_splits_the_larger_part_goes_on():
    whole = block(0, 0, 10, 0, 20)
    large = block(1, 0, 10, 0, 12)  # 2 * 120 / 320 = 0.75
    small = block(1, 0, 10, 14, 20)  # 2 * 60 / 260 = 0.46
    assert linked([whole], [small, large], link_dice=0.4) == [[whole, large], [small]]


def test_where_objects_merge_the_larger_one_goes_on():
    large, small, whole = (
        block(0, 0, 10, 0, 12),
        block(0, 0, 10, 14, 20),
        block(1, 0, 10, 0, 20),
    )
    assert linked([small, large], [whole], link_dice=0.4) == [[small], [large, whole]]


def test_nested_objects_keep_their_levels():
    outer, inner = block(0, 0, 20, 0, 20), block(0, 5, 15, 5, 15)
    outer_next = block(1, 1, 19, 1, 19)  # with outer 0.895, with inner 0.47
    inner_next = block(1, 6, 14, 6, 14)  # with inner 0.78, with outer 0.28
    chains = linked([outer, inner], [inner_next, outer_next], link_dice=0.2)
    assert chains == [[outer, outer_next], [inner, inner_next]]


def test_a_gap_of_one_slice_is_bridged():
    a, b = block(0, 0, 10, 0, 10), block(2, 0, 10, 0, 10)
    assert linked([a], [], [b]) == [[a, b]]


def test_a_gap_of_two_slices_is_not():
    a, b = block(0, 0, 10, 0, 10), block(3, 0, 10, 0, 10)
    assert linked([a], [], [], [b]) == [[a], [b]]


def test_a_gap_takes_nothing_from_the_slice_between():
    # Over the gap a and c agree fully, but b between, which a does not reach, claims c.
    a = block(0, 0, 10, 0, 10)
    b = block(1, 0, 10, 6, 16)  # with a: 2 * 40 / 200 = 0.4
    c = block(2, 0, 10, 2, 12)  # with b: 0.6, with a: 0.8
    assert linked([a], [b], [c]) == [[a], [b, c]]


def test_a_chain_goes_on_from_its_latest_section_only():
    a, b, c = block(0, 0, 10, 0, 10), block(1, 0, 10, 0, 10), block(2, 0, 10, 0, 10)
    assert linked([a], [b], [c]) == [[a, b, c]]
    # d is free on slice 2, but a was handed on to b already.
    d = block(2, 0, 10, 0, 10)
    assert linked([a], [b], [c, d]) == [[a, b, c], [d]]


def test_empty_slices_link_to_nothing():
    assert linked([], [], []) == []


def test_score_and_evidence():
    chain = Chain((block(0, 0, 5, 0, 5, 0.8), block(1, 0, 5, 0, 5, 0.6)))
    assert chain.evidence == pytest.approx(0.8 + 0.6)
    assert chain.score == pytest.approx((0.8 + 0.6) / 3)  # one slice more that says no


def test_repeats_are_judged_over_all_slices():
    # 300 and 200 voxels, 200 in common: IoU 2/3. Evidence 2.4 and 1.4.
    long = Chain(tuple(block(k, 0, 10, 0, 10, 0.8) for k in range(3)))
    short = Chain(tuple(block(k, 0, 10, 0, 10, 0.7) for k in range(2)))
    assert distinct_chains([short, long], SHAPE, 0.6) == [long]
    assert distinct_chains([short, long], SHAPE, 0.7) == [long, short]


def test_slices_between_are_filled():
    # Every fourth slice is looked at; each end reaches two slices further.
    chain = Chain((block(4, 10, 20, 10, 22), block(8, 10, 20, 10, 22)))
    region = filled(chain, Grid((20, *SHAPE)), step=4)
    assert region.offset == (2, 10, 10)
    assert region.mask.shape == (9, 10, 12)
    assert region.mask.all()


def test_ends_stay_in_the_volume():
    chain = Chain((block(1, 10, 20, 10, 22), block(5, 10, 20, 10, 22)))
    region = filled(chain, Grid((7, *SHAPE)), step=4)
    assert (region.offset[0], region.mask.shape[0]) == (0, 7)


def test_a_shrinking_object_shrinks_evenly():
    # Columns 4 to 15, two slices on columns 8 to 11. Half-way the signed distances are:
    # column 6: 3 inside the one, 2 outside the other: in; column 5: 2 inside, 3 outside: out.
    chain = Chain((block(0, 0, 30, 4, 16), block(2, 0, 30, 8, 12)))
    region = filled(chain, Grid((3, *SHAPE)), step=1)
    assert region.offset == (0, 0, 4)
    middle = region.mask[1, 15]
    assert np.flatnonzero(middle).tolist() == list(range(2, 10))  # columns 6 to 13
    assert region.mask[2, 15].sum() == 4
