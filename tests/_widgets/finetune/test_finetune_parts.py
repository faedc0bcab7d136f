"""Curves, plans and texts of the Fine-tune tab."""

from __future__ import annotations

import math

import pytest

from napari_sss._widgets.finetune.curves import History, thinned
from napari_sss._widgets.finetune.plan import Plan, duration, strategy_choices
from napari_sss._widgets.finetune.run_view import line_text, load_text
from napari_sss._widgets.finetune.shown import RunShown
from napari_sss.engine.runs.state import MachineLoad, RunPhase, RunState
from napari_sss.engine.training.config import configured


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (42, "0:42"), (599, "9:59"), (840, "14 min"), (7500, "2 h 05")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_plan_is_a_configuration():
    config = configured(Plan(15.0, "sss", "auto", {"batch": 4}).settings("embedded"))
    assert (config.minutes, config.strategy, config.batch) == (15.0, "sss", 4)
    assert config.validate_every == config.checkpoint_every


def test_what_is_given_wins_over_what_follows_from_the_time():
    assert Plan(more={"validate_every": 7}).settings("m")["validate_every"] == 7


def test_methods_are_listed_ours_first_and_strangers_last():
    choices = strategy_choices(["bcp", "my-own", "supervised", "sss"])
    assert [c.key for c in choices] == ["sss", "supervised", "bcp", "my-own"]
    assert all(c.tooltip for c in choices)


def test_thinning_keeps_ends_and_means():
    xs = [float(k) for k in range(1000)]
    got_xs, got_ys = thinned(xs, [2 * x for x in xs], 100)
    assert len(got_xs) == len(got_ys) == 100
    assert got_xs[-1] == 999
    # Stretches of about 10 points: the first is the mean of 0 to 9.
    assert got_xs[0] == pytest.approx(4.5)
    assert got_ys == pytest.approx([2 * x for x in got_xs])
    assert thinned([1.0], [2.0], 100) == ((1.0,), (2.0,))


def test_curves_leave_out_what_is_no_number():
    history = History()
    history.add([{"event": "step", "step": 1, "labelled": None, "loss": math.nan}])
    history.add([{"event": "step", "step": 2, "labelled": 0.5, "loss": 0.7}])
    (loss, *_) = history.charts()
    assert [(c.xs, c.ys) for c in loss.curves] == [((2.0,), (0.5,))]


def test_a_history_that_begins_anew_forgets():
    history = History()
    history.add([{"event": "step", "step": 9, "labelled": 0.5}])
    history.clear()
    assert history.step == 0
    assert history.charts()[0].curves == ()


def shown(tmp_path, phase, **more):
    run = {k: more.pop(k) for k in ("asked", "step") if k in more}
    return RunShown(tmp_path, "SSS, 15 min", RunState(phase, **more), **run)


def test_lines_say_what_goes_on(tmp_path):
    training = shown(tmp_path, RunPhase.TRAINING, step=120, seconds_left=95.0)
    assert line_text(training) == "Step 120, 1:35 left"
    judging = shown(tmp_path, RunPhase.JUDGING, stage="comparing the models", done=1, total=4)
    assert line_text(judging) == "Comparing the models 1/4"
    assert "viewer needs" in line_text(shown(tmp_path, RunPhase.TRAINING, gives_way=True))
    assert line_text(shown(tmp_path, RunPhase.TRAINING, asked="pausing …")) == "Pausing …"
    assert "saved" in line_text(shown(tmp_path, RunPhase.PAUSED, step=9))


def test_the_load_in_words():
    load = MachineLoad(cores=0.93, memory_mb=1536.0, gpu_mb=0.0, system=0.5)
    state = RunState(RunPhase.TRAINING, load=load)
    assert load_text(state) == "0.9 cores, 1.5 GB memory; the machine is at 50 %."
    assert load_text(RunState()) == ""
