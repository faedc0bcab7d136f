"""Which masks are believed: stability, size, place, and what the image says."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.everything.config import EverythingConfig
from napari_sss.engine.inference.everything.evidence import outline_evidence
from napari_sss.engine.inference.everything.judging import (
    plausible,
    scores_of,
    stability,
)
from napari_sss.engine.models.sam2_model import Decoded

CELLS = 16
SIDE = 4 * CELLS
SHAPE = (100, 100)
INSIDE_FRAME = CropFrame(20, 20, 32, 32)
CONFIG = EverythingConfig(least_iou=0.5, least_stability=0.5, object_share=(0.2, 0.8))


def decoded(*masks: tuple[int, int, int, int], iou: float = 0.9, sure: float = 8.0) -> Decoded:
    """Masks of one click: blocks given by first and last row and column, ends excluded."""
    logits = torch.full((1, len(masks), CELLS, CELLS), -sure)
    for number, (y0, y1, x0, x1) in enumerate(masks):
        logits[0, number, y0:y1, x0:x1] = sure
    empty = torch.zeros(1, 1)
    return Decoded(logits, torch.full((1, len(masks)), iou), empty, empty)


def passed(answer: Decoded, click=(32.0, 32.0), frame=INSIDE_FRAME) -> list[bool]:
    return plausible(answer, torch.tensor([click]), frame, SHAPE, SIDE, CONFIG)[0].tolist()


def test_stability_by_hand():
    logits = torch.full((1, 1, CELLS, CELLS), -5.0)
    logits[0, 0, 2:10, 2:10] = 0.5  # 64 cells above -1, none of them above 1
    logits[0, 0, 4:8, 4:8] = 5.0  # but for 16
    assert stability(logits).item() == pytest.approx(16 / 64)


def test_an_empty_mask_is_not_stable():
    assert stability(torch.full((1, 1, 4, 4), -5.0)).item() == 0.0


def test_size_must_suit_the_tile():
    # Longer sides of 3, 4, 12 and 13 cells of 16: 0.19, 0.25, 0.75 and 0.81.
    answer = decoded((7, 10, 7, 10), (7, 11, 7, 9), (2, 14, 7, 9), (2, 15, 7, 9))
    assert passed(answer) == [False, True, True, False]


def test_a_mask_must_hold_its_click():
    # The click at pixel (40, 20) lies in cell (10, 5).
    answer = decoded((4, 8, 8, 12), (8, 12, 4, 8))
    assert passed(answer, click=(40.0, 20.0)) == [True, False]


def test_unsure_masks_are_not_believed():
    assert passed(decoded((4, 12, 4, 12), iou=0.49)) == [False]
    assert passed(decoded((4, 12, 4, 12), sure=0.9)) == [False]  # stability 0 of 256


@pytest.mark.parametrize(
    ("mask", "frame", "believed"),
    [
        ((0, 9, 4, 12), INSIDE_FRAME, False),
        ((7, 16, 4, 12), INSIDE_FRAME, False),
        ((4, 12, 0, 9), INSIDE_FRAME, False),
        ((4, 12, 7, 16), INSIDE_FRAME, False),
        ((0, 9, 4, 12), CropFrame(0, 20, 32, 32), True),  # the slice itself ends there
        ((7, 16, 4, 12), CropFrame(68, 20, 32, 32), True),
        ((4, 12, 0, 9), CropFrame(20, -3, 32, 32), True),
        ((4, 12, 7, 16), CropFrame(20, 70, 32, 32), True),
    ],
)
def test_a_mask_that_runs_out_of_its_tile_is_not_whole(mask, frame, believed):
    assert passed(decoded(mask), frame=frame) == [believed]


def square_image(inside: float, outside: float) -> torch.Tensor:
    grey = torch.full((1, SIDE, SIDE), outside)
    grey[:, 16:48, 16:48] = inside  # cells 4 to 11
    return grey


def test_an_outline_on_an_edge_is_full_evidence():
    mask = decoded((4, 12, 4, 12)).logits > 0
    assert outline_evidence(square_image(0.8, 0.3), mask).item() == pytest.approx(1.0)
    assert outline_evidence(square_image(0.3, 0.8), mask).item() == pytest.approx(1.0)


def test_an_outline_in_even_grey_is_none():
    mask = decoded((4, 12, 4, 12)).logits > 0
    assert outline_evidence(square_image(0.5, 0.5), mask).item() == 0.0


def test_an_outline_beside_the_edge_is_less():
    masks = decoded((4, 12, 4, 12), (4, 12, 6, 14), (4, 12, 9, 16)).logits > 0
    on, near, across = outline_evidence(square_image(0.8, 0.3), masks)[0].tolist()
    assert on > near > across


def test_score_is_the_mean_of_model_and_image():
    # Model: 0.81 times a stability of 1; image: full.
    answer = decoded((4, 12, 4, 12), iou=0.81)
    assert scores_of(answer, square_image(0.8, 0.3)).item() == pytest.approx(0.9)
    # An estimate beyond 1 counts as 1.
    answer = decoded((4, 12, 4, 12), iou=1.2)
    assert scores_of(answer, square_image(0.8, 0.3)).item() == pytest.approx(1.0)
