"""Slices in three planes, and the features that are kept of them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from napari_sss.engine.errors import Cancelled, DeviceError
from napari_sss.engine.inference import slices
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sam2_model import MemoryBank
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

FRAME = CropFrame(0, 0, 32, 32)


@pytest.mark.parametrize(
    ("plane", "shape", "spacing", "thickness", "length"),
    [
        (Plane.AXIAL, (3, 4), (2.0, 1.0), 5.0, 2),
        (Plane.CORONAL, (2, 4), (5.0, 1.0), 2.0, 3),
        (Plane.SAGITTAL, (2, 3), (5.0, 2.0), 1.0, 4),
    ],
)
def test_each_plane_has_its_rows_columns_and_spacing(
    make_stack, plane, shape, spacing, thickness, length
):
    volume = Volume(np.zeros((2, 3, 4), np.float32), Grid((2, 3, 4), (5.0, 2.0, 1.0)))
    stack = make_stack(volume, plane)
    assert stack.shape == shape
    assert stack.spacing == spacing
    assert stack.thickness == thickness
    assert len(stack) == length


def test_grey_is_windowed_and_the_right_slice(model):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    volume = Volume(array, Grid((2, 3, 4)))
    stack = SliceStack(volume, IntensityWindow(0, 20), model, Plane.SAGITTAL)
    # Column 1 of every row: 1, 5, 9 / 13, 17, 21; above 20 is clipped.
    np.testing.assert_allclose(
        stack.grey(1), [[0.05, 0.25, 0.45], [0.65, 0.85, 1.0]], atol=1e-6
    )


def test_what_was_encoded_is_not_encoded_again(stack, seer):
    first = stack.features(5, FRAME)
    assert stack.features(5, FRAME) is first
    stack.features_of([(5, FRAME), (6, FRAME), (5, FRAME)])
    assert sum(seer.encoded) == 2


def test_features_come_in_the_order_asked_for(stack):
    both = stack.features_of([(5, FRAME), (0, FRAME)])
    assert len(both) == 2
    assert both.levels[0][0].max() == 1  # slice 5 has the block
    assert both.levels[0][1].max() == 0


def test_kept_features_are_bounded_and_the_latest_stay(stack, seer, monkeypatch):
    one = stack.features(0, FRAME).nbytes
    monkeypatch.setattr(slices, "FEATURE_BYTES", 3 * one)
    for index in range(8):
        stack.features(index, FRAME)
    assert len(stack._features) == 3
    seer.encoded.clear()
    stack.features(7, FRAME)
    assert seer.encoded == []
    stack.features(0, FRAME)
    assert seer.encoded == [1]


def test_a_batch_is_kept_whole_even_beyond_the_bound(stack, monkeypatch):
    monkeypatch.setattr(slices, "FEATURE_BYTES", 1)
    assert len(stack.features_of([(k, FRAME) for k in range(5)])) == 5


def test_a_cached_crop_does_not_keep_its_batch_alive(make_stack, volume, model):
    model.device = torch.device("cuda")
    stack = make_stack(volume)
    stack.features_of([(k, FRAME) for k in range(4)])
    kept = stack.features(2, FRAME).levels[0]
    assert kept.untyped_storage().nbytes() == kept.nbytes


def test_on_a_cpu_cancelling_waits_for_one_crop(stack, seer):
    control = JobControl()

    def check() -> None:
        if sum(seer.encoded) == 2:
            control.cancel()
        control.check()

    with pytest.raises(Cancelled):
        stack.features_of([(k, FRAME) for k in range(6)], check)
    assert sum(seer.encoded) == 2


class Full:
    """An encoder whose device has room for a few crops at a time."""

    def __init__(self, seer, model, room: int, error) -> None:
        self.seer, self.model, self.room, self.error = seer, model, room, error

    def __call__(self, grey):
        if self.model.device.type != "cpu" and len(grey) > self.room:
            raise self.error
        return self.seer.encode(grey)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    MemoryError(),
]


@pytest.fixture
def on_gpu(make_stack, volume, seer, model, monkeypatch):
    """A stack whose model believes to be on a GPU with room for so many crops."""

    def move(moved, device):
        moved.device = device

    monkeypatch.setattr(slices, "move_model", move)

    def make(room: int, error: BaseException):
        model.device = torch.device("cuda")
        model.encode.side_effect = Full(seer, model, room, error)
        return make_stack(volume)

    return make


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda e: type(e).__name__)
def test_a_smaller_batch_is_tried_first(on_gpu, seer, model, caplog, error):
    stack = on_gpu(2, error)
    with caplog.at_level(logging.WARNING):
        features = stack.features_of([(k, FRAME) for k in range(8)])
    assert len(features) == 8
    assert seer.encoded == [2, 2, 2, 2]
    assert model.device.type == "cuda"
    assert stack.encoded_together == 2  # and is remembered
    assert "ran out" in caplog.text


def test_then_the_cpu_does_it(on_gpu, seer, model, caplog):
    stack = on_gpu(2, OUT_OF_MEMORY[0])
    stack.features_of([(0, FRAME), (1, FRAME)])
    model.encode.side_effect.room = 0
    with caplog.at_level(logging.WARNING):
        features = stack.features_of([(k, FRAME) for k in range(4)])
    assert model.device.type == "cpu"
    assert len(features) == 4
    assert "CPU" in caplog.text
    # Nothing of before the move is used: all four are encoded again, one at a time.
    assert seer.encoded[1:] == [1] * len(seer.encoded[1:])
    assert stack.encoded_together == 1


def test_other_errors_are_not_swallowed(on_gpu):
    stack = on_gpu(0, RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        stack.features(0, FRAME)


def test_a_cpu_without_memory_is_a_device_error(stack, model):
    def fail(grey):
        raise MemoryError

    model.encode.side_effect = fail
    with pytest.raises(DeviceError, match="cpu"):
        stack.features(0, FRAME)


def test_memories_follow_a_model_that_moves():
    half = torch.zeros(1, 2, 4, 4, dtype=torch.bfloat16)
    memory = {"maskmem_features": half, "maskmem_pos_enc": [half], "obj_ptr": half}
    bank = MemoryBank(prompted={5: dict(memory)}, tracked={6: dict(memory)})
    here = torch.device("cpu")
    bank.bring_to(here)
    assert bank.prompted[5]["obj_ptr"] is half  # nothing is copied where it is already
    elsewhere = torch.device("meta")
    bank.bring_to(elsewhere)
    for kept in (bank.prompted[5], bank.tracked[6]):
        tensors = [kept["maskmem_features"], *kept["maskmem_pos_enc"], kept["obj_ptr"]]
        # float32: the device it moves to may not compute in bfloat16.
        assert {(t.device, t.dtype) for t in tensors} == {(elsewhere, torch.float32)}


class Store:
    """What is kept on disk, as far as :class:`SliceStack` knows it."""

    works = True

    def __init__(self) -> None:
        self.kept: dict = {}

    def has(self, plane, index, frame):
        return (plane, index, frame) in self.kept

    def get(self, plane, index, frame, device):
        return self.kept.get((plane, index, frame))

    def put(self, plane, index, frame, count, features):
        assert count == 12
        self.kept[plane, index, frame] = features


@pytest.fixture
def stored(volume, window, model):
    """A stack with a store, and the store."""
    store = Store()
    return SliceStack(volume, window, model, store=store), store


def test_only_what_will_be_wanted_again_is_kept(stored):
    stack, store = stored
    stack.features_of([(5, FRAME)])  # one of several crops in which a click is tried
    assert not stack.save()
    assert store.kept == {}
    stack.features_of([(6, FRAME)], keep=True)
    assert store.kept == {}  # writing waits
    assert not stack.save()
    assert [index for _, index, _ in store.kept] == [6]


def test_writing_waits_for_so_much_and_no_longer(stored, monkeypatch):
    stack, store = stored
    one = stack.features(0, FRAME).nbytes
    monkeypatch.setattr(slices, "UNSAVED_BYTES", 2 * one)
    for index in range(1, 5):
        stack.features(index, FRAME)
    assert sorted(index for _, index, _ in store.kept) == [0, 1, 2]


def test_what_is_on_disk_is_not_encoded(stored, seer, volume, window, model):
    stack, store = stored
    expected = stack.features(5, FRAME)
    stack.save()
    seer.encoded.clear()
    later = SliceStack(volume, window, model, store=store)
    assert later.is_ready(5, FRAME)
    assert not later.is_at_hand(5, FRAME)
    assert later.features(5, FRAME).levels[0].equal(expected.levels[0])
    assert seer.encoded == []
    assert later.is_at_hand(5, FRAME)
    assert not later.save()  # it need not be written again


def test_what_is_asked_between_two_crops_does_not_disturb_them(stack, seer, monkeypatch):
    """An answer that passes while others are encoded may push their features out."""
    one = stack.features(0, FRAME).nbytes
    monkeypatch.setattr(slices, "FEATURE_BYTES", 2 * one)
    inside = []

    def check():
        if not inside:
            inside.append(1)
            for index in (7, 8, 9):
                stack.features(index, FRAME)

    found = stack.features_of([(0, FRAME), (5, FRAME)], check)
    assert [int(level.max()) for level in found.levels[0]] == [0, 1]  # slice 5 has the block
