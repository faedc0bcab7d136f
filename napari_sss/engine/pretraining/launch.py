"""Settings of a pretraining that suit the machine it runs on."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from pydantic import ValidationError

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.models.devices import choose_device, precision_for
from napari_sss.engine.pretraining.config import PretrainConfig

GPU_BATCH = 96
GPU_LEARNING_RATE = 1.5e-3
GPU_SIZES = ((0.0, 128), (0.25, 192), (0.6, 256))


def configured(
    *,
    minutes: float | None = None,
    steps: int | None = None,
    device: str | None = None,
    seed: int = 0,
    batch: int | None = None,
    start_from: Path | None = None,
) -> PretrainConfig:
    """A configuration for this machine.

    Parameters
    ----------
    minutes, steps : optional
        The budget; exactly one is given.
    device : str, optional
        By default the fastest there is.
    seed : int
        Decides everything.
    batch : int, optional
        Images per step; by default 16 on a CPU and 96 on a GPU.
    start_from : Path, optional
        Weights to begin with; by default random ones.

    Raises
    ------
    DeviceError
        The device is absent.
    ConfigError
        A setting is out of its range, or the budget is not given once.
    """
    chosen = choose_device(device)
    half = precision_for(chosen) == torch.bfloat16
    settings: dict[str, object] = {
        "minutes": minutes,
        "steps": steps,
        "seed": seed,
        "start_from": None if start_from is None else str(start_from),
        "device": str(chosen),
        "precision": "bfloat16" if half else "float32",
    }
    if chosen.type == "cuda":
        settings |= {
            "batch": GPU_BATCH,
            "learning_rate": GPU_LEARNING_RATE,
            "sizes": GPU_SIZES,
            "workers": max(1, (os.cpu_count() or 2) - 2),
        }
    if batch is not None:
        settings["batch"] = batch
    try:
        return PretrainConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"The training cannot be set up like this: {name}{': ' if name else ''}"
            f"{first['msg']}.",
            "Correct that setting; `napari-sss pretrain --help` explains them.",
        ) from error
