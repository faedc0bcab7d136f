"""Predicting a volume: its own grid and values, zooming in, PCSW's objects."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_sss.engine.inference import looking
from napari_sss.engine.inference.prediction import (
    PredictOptions,
    found_objects,
    predict_volume,
)
from napari_sss.engine.inference.squares import SliceGeometry
from napari_sss.engine.models.sss.focus import WHOLE, Focus, Window
from napari_sss.engine.models.sss.segmenter import SegmenterConfig
from napari_sss.engine.models.sss.trained import TrainedFacts, TrainedModel
from napari_sss.engine.prompts.pcsw import PcswConfig
from napari_sss.engine.volumes.grid import AxisView, Grid
from napari_sss.engine.volumes.volume import Volume

SIDE = 64


@pytest.fixture
def trained(monkeypatch) -> TrainedModel:
    """A model that calls class 1 what is brighter than one half; ``seen`` keeps its input."""
    seen: list[np.ndarray] = []

    def bright(segmenter, grey, *, check):
        seen.append(grey)
        inside = torch.from_numpy(grey.astype(np.float32)) > 0.5
        return torch.stack([~inside, inside], dim=1).float()

    monkeypatch.setattr(looking, "semantic_squares", bright)
    # In training the organ was a fifth of the slices' side, in their middle.
    focus = Focus(y=0.0, x=0.0, side=0.8, least=0.2, typical=0.2, most=0.2)
    facts = TrainedFacts(
        classes={"organ": 7}, segmenter=SegmenterConfig(classes=1), focus=focus
    )
    segmenter = SimpleNamespace(sam2=SimpleNamespace(image_size=SIDE), seen=seen)
    return TrainedModel(segmenter, facts, Path("nowhere"))  # type: ignore[arg-type]


def volume() -> tuple[Volume, np.ndarray]:
    """Slices of 96 x 120 voxels with a bright block of 24 x 20."""
    truth = np.zeros((3, 96, 120), dtype=bool)
    truth[:, 40:64, 70:90] = True
    noise = np.random.default_rng(0).normal(0, 3, truth.shape)
    return Volume((100 * truth + noise).astype(np.float32), Grid(truth.shape), "MR"), truth


def dice(labels: np.ndarray, truth: np.ndarray) -> float:
    return 2 * ((labels == 7) & truth).sum() / ((labels == 7).sum() + truth.sum())


@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_prediction_lies_on_the_volumes_own_grid(trained, order, flips):
    scan, truth = volume()
    view = AxisView(order, flips)
    found = predict_volume(scan.viewed(view), trained)
    labels = found.labels()
    assert set(np.unique(labels)) == {0, 7}
    assert dice(labels, view.apply(truth)) > 0.93
    np.testing.assert_allclose(found.probabilities.sum(axis=0), 1, atol=1e-5)


def test_a_closer_look_sees_more(trained):
    scan, truth = volume()
    plain = dice(predict_volume(scan, trained, PredictOptions(zoom=False)).labels(), truth)
    (whole,) = trained.segmenter.seen
    close = dice(predict_volume(scan, trained).labels(), truth)
    assert close > plain
    _, first, second = trained.segmenter.seen
    # The block is 24 of 120 voxels high. The first look shows four fifths of the slice, the
    # closer one 1.6 times what was found; what follows would show the same.
    assert (whole > 0.5).any(axis=(0, 2)).sum() == pytest.approx(24 / 120 * SIDE, abs=1)
    assert (first > 0.5).any(axis=(0, 2)).sum() == pytest.approx(24 / 96 * SIDE, abs=1)
    assert (second > 0.5).any(axis=(0, 2)).sum() == pytest.approx(SIDE / 1.6, abs=3)


def test_a_part_of_the_slice_by_hand():
    geometry = SliceGeometry.of(Grid((3, 96, 120)), 48)
    # The square has 120 voxels, of which 12 lie above the slice's first row. A third of it
    # are 40; its centre lies at 120 * (1 + 0.5) / 2 = 90 rows and 120 * 0.8 / 2 = 48 columns.
    part = geometry.through(Window(0.5, -0.2, 1 / 3))
    assert (part.frame.rows, part.frame.columns) == (40, 40)
    assert (part.frame.row, part.frame.column) == (90 - 20 - 12, 48 - 20)
    assert geometry.through(WHOLE) is geometry


def test_where_nothing_was_found_the_whole_slices_are_looked_at(trained):
    scan, _ = volume()
    dark = Volume(np.zeros_like(scan.array), scan.grid, "MR")
    assert not predict_volume(dark, trained).labels().any()
    assert len(trained.segmenter.seen) == 2


def test_objects_in_probabilities():
    squares = torch.zeros(3, 3, 32, 32)
    squares[:, 1, 2:10, 2:10] = 0.9
    squares[:, 1, 20:24, 20:24] = 0.9
    squares[1, 2, 5:9, 25:30] = 0.8
    grid = Grid((3, 32, 32))
    objects = found_objects(squares, grid, ("a", "b"), PcswConfig(point="none"))
    assert (objects[:, 2:10, 2:10] == 1).all()
    assert (objects[:, 20:24, 20:24] == 1 + 256).all()
    assert (objects[1, 5:9, 25:30] == 2).all()
    assert set(np.unique(objects)) == {0, 1, 2, 257}
