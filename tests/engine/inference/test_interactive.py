"""A volume that is worked on: first sight, close up, and what is kept for the next time."""

import numpy as np
import pytest

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.inference import interactive
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.feature_cache import FeatureCache
from napari_sss.engine.inference.interactive import Interactive
from napari_sss.engine.inference.segment import Stacks
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.types import Box, Plane, Point, SlicePrompt

CLICK = SlicePrompt(5, points=(Point(38, 27),))


@pytest.fixture
def model(model):
    model.sha256 = "0123"
    return model


@pytest.fixture
def stacks(volume, window, model):
    return Stacks(volume, window, model)


def encode_all(at_work):
    for _ in range(100):
        if not at_work.step(JobControl()):
            return
    raise AssertionError("it never ends")


def test_an_encoded_slice_is_answered_at_first_sight_and_then_close_up(stacks, truth, full):
    at_work = Interactive(stacks)
    at_work.look_at(Plane.AXIAL, 5)
    at_work.step(JobControl())
    first, final = at_work.answers(CLICK)
    assert (first.provisional, final.provisional) == (True, False)
    shape = truth.shape[1:]
    assert full(first.answer, shape)[27, 38]
    assert first.answer.mask.shape != final.answer.mask.shape
    # The stub sees the block to the pixel of its 64-pixel crop: a rim of a voxel may differ.
    found = full(final.answer, shape)
    assert 2 * (found & truth[5]).sum() / (found.sum() + truth[5].sum()) > 0.9


def test_a_slice_that_is_not_encoded_is_answered_once(stacks):
    answers = list(Interactive(stacks).answers(CLICK))
    assert [a.provisional for a in answers] == [False]


def test_a_correction_and_a_box_are_answered_once(stacks):
    at_work = Interactive(stacks)
    encode_all(at_work)
    list(at_work.answers(CLICK))
    further = SlicePrompt(5, points=(*CLICK.points, Point(33, 23, positive=False)))
    assert [a.provisional for a in at_work.answers(further)] == [False]
    boxed = SlicePrompt(6, box=Box(30, 20, 46, 34))
    assert [a.provisional for a in at_work.answers(boxed)] == [False]


def test_a_doubtful_first_sight_is_not_shown(stacks, seer, model):
    at_work = Interactive(stacks)
    encode_all(at_work)
    seer.sureness = 0.3
    assert [a.provisional for a in at_work.answers(CLICK)] == [False]


def test_cancelled_between_first_sight_and_close_up(stacks, seer):
    at_work = Interactive(stacks)
    encode_all(at_work)
    encoded = len(seer.encoded)

    def check():
        raise Cancelled

    answers = at_work.answers(CLICK, check=check)
    assert next(answers).provisional
    with pytest.raises(Cancelled):
        next(answers)
    assert len(seer.encoded) == encoded


def test_after_an_answer_its_crop_is_encoded_on_the_neighbours(stacks):
    at_work = Interactive(stacks)
    encode_all(at_work)
    at_work.look_at(Plane.AXIAL, 5)
    list(at_work.answers(CLICK))
    encode_all(at_work)
    stack = stacks.of(Plane.AXIAL)
    whole = CropFrame.whole(stack.shape, stack.spacing)
    crops = {crop for (crop, _, _) in stack._features}
    frames = [frame for index, frame in crops if index == 8 and frame != whole]
    assert len(frames) == 1  # 8 = 5 + 3 was never clicked


def test_the_plane_in_view_is_what_is_encoded(stacks):
    at_work = Interactive(stacks)
    at_work.look_at(Plane.CORONAL, 3)
    at_work.step(JobControl())
    assert not stacks.of(Plane.AXIAL)._features
    assert len(stacks.of(Plane.CORONAL)._features) == 1


def test_a_volume_that_was_open_before_is_not_encoded_again(
    volume, window, model, seer, tmp_path
):
    at_work = Interactive(Stacks(volume, window, model), FeatureCache(tmp_path))
    encode_all(at_work)
    assert sum(seer.encoded) == 12
    seer.encoded.clear()
    later = Interactive(Stacks(volume, window, model), FeatureCache(tmp_path))
    told = []
    later.step(JobControl(told.append))
    assert told[-1].done == 12
    encode_all(later)
    assert seer.encoded == []


def test_what_was_encoded_before_the_cache_was_open_is_kept_too(
    volume, window, model, seer, tmp_path
):
    at_work = Interactive(Stacks(volume, window, model), FeatureCache(tmp_path))
    list(at_work.answers(SlicePrompt(5, box=Box(30, 20, 46, 34))))
    encode_all(at_work)
    seer.encoded.clear()
    later = Interactive(Stacks(volume, window, model), FeatureCache(tmp_path))
    later.step(JobControl())
    list(later.answers(SlicePrompt(5, box=Box(30, 20, 46, 34))))
    assert seer.encoded == []


def test_answers_are_the_same_warm_and_cold(volume, window, model, tmp_path):
    cold = Interactive(Stacks(volume, window, model), FeatureCache(tmp_path))
    *_, one = cold.answers(CLICK)
    encode_all(cold)
    warm = Interactive(Stacks(volume, window, model), FeatureCache(tmp_path))
    warm.step(JobControl())
    *_, other = warm.answers(CLICK)
    assert np.array_equal(one.answer.probability, other.answer.probability)


def test_a_volume_seen_through_another_window_is_not_read_again_for_its_hash(
    volume, window, model, tmp_path, monkeypatch
):
    one = Interactive(Stacks(volume, window, model), FeatureCache(tmp_path))
    one.step(JobControl())

    def read(*_):
        raise AssertionError("it is known already")

    monkeypatch.setattr(interactive, "content_hash", read)
    other = Interactive(Stacks(volume, window, model), FeatureCache(tmp_path), one.content)
    other.step(JobControl())
    assert other.content == one.content
