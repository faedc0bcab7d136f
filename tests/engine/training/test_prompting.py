"""Boxes of objects in training, and PCSW's objects of whole volumes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_sss.engine.inference.object_boxes import prompts_of
from napari_sss.engine.prompts.pcsw import PcswConfig
from napari_sss.engine.training.data.sampling import collate
from napari_sss.engine.training.data.store import CaseStore, Preparation
from napari_sss.engine.training.prompting import PromptBook


def objects() -> torch.Tensor:
    """Slice 0: class 2 object 0, class 1 object 3; slice 1: nothing; slice 2: a speck."""
    maps = torch.zeros(3, 32, 32, dtype=torch.int32)
    maps[0, 4:10, 6:20] = 2
    maps[0, 20:23, 1:5] = 1 + 3 * 256
    maps[2, 0, 0:5] = 1
    return maps


def test_boxes_by_hand():
    found = prompts_of(objects(), torch.Generator(), jitter=0.0, with_points=True)
    # The largest first; x0, y0, x1, y1 with maxima exclusive; five pixels are no object.
    assert found.boxes.rows.tolist() == [0, 0]
    assert found.boxes.classes.tolist() == [2, 1]
    assert found.ids.tolist() == [2, 769]
    assert found.boxes.boxes.tolist() == [[6, 4, 20, 10], [1, 20, 5, 23]]
    # Centres of the pixels in the middle.
    assert found.boxes.points.tolist() == [[12.5, 6.5], [2.5, 21.0]]


def test_boxes_that_cover_too_much_are_left_out():
    # 14 x 6 of 32 x 32 is 8.2 %, 4 x 3 is 1.2 %.
    found = prompts_of(objects(), torch.Generator(), jitter=0.0, largest_share=0.05)
    assert found.boxes.classes.tolist() == [1]
    assert prompts_of(objects(), torch.Generator(), largest_share=0.01) is None


def test_of_many_objects_so_many_are_drawn():
    maps = objects()[:1].repeat(30, 1, 1)
    generator = torch.Generator().manual_seed(0)
    one, two = (prompts_of(maps, generator, jitter=0.0, most=8) for _ in range(2))
    assert len(one.boxes) == len(two.boxes) == len(one.ids) == 8
    assert one.boxes.rows.tolist() != two.boxes.rows.tolist()
    assert len(prompts_of(maps, generator, most=99).boxes) == 60


def test_jitter_is_a_share_of_the_side_and_bounded():
    maps = objects()[:1].repeat(200, 1, 1)
    found = prompts_of(maps, torch.Generator().manual_seed(0), jitter=0.1)
    wide = found.boxes.boxes[found.boxes.classes == 2]
    assert float(wide[:, 0].std()) == pytest.approx(1.4, rel=0.2)  # a tenth of 14
    assert float(wide[:, 1].std()) == pytest.approx(0.6, rel=0.2)  # a tenth of 6
    assert float((wide[:, 0] - 6).abs().max()) <= 0.2 * 14 + 1e-5
    assert (wide[:, 2] > wide[:, 0]).all()


@pytest.fixture
def store(cases) -> CaseStore:
    return CaseStore(
        [*cases.labelled, *cases.unlabelled], Preparation(64, {"bright": 1, "dark": 3})
    )


def _coarse(store: CaseStore, number: int) -> Callable[[int], np.ndarray]:
    """The truth as a coarse head might give it, class by class, for a labelled case."""
    labels = store[number].labels
    return lambda place: 0.9 * (labels == place).astype(np.float32) + 0.02


def test_pcsw_finds_the_objects_of_a_volume_and_paints_them(store):
    book = PromptBook(store, ("bright", "dark"), PcswConfig(point="none"))
    batch = collate(store, [(0, 2), (1, 2)], as_pool=True)
    assert book.due(batch, 0, 10) == [0, 1]
    book.find(0, _coarse(store, 0), step=5)
    assert book.due(batch, 14, 10) == [1]
    assert book.due(batch, 15, 10) == [0, 1]
    painted = book.painted(batch).objects
    labels = torch.from_numpy(store[0].labels[2].astype(np.int32))
    assert torch.equal(painted[0], labels)  # one object of each class: ids 1 and 2
    assert not painted[1].any()


def test_a_book_survives_a_checkpoint(store):
    book = PromptBook(store, ("bright", "dark"), PcswConfig(point="none"))
    book.find(1, _coarse(store, 1), step=7)
    again = PromptBook(store, ("bright", "dark"), PcswConfig(point="none"))
    again.restore(book.tensors(), book.state())
    assert again.cases[1].step == 7
    batch = collate(store, [(1, k) for k in range(5)], as_pool=True)
    assert book.painted(batch).objects.any()
    assert torch.equal(book.painted(batch).objects, again.painted(batch).objects)


def test_what_cutmix_cuts_is_prompted_as_it_is_seen():
    from napari_sss.engine.training.data.mixing import Targets

    maps = objects()[:2]
    targets = Targets.of_labels((maps % 256).to(torch.uint8), maps)
    take = torch.zeros(2, 32, 32, dtype=torch.bool)
    take[:, :, 16:] = True  # the right half comes from the partner
    mixed = targets.mixed(targets.flipped_batch(), take)
    found = prompts_of(mixed.objects, torch.Generator(), jitter=0.0)
    boxes = {
        (row, cls): box
        for row, cls, box in zip(
            found.boxes.rows.tolist(),
            found.boxes.classes.tolist(),
            found.boxes.boxes.tolist(),
            strict=True,
        )
    }
    assert boxes[0, 2] == [6, 4, 16, 10]  # cut off at the seam
    assert boxes[1, 2] == [16, 4, 20, 10]  # the rest, in its partner
    assert (1, 1) not in boxes
