"""Encoding ahead: in which order, how far, and how it is broken off."""

import pytest
import torch

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.inference import slices
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.encode_ahead import EncodeAhead, outwards
from napari_sss.engine.jobs import JobControl

FOCUS = CropFrame(15, 25, 24, 24)


@pytest.fixture
def asked(stack, monkeypatch):
    """The crops in the order in which they are encoded."""
    order = []
    encode = stack._encoded

    def note(check, crops, device):
        order.extend(crops)
        return encode(check, crops, device)

    monkeypatch.setattr(stack, "_encoded", note)
    return order


def run(ahead):
    for _ in range(200):
        if not ahead.step(JobControl()):
            return
    raise AssertionError("it never ends")


def test_outwards_takes_both_sides_by_turns():
    assert list(outwards(2, 6)) == [2, 3, 1, 4, 0, 5]
    assert list(outwards(0, 3)) == [0, 1, 2]


def test_the_slice_in_view_comes_first(stack, asked):
    ahead = EncodeAhead(stack)
    ahead.look_at(3)
    run(ahead)
    assert [index for index, _ in asked] == [3, 4, 2, 5, 1, 6, 0, 7, 8, 9, 10, 11]
    assert ahead.ready == 12


def test_looking_elsewhere_changes_what_comes_next(stack, asked):
    ahead = EncodeAhead(stack)
    ahead.look_at(3)
    ahead.step(JobControl())
    ahead.look_at(10)
    ahead.step(JobControl())
    assert [index for index, _ in asked] == [3, 10]


def test_the_object_in_hand_is_encoded_on_the_neighbours(stack, asked):
    ahead = EncodeAhead(stack)
    ahead.look_at(6)
    ahead.focus(FOCUS)
    run(ahead)
    whole = CropFrame.whole(stack.shape, stack.spacing)
    assert asked[:4] == [(6, whole), (6, FOCUS), (7, whole), (7, FOCUS)]
    assert sorted(i for i, frame in asked if frame == FOCUS) == list(range(2, 11))  # 6 +- 4


def test_progress_counts_whole_slices(stack):
    told = []
    ahead = EncodeAhead(stack)
    ahead.step(JobControl(told.append))
    ahead.step(JobControl(told.append))
    assert [(p.stage, p.done, p.total) for p in told] == [
        ("slices ready", 1, 12),
        ("slices ready", 2, 12),
    ]


def test_a_request_to_stop_breaks_the_step_off(stack):
    control = JobControl()
    control.cancel()
    ahead = EncodeAhead(stack)
    with pytest.raises(Cancelled):
        ahead.step(control)
    assert ahead.ready == 0


def test_without_a_disk_it_ends_where_memory_does(stack, asked, monkeypatch):
    """Room for 8 crops: three quarters are 6, less than 3 to either side."""
    one = stack.features(6, CropFrame.whole(stack.shape, stack.spacing)).nbytes
    monkeypatch.setattr(slices, "FEATURE_BYTES", 8 * one)
    ahead = EncodeAhead(stack)
    ahead.look_at(6)
    run(ahead)
    assert sorted(index for index, _ in asked) == [4, 5, 6, 7, 8]


def test_on_a_gpu_several_are_encoded_at_once(make_stack, volume, model, seer):
    model.device = torch.device("cuda")
    run(EncodeAhead(make_stack(volume)))
    assert seer.encoded == [8, 4]
