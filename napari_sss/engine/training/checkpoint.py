"""A training's whole state in one file, without pickle and never half written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_sss.engine.models.sss.segmenter import Tuning
from napari_sss.engine.training.errors import TrainingError
from napari_sss.engine.volumes.writing import replacing

CHECKPOINT_NAME = "checkpoint.safetensors"


@dataclass(frozen=True)
class Snapshot:
    """A state: tensors by name, and facts ready for JSON.

    The facts travel inside the tensors' file, so that one replacement makes both current.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose name begins with ``prefix`` and a dot, without it."""
        start = f"{prefix}."
        return {k[len(start) :]: v for k, v in self.tensors.items() if k.startswith(start)}


def write_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Write a state; whatever happens, the old one or the new one is there, whole.

    Raises
    ------
    WriteError
        It cannot be written.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in snapshot.tensors.items()}
    with replacing(path, ".safetensors") as beside:
        try:
            save_file(tensors, beside, metadata={"facts": json.dumps(snapshot.facts)})
        except SafetensorError as error:  # what the system refused, in safetensors' words
            raise OSError(str(error)) from error


def read_snapshot(path: Path) -> Snapshot:
    """Read a state.

    Raises
    ------
    TrainingError
        There is none, or it is damaged.
    """
    if not path.is_file():
        raise TrainingError(
            f"{path.parent} holds no checkpoint to resume from.",
            "Start without --resume, or name another folder.",
            path,
        )
    try:
        with safe_open(path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            facts = json.loads((opened.metadata() or {})["facts"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise TrainingError(
            f"The checkpoint {path} is damaged ({error}).", "Start the training again.", path
        ) from error
    return Snapshot(tensors, facts)


def learned_state(network: nn.Module, mode: Tuning) -> dict[str, Tensor]:
    """A network's state without what never changes and the starting model holds.

    Parameters
    ----------
    network : nn.Module
        A student or its teacher.
    mode : {"features", "lora", "full"}
        The encoder is left out where it is frozen; of its trunk, where LoRA is on it, all
        but LoRA's matrices.
    """

    def changes(name: str) -> bool:
        if mode == "features":
            return not name.startswith("net.image_encoder.")
        if mode == "lora" and name.startswith("net.image_encoder.trunk."):
            return "parametrizations" in name and ".original" not in name
        return True

    return {name: value for name, value in network.state_dict().items() if changes(name)}


def restore_network(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a network what :func:`learned_state` kept."""
    state = network.state_dict()
    with torch.no_grad():
        for name, value in tensors.items():
            state[name].copy_(value)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments; its settings come from the configuration."""
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, moments in optimiser.state_dict()["state"].items()
        for name, value in moments.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give a fresh optimiser the moments of a saved one."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    current = optimiser.state_dict()
    optimiser.load_state_dict({"state": state, "param_groups": current["param_groups"]})
