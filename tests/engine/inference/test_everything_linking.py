"""Linking rules, worked out by hand on blocks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.inference.everything.linking import (
    Chain,
    Levels,
    distinct_chains,
    link,
)
from napari_sss.engine.inference.everything.sections import Section

SHAPE = (40, 50)


def block(index: int, y0: int, y1: int, x0: int, x1: int, score: float = 0.5) -> Section:
    return Section(index, (y0, x0), np.ones((y1 - y0, x1 - x0), dtype=bool), score)


def linked(*slices: list[Section], link_dice: float = 0.5) -> list[list[Section]]:
    return [list(chain.sections) for chain in link(Levels.of(slices, SHAPE), link_dice)]


def test_an_object_is_one_chain():
    a, b, c = (block(k, 5, 15, 10 + k, 20 + k) for k in range(3))  # Dice 0.9 each
    (chain,) = link(Levels.of([[a], [b], [c]], SHAPE), 0.5)
    assert chain.sections == (a, b, c)
    assert chain.nodes == ((0, 0), (1, 0), (2, 0))
    assert chain.links == pytest.approx((0.9, 0.9))


def test_too_little_overlap_is_no_link():
    a, b = block(0, 0, 10, 0, 10), block(1, 0, 10, 5, 15)  # 2 * 50 / 200
    assert linked([a], [b], link_dice=0.5) == [[a, b]]
    assert linked([a], [b], link_dice=0.51) == [[a], [b]]


def test_where_an_object_splits_its_chain_keeps_to_the_larger_part():
    whole = block(0, 0, 10, 0, 20)
    large = block(1, 0, 10, 0, 12)  # 2 * 120 / 320 = 0.75
    small = block(1, 0, 10, 14, 20)  # 2 * 60 / 260 = 0.46
    assert linked([whole], [small, large], link_dice=0.5) == [[whole, large], [small]]
    # With a lower limit the small part's own chain joins the whole.
    assert linked([whole], [small, large], link_dice=0.4) == [[whole, large], [whole, small]]


def test_where_objects_merge_each_has_its_own_chain():
    large, small = block(0, 0, 10, 0, 12), block(0, 0, 10, 14, 20)
    whole = block(1, 0, 10, 0, 20)
    assert linked([small, large], [whole], link_dice=0.5) == [[small], [large, whole]]
    assert linked([small, large], [whole], link_dice=0.4) == [[small, whole], [large, whole]]


def test_nested_objects_keep_their_levels():
    outer, inner = block(0, 0, 20, 0, 20), block(0, 5, 15, 5, 15)
    outer_next = block(1, 1, 19, 1, 19)  # with outer 0.895, with inner 0.47
    inner_next = block(1, 6, 14, 6, 14)  # with inner 0.78, with outer 0.28
    chains = linked([outer, inner], [inner_next, outer_next], link_dice=0.2)
    assert chains == [[outer, outer_next], [inner, inner_next]]


def test_a_gap_of_one_slice_is_bridged():
    a, b = block(0, 0, 10, 0, 10), block(2, 0, 10, 0, 10)
    assert linked([a], [], [b]) == [[a, b]]
    far = block(1, 20, 30, 20, 30)
    assert linked([a], [far], [b]) == [[a, b], [far]]


def test_a_gap_of_two_slices_is_not():
    a, b = block(0, 0, 10, 0, 10), block(3, 0, 10, 0, 10)
    assert linked([a], [], [], [b]) == [[a], [b]]


def test_the_next_slice_goes_before_the_one_after_it():
    # c agrees fully with a, over b; but b agrees well enough.
    a, b, c = block(0, 0, 10, 0, 10), block(1, 0, 10, 2, 12), block(2, 0, 10, 0, 10)
    assert linked([a], [b], [c]) == [[a, b, c]]


def test_chains_may_share_sections():
    # Both begin apart and go on with the same: 2 * 80 / 200 = 0.8 each.
    a, b, shared = block(0, 0, 10, 0, 10), block(0, 0, 10, 4, 14), block(1, 0, 10, 2, 12)
    assert linked([a, b], [shared]) == [[a, shared], [b, shared]]


def test_empty_slices_link_to_nothing():
    assert linked([], [], []) == []


def test_score_and_standing():
    sections = (
        block(0, 0, 4, 0, 4, 0.9),
        block(1, 0, 4, 0, 4, 0.7),
        block(2, 0, 4, 0, 4, 0.65),
    )
    chain = Chain(((0, 0), (1, 0), (2, 0)), sections, (0.9, 0.7))
    assert chain.score == pytest.approx(2.25 / 4)  # one slice more that says no
    # The root of 2.25, the square of a mean Dice of 0.8, the fourth root of 16 voxels.
    assert chain.standing == pytest.approx(1.5 * 0.64 * 2)
    assert Chain(((0, 0),), sections[:1], ()).standing == 0.0


def test_repeats_are_judged_over_all_slices():
    # 300 and 200 cells, 200 in common: IoU 2/3. The longer one stands higher.
    sections = [block(k, 0, 10, 0, 10, 0.8) for k in range(3)]
    levels = Levels.of([[s] for s in sections], SHAPE)
    (long,) = link(levels, 0.5)
    short = Chain(long.nodes[:2], long.sections[:2], long.links[:1])
    assert list(distinct_chains([short, long], levels, 0.6)) == [long]
    assert list(distinct_chains([short, long], levels, 0.7)) == [long, short]


def test_chains_on_other_slices_are_no_repeats():
    levels = Levels.of([[block(0, 0, 10, 0, 10)], [], [], [block(3, 0, 10, 0, 10)]], SHAPE)
    chains = link(levels, 0.5)
    assert list(distinct_chains(chains, levels, 0.5)) == chains
