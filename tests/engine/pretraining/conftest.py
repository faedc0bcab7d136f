"""Scenes that cost nothing, for tests of what is done with scenes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sss.engine.pretraining import stream, validation
from napari_sss.engine.pretraining.clips import Batch
from napari_sss.engine.pretraining.scenes import Scene


class SimpleScenes:
    """Three bright ellipsoids in noise, the same for the same seed and index."""

    def __init__(self, seed: int, config: object = None) -> None:
        self.seed = seed
        self.made: list[int] = []

    def scene(self, index: int) -> Scene:
        self.made.append(index)
        rng = np.random.default_rng((self.seed, index))
        z, y, x = np.mgrid[:16, :64, :64]
        labels = np.zeros((16, 64, 64), dtype=np.int16)
        image = rng.normal(0, 15, labels.shape)
        for label in (1, 2, 3):
            centre = rng.uniform((4, 14, 14), (12, 50, 50))
            radii = rng.uniform((3, 7, 7), (8, 13, 13))
            distance = sum(
                ((axis - c) / r) ** 2
                for axis, c, r in zip((z, y, x), centre, radii, strict=True)
            )
            labels[distance <= 1] = label
            image[distance <= 1] += 60 * label
        for label in (1, 2, 3):
            if not (labels == label).any():  # hidden by another
                labels[0, label, 0] = label
        return Scene(
            torch.from_numpy(image.astype(np.float32)),
            torch.from_numpy(labels),
            ((1, 2),),
            (3.0, 1.0, 1.0),
            "CT",
        )


@pytest.fixture
def simple_scenes(monkeypatch) -> type[SimpleScenes]:
    """Simple scenes wherever the training would generate its own."""
    monkeypatch.setattr(stream, "SceneGenerator", SimpleScenes)
    monkeypatch.setattr(validation, "SceneGenerator", SimpleScenes)
    return SimpleScenes


def discs(batch: int, slices: int, side: int, seed: int = 0) -> Batch:
    """Bright discs on a dark ground; slices of a clip show the same disc moving slowly."""
    rng = np.random.default_rng(seed)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    grey, target = [], []
    for _ in range(batch):
        y, x = rng.uniform(0.35 * side, 0.65 * side, size=2)
        radius = rng.uniform(0.15 * side, 0.3 * side)
        masks = torch.stack(
            [
                ((rows - y - k) ** 2 + (columns - x + k) ** 2 <= radius**2).float()
                for k in range(slices)
            ]
        )
        noise = torch.from_numpy(rng.normal(0, 0.05, masks.shape).astype(np.float32))
        target.append(masks)
        grey.append((0.3 + 0.4 * masks + noise).clamp(0, 1))
    return Batch(torch.stack(grey), torch.stack(target))


@pytest.fixture(name="discs")
def _discs():
    return discs
