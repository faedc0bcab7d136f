"""Folders of trainings: real ones of the tiny model, and quick ones of a few bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_sss.engine.modelstore.store import ModelStore


def write_run(folder: Path, content: str = "a", *, base_sha256: str = "b" * 64) -> Path:
    """What a training leaves, with a few bytes in place of weights."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, semantic = f"weights {content}".encode(), f"semantic {content}".encode()
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "semantic.safetensors").write_bytes(semantic)
    card = {
        "architecture": {"image_size": 64},
        "licence": "CC0-1.0",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "sss": {
            "classes": {"organ": 1, "lesion": 2},
            "strategy": "sss",
            "semantic_sha256": hashlib.sha256(semantic).hexdigest(),
        },
        "training": {
            "base_model": "embedded",
            "base_sha256": base_sha256,
            "steps": 120,
            "seconds": 61,
            "labelled_slices": 17,
            "unlabelled_volumes": 9,
        },
    }
    (folder / "model.json").write_text(json.dumps(card))
    lists: dict[str, Any] = {"labelled": [{}] * 3, "unlabelled": [{}] * 9, "validation": []}
    (folder / "data.json").write_text(json.dumps(lists))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """The store of an empty project folder."""
    return ModelStore(tmp_path / "project")


@pytest.fixture
def make_run(store: ModelStore) -> Callable[..., Path]:
    """A training's folder in the project, by its content."""

    def make(content: str = "a", **more: Any) -> Path:
        return write_run(store.project / "runs" / f"run-{content}", content, **more)

    return make


@pytest.fixture
def real_run(tmp_path: Path, tiny_model: Any) -> Path:
    """A trained model of the tiny network with two classes."""
    import torch

    from napari_sss.engine.models.sss.segmenter import Segmenter, SegmenterConfig
    from napari_sss.engine.models.sss.trained import TrainedFacts, save_trained

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        segmenter = Segmenter(tiny_model, SegmenterConfig(classes=2)).eval()
    facts = TrainedFacts(
        classes={"organ": 1, "lesion": 2}, segmenter=segmenter.config, strategy="sss"
    )
    card = {"training": {"base_model": "embedded", "base_sha256": "c" * 64, "steps": 4}}
    save_trained(tmp_path / "elsewhere" / "run", segmenter, facts, card)
    return tmp_path / "elsewhere" / "run"
