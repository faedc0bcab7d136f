"""Keeping a training's whole state, without pickle and never half written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_sss.engine.errors import ModelError

TENSORS = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path,
    *,
    weights: dict[str, Tensor],
    averaged: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    facts: dict[str, Any],
) -> None:
    """Write the state so that either the old one or the new one is there, whole.

    Parameters
    ----------
    folder : Path
        The training's folder.
    weights, averaged : dict
        The network's tensors and their running average.
    optimiser : Optimizer
        Its moments are kept, its settings come from the configuration.
    facts : dict
        JSON-ready numbers: step, elapsed seconds, configuration, random states.
    """
    tensors = {f"weights.{k}": v for k, v in weights.items()}
    tensors |= {f"averaged.{k}": v for k, v in averaged.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    # The facts travel inside the tensor file, so one replacement makes both current.
    header = {"facts": json.dumps(facts)}
    partial = folder / f"{TENSORS}.part"
    save_file({k: v.contiguous() for k, v in tensors.items()}, partial, metadata=header)
    with partial.open("rb+") as stream:
        os.fsync(stream.fileno())
    os.replace(partial, folder / TENSORS)


def load_checkpoint(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The groups ``weights``, ``averaged`` and ``optimiser``, and the facts.

    Raises
    ------
    ModelError
        Where there is no checkpoint to resume from, or it is damaged.
    """
    path = folder / TENSORS
    if not path.exists():
        raise ModelError(
            f"{folder} holds no checkpoint.",
            "Start without --resume, or name its folder.",
            path,
        )
    groups: dict[str, dict[str, Any]] = {"weights": {}, "averaged": {}, "optimiser": {}}
    try:
        with safe_open(path, framework="pt") as opened:
            facts = json.loads((opened.metadata() or {})["facts"])
        for key, tensor in load_file(path).items():
            group, name = key.split(".", 1)
            groups[group][name] = tensor
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(
            f"The checkpoint {path} is damaged or of another program ({error}).",
            "Restore it from a copy, or start the training again in a new folder.",
            path,
        ) from error
    return groups, facts


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give a fresh optimiser the moments of a saved one."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    current = optimiser.state_dict()
    optimiser.load_state_dict({"state": state, "param_groups": current["param_groups"]})


def random_states(rng: np.random.Generator, torch_rng: torch.Generator) -> dict[str, Any]:
    """Both generators' states and torch's own (dropout), ready for JSON."""
    return {
        "numpy": rng.bit_generator.state,
        "torch": torch_rng.get_state().tolist(),
        "global": torch.get_rng_state().tolist(),
    }


def restore_random(
    states: dict[str, Any], rng: np.random.Generator, torch_rng: torch.Generator
) -> None:
    """Set the generators to saved states."""
    rng.bit_generator.state = states["numpy"]
    torch_rng.set_state(torch.tensor(states["torch"], dtype=torch.uint8))
    if "global" in states:
        torch.set_rng_state(torch.tensor(states["global"], dtype=torch.uint8))
