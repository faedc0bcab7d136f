"""From answers to painted voxels and rows of the table, without a viewer or a model."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from psygnal import Signal

from napari_sss._widgets.answering import Answered
from napari_sss._widgets.tools.answers import Answers
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, Point, SlicePrompt

PROMPT = SlicePrompt(4, points=(Point(12, 11),))
KIDNEY = ObjectPrompts(2, "kidney", (PROMPT,))


class FakeAnswering:
    answered = Signal(Answered)

    def __init__(self):
        self.asked, self.forgotten = [], []

    def ask(self, prompts, index=None, current=None, labels=None):
        self.asked.append((prompts, index, current))
        self.labels = labels

    def forget(self, ids):
        self.forgotten += ids


@pytest.fixture
def answering():
    return FakeAnswering()


@pytest.fixture
def answers(bench, answering):
    def labels(prompt, then):
        then({} if prompt.mask is None else {prompt.mask: "its labels"})

    return Answers(bench.controller, bench.room, answering, labels)


def has(bench, object_id, z, rows, columns):
    """Give an object voxels on an axial slice, as a brush does."""
    places = np.ravel_multi_index(
        np.mgrid[z : z + 1, rows, columns].reshape(3, -1), bench.session.state.shape
    )
    bench.session.paint(LabelDiff.of_voxels(places, 0, object_id), class_id=1)


@pytest.fixture
def painted(bench):
    bench.session.add_class("organ")
    return partial(has, bench)


def reply(answering, rows=3, columns=5, index=4, plane=Plane.AXIAL, provisional=False):
    """An answer of ``rows`` x ``columns`` voxels from row 10, column 10."""
    mask = SliceMask(2, index, plane, (10, 10), np.ones((rows, columns), bool), 0.8)
    answering.answered.emit(Answered(mask, PROMPT, provisional, 0.01))


def row_of(bench, object_id=2):
    bench.settle()
    return bench.controller.objects.get(object_id)


def test_a_new_object_gets_a_row_a_mask_and_its_volume(answers, answering, bench):
    answers.answer(KIDNEY, PROMPT)
    asked, index, current = answering.asked[0]
    assert (asked, index, current) == (KIDNEY, 4, None)
    reply(answering)
    labels = bench.session.labels
    assert np.count_nonzero(labels == 2) == np.count_nonzero(labels[4] == 2) == 15
    row = row_of(bench)
    # 15 voxels of 1 mm^3.
    assert (row.class_name, row.first, row.last) == ("kidney", 4, 4)
    assert row.ml == pytest.approx(0.015)
    assert bench.scene.redrawn
    # The prompt, its new class and its answer are one step.
    assert bench.session.history.undoable == 1


def test_only_the_edited_slice_is_asked_about(answers, answering):
    coronal = SlicePrompt(4, points=(Point(1, 1),), plane=Plane.CORONAL)
    answers.answer(ObjectPrompts(2, "kidney", (PROMPT, coronal)), coronal)
    assert answering.asked[0][0].prompts == (coronal,)


def test_what_the_object_has_on_the_slice_goes_with_the_question(answers, answering, painted):
    painted(2, 4, slice(10, 12), slice(10, 13))
    painted(1, 4, slice(20, 21), slice(20, 21))
    answers.answer(KIDNEY, PROMPT)
    current = answering.asked[0][2]
    assert current.sum() == 6


def test_the_mask_that_a_prompt_names_goes_with_the_question(answers, answering):
    path = Path("mask.nii.gz")
    answers.answer(KIDNEY, SlicePrompt(4, mask=path))
    assert answering.labels == {path: "its labels"}


def test_a_provisional_answer_and_the_better_one_are_one_step(answers, answering, bench):
    kept = []
    answers.kept.connect(kept.append)
    answers.answer(KIDNEY, PROMPT)
    reply(answering, rows=6, provisional=True)
    assert np.count_nonzero(bench.session.labels == 2) == 30
    assert kept == []
    reply(answering, rows=4)
    assert row_of(bench).ml == pytest.approx(0.020)
    assert len(kept) == 1
    assert bench.session.history.undoable == 1


def test_a_correction_changes_volume_and_extent(answers, answering, bench):
    answers.answer(KIDNEY, PROMPT)
    reply(answering)
    reply(answering, index=6)
    row = row_of(bench)
    assert (row.first, row.last) == (4, 6)
    reply(answering, rows=0, index=6)
    row = row_of(bench)
    assert (row.first, row.last, row.ml) == (4, 4, pytest.approx(0.015))
    reply(answering, rows=0)
    assert (row_of(bench).first, row_of(bench).ml) == (None, 0.0)


@pytest.mark.parametrize(
    ("plane", "extent", "where"),
    [
        # The mask's rows are slices of axis 0 in both planes.
        (Plane.CORONAL, (10, 12), np.s_[10:13, 4, 10:15]),
        (Plane.SAGITTAL, (10, 12), np.s_[10:13, 10:15, 4]),
    ],
)
def test_answers_lie_in_their_plane(answers, answering, bench, plane, extent, where):
    answers.answer(KIDNEY, PROMPT)
    reply(answering, plane=plane)
    labels = bench.session.labels
    assert np.count_nonzero(labels == 2) == 15
    assert (labels[where] == 2).all()
    assert (row_of(bench).first, row_of(bench).last) == extent


def test_a_finished_neighbour_is_not_overwritten(answers, answering, bench, painted):
    painted(1, 4, slice(10, 12), slice(10, 13))
    answers.answer(KIDNEY, PROMPT)
    reply(answering)
    assert np.count_nonzero(bench.session.labels == 1) == 6
    assert np.count_nonzero(bench.session.labels == 2) == 9


def test_an_answer_for_an_object_that_is_gone_is_dropped(answers, answering, bench):
    answers.answer(KIDNEY, PROMPT)
    bench.acts.delete([2])
    bench.settle()
    reply(answering)
    assert not bench.session.labels.any()
    answers.forget([2])
    assert answering.forgotten == [2]


def test_propagating_follows_the_object(answers, bench):
    box = ObjectPrompts(2, "kidney", (SlicePrompt(4, Box(10, 10, 15, 13)),))
    bench.controller.enter(box)
    answers.propagate([2])
    bench.settle()
    # The engine of these tests fills the box on four slices: 4 * 3 * 5 voxels.
    assert np.count_nonzero(bench.session.labels == 2) == 60
