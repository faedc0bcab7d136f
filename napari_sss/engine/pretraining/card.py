"""What a trained model says of itself, stored beside its weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from napari_sss.engine.models.architecture import Architecture
from napari_sss.engine.pretraining.config import PretrainConfig
from napari_sss.engine.pretraining.scenes import SceneGenerator


def _digest(weights: str | None) -> str | None:
    """SHA-256 of the weights that a training began with: a path would say nothing elsewhere."""
    if weights is None:
        return None
    return hashlib.sha256(Path(weights).read_bytes()).hexdigest()


def model_card(
    config: PretrainConfig, architecture: Architecture, steps: int, seconds: float
) -> dict[str, Any]:
    """Shape, making, intended use and limits of a model, ready for JSON.

    Parameters
    ----------
    config : PretrainConfig
        How it was trained.
    architecture : Architecture
        As it is to be used.
    steps : int
        Optimiser steps taken.
    seconds : float
        Time they took.
    """
    return {
        "architecture": architecture.model_dump(mode="json"),
        "licence": "BSD-3-Clause",
        "title": "Small SAM-2 trained on procedurally generated scenes only",
        "training": {
            "generator": SceneGenerator.VERSION,
            "seed": config.seed,
            "steps": steps,
            "images": steps * config.batch,
            "hours": round(seconds / 3600, 2),
            "device": config.device,
            "config": config.model_dump(mode="json", exclude={"start_from"}),
            "started_from": _digest(config.start_from),
        },
        "intended_use": "First masks for a person to correct, in CT and MR. Research only.",
        "limits": (
            "Has never seen a real scan. Not for clinical use. Weak where an object is told "
            "from its neighbours by knowledge of anatomy rather than by its border."
        ),
    }
