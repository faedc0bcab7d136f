"""Passes of a network that are broken off between its blocks."""

import threading

import pytest
import torch

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.models.interrupting import between_blocks, interruptible


def test_the_encoder_asks_at_each_block_and_can_be_broken_off(tiny_model):
    images = torch.rand(1, tiny_model.image_size, tiny_model.image_size)
    blocks = len(tiny_model.net.image_encoder.trunk.blocks)
    asked = []
    with tiny_model.inference(), interruptible(tiny_model.net, lambda: asked.append(1)):
        whole = tiny_model.encode(images)
    assert len(asked) == blocks
    asked.clear()

    def stop():
        asked.append(1)
        if len(asked) == 2:
            raise Cancelled

    with pytest.raises(Cancelled), tiny_model.inference(), interruptible(tiny_model.net, stop):
        tiny_model.encode(images)
    assert len(asked) == 2
    # Nothing of it is left behind: no hook asks, and the next pass gives the same.
    with tiny_model.inference():
        again = tiny_model.encode(images)
    assert len(asked) == 2
    assert all(a.equal(b) for a, b in zip(whole.levels, again.levels, strict=True))


def test_another_pass_may_run_between_two_blocks(tiny_model):
    images = torch.rand(2, 1, tiny_model.image_size, tiny_model.image_size)
    with tiny_model.inference():
        alone = [tiny_model.encode(image) for image in images]
    inner = []

    def encode_other():
        if not inner:
            inner.append(None)
            with tiny_model.inference():
                inner[0] = tiny_model.encode(images[1])

    with tiny_model.inference(), interruptible(tiny_model.net, encode_other):
        outer = tiny_model.encode(images[0])
    for found, expected in zip((outer, inner[0]), alone, strict=True):
        assert all(a.equal(b) for a, b in zip(found.levels, expected.levels, strict=True))


def test_other_threads_are_not_asked(tiny_model):
    asked = []
    with interruptible(tiny_model.net, lambda: asked.append(1)):
        thread = threading.Thread(target=between_blocks)
        thread.start()
        thread.join(10)
        assert asked == []
        between_blocks()
    assert asked == [1]
    between_blocks()
    assert asked == [1]
