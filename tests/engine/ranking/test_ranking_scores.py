"""The order of cases and slices from figures made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.ranking.examined import Examined
from napari_sss.engine.ranking.scoring import GREEDY, Seen, case_distances, ranked
from napari_sss.engine.ranking.slices import slice_hints


def examined(level=0.0, *, slices=6, found=(), disputed=0, claimed=100, how="views", spot=None):
    """A stack whose slices all have the feature ``level``; ``found`` pixels of each class."""
    embedding = np.full((slices, 2), level, dtype=np.float32)
    pixels = np.tile(np.array(found, dtype=np.int64), (slices, 1)).reshape(slices, len(found))
    names = ("organ", "lesion")[: len(found)]
    where = np.full(slices, disputed, dtype=np.int64)
    if spot is not None:
        where[:] = 0
        where[spot] = disputed
    return Examined(embedding, pixels, np.full(slices, claimed), where, names, how)


def plain(level, **more):
    """What a model without classes gives."""
    return examined(level, claimed=0, how="none", **more)


def test_disagreement_is_the_share_of_what_is_claimed():
    assert examined(disputed=34).disagreement == pytest.approx(0.34)
    # 6 slices x 2 of 10 pixels: against at least 20 a slice, 12 / 120.
    assert examined(disputed=2, claimed=10).disagreement == pytest.approx(0.1)
    assert plain(0.0).disagreement == 0.0


def test_a_speck_is_no_class():
    assert examined(found=(50, 19)).shows() == {"organ"}
    assert examined(found=(0, 20)).shows() == {"lesion"}
    assert plain(0.0).shows() == frozenset()


def test_the_more_disputed_case_comes_first_and_says_so():
    places = ranked(
        [
            Seen(1, examined(found=(50,), disputed=5)),
            Seen(2, examined(found=(50,), disputed=40)),
            Seen(3, examined(found=(50,)), frozenset({"organ"})),
        ]
    )
    assert [p.case_id for p in places] == [2, 1]
    assert places[0].reasons[0].text == (
        "Mirrored, darker and brighter copies change 40 % of what is found."
    )
    assert places[0].reasons[0].value == pytest.approx(0.4)


def test_two_networks_are_named_as_such():
    place = ranked([Seen(1, examined(found=(50,), disputed=25, how="pair"))])[0]
    assert "two networks disagree on 25 %" in " ".join(r.text for r in place.reasons)


def test_a_class_that_is_rarely_accepted_comes_first():
    cases = [
        Seen(1, examined(found=(50, 0))),
        Seen(2, examined(found=(50, 50))),
        Seen(3, examined(found=(50, 0)), frozenset({"organ"})),
        Seen(4, examined(found=(50, 50)), frozenset({"organ", "lesion"})),
    ]
    places = ranked(cases)
    assert [p.case_id for p in places] == [2, 1]
    # Organ is shown by 2 accepted cases, lesion by 1: rarity 1 - 1/2, half of it counts.
    assert (
        places[0].reasons[0].text
        == ("It seems to show lesion, which only 1 case accepted show.")
        or "lesion" in places[0].reasons[0].text
    )
    assert places[0].reasons[0].value == pytest.approx(0.25)


def test_a_class_that_nobody_accepted_yet():
    cases = [
        Seen(1, examined(found=(50, 50))),
        Seen(2, examined(found=(50, 0)), frozenset({"organ"})),
    ]
    reason = ranked(cases)[0].reasons[0]
    assert reason.text == "It seems to show lesion, which no accepted case shows."
    assert reason.value == pytest.approx(0.5)


def test_a_class_that_is_strangely_missing():
    known = frozenset({"organ", "lesion"})
    cases = [
        Seen(1, examined(found=(50, 50))),
        Seen(2, examined(found=(50, 0))),
        Seen(3, examined(found=(50, 50)), known),
        Seen(4, examined(found=(50, 50)), known),
    ]
    places = ranked(cases)
    assert places[0].case_id == 2
    assert places[0].reasons[0].text == (
        "No lesion was found, though every accepted case shows it."
    )


def test_without_a_trained_model_the_typical_comes_first_then_what_is_unlike_it():
    """Levels 0, 0, 0, 1, 1 and an outlier at 3.

    Nothing is accepted, so every case is as far from it as the farthest pair, 3. Choosing 0
    takes away 3 + 3 + 3 + 2 + 2 + 0 = 13, choosing 1 2 + 2 + 2 + 3 + 3 + 1 = 13 as well,
    3 only 0 + 0 + 0 + 1 + 1 + 3 = 5. A case at 0 is the first of the two. Then 1 takes away
    1 + 1 + 1 = 3 and the outlier 3 + 0 = 3 of what is left; the third place is the other.
    """
    levels = {1: 0.0, 2: 0.0, 3: 0.0, 4: 1.0, 5: 1.0, 6: 3.0}
    places = ranked([Seen(i, plain(level)) for i, level in levels.items()])
    order = [p.case_id for p in places]
    assert levels[order[0]] in (0.0, 1.0)
    assert {levels[i] for i in order[:3]} == {0.0, 1.0, 3.0}
    assert "most typical of the pool" in places[0].reasons[0].text


def test_what_resembles_the_accepted_comes_last():
    cases = [
        Seen(1, plain(0.1)),
        Seen(2, plain(5.0)),
        Seen(3, plain(5.2)),
        Seen(4, plain(0.0), frozenset({"organ"})),
    ]
    places = ranked(cases)
    assert places[0].case_id in (2, 3)
    assert "stands for 1 more case unlike what is accepted" in places[0].reasons[0].text
    # 5.0 and 5.2 stand for each other: the second of them adds nearly nothing any more.
    assert {p.case_id for p in places[1:]} == {1, 3} or {p.case_id for p in places[1:]} == {
        1,
        2,
    }
    texts = {p.case_id: p.reasons[0].text for p in places}
    assert texts[1] == "It resembles what is accepted."


def test_what_coverage_adds_falls_from_place_to_place():
    """Levels 0, 1, 3: all are 3 from nothing at first, 9 in all; 1 takes 3 + 2 + 1 away.

    Then 0 is 1 from it and 3 is 2, so 3 adds 2 / 9 and 0 the rest, 1 / 9.
    """
    places = ranked([Seen(1, plain(0.0)), Seen(2, plain(1.0)), Seen(3, plain(3.0))])
    assert [p.case_id for p in places] == [2, 3, 1]
    assert [p.score for p in places] == pytest.approx([6 / 9, 2 / 9, 1 / 9], abs=1e-3)


def test_near_duplicates_do_not_share_the_first_places():
    levels = [0.0] * 5 + [4.0] * 5
    places = ranked([Seen(i, plain(level)) for i, level in enumerate(levels)])
    assert {levels[p.case_id] for p in places[:2]} == {0.0, 4.0}


def test_every_case_has_one_place_also_beyond_the_careful_ones():
    rng = np.random.default_rng(0)
    cases = [Seen(i, plain(float(rng.normal()))) for i in range(GREEDY + 20)]
    places = ranked(cases)
    assert sorted(p.case_id for p in places) == list(range(GREEDY + 20))
    assert all(p.reasons for p in places)


def test_nothing_to_rank():
    assert ranked([]) == ()
    assert ranked([Seen(1, plain(0.0), frozenset())]) == ()


def test_distances_are_in_units_of_a_typical_one():
    """Levels 0, 1, 2: distances 1, 1, 2 and their median 1."""
    found = case_distances([plain(0.0), plain(1.0), plain(2.0)])
    assert found == pytest.approx(np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]]), abs=1e-6)


def test_the_most_disputed_slice_comes_first_with_the_share():
    case = examined(found=(50,), slices=24, disputed=30, spot=7)
    hint = slice_hints(case)[0]
    assert hint.index == 7
    assert hint.reason == "opinions differ on 30 % of what is found there"


def test_hints_keep_apart_and_off_accepted_slices():
    """24 slices: 24 // 12 = 2 between hints, so none within 2 of another or of slice 7."""
    case = examined(found=(50,), slices=24, disputed=30, spot=7)
    first = slice_hints(case, 3)
    indices = [hint.index for hint in first]
    assert all(abs(a - b) > 2 for k, a in enumerate(indices) for b in indices[:k])
    later = slice_hints(case, 3, accepted=(7,))
    assert all(abs(hint.index - 7) > 2 for hint in later)


def test_where_all_is_accepted_there_is_no_hint():
    assert slice_hints(examined(slices=4), 3, accepted=range(4)) == ()


def test_without_opinions_the_slice_unlike_the_accepted_ones_comes_first():
    embedding = np.zeros((10, 2), dtype=np.float32)
    embedding[8] = 5.0
    case = Examined(embedding, np.zeros((10, 0), int), np.zeros(10, int), np.zeros(10, int))
    hint = slice_hints(case, 1, accepted=(0,))[0]
    assert (hint.index, hint.reason) == (8, "unlike the accepted slices")
    # With nothing accepted anywhere it is a typical one instead, not the outlier.
    assert slice_hints(case, 1)[0].index != 8
    assert slice_hints(case, 1, elsewhere=[np.zeros((3, 2), np.float32)])[0].index == 8
