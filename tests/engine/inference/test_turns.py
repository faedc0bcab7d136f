"""Prompts in turns: in which order, what is remembered, what is corrected."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sss.engine.errors import Cancelled, PromptError
from napari_sss.engine.inference.turns import Turns, turns_of
from napari_sss.engine.prompts.types import Box, Point, Polygon, SlicePrompt, Stroke

IN, IN_2 = Point(38, 27), Point(40, 24)
OUT = Point(33, 23, positive=False)


def click(*points, index=5):
    return SlicePrompt(index, points=points)


def test_clicks_come_one_after_another():
    assert turns_of(click(IN, OUT, IN_2)) == [
        click(IN),
        click(IN, OUT),
        click(IN, OUT, IN_2),
    ]


def test_what_is_negative_does_not_begin():
    assert turns_of(click(OUT, IN)) == [click(IN), click(IN, OUT)]


def test_a_box_begins_and_a_lasso_where_there_is_none():
    box, lasso = Box(1, 2, 9, 8), Polygon(((1, 1), (5, 1), (5, 5)))
    with_box = SlicePrompt(5, box=box, points=(IN,), polygons=(lasso,))
    assert turns_of(with_box) == [
        SlicePrompt(5, box=box),
        SlicePrompt(5, box=box, points=(IN,)),
        with_box,
    ]
    with_lasso = SlicePrompt(5, points=(IN,), polygons=(lasso,))
    assert turns_of(with_lasso) == [SlicePrompt(5, polygons=(lasso,)), with_lasso]


def test_a_scribble_alone_begins_too():
    stroke = Stroke(((1.0, 1.0), (4.0, 4.0)))
    assert turns_of(SlicePrompt(5, strokes=(stroke,))) == [SlicePrompt(5, strokes=(stroke,))]


def test_how_sure_a_prompt_is_makes_no_other_turn():
    assert turns_of(replace(click(IN), confidence=0.7)) == [click(IN)]


def decodings(model):
    return model.decode.call_count


def test_a_further_click_is_decoded_once_in_the_same_crop(stack, model, seer):
    turns = Turns(stack)
    first = turns.decode(click(IN))
    before, encoded = decodings(model), list(seer.encoded)
    second = turns.decode(click(IN, OUT))
    assert decodings(model) == before + 1
    assert seer.encoded == encoded
    assert second.frame == first.frame
    # It starts from the first answer.
    start = model.decode.call_args.args[3]
    assert start.equal(first.decoded.logits)


def test_a_mask_depends_on_the_prompt_alone(stack, make_stack, volume):
    by_clicks = Turns(stack)
    by_clicks.decode(click(IN))
    by_clicks.decode(click(IN, OUT))
    grown = by_clicks.decode(click(IN, OUT, IN_2))
    at_once = Turns(make_stack(volume)).decode(click(IN, OUT, IN_2))
    assert np.array_equal(grown.answer.mask, at_once.answer.mask)
    assert grown.frame == at_once.frame
    assert grown.decoded.logits.equal(at_once.decoded.logits)


def test_taking_a_click_back_brings_the_former_mask_without_decoding(stack, model):
    turns = Turns(stack)
    first = turns.decode(click(IN))
    turns.decode(click(IN, OUT))
    before = decodings(model)
    again = turns.decode(click(IN))
    assert decodings(model) == before
    assert np.array_equal(again.answer.mask, first.answer.mask)


def test_other_slices_are_other_prompts(stack, model):
    turns = Turns(stack)
    turns.decode(click(IN))
    assert turns.knows(click(IN, OUT))
    assert not turns.knows(click(IN, index=6))


def test_a_tracked_mask_is_corrected_rather_than_replaced(stack, full):
    """A click on nothing adds its disc to what stands; a negative one takes a disc away."""
    current = np.zeros(stack.shape, dtype=bool)
    current[5:15, 5:15] = True
    turns = Turns(stack)
    decoded = turns.decode(click(Point(10, 10, positive=False)), current)
    mask = full(decoded.answer, stack.shape)
    assert not mask[10, 10]
    assert mask[6, 6]
    assert mask.sum() < current.sum()
    assert not mask[20:34, 30:46].any()  # what else is bright was not meant


def test_an_answer_that_still_stands_is_gone_on_from_as_it_was(stack, model, full):
    turns = Turns(stack)
    first = turns.decode(click(IN))
    standing = full(first.answer, stack.shape)
    turns.decode(click(IN, OUT), standing)
    assert model.decode.call_args.args[3].equal(first.decoded.logits)


def test_a_brushed_mask_is_what_the_next_click_corrects(stack, model, full):
    turns = Turns(stack)
    first = turns.decode(click(IN))
    brushed = full(first.answer, stack.shape)
    brushed[2:6, 2:6] = True
    decoded = turns.decode(click(IN, OUT), brushed)
    assert not model.decode.call_args.args[3].equal(first.decoded.logits)
    assert full(decoded.answer, stack.shape)[3, 3]


def test_a_box_says_anew_what_is_meant(stack, full):
    current = np.zeros(stack.shape, dtype=bool)
    current[5:9, 5:9] = True
    decoded = Turns(stack).decode(SlicePrompt(5, box=Box(30, 20, 46, 34)), current)
    mask = full(decoded.answer, stack.shape)
    assert not mask[5:9, 5:9].any()
    assert mask[21:33, 31:45].all()


@pytest.mark.parametrize(
    "current", [None, np.zeros((48, 60), dtype=bool)], ids=["none", "empty"]
)
def test_nothing_cannot_be_corrected(stack, current):
    with pytest.raises(PromptError, match="only where the object is not"):
        Turns(stack).decode(click(OUT), current)


def test_cancelling_inside_leaves_no_half_turn(stack, model):
    turns = Turns(stack)
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        turns.decode(click(IN, OUT), check=check)
    assert not turns.knows(click(IN))
    turns.decode(click(IN, OUT))
    assert turns.knows(click(IN))
