"""Where masks end up: the geometry of decoding, with a model whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sss.engine.errors import PromptError
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.decoding import check_prompt, decode_in, decode_prompt
from napari_sss.engine.inference.zoom import grown
from napari_sss.engine.prompts.types import Box, Plane, Point, Polygon, SlicePrompt, Stroke
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume


def block(shape: tuple[int, int], box: Box) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
    return mask


@pytest.mark.parametrize(
    "box",
    [
        Box(30, 20, 46, 34),
        Box(10, 5, 30, 45),
        Box(0, 0, 20, 20),  # the crop reaches beyond two borders
        Box(40, 28, 60, 48),
        Box(5, 40, 25, 46),
    ],
)
def test_a_box_is_answered_where_it_is(stack, full, box):
    decoded = decode_prompt(stack, SlicePrompt(5, box=box))
    np.testing.assert_array_equal(full(decoded.answer, stack.shape), block(stack.shape, box))
    assert decoded.frame == CropFrame.around(box, stack.spacing)
    assert decoded.answer.index == 5
    assert decoded.answer.iou == pytest.approx(0.9)


def test_anisotropic_slices_do_not_shift_the_answer(make_stack, full):
    volume = Volume(np.zeros((20, 40, 60), np.float32), Grid((20, 40, 60), (5.0, 1.0, 1.0)))
    stack = make_stack(volume, Plane.CORONAL)  # rows along z, 5 mm; columns along x, 1 mm
    box = Box(20, 6, 50, 13)
    decoded = decode_prompt(stack, SlicePrompt(3, box=box, plane=Plane.CORONAL))
    # 35 mm down, 30 mm across: a side of 56 mm is 11 rows (11.2) and 56 columns.
    assert (decoded.frame.rows, decoded.frame.columns) == (11, 56)
    np.testing.assert_array_equal(full(decoded.answer, stack.shape), block((20, 60), box))


def test_a_click_zooms_in_on_what_it_means(stack, full, truth, model):
    decoded = decode_prompt(stack, SlicePrompt(5, points=(Point(35, 25),)))
    np.testing.assert_array_equal(full(decoded.answer, stack.shape), truth[5])
    # The block is 16 x 14: the crop for it is 1.6 * 16 = 26 voxels wide.
    assert abs(decoded.frame.rows - 26) <= 2
    assert model.decode.call_count == 2  # all scales at once, then the crop that suits


def test_a_click_on_nothing_ends_and_stays_where_it_was(make_stack, full, model):
    volume = Volume(np.zeros((3, 300, 300), np.float32), Grid((3, 300, 300)))
    stack = make_stack(volume)
    decoded = decode_prompt(stack, SlicePrompt(1, points=(Point(200, 60),)))
    mask = full(decoded.answer, stack.shape)
    rows, columns = np.nonzero(mask)
    assert rows.mean() == pytest.approx(60, abs=1)
    assert columns.mean() == pytest.approx(200, abs=1)
    assert model.decode.call_count == 2  # all scales at once, then the crop that suits


def test_an_unanswered_click_is_looked_at_more_closely(stack, model, seer):
    model.decode.side_effect = lambda *args, **kwargs: _empty(seer.decode(*args, **kwargs))
    prompt = SlicePrompt(5, points=(Point(5, 5, positive=False), Point(35, 25)))
    decoded = decode_prompt(stack, prompt)
    assert decoded.frame.holds(35, 25)
    assert decoded.frame.rows < CropFrame.whole(stack.shape, stack.spacing).rows


def test_a_scribble_does_not_say_how_large_its_object_is(stack, full, truth):
    # The crop is found as for a click: one around the scribble alone would cut the block.
    scribble = Stroke(((36, 26), (40, 26)))
    decoded = decode_prompt(stack, SlicePrompt(5, strokes=(scribble,)))
    np.testing.assert_array_equal(full(decoded.answer, stack.shape), truth[5])


def test_a_lasso_is_answered_where_it_is(stack, full):
    lasso = Polygon(((10, 8), (29, 8), (29, 30), (10, 30)))
    decoded = decode_prompt(stack, SlicePrompt(1, polygons=(lasso,)))
    expected = block(stack.shape, Box(10, 8, 30, 31))
    found = full(decoded.answer, stack.shape)
    # A mask prompt has a quarter of the resolution: crop 37 voxels wide, cells of 2.3.
    assert _iou(found, expected) > 0.8
    rows, columns = np.nonzero(found)
    assert rows.mean() == pytest.approx(19, abs=1.2)
    assert columns.mean() == pytest.approx(19.5, abs=1.2)


def test_a_mask_is_answered_where_it_is(volume, make_stack, full, truth):
    path, labels = Path("labels.nii.gz"), truth.astype(np.uint8) * 7
    stack = make_stack(volume, labels={path: labels})
    decoded = decode_prompt(stack, SlicePrompt(4, mask=path))
    assert _iou(full(decoded.answer, stack.shape), truth[4]) > 0.8
    assert decoded.frame == CropFrame.around(Box(30, 20, 46, 34), stack.spacing)


def test_an_empty_slice_of_a_mask_is_refused(volume, make_stack, truth):
    path = Path("labels.nii.gz")
    stack = make_stack(volume, labels={path: truth.astype(np.uint8)})
    with pytest.raises(PromptError, match=r"labels\.nii\.gz is empty on axial slice 0"):
        decode_prompt(stack, SlicePrompt(0, mask=path))


def test_official_models_take_a_mask_as_it_is(volume, make_stack, full, truth, model, seer):
    model.architecture = model.architecture.model_copy(update={"drawn_prompts": False})
    model.adopt.side_effect = lambda features, mask: seer.decode(features, None, None, mask)
    path = Path("labels.nii.gz")
    stack = make_stack(volume, labels={path: truth.astype(np.uint8)})
    decoded = decode_prompt(stack, SlicePrompt(4, mask=path))
    np.testing.assert_array_equal(full(decoded.answer, stack.shape), truth[4])
    model.decode.assert_not_called()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (SlicePrompt(5), "axial slice 5 is empty"),
        (SlicePrompt(5, points=(Point(3, 3, positive=False),)), "only where the object is not"),
        (
            SlicePrompt(5, strokes=(Stroke(((3, 3), (5, 5)), positive=False),)),
            "only where the object is not",
        ),
        (SlicePrompt(5, box=Box(5, 5, 5, 9)), "box on axial slice 5 is empty"),
        (SlicePrompt(5, box=Box(5, float("nan"), 8, 9)), "box on axial slice 5 is empty"),
    ],
)
def test_prompts_that_mean_nothing_are_refused(stack, prompt, words):
    with pytest.raises(PromptError, match=words):
        decode_prompt(stack, prompt)


def test_a_correction_may_say_only_what_does_not_belong():
    check_prompt(SlicePrompt(5, points=(Point(3, 3, positive=False),)), corrects=True)


def test_a_single_click_is_ambiguous_and_two_are_not(stack, model):
    frame = CropFrame.whole(stack.shape, stack.spacing)
    for points, expected in (((Point(35, 25),), True), ((Point(35, 25), Point(40, 25)), False)):
        decode_in(stack, SlicePrompt(5, points=points), frame)
        assert model.decode.call_args.kwargs["multimask"] is expected


def test_a_prompted_slice_has_its_object(stack, model, seer):
    model.decode.side_effect = lambda *args, **kwargs: _absent(seer.decode(*args, **kwargs))
    decoded = decode_prompt(stack, SlicePrompt(5, box=Box(30, 20, 46, 34)))
    assert decoded.answer.presence > 0.5
    assert decoded.answer.mask.any()


def test_a_crop_that_holds_the_prompt_is_kept(stack):
    frame = CropFrame(10, 20, 32, 32)
    decoded = decode_prompt(stack, SlicePrompt(5, points=(Point(35, 25),)), frame)
    assert decoded.frame == frame


@pytest.mark.parametrize(
    "prompt",
    [
        SlicePrompt(5, points=(Point(55, 25),)),
        SlicePrompt(5, strokes=(Stroke(((35, 25), (35, 45))),)),
        SlicePrompt(5, box=Box(15, 20, 46, 34)),
        SlicePrompt(5, box=Box(30, 20, 46, 34), points=(Point(2, 2),)),
    ],
)
def test_the_crop_grows_where_a_prompt_falls_outside(stack, prompt):
    frame = CropFrame(14, 25, 26, 26)
    decoded = decode_prompt(stack, prompt, frame)
    assert decoded.frame.covers(frame.box)
    assert decoded.frame.rows > frame.rows
    assert grown(decoded.frame, prompt, stack) == decoded.frame


def test_a_box_with_a_far_click_gets_a_crop_for_both(stack):
    prompt = SlicePrompt(5, box=Box(30, 20, 40, 30), points=(Point(2, 40),))
    decoded = decode_prompt(stack, prompt)
    assert decoded.frame.holds(2, 40)
    assert decoded.frame.covers(Box(30, 20, 40, 30))


def test_the_previous_answer_moves_with_a_crop_that_grows(stack, model, full, truth):
    first = decode_prompt(stack, SlicePrompt(5, box=Box(30, 20, 46, 34)))
    click = Point(3, 40)
    decoded = decode_prompt(
        stack, SlicePrompt(5, points=(click,)), first.frame, first.decoded.logits
    )
    assert decoded.frame != first.frame
    # The stub takes the mask it is given, and adds a disc at the far click.
    found = full(decoded.answer, stack.shape)
    assert found[40, 3]
    assert _iou(found[:, 15:], truth[5][:, 15:]) > 0.75


def test_a_far_negative_click_does_not_enlarge_the_crop(stack):
    box, far = Box(30, 20, 46, 34), Point(2, 2, positive=False)
    decoded = decode_prompt(stack, SlicePrompt(5, box=box, points=(far,)))
    assert decoded.frame == CropFrame.around(box, stack.spacing)


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(0, 59),
    y=st.floats(0, 47),
    frame=st.builds(
        CropFrame,
        st.integers(-5, 30),
        st.integers(-5, 40),
        st.integers(3, 40),
        st.integers(3, 40),
    ),
)
def test_what_made_a_crop_grow_lies_inside_it(frame, x, y):
    stack = type("Stack", (), {"spacing": (1.0, 1.0)})()
    prompt = SlicePrompt(0, points=(Point(x, y),))
    larger = grown(frame, prompt, stack)
    # Voxel centres are whole numbers, so the crop's outer edges lie half a voxel further.
    assert larger.column - 0.5 <= x <= larger.column + larger.columns - 0.5
    assert larger.row - 0.5 <= y <= larger.row + larger.rows - 0.5
    assert larger.covers(frame.box)


def _absent(decoded):
    return type(decoded)(
        decoded.logits, decoded.ious, torch.full((1, 1), -5.0), decoded.pointers
    )


def _empty(decoded):
    return type(decoded)(
        -decoded.logits.abs(), decoded.ious, decoded.object_score, decoded.pointers
    )


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())
