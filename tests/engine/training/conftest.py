"""A small labelled data set on disk and a tiny model to train on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sss.engine.training.config import TrainConfig, configured
from napari_sss.engine.training.data.cases import CaseLists, find_cases
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_labels, write_volume

SPACING = (5.0, 1.5, 1.5)


def write_case(folder: Path, name: str, seed: int, *, labelled: bool = True) -> None:
    """A volume of 5 slices with a bright ball (value 1) and a dark one (value 3)."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:5, :48, :56]
    grey = rng.normal(100, 5, z.shape)
    labels = np.zeros(z.shape, dtype=np.uint8)
    for value, level, centre in ((1, 180, (24, 16)), (3, 30, (22, 40))):
        cy, cx = np.asarray(centre) + rng.integers(-3, 4, 2)
        ball = ((y - cy) / 9) ** 2 + ((x - cx) / 9) ** 2 + ((z - 2) / 2.6) ** 2 < 1
        grey[ball] += level - 100
        labels[ball] = value
    grid = Grid(labels.shape, SPACING)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    write_volume(
        Volume(grey.astype(np.float32), grid, "MR"), folder / "images" / f"{name}.nii.gz"
    )
    if labelled:
        write_labels(labels, grid, folder / "labels" / f"{name}.nii.gz")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labelled cases, three of the pool, and one to validate on in ``val/``."""
    folder = tmp_path_factory.mktemp("data")
    for i in range(5):
        write_case(folder, f"case{i}", seed=i, labelled=i < 2)
    write_case(folder / "val", "other", seed=9)
    return folder


@pytest.fixture(scope="session")
def cases(data_folder: Path) -> CaseLists:
    return find_cases(
        data_folder / "images",
        data_folder / "labels",
        validation=(data_folder / "val/images", data_folder / "val/labels"),
    )


@pytest.fixture(scope="session")
def tiny_folder(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a model's folder."""
    from napari_sss.engine.models.checkpoint import write_checkpoint

    folder = tmp_path_factory.mktemp("tiny-model")
    card = {"architecture": tiny_model.architecture}
    write_checkpoint(folder / "model.safetensors", tiny_model.net, card)
    return folder


@pytest.fixture
def settings(tiny_folder: Path) -> Callable[..., TrainConfig]:
    """A configuration for the tiny model, with whatever a test wants otherwise."""

    def make(**changes: Any) -> TrainConfig:
        small: dict[str, Any] = {
            "model": str(tiny_folder),
            "device": "cpu",
            "precision": "32-true",
            "steps": 4,
            "batch": 2,
            "unlabelled_batch": 2,
            "log_every": 1,
            "validate_every": 100,
            "checkpoint_every": 100,
            "tensorboard": False,
            "burn_in": 0.0,
            "prompt_start": 0.0,
            "variants": 2,
            "memory_size": 3,
        }
        return configured(small | changes)

    return make
