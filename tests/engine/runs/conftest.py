"""A small project on disk with accepted cases, and a tiny model to fine-tune."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sss.engine.project.importing import import_labels
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Review
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_labels, write_volume

GRID = Grid((5, 48, 56), (5.0, 1.5, 1.5))


def write_scan(folder: Path, name: str, seed: int) -> tuple[Path, Path]:
    """A volume of 5 slices with a bright ball (value 1) and a dark one (value 2)."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:5, :48, :56]
    grey = rng.normal(100, 5, z.shape)
    labels = np.zeros(z.shape, dtype=np.uint8)
    for value, level, centre in ((1, 180, (24, 16)), (2, 30, (22, 40))):
        cy, cx = np.asarray(centre) + rng.integers(-3, 4, 2)
        ball = ((y - cy) / 9) ** 2 + ((x - cx) / 9) ** 2 + ((z - 2) / 2.6) ** 2 < 1
        grey[ball] += level - 100
        labels[ball] = value
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{name}.nii.gz"
    mask = folder / "truth" / image.name
    mask.parent.mkdir(exist_ok=True)
    write_volume(Volume(grey.astype(np.float32), GRID, "MR"), image)
    write_labels(labels, GRID, mask)
    return image, mask


def accept(project: Project, case_id: int, mask: Path) -> None:
    """Accept a case with its true mask."""
    session = project.open_case(case_id)
    import_labels(session, project.cases.get(case_id).grid, mask, {1: 1, 2: 2})
    session.review_case(Review.ACCEPTED)
    session.close()


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """Eight scans with their true masks."""
    folder = tmp_path_factory.mktemp("scans")
    return [write_scan(folder, f"scan{k}", k) for k in range(8)]


MakeProject = Callable[..., Path]


@pytest.fixture
def make_project(tmp_path: Path, scans: list[tuple[Path, Path]]) -> MakeProject:
    """Make a project with the classes ``bright`` and ``dark``."""

    def make(accepted: int = 4, total: int = 6) -> Path:
        folder = tmp_path / "project"
        with Project.create(folder) as project:
            project.add_class("bright")
            project.add_class("dark")
            project.cases.add([image for image, _ in scans[:total]])
            for case_id in range(1, accepted + 1):
                accept(project, case_id, scans[case_id - 1][1])
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_folder(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a model's folder."""
    from napari_sss.engine.models.checkpoint import write_checkpoint

    folder = tmp_path_factory.mktemp("tiny-model")
    card = {"architecture": tiny_model.architecture}
    write_checkpoint(folder / "model.safetensors", tiny_model.net, card)
    return folder


@pytest.fixture
def settings(tiny_folder: Path) -> Callable[..., dict[str, Any]]:
    """Settings for the tiny model, with whatever a test wants otherwise."""

    def make(**changes: Any) -> dict[str, Any]:
        small: dict[str, Any] = {
            "strategy": "sss",
            "model": str(tiny_folder),
            "device": "cpu",
            "precision": "32-true",
            "steps": 6,
            "batch": 2,
            "unlabelled_batch": 2,
            "log_every": 1,
            "validate_every": 3,
            "checkpoint_every": 2,
            "tensorboard": False,
            "prompt_start": 0.0,
            "variants": 2,
            "memory_size": 3,
        }
        if "minutes" in changes:
            small.pop("steps")
        return small | changes

    return make


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait until something is so."""

    def wait(condition: Callable[[], bool], seconds: float = 250.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.02)

    return wait
