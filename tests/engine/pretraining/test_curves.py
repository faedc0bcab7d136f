"""The log and the picture drawn from it."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from napari_sss.engine.pretraining.curves import draw_curves, smoothed
from napari_sss.engine.pretraining.log import (
    LOG_NAME,
    TRAINING,
    VALIDATION,
    append_entry,
    read_entries,
)


def training(step: int, loss: float = 1.0, slices: int = 1) -> dict:
    return {"kind": TRAINING, "step": step, "loss": loss, "iou": 0.5, "slices": slices}


def validation(step: int) -> dict:
    scores = {"box": 0.8, "click": 0.6, "corrected": 0.7, "tracked": 0.5}
    return {"kind": VALIDATION, "step": step, **scores}


def test_entries_come_back_by_kind(tmp_path):
    for entry in (training(1), validation(1), training(25)):
        append_entry(tmp_path, entry)
    assert read_entries(tmp_path, TRAINING) == [training(1), training(25)]
    assert read_entries(tmp_path, VALIDATION) == [validation(1)]


def test_a_resumed_trainings_last_word_counts(tmp_path):
    for step, loss in ((25, 1.0), (50, 0.9), (75, 0.8), (50, 0.5), (75, 0.4)):
        append_entry(tmp_path, training(step, loss))
    assert [(e["step"], e["loss"]) for e in read_entries(tmp_path, TRAINING)] == [
        (25, 1.0), (50, 0.5), (75, 0.4)
    ]  # fmt: skip


def test_a_line_cut_short_is_left_out_and_old_lines_have_no_kind(tmp_path):
    old = {"step": 1, "loss": 2.0, "iou": 0.1, "slices": 1}
    text = json.dumps(old) + "\n" + json.dumps(training(25))[:20]
    (tmp_path / LOG_NAME).write_text(text, encoding="utf-8")
    assert read_entries(tmp_path, TRAINING) == [old]


def test_no_log_has_no_entries(tmp_path):
    assert read_entries(tmp_path, TRAINING) == []


def test_smoothing_averages_what_came_before():
    assert smoothed([1, 2, 3, 4, 5], length=3) == pytest.approx([1, 1.5, 2, 3, 4])
    assert smoothed([]) == []


@pytest.mark.parametrize("entries", [[], [training(1)], [validation(1)]])
def test_curves_of_a_training_that_has_just_begun(tmp_path, entries):
    for entry in entries:
        append_entry(tmp_path, entry)
    assert draw_curves(tmp_path).exists()


def test_curves_are_a_picture_that_changes_with_the_log(tmp_path):
    for step in range(25, 500, 25):
        append_entry(tmp_path, training(step, 1 / step, slices=1 + step % 2))
    append_entry(tmp_path, validation(100))
    path = draw_curves(tmp_path)
    with Image.open(path) as picture:
        assert picture.size == (1000, 400)
    before = path.read_bytes()
    append_entry(tmp_path, validation(200))
    assert draw_curves(tmp_path).read_bytes() != before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.png", LOG_NAME]
