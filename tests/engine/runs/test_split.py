"""Which cases teach, choose and judge."""

from __future__ import annotations

import pytest

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.runs.split import (
    SPLIT_NAME,
    Candidate,
    Side,
    assign,
    group_of,
    keep_split,
    pattern,
    read_split,
)

BOTH = frozenset({"liver", "spleen"})


def some(count, classes=BOTH, **more):
    return [Candidate(k, f"g{k}", classes, **more) for k in range(1, count + 1)]


def letters(sides):
    return "".join(
        {Side.TRAIN: "T", Side.HELD_OUT: "H", Side.CHOOSE: "C"}[s] for s in sides.values()
    )


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (0, ""),
        (3, "TTT"),
        (4, "TTTH"),
        (6, "TTTHTC"),
        (11, "TTTHTCTHTTC"),
        (12, "TTTHTCTHTTCT"),
    ],
)
def test_the_pattern_holds_out_the_fourth_and_then_two_of_five(count, wanted):
    assert pattern(count) == wanted
    assert letters(assign(some(count))) == wanted


def test_sides_stay_whatever_comes_later():
    first = assign(some(4))
    later = assign(some(9), first)
    assert {g: later[g] for g in first} == first
    # As if all nine had come at once: it depends on their order alone.
    assert later == assign(some(9))


def test_a_case_that_is_removed_and_comes_back_keeps_its_side():
    sides = assign(some(4))
    assert sides["g4"] is Side.HELD_OUT
    without = assign(some(3), sides)
    assert without["g4"] is Side.HELD_OUT
    assert assign(some(5), without)["g4"] is Side.HELD_OUT


def test_who_alone_shows_a_class_teaches():
    cases = [*some(3), Candidate(4, "g4", BOTH | {"aorta"}), Candidate(5, "g5", BOTH)]
    sides = assign(cases)
    # The fourth would judge; it teaches, and the fifth judges in its place.
    assert sides["g4"] is Side.TRAIN
    assert sides["g5"] is Side.HELD_OUT


def test_a_class_of_a_case_that_judges_does_not_count_as_taught():
    known = {"g1": Side.HELD_OUT}
    cases = [Candidate(1, "g1", frozenset({"aorta"})), *some(5)[1:]]
    cases.append(Candidate(6, "g6", BOTH | {"aorta"}))
    assert assign(cases, known)["g6"] is Side.TRAIN


def test_cases_accepted_object_by_object_teach():
    assert set(assign(some(8, judges=False)).values()) == {Side.TRAIN}


def test_scans_of_one_patient_stay_together():
    # Patients a, a, b, c, d: the fourth patient, not the fourth scan, judges.
    cases = [Candidate(k, g, BOTH) for k, g in enumerate("aabcd", start=1)]
    assert letters(assign(cases)) == "TTTH"
    assert group_of("7", "one") == group_of("7", "another")
    assert group_of(None, "one") != group_of(None, "another")


def test_the_split_is_kept_in_the_project(tmp_path):
    assert read_split(tmp_path) == {}
    kept = keep_split(tmp_path, some(4))
    assert read_split(tmp_path) == kept
    before = (tmp_path / SPLIT_NAME).read_bytes()
    assert keep_split(tmp_path, some(3)) == kept
    assert (tmp_path / SPLIT_NAME).read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", '{"sides": {"g": "left"}}', '{"side": {}}'])
def test_a_damaged_split_is_never_guessed_anew(tmp_path, content):
    (tmp_path / SPLIT_NAME).write_text(content)
    with pytest.raises(ConfigError, match="which cases judge"):
        keep_split(tmp_path, some(4))
    assert (tmp_path / SPLIT_NAME).read_text() == content
