"""A project of small scans, and a network that finds the bright ball on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sss.engine.background.job import PoolJob, background_folder
from napari_sss.engine.project.project import Project
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_volume


def write_scan(path: Path, centre: int, seed: int) -> Path:
    """A CT of 6 slices with soft tissue and a bright ball at column ``centre``."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:6, :40, :44]
    grey = rng.normal(-900, 10, z.shape)
    grey[:, 4:36, 4:40] = rng.normal(20, 8, (6, 32, 36))
    ball = ((y - 20) / 7) ** 2 + ((x - centre) / 7) ** 2 + ((z - 2.5) / 3) ** 2 < 1
    grey[ball] = rng.normal(600, 20, int(ball.sum()))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(grey.astype(np.int16), Grid(z.shape, (4.0, 2.0, 2.0)), "CT"), path)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Four untouched cases a, b, c, d and the class ``organ``."""
    scans = [
        write_scan(tmp_path / "scans" / f"{name}.nii.gz", 16 + 3 * k, k)
        for k, name in enumerate("abcd")
    ]
    with Project.create(tmp_path / "project") as made:
        made.add_class("organ")
        made.cases.add(scans)
        yield made


@pytest.fixture
def folder(project: Project) -> Path:
    """Where the background work of the project lies."""
    place = background_folder(project.folder)
    place.mkdir()
    return place


class BrightHead:
    """Stands for a semantic head: class 1 where the slice is bright, class 2 nowhere."""

    @staticmethod
    def logits(grey: Any) -> Any:
        import torch

        bright = torch.where(grey > 0.9, 8.0, -8.0)
        nothing = torch.full_like(bright, -20.0)
        return torch.stack([torch.zeros_like(bright), bright, nothing], dim=1)


@pytest.fixture(scope="session")
def trained_folder(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model of the tiny network with the classes organ and lesion."""
    import torch

    from napari_sss.engine.models.sss.segmenter import Segmenter, SegmenterConfig
    from napari_sss.engine.models.sss.trained import TrainedFacts, save_trained

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        segmenter = Segmenter(tiny_model, SegmenterConfig(classes=2)).eval()
    facts = TrainedFacts(
        classes={"organ": 1, "lesion": 2}, segmenter=segmenter.config, window="abdomen"
    )
    place = tmp_path_factory.mktemp("trained")
    save_trained(place, segmenter, facts, {})
    return place


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every trained model find what is bright."""
    from napari_sss.engine.models.sss.segmenter import Segmenter

    def encode(self: Segmenter, grey: Any) -> Any:
        features = real(self, grey)
        self.seen = grey  # type: ignore[assignment]
        return features

    real = Segmenter.encode
    monkeypatch.setattr(Segmenter, "encode", encode)
    monkeypatch.setattr(Segmenter, "classify", lambda self, _: BrightHead.logits(self.seen))


@pytest.fixture
def job(trained_folder: Path) -> PoolJob:
    """Pre-label with the trained model, and nothing else."""
    return PoolJob(
        model=str(trained_folder),
        model_name="Bright",
        trained=True,
        rank=False,
        device="cpu",
    )
