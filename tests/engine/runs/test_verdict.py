"""What the gate advises, by hand."""

from __future__ import annotations

import json

import pytest

from napari_sss.engine.runs.verdict import Judgement, Verdict, judged


def cases(*values, name="liver"):
    return {f"case{k}": {name: v} for k, v in enumerate(values)}


def test_better_everywhere_is_to_be_adopted():
    found = judged(["liver"], cases(0.8, 0.9, 0.7), cases(0.7, 0.8, 0.65))
    assert found.verdict is Verdict.ADOPT
    # Gains 0.10, 0.10, 0.05: mean 0.25 / 3; their sample standard deviation
    # sqrt((2 * (0.1 - 0.08333)^2 + (0.05 - 0.08333)^2) / 2) = 0.028868.
    line = found.classes[0]
    assert (line.new, line.old) == pytest.approx((0.8, 0.716667), abs=1e-5)
    assert line.gain == pytest.approx(0.083333, abs=1e-5)
    assert line.gain_sd == pytest.approx(0.028868, abs=1e-5)
    # t(0.975, 2) = 4.3027: half width 4.3027 * 0.028868 / sqrt(3) = 0.071713.
    assert found.interval == pytest.approx((0.011620, 0.155047), abs=1e-4)
    assert found.warnings == ()


def test_worse_is_warned_of_and_the_old_one_kept():
    found = judged(["liver"], cases(0.6, 0.7), cases(0.7, 0.75))
    assert found.verdict is Verdict.KEEP
    assert found.warnings[0] == "On average the new model is worse by 0.075 Dice."
    assert found.interval is None  # two cases tell no interval worth the name


def test_a_class_that_becomes_worse_is_warned_of_though_the_mean_rises():
    new = {"a": {"liver": 0.95, "spleen": 0.60}, "b": {"liver": 0.95, "spleen": 0.60}}
    old = {"a": {"liver": 0.75, "spleen": 0.70}, "b": {"liver": 0.75, "spleen": 0.70}}
    found = judged(["liver", "spleen"], new, old)
    # Means 0.775 and 0.725: a gain of 0.05 in both cases, but the spleen loses 0.1.
    assert found.mean.gain == pytest.approx(0.05)
    assert found.verdict is Verdict.LOOK
    assert found.warnings == ("spleen becomes worse by 0.100 Dice.",)


def test_no_difference_is_not_called_better():
    found = judged(["liver"], cases(0.805, 0.805), cases(0.8, 0.8))
    assert found.verdict is Verdict.LOOK
    assert "no difference to speak of" in found.reason


def test_cases_that_disagree_are_to_be_looked_at():
    # Gains 0.30, -0.01, -0.01: the mean rises by one case alone.
    found = judged(["liver"], cases(0.8, 0.69, 0.69), cases(0.5, 0.7, 0.7))
    assert found.verdict is Verdict.LOOK
    assert "better in 1 of 3 cases" in found.reason


def test_without_held_out_cases_there_are_no_figures():
    found = judged(["liver"], {}, {})
    assert found.verdict is Verdict.LOOK
    assert "No case is held out" in found.reason
    assert found.mean.cases == 0


def test_against_a_model_that_names_no_classes():
    assert judged(["liver"], cases(0.8), None).verdict is Verdict.ADOPT
    hardly = judged(["liver"], cases(0.1), None)
    assert hardly.verdict is Verdict.KEEP
    assert hardly.warnings == ("liver is hardly found: Dice 0.10.",)
    assert hardly.mean.old is None


def test_a_class_that_neither_truth_nor_prediction_shows_does_not_count():
    found = judged(
        ["liver"], {"a": {"liver": None}, "b": {"liver": 0.8}}, {"b": {"liver": 0.7}}
    )
    assert found.classes[0].cases == 1


def test_who_rightly_finds_nothing_beats_who_finds_something():
    # No liver in truth: the new model finds none (undefined, so right), the old one some.
    found = judged(["liver"], {"a": {"liver": None}}, {"a": {"liver": 0.0}})
    assert (found.classes[0].new, found.classes[0].old) == (1.0, 0.0)


def test_a_judgement_survives_its_file():
    found = judged(["liver"], cases(0.8, 0.9, 0.7), cases(0.7, 0.8, 0.65))
    assert Judgement.from_json(json.loads(json.dumps(found.as_json()))) == found
