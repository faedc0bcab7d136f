"""Through the stack and back: where tracking goes, where it ends, what it remembers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sss.engine.errors import Cancelled, PromptError
from napari_sss.engine.inference.answers import SliceAnswer, as_points
from napari_sss.engine.inference.guide import Guide
from napari_sss.engine.inference.merging import merged_by_slice
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.inference.tracking import correct_alone, decode_prompts, track
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sam2_model import Decoded
from napari_sss.engine.prompts.types import Box, Plane, Point, Polygon, SlicePrompt, Stroke
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.volume import Volume

BOX = Box(30, 20, 46, 34)


def anchored(index: int, **more) -> SlicePrompt:
    return SlicePrompt(index, box=BOX, **more)


def test_both_ways_until_the_object_ends(stack, full, truth):
    prompted = decode_prompts(stack, (anchored(5),))
    found = list(track(stack, prompted))
    assert [a.index for a in found] == [6, 7, 8, 4, 3]
    for answer in found:
        np.testing.assert_array_equal(full(answer, stack.shape), truth[answer.index])


def test_no_slice_beyond_the_end_but_one_is_encoded(stack, seer):
    prompted = decode_prompts(stack, (anchored(5),))
    seer.encoded.clear()
    list(track(stack, prompted))
    # 6, 7, 8 and 4, 3 have it; 9 and 2 show that it is gone.
    assert sum(seer.encoded) == 7


def test_limits_are_kept(stack):
    prompted = decode_prompts(stack, (anchored(5),))
    assert [a.index for a in track(stack, prompted, limits=(4, 6))] == [6, 4]


@pytest.mark.parametrize(
    ("limits", "expected"), [((7, 8), [7, 8]), ((3, 4), [4, 3]), ((-4, 99), [6, 7, 8, 4, 3])]
)
def test_limits_may_leave_the_anchor_out_or_reach_too_far(stack, limits, expected):
    prompted = decode_prompts(stack, (anchored(5),))
    assert [a.index for a in track(stack, prompted, limits=limits)] == expected


def test_an_anchor_at_either_end_has_one_way_to_go(make_stack):
    array = np.zeros((4, 48, 60), np.float32)
    array[:, 20:34, 30:46] = 1
    stack = make_stack(Volume(array, Grid(array.shape)))
    for index, expected in ((0, [1, 2, 3]), (3, [2, 1, 0])):
        prompted = decode_prompts(stack, (anchored(index),))
        assert [a.index for a in track(stack, prompted)] == expected


def test_anchors_are_not_answered_again(stack, full):
    small = Box(32, 22, 40, 30)
    prompted = decode_prompts(stack, (anchored(4), SlicePrompt(7, box=small)))
    before = {k: s.answer.probability.copy() for k, s in prompted.slices.items()}
    found = [a.index for a in track(stack, prompted)]
    assert found == [5, 6, 8, 3]
    for index, slice_ in prompted.slices.items():
        np.testing.assert_array_equal(slice_.answer.probability, before[index])
    expected = np.zeros(stack.shape, dtype=bool)
    expected[22:30, 32:40] = True
    np.testing.assert_array_equal(full(prompted.slices[7].answer, stack.shape), expected)


def test_an_object_may_vanish_between_two_anchors(make_stack):
    array = np.zeros((9, 48, 60), np.float32)
    array[[0, 1, 6, 7], 20:34, 30:46] = 1
    stack = make_stack(Volume(array, Grid(array.shape)))
    prompted = decode_prompts(stack, (anchored(0), anchored(6)))
    assert [a.index for a in track(stack, prompted)] == [1, 7]


def test_what_jumps_elsewhere_is_another_object(make_stack):
    array = np.zeros((4, 48, 60), np.float32)
    array[0, 20:34, 30:46] = 1
    array[1, 20:34, 48:52] = 1  # inside the crop, but nowhere where it was
    stack = make_stack(Volume(array, Grid(array.shape)))
    prompted = decode_prompts(stack, (anchored(0),))
    assert list(track(stack, prompted)) == []


def test_one_crop_holds_all_prompted_slices(stack):
    prompts = (
        anchored(5),
        SlicePrompt(7, box=Box(10, 5, 40, 30)),
        SlicePrompt(4, points=(Point(56, 44),)),
    )
    prompted = decode_prompts(stack, prompts)
    assert {s.frame for s in prompted.slices.values()} == {prompted.frame}
    assert prompted.frame.covers(Box(10, 5, 40, 30))
    assert prompted.frame.holds(56, 44)


def test_the_first_prompt_sets_out_and_the_others_are_known_to_it(stack, seer):
    prompted = decode_prompts(stack, (anchored(7), anchored(4)))
    list(track(stack, prompted))
    prompted_by_slice = {index: known for index, known, _ in seer.banks}
    assert all(known == {4, 7} for known in prompted_by_slice.values())
    assert [index for index, _, _ in seer.banks] == [8, 9, 6, 5, 3, 2]


def test_memories_are_bounded_by_the_models_reach(make_stack, model, seer):
    array = np.zeros((40, 48, 60), np.float32)
    array[:, 20:34, 30:46] = 1
    stack = make_stack(Volume(array, Grid(array.shape)))
    prompted = decode_prompts(stack, (anchored(0),))
    assert len(list(track(stack, prompted))) == 39
    for index, _, tracked in seer.banks:
        # What lies within four slices, nothing else; slice 0 is an anchor.
        assert tracked == set(range(max(1, index - model.memory_reach - 1), index))


def test_the_way_back_forgets_the_way_there(stack, seer):
    list(track(stack, decode_prompts(stack, (anchored(5),))))
    assert [(i, t) for i, _, t in seer.banks if i < 5] == [(4, set()), (3, {4}), (2, {3, 4})]


def test_cancelling_waits_for_one_slice(stack, model):
    control = JobControl()
    prompted = decode_prompts(stack, (anchored(5),))
    model.decode.reset_mock()
    walk = track(stack, prompted, check=control.check)
    assert next(walk).index == 6
    control.cancel()
    seen = model.decode.call_count
    with pytest.raises(Cancelled):
        next(walk)
    assert model.decode.call_count == seen


def test_a_negative_click_corrects_what_tracking_finds(stack, full, truth):
    click = Point(37, 27, positive=False)
    prompted = decode_prompts(stack, (anchored(5), SlicePrompt(7, points=(click,))))
    assert list(prompted.slices) == [5]
    found = {a.index: full(a, stack.shape) for a in track(stack, prompted)}
    assert sorted(found) == [3, 4, 6, 7, 8]
    np.testing.assert_array_equal(found[6], truth[6])
    assert not found[7][27, 37]
    assert truth[7].sum() - 60 < found[7].sum() < truth[7].sum()


def test_a_corrected_slice_is_remembered_as_prompted(stack, seer):
    click = Point(37, 27, positive=False)
    list(track(stack, decode_prompts(stack, (anchored(5), SlicePrompt(7, points=(click,))))))
    known = {index: prompted for index, prompted, _ in seer.banks}
    assert known[6] == {5}
    assert known[8] == {5, 7}


def test_without_a_walk_corrections_are_seen_from_the_anchors(stack, full):
    click = Point(37, 27, positive=False)
    prompted = decode_prompts(stack, (anchored(5), SlicePrompt(7, points=(click,))))
    (answer,) = correct_alone(stack, prompted)
    assert answer.index == 7
    assert not full(answer, stack.shape)[27, 37]
    assert full(answer, stack.shape)[22, 32]


def test_negative_prompts_alone_name_no_object(stack):
    with pytest.raises(PromptError, match="only where the object is not"):
        decode_prompts(stack, (SlicePrompt(5, points=(Point(3, 3, positive=False),)),))


def test_prompts_of_one_slice_are_one():
    points = (Point(1, 2), Point(3, 4, positive=False), Point(5, 6))
    stroke, lasso = Stroke(((1, 1), (2, 2))), Polygon(((1, 1), (5, 1), (5, 5)))
    merged = merged_by_slice(
        (
            SlicePrompt(5, box=Box(1, 2, 10, 12), points=points[:2], confidence=0.7),
            SlicePrompt(3, box=BOX),
            SlicePrompt(5, points=points[2:], strokes=(stroke,), polygons=(lasso,)),
            SlicePrompt(5, box=Box(4, 0, 20, 6)),
        )
    )
    assert merged == (
        SlicePrompt(
            5,
            box=Box(1, 0, 20, 12),
            points=points,
            strokes=(stroke,),
            polygons=(lasso,),
            confidence=0.7,
        ),
        SlicePrompt(3, box=BOX),
    )


def test_two_masks_on_one_slice_are_refused():
    one, other = (SlicePrompt(5, mask=Path(name)) for name in ("a.nii", "b.nii"))
    assert merged_by_slice((one, one)) == (one,)
    with pytest.raises(PromptError, match="two masks"):
        merged_by_slice((one, other))


def test_two_prompts_of_one_slice_are_both_obeyed(stack, full):
    hole = Point(37, 27, positive=False)
    prompted = decode_prompts(stack, (anchored(5), SlicePrompt(5, points=(hole,))))
    mask = full(prompted.slices[5].answer, stack.shape)
    assert mask[21, 31]
    assert not mask[27, 37]


@pytest.mark.parametrize("plane", list(Plane))
def test_every_plane_is_walked_along_its_own_axis(make_stack, truth, full, plane):
    array = np.moveaxis(truth, 0, plane.axis).astype(np.float32)
    stack = make_stack(Volume(array, Grid(array.shape)), plane)
    prompted = decode_prompts(stack, (SlicePrompt(5, box=BOX, plane=plane),))
    found = {a.index: full(a, stack.shape) for a in track(stack, prompted)}
    assert sorted(found) == [3, 4, 6, 7, 8]
    np.testing.assert_array_equal(found[7], truth[7])


def test_an_object_at_the_border_is_followed(make_stack, full):
    array = np.zeros((5, 40, 40), np.float32)
    array[1:4, :14, 28:] = 1
    stack = make_stack(Volume(array, Grid(array.shape)))
    prompted = decode_prompts(stack, (SlicePrompt(2, box=Box(28, 0, 40, 14)),))
    assert prompted.frame.row < 0
    found = {a.index: full(a, stack.shape) for a in track(stack, prompted)}
    assert sorted(found) == [1, 3]
    np.testing.assert_array_equal(found[1], array[1] > 0)


@pytest.mark.parametrize("model_name", ["tiny_model", "tiny_official_model"])
def test_a_real_model_gives_finite_numbers(request, model_name, volume, window):
    model = request.getfixturevalue(model_name)
    stack = SliceStack(volume, window, model)
    click = Point(37, 27, positive=False)
    prompted = decode_prompts(stack, (anchored(5), SlicePrompt(6, points=(click,))))
    answers = [s.answer for s in prompted.slices.values()]
    answers += list(track(stack, prompted)) + list(correct_alone(stack, prompted))
    for answer in answers:
        assert np.isfinite(answer.probability).all()
        assert 0 <= answer.iou <= 1
        assert 0 <= answer.presence <= 1


def test_tracked_slices_use_the_masks_that_the_model_was_trained_for(stack, model):
    prompted = decode_prompts(stack, (anchored(5),))
    for multimask in (True, False):
        model.architecture = model.architecture.model_copy(
            update={"multimask_tracking": multimask}
        )
        model.decode.reset_mock()
        next(track(stack, prompted))
        tracked = [call for call in model.decode.call_args_list if call.args[2] is None]
        assert [call.kwargs["multimask"] for call in tracked] == [multimask]


def test_a_slice_on_which_it_is_judged_absent_ends_it(stack, model, seer):
    prompted = decode_prompts(stack, (anchored(5),))

    def absent(*args, **kwargs) -> Decoded:
        decoded = seer.decode(*args, **kwargs)
        return Decoded(decoded.logits, decoded.ious, torch.full((1, 1), -1.0), decoded.pointers)

    model.decode.side_effect = absent
    assert list(track(stack, prompted)) == []


def _answer(index, offset, mask):
    return SliceAnswer(index, offset, mask.astype(np.float32), 0.9, 1.0)


def test_a_guide_speaks_up_only_where_it_and_the_answer_part_ways():
    coarse = np.zeros((2, 4, 4), dtype=bool)
    coarse[0] = True  # slice 5: 4 x 4 voxels from (10, 20); slice 6: nothing
    guide = Guide(Region((5, 10, 20), coarse), Plane.AXIAL)
    same = np.ones((4, 4), dtype=bool)
    assert guide.disagreement(_answer(5, (10, 20), same)) is None
    # Two of four rows in common: Dice 2 * 8 / (16 + 16) = 0.5, below 0.8.
    assert guide.disagreement(_answer(5, (12, 20), same)) == Box(20, 10, 24, 14)
    # Nothing in common, and nothing found at all.
    assert guide.disagreement(_answer(5, (40, 40), same)) == Box(20, 10, 24, 14)
    assert guide.disagreement(_answer(5, (10, 20), ~same)) == Box(20, 10, 24, 14)
    # Where the guide has nothing the answer stands: on its empty slice and beyond its ends.
    assert guide.disagreement(_answer(6, (10, 20), same)) is None
    assert guide.disagreement(_answer(4, (10, 20), same)) is None


def test_a_guide_speaks_in_the_plane_that_is_tracked():
    coarse = np.ones((3, 1, 5), dtype=bool)  # z 2..4, y 7, x 30..34
    guide = Guide(Region((2, 7, 30), coarse), Plane.CORONAL)
    found = guide.disagreement(_answer(7, (0, 0), np.zeros((8, 8), dtype=bool)))
    assert found == Box(30, 2, 35, 5)
    assert guide.disagreement(_answer(8, (0, 0), np.zeros((8, 8), dtype=bool))) is None


def test_a_guide_leads_over_a_slice_that_tracking_loses(make_stack, truth, full):
    array = truth.astype(np.float32)
    array[7] = 0  # nothing to be seen there
    stack = make_stack(Volume(array, Grid(array.shape)))
    prompted = decode_prompts(stack, (anchored(5),))
    assert [a.index for a in track(stack, prompted)] == [6, 4, 3]
    guide = Guide(Region.of(truth), Plane.AXIAL)
    found = {a.index: full(a, stack.shape) for a in track(stack, prompted, guide=guide)}
    assert sorted(found) == [3, 4, 6, 7, 8]
    np.testing.assert_array_equal(found[7], truth[7])  # the answer to the guide's box


@pytest.mark.parametrize(("rows", "reprompted"), [((20, 32), False), ((20, 28), True)])
def test_a_guide_that_agrees_is_not_asked(stack, full, truth, rows, reprompted):
    # Of 14 rows the guide has 12: Dice 24 / 26 = 0.92; or 8: 16 / 22 = 0.73, below 0.8.
    coarse = np.zeros_like(truth)
    coarse[3:9, rows[0] : rows[1], 30:46] = True
    prompted = decode_prompts(stack, (anchored(5),))
    guide = Guide(Region.of(coarse), Plane.AXIAL)
    found = {a.index: full(a, stack.shape) for a in track(stack, prompted, guide=guide)}
    np.testing.assert_array_equal(found[6], coarse[6] if reprompted else truth[6])


def test_beyond_a_guide_the_answer_stands(stack, truth):
    coarse = truth.copy()
    coarse[7:] = False
    guide = Guide(Region.of(coarse), Plane.AXIAL)
    found = track(stack, decode_prompts(stack, (anchored(5),)), guide=guide)
    assert sorted(a.index for a in found) == [3, 4, 6, 7, 8]


@pytest.mark.parametrize("plane", [Plane.CORONAL, Plane.SAGITTAL])
def test_a_guide_is_cut_in_the_plane_that_is_walked(make_stack, truth, full, plane):
    array = np.moveaxis(truth, 0, plane.axis).astype(np.float32)
    guide = Guide(Region.of(array > 0), plane)
    seen = array.copy()
    np.moveaxis(seen, plane.axis, 0)[7] = 0
    stack = make_stack(Volume(seen, Grid(array.shape)), plane)
    prompted = decode_prompts(stack, (SlicePrompt(5, box=BOX, plane=plane),))
    found = {a.index: full(a, stack.shape) for a in track(stack, prompted, guide=guide)}
    np.testing.assert_array_equal(found[7], truth[7])


def test_the_crop_has_room_for_the_whole_object(stack):
    room = Box(5, 10, 50, 40)
    prompted = decode_prompts(stack, (anchored(5),), room=room)
    assert prompted.frame.covers(room)
    assert prompted.slices[5].frame == prompted.frame


@pytest.mark.parametrize("drawn", [True, False])
def test_small_models_are_told_the_box_of_the_slice_before(stack, model, seer, drawn):
    model.architecture = model.architecture.model_copy(update={"drawn_prompts": drawn})
    prompted = decode_prompts(stack, (anchored(5),))
    model.decode.reset_mock()
    assert next(track(stack, prompted)).index == 6
    asked = [call.args[2] for call in model.decode.call_args_list]
    assert asked[0] is None
    assert len(asked) == (2 if drawn else 1)
    if drawn:
        # The block's edges in the crop: as the anchor's own box was.
        expected = as_points(anchored(6), prompted.frame, model.image_size)
        assert torch.equal(asked[1].coordinates, expected.coordinates)
        assert torch.equal(asked[1].labels, expected.labels)
