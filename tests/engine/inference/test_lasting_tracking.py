"""Tracking goes on when a device is full, and stops inside a slice when asked to."""

from contextlib import contextmanager

import pytest
import torch

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.inference import tracking
from napari_sss.engine.inference.tracking import decode_prompts, track
from napari_sss.engine.inference.turns import Turns
from napari_sss.engine.models import memory
from napari_sss.engine.prompts.types import Box, Point, SlicePrompt

BOX = SlicePrompt(5, box=Box(30, 20, 46, 34))


@pytest.fixture
def full_gpu(make_stack, volume, model, seer, monkeypatch):
    """A stack whose model is on a GPU that is full once the memory attention begins."""

    def attend(*args, **kwargs):
        if model.device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return seer.with_memory(*args, **kwargs)

    def move(moved, device):
        moved.device = device

    monkeypatch.setattr(memory, "move_model", move)
    model.device = torch.device("cuda")
    model.with_memory.side_effect = attend
    return make_stack(volume)


def test_tracking_goes_on_on_the_cpu_with_a_word(full_gpu, truth, full, model):
    told = []
    full_gpu.tell = told.append
    prompted = decode_prompts(full_gpu, (BOX,))
    found = {a.index: full(a, truth.shape[1:]) for a in track(full_gpu, prompted)}
    assert sorted(found) == [3, 4, 6, 7, 8]  # the block's slices but the prompted one
    assert model.device.type == "cpu"
    assert len(told) == 1


def test_decoding_goes_on_on_the_cpu_too(make_stack, volume, model, seer, monkeypatch):
    def decode(*args, **kwargs):
        if model.device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return seer.decode(*args, **kwargs)

    monkeypatch.setattr(memory, "move_model", lambda m, device: setattr(m, "device", device))
    model.device = torch.device("cuda")
    model.decode.side_effect = decode
    decoded = Turns(make_stack(volume)).decode(BOX)
    assert decoded.answer.mask.any()
    assert model.device.type == "cpu"


def test_cancelling_acts_between_the_blocks_of_a_slice(stack, model, monkeypatch):
    """The memory attention asks in the middle of a slice, as the real one's layers do."""
    asked = []

    @contextmanager
    def watching(net, check):
        asked.append(check)
        yield

    monkeypatch.setattr(tracking, "interruptible", watching)
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 8:
            raise Cancelled

    prompted = decode_prompts(stack, (BOX,))
    with pytest.raises(Cancelled):
        list(track(stack, prompted, check=check))
    assert asked
    assert set(asked) == {check}


def test_a_prompted_slice_of_several_clicks_is_the_mask_that_was_shown(stack, full):
    """What quick answers gave for three clicks is what propagation starts from."""
    points = (Point(38, 27), Point(33, 23, positive=False), Point(40, 24))
    prompt = SlicePrompt(5, points=points)
    shown = Turns(stack).decode(prompt)
    prompted = decode_prompts(stack, (prompt,))
    assert prompted.frame == shown.frame
    assert prompted.slices[5].decoded.logits.equal(shown.decoded.logits)


def test_what_the_program_prompted_is_decoded_at_once(stack, model):
    prompt = SlicePrompt(5, box=Box(30, 20, 46, 34), points=(Point(38, 27),), confidence=0.8)
    decode_prompts(stack, (prompt,))
    assert model.decode.call_count == 1
