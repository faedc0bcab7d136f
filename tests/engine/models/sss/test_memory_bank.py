"""The rules of the self-sorting memory bank, one by one."""

from __future__ import annotations

import math

import pytest
import torch

from napari_sss.engine.models.sss.memory_bank import MemoryEntry, SelfSortingMemoryBank


def entry(degrees: float, iou: float = 0.9, looks: float | None = None) -> MemoryEntry:
    """A memory that points into a direction of the plane; its image may point elsewhere."""

    def towards(angle: float) -> torch.Tensor:
        radians = math.radians(angle)
        return torch.tensor([math.cos(radians), math.sin(radians)]).reshape(2, 1, 1)

    embedding = towards(degrees if looks is None else looks)
    return MemoryEntry(towards(degrees), torch.zeros(2, 1, 1), iou, embedding)


def angles(bank: SelfSortingMemoryBank) -> list[int]:
    flat = [e.memory.flatten() for e in bank.entries]
    return [round(math.degrees(math.atan2(float(y), float(x)))) for x, y in flat]


def filled(*entries: MemoryEntry) -> SelfSortingMemoryBank:
    bank = SelfSortingMemoryBank(len(entries))
    for e in entries:
        assert bank.insert(e)
    return bank


def test_everything_is_taken_while_there_is_room():
    bank = SelfSortingMemoryBank(3)
    assert [bank.insert(entry(0)) for _ in range(3)] == [True] * 3
    assert len(bank) == 3


def test_the_nearest_neighbour_of_the_least_similar_entry_gives_way():
    # Entries at 0, 10 and 90 degrees; the new one at 120. Least similar to it is 0 (cosine
    # -1/2); the nearest neighbour of 0 is 10 (cosine 0.98), which is more redundant beside 0
    # than the new one: 10 gives way.
    bank = filled(entry(0), entry(10), entry(90))
    assert bank.insert(entry(120))
    assert angles(bank) == [0, 120, 90]


def test_a_more_redundant_memory_is_refused():
    # Entries at 0 and 90, the new one at 45: least similar is either (cosine 0.71; the first
    # counts), whose neighbour is 90 with cosine 0. The new one is nearer: refused.
    bank = filled(entry(0), entry(90))
    assert not bank.insert(entry(45))
    assert angles(bank) == [0, 90]


@pytest.mark.parametrize(("iou", "taken"), [(0.81, True), (0.79, False), (0.95, True)])
def test_a_memory_may_be_less_sure_by_a_tenth(iou, taken):
    bank = filled(entry(0, 0.5), entry(10, 0.9), entry(90, 0.5))
    assert bank.insert(entry(120, iou)) is taken


def test_sureness_is_compared_with_the_entry_that_gives_way():
    # The others are surer, which does not matter.
    bank = filled(entry(0, 1.0), entry(10, 0.5), entry(90, 1.0))
    assert bank.insert(entry(120, 0.45))


def test_weights_are_the_softmax_of_the_images_cosines():
    # Memories point elsewhere than images, so that the two cannot be confused.
    bank = filled(entry(0, looks=0), entry(0, looks=90))
    asked = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    e = math.e
    assert bank.weights(asked)[0].tolist() == pytest.approx([e / (e + 1), 1 / (e + 1)])


def test_sampling_follows_the_weights():
    bank = filled(entry(0, looks=0), entry(90, looks=180))
    asked = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    # softmax(1, -1): the first is drawn with 1 / (1 + e^-2) = 0.881.
    generator = torch.Generator().manual_seed(0)
    memory, position = bank.sample(asked, 4000, generator)
    assert memory.shape == position.shape == (1, 4000, 2, 1, 1)
    share = float((memory[0, :, 0, 0, 0] > 0.5).float().mean())
    assert share == pytest.approx(0.881, abs=0.02)


def test_a_restored_bank_is_the_same():
    bank = filled(entry(0, 0.3, 20), entry(90, 0.7, 40))
    again = SelfSortingMemoryBank(2)
    again.restore(bank.tensors())
    for one, two in zip(bank.entries, again.entries, strict=True):
        assert one.iou == two.iou
        assert torch.equal(one.memory, two.memory)
        assert torch.equal(one.embedding, two.embedding)
    again.restore({})
    assert len(again) == 0
    assert again.tensors() == {}
