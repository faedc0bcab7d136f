"""From answers to painted voxels and rows of the table, without a viewer or a model."""

from __future__ import annotations

import numpy as np
import pytest
from psygnal import Signal

from napari_sss._widgets.answering import Answered
from napari_sss._widgets.objects import Objects
from napari_sss._widgets.tools.answers import Answers
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, Point, SlicePrompt

PROMPT = SlicePrompt(4, points=(Point(12, 11),))
KIDNEY = ObjectPrompts(2, "kidney", (PROMPT,))


class FakeAnswering:
    answered = Signal(Answered)

    def __init__(self):
        self.asked, self.forgotten = [], []

    def ask(self, prompts, index=None, current=None, labels=None):
        self.asked.append((prompts, index, current))

    def forget(self, ids):
        self.forgotten += ids


@pytest.fixture
def answering():
    return FakeAnswering()


@pytest.fixture
def objects():
    return Objects()


@pytest.fixture
def propagated():
    return []


@pytest.fixture
def answers(scene, objects, answering, propagated):
    return Answers(scene, objects, answering, propagated.append)


def reply(answering, rows=3, columns=5, index=4, plane=Plane.AXIAL, provisional=False):
    """An answer of ``rows`` x ``columns`` voxels from row 10, column 10."""
    mask = SliceMask(2, index, plane, (10, 10), np.ones((rows, columns), bool), 0.8)
    answering.answered.emit(Answered(mask, PROMPT, provisional, 0.01))


def test_a_new_object_gets_a_row_a_mask_and_its_volume(answers, answering, scene, objects):
    answers.answer(KIDNEY, PROMPT)
    asked, index, current = answering.asked[0]
    assert (asked, index, current) == (KIDNEY, 4, None)
    reply(answering)
    assert np.count_nonzero(scene.array == 2) == np.count_nonzero(scene.array[4] == 2) == 15
    row = objects.get(2)
    # 15 voxels of 1 mm^3.
    assert (row.first, row.last, row.ml, row.confidence) == (4, 4, pytest.approx(0.015), 0.8)
    assert scene.redrawn


def test_only_the_edited_slice_is_asked_about(answers, answering):
    coronal = SlicePrompt(4, points=(Point(1, 1),), plane=Plane.CORONAL)
    answers.answer(ObjectPrompts(2, "kidney", (PROMPT, coronal)), coronal)
    assert answering.asked[0][0].prompts == (coronal,)


def test_what_the_object_has_on_the_slice_goes_with_the_question(answers, answering, scene):
    scene.array[4, 10:12, 10:13] = 2
    scene.array[4, 20, 20] = 1
    answers.answer(KIDNEY, PROMPT)
    current = answering.asked[0][2]
    assert current.sum() == 6


def test_a_provisional_answer_is_shown_and_not_kept(answers, answering, scene, objects):
    kept = []
    answers.kept.connect(kept.append)
    answers.answer(KIDNEY, PROMPT)
    reply(answering, rows=6, provisional=True)
    assert np.count_nonzero(scene.array == 2) == 30
    assert objects.get(2).ml is None
    assert kept == []
    reply(answering, rows=4)
    assert objects.get(2).ml == pytest.approx(0.020)
    assert len(kept) == 1


def test_a_correction_changes_volume_and_extent(answers, answering, scene, objects):
    answers.answer(KIDNEY, PROMPT)
    reply(answering)
    reply(answering, index=6)
    assert (objects.get(2).first, objects.get(2).last) == (4, 6)
    reply(answering, rows=0, index=6)
    row = objects.get(2)
    assert (row.first, row.last, row.ml) == (4, 4, pytest.approx(0.015))
    reply(answering, rows=0)
    assert (objects.get(2).first, objects.get(2).ml) == (None, pytest.approx(0.0))


@pytest.mark.parametrize(
    ("plane", "extent", "where"),
    [
        # The mask's rows are slices of axis 0 in both planes.
        (Plane.CORONAL, (10, 12), np.s_[10:13, 4, 10:15]),
        (Plane.SAGITTAL, (10, 12), np.s_[10:13, 10:15, 4]),
    ],
)
def test_answers_lie_in_their_plane(answers, answering, scene, objects, plane, extent, where):
    answers.answer(KIDNEY, PROMPT)
    reply(answering, plane=plane)
    assert np.count_nonzero(scene.array == 2) == 15
    assert (scene.array[where] == 2).all()
    assert (objects.get(2).first, objects.get(2).last) == extent


def test_a_finished_neighbour_is_not_overwritten(answers, answering, scene):
    scene.array[4, 10:12, 10:13] = 1
    answers.answer(KIDNEY, PROMPT)
    reply(answering)
    assert np.count_nonzero(scene.array == 1) == 6
    assert np.count_nonzero(scene.array == 2) == 9


def test_an_answer_for_an_object_that_is_gone_is_dropped(answers, answering, scene, objects):
    answers.answer(KIDNEY, PROMPT)
    objects.remove([2])
    reply(answering)
    assert not scene.array.any()
    answers.forget([2])
    assert answering.forgotten == [2]


def test_propagating_hands_over_the_objects_prompts(answers, scene, propagated):
    scene.shown = {2: KIDNEY, 3: ObjectPrompts(3, "spleen", (PROMPT,))}
    answers.propagate([2])
    assert propagated == [KIDNEY]
