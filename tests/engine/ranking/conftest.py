"""A project of small scans, and the tiny network as a trained model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sss.engine.project.project import Project
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_volume


def write_scan(folder: Path, name: str, level: float, seed: int) -> Path:
    """An MR of 6 slices with a ball whose brightness is the level."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:6, :40, :44]
    grey = rng.normal(100, 4, z.shape)
    ball = ((y - 20) / 9) ** 2 + ((x - 22) / 9) ** 2 + ((z - 2.5) / 3) ** 2 < 1
    grey[ball] += level
    path = folder / f"{name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(grey.astype(np.float32), Grid(z.shape, (5.0, 1.5, 1.5)), "MR"), path)
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Project]:
    """Four cases: two alike, one other, and one very bright; one class."""
    levels = {"a": 80.0, "b": 80.0, "c": -80.0, "d": 400.0}
    paths = [
        write_scan(tmp_path / "scans", name, level, seed)
        for seed, (name, level) in enumerate(levels.items())
    ]
    with Project.create(tmp_path / "project") as project:
        project.add_class("organ")
        assert len(project.cases.add(paths).cases) == 4
        yield project


@pytest.fixture(scope="session")
def trained(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny network with a head for two classes, of random weights."""
    import torch

    from napari_sss.engine.models.sss.segmenter import Segmenter, SegmenterConfig
    from napari_sss.engine.models.sss.trained import TrainedFacts, load_trained, save_trained

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        segmenter = Segmenter(tiny_model, SegmenterConfig(classes=2)).eval()
    facts = TrainedFacts(classes={"organ": 1, "lesion": 2}, segmenter=segmenter.config)
    folder = tmp_path_factory.mktemp("trained")
    save_trained(folder, segmenter, facts, {})
    return load_trained(folder, device="cpu", precision=torch.float32)
