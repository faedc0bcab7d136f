"""The simulated annotator: boxes around, clicks inside, corrections where it is wrong."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sss.engine.models.drawn_prompts import BOX_FIRST_CORNER, BOX_LAST_CORNER
from napari_sss.engine.models.sam2_model import PointPrompts
from napari_sss.engine.pretraining.prompting import first_prompts, tight_boxes, with_correction

SIDE = 64


def rectangles(*boxes: tuple[int, int, int, int]) -> torch.Tensor:
    """(B, 64, 64) targets, each a rectangle (x0, y0, x1, y1) with exclusive maxima."""
    target = torch.zeros(len(boxes), SIDE, SIDE)
    for row, (x0, y0, x1, y1) in enumerate(boxes):
        target[row, y0:y1, x0:x1] = 1
    return target


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_box_without_jitter_has_the_objects_edges():
    target = rectangles((10, 20, 30, 25), (0, 0, 64, 64))
    prompts = first_prompts(target, "box", generator(), jitter=0.0)
    assert prompts.labels.tolist() == [[2, 3], [2, 3]]
    # Pixel i reaches from i - 1/2 to i + 1/2: the edges of 10..29 are 9.5 and 29.5. The exact
    # half of the annotators is off by 1 % of the size: 0.2 here, 0.05 down, 0.64 below.
    expected = torch.tensor([[[9.5, 19.5], [29.5, 24.5]], [[-0.5, -0.5], [63.5, 63.5]]])
    spread = torch.tensor([[0.2, 0.05], [0.64, 0.64]])[:, None]
    assert ((prompts.coordinates - expected).abs() <= 4 * spread).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_jitter_is_bounded(seed):
    target = rectangles(*[(12, 8, 52, 48)] * 8)
    prompts = first_prompts(target, "box", generator(seed), jitter=0.05)
    expected = torch.tensor([[11.5, 7.5], [51.5, 47.5]])
    difference = (prompts.coordinates - expected).abs()
    assert difference.max() <= 8  # never more than 8 pixels
    assert (prompts.coordinates[:, 0] < prompts.coordinates[:, 1]).all()


def test_half_of_the_annotators_are_hasty():
    target = rectangles(*[(12, 8, 52, 48)] * 400)
    prompts = first_prompts(target, "box", generator(), jitter=0.05)
    expected = torch.tensor([[11.5, 7.5], [51.5, 47.5]])
    worst = (prompts.coordinates - expected).abs().flatten(1).max(dim=1).values
    # The exact ones are off by 0.4 pixels (1 % of 40), the hasty by 2 (5 %).
    assert 0.3 < (worst > 1.4).float().mean() < 0.6


@pytest.mark.parametrize(("kind", "count"), [("click", 1), ("strokes", 5)])
@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_clicks_lie_inside(kind, count, seed):
    target = rectangles((10, 20, 30, 23), (5, 5, 7, 60), (50, 40, 51, 41))
    prompts = first_prompts(target, kind, generator(seed))
    assert prompts.coordinates.shape == (3, count, 2)
    assert (prompts.labels == 1).all()
    for row in range(3):
        for x, y in prompts.coordinates[row].long().tolist():
            assert target[row, y, x] == 1


def test_clicks_prefer_the_depth_to_the_rim():
    target = rectangles(*[(10, 10, 50, 50)] * 200)
    x, y = first_prompts(target, "click", generator()).coordinates[:, 0].T
    depth = torch.stack([x - 10, 49 - x, y - 10, 49 - y]).amin(dim=0)
    assert depth.float().mean() > 6  # uniform clicks would have a third of 20


def answer(target: torch.Tensor) -> torch.Tensor:
    """Sure logits (B, 1, S, S) of a mask."""
    return torch.where(target > 0, 8.0, -8.0)[:, None]


def test_what_is_missing_gets_a_positive_click():
    target = rectangles((10, 10, 40, 40))
    found = rectangles((10, 10, 20, 40))
    prompts = with_correction(None, answer(found), target, generator())
    (x, y) = prompts.coordinates[0, 0].tolist()
    assert prompts.labels.tolist() == [[1]]
    assert 20 <= x < 40
    assert 10 <= y < 40


def test_what_is_too_much_gets_a_negative_click():
    target = rectangles((10, 10, 20, 40))
    found = rectangles((10, 10, 40, 40))
    prompts = with_correction(None, answer(found), target, generator())
    (x, y) = prompts.coordinates[0, 0].tolist()
    assert prompts.labels.tolist() == [[0]]
    assert 20 <= x < 40
    assert 10 <= y < 40


def test_the_larger_error_is_corrected_and_each_object_by_itself():
    target = rectangles((10, 10, 40, 40), (10, 10, 40, 40), (10, 10, 40, 40))
    found = rectangles((10, 10, 30, 40), (0, 0, 50, 50), (10, 10, 40, 40))
    found[0, 50:54, 50:54] = 1  # 16 pixels too many against 300 missing
    before = PointPrompts(torch.zeros(3, 1, 2), torch.ones(3, 1, dtype=torch.int64))
    prompts = with_correction(before, answer(found), target, generator())
    assert prompts.coordinates.shape == (3, 2, 2)
    # Missing, too much, and nothing wrong: padding, which says nothing.
    assert prompts.labels[:, 1].tolist() == [1, 0, -1]
    assert prompts.labels[:, 0].tolist() == [1, 1, 1]


def test_the_same_seed_prompts_the_same():
    target = rectangles((10, 20, 30, 25), (5, 5, 50, 60))
    for kind in ("box", "click", "strokes"):
        one, other = (first_prompts(target, kind, generator(7)) for _ in range(2))
        assert torch.equal(one.coordinates, other.coordinates)


def test_a_tight_box_encloses_the_mask_to_the_pixel():
    masks = torch.zeros(2, 16, 16, dtype=torch.bool)
    masks[0, 3:7, 5:11] = True
    box = tight_boxes(masks)
    # Columns 5 to 10, rows 3 to 6; pixel centres are whole numbers, edges lie at halves.
    assert box.coordinates[0].tolist() == [[4.5, 2.5], [10.5, 6.5]]
    assert box.labels[0].tolist() == [BOX_FIRST_CORNER, BOX_LAST_CORNER]
    assert box.labels[1].tolist() == [-1, -1]  # nothing to enclose: no prompt
