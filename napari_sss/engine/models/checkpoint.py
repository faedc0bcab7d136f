"""Checkpoint files: weights in, with every way of being wrong named; weights and card out.

Two formats are read: PyTorch's ``.pt`` as Meta publishes it (the weights under ``"model"``)
and safetensors. A ``.pt`` is a pickle; it is read in PyTorch's weights-only mode, which
builds tensors and plain containers and refuses everything that would run code.

A model that is not one of the official shapes needs its card, a JSON file of the same name
beside it, which holds the architecture.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from napari_sss.engine.errors import ModelError
from napari_sss.engine.models.architecture import Architecture
from napari_sss.engine.models.files import writing
from napari_sss.engine.models.official import OFFICIAL, recognise_official

if TYPE_CHECKING:
    from torch import nn

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_WRAPPERS = ("model", "state_dict")
_NAMES_SHOWN = 4
# What SAM 2.1 added to SAM 2.0; a checkpoint that lacks just these is a SAM 2.0.
_NEW_IN_2_1 = ("no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias")


class ModelCard(BaseModel):
    """What is known of a model beside its weights; stored as JSON next to them.

    Further keys (training, data, scores, limits) are kept as they are.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    architecture: Architecture = Field(description="Shape of the network.")
    licence: str = Field("unknown", description="SPDX identifier of the weights' licence.")
    sha256: str | None = Field(None, description="SHA-256 of the weights' file.")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's content, read and recognised but not yet built into a network.

    Parameters
    ----------
    path : Path
        The weights' file.
    weights : mapping
        Parameter name to tensor, on the CPU, in the stored precision.
    architecture : Architecture
        From the card, or of the official model it was recognised as.
    kind : str
        That official model's name, or ``"custom"``.
    card : ModelCard, optional
        The card, where there is one.
    """

    path: Path
    weights: Mapping[str, Tensor]
    architecture: Architecture
    kind: str
    card: ModelCard | None = None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file and find out which network it is for.

    Raises
    ------
    ModelError
        The file is absent, no checkpoint, damaged, needs code to be run, or is of a shape
        that nothing beside it explains.
    """
    path = Path(path)
    card = read_card(path)
    weights = _unwrapped(_read_tensors(path), path)
    kind = recognise_official(weights)
    if card is not None:
        return Checkpoint(path, weights, card.architecture, kind or "custom", card)
    if kind is None:
        raise ModelError(
            f"{path} holds weights of a shape that is none of SAM 2.1's "
            f"({', '.join(OFFICIAL)}); they begin with {_some(weights)}.",
            f"If napari-sss trained it, put its card {card_path(path).name} beside it; "
            "otherwise choose a SAM 2.1 checkpoint.",
            path,
        )
    return Checkpoint(path, weights, OFFICIAL[kind], kind)


def card_path(path: Path) -> Path:
    """Where the card of these weights lies."""
    return path.with_suffix(".json")


def read_card(path: Path) -> ModelCard | None:
    """Read the card beside a weights' file; None where there is none.

    Raises
    ------
    ModelError
        The card is not valid.
    """
    beside = card_path(path)
    if not beside.is_file():
        return None
    try:
        return ModelCard.model_validate_json(beside.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"
        raise ModelError(
            f"The model card {beside} is not valid ({reason}).",
            "Restore the card that came with the weights.",
            beside,
        ) from error


def write_checkpoint(
    path: Path, net: nn.Module, card: Mapping[str, Any], dtype: torch.dtype = torch.float32
) -> ModelCard:
    """Write a network's weights as safetensors, with its card beside them.

    Both files are written beside their final place and renamed, the card last.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``.
    net : nn.Module
        The network; all its parameters and buffers are stored.
    card : mapping
        What :class:`ModelCard` holds, ``architecture`` at least; its ``sha256`` is filled in.
    dtype : torch.dtype
        Precision in which floating-point weights are stored.

    Raises
    ------
    WriteError
        The folder cannot be written or is full.
    """
    described = ModelCard.model_validate(card)
    weights = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)
        for name, tensor in net.state_dict().items()
    }
    content = save({name: tensor.contiguous() for name, tensor in weights.items()})
    digest = hashlib.sha256(content).hexdigest()
    complete = described.model_copy(update={"sha256": digest})
    text = json.dumps(complete.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
        _replace(card_path(path), text.encode())
    return complete


def _replace(path: Path, content: bytes) -> None:
    """Give a file this content, or leave it as it was."""
    fresh = path.with_name(path.name + ".part")
    try:
        with fresh.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def fill(net: nn.Module, checkpoint: Checkpoint, *, new: tuple[str, ...] = ()) -> None:
    """Copy a checkpoint's weights into a network, all of them or none.

    Parameters
    ----------
    net : nn.Module
        The network.
    checkpoint : Checkpoint
        The weights.
    new : tuple of str
        What the weights' names begin with that may be missing; those stay as they are.

    Raises
    ------
    ModelError
        Weights are missing, superfluous or of another shape; the message names some.
    """
    wanted = net.state_dict()
    missing = [
        name for name in wanted if name not in checkpoint.weights and not name.startswith(new)
    ]
    unexpected = [name for name in checkpoint.weights if name not in wanted]
    misshapen = [
        f"{name} {tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}"
        for name, tensor in checkpoint.weights.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    faults = [
        f"{what} {_some(names)}"
        for what, names in (
            ("it lacks", missing),
            ("it has in excess", unexpected),
            ("of another shape are", misshapen),
        )
        if names
    ]
    if faults:
        is_2_0 = not unexpected and not misshapen and set(missing) <= set(_NEW_IN_2_1)
        raise ModelError(
            f"{checkpoint.path} does not fit the model {checkpoint.kind}: {'; '.join(faults)}.",
            "It is a SAM 2.0 checkpoint: take the SAM 2.1 one of the same size."
            if is_2_0
            else "It belongs to another model: choose a SAM 2.1 checkpoint, or add its card.",
            checkpoint.path,
        )
    net.load_state_dict({**wanted, **checkpoint.weights})


def _read_tensors(path: Path) -> Any:
    """What the file holds, after its first bytes showed that it may be a checkpoint."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise ModelError(
            f"The checkpoint {path} cannot be read: {error.strerror or error}.",
            "Check the path and its permissions.",
            path,
        ) from error
    if head[8:9] == b"{":
        return _read_safetensors(path)
    if head.startswith((_ZIP, _PICKLE)):
        return _read_pickle(path)
    raise ModelError(
        f"{path} is not a checkpoint: it is neither a .pt file nor safetensors"
        f"{' but empty' if not head else ''}.",
        "Choose a SAM 2.1 checkpoint; if this one was downloaded, download it again.",
        path,
    )


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({named.group(1)})" if named else ""
        raise ModelError(
            f"{path} was not loaded: it contains more than weights{what}, and reading it would "
            "run code from the file.",
            "Ask its author for the weights alone, as safetensors or a plain state dict.",
            path,
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> ModelError:
    first_line = reason.strip().partition("\n")[0][:120]
    return ModelError(
        f"The checkpoint {path} is truncated or damaged ({first_line}).",
        "Copy or download it again.",
        path,
    )


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """The mapping of names to tensors inside what training code wraps around it."""
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise _no_weights(path)
    if not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise _no_weights(path)
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _no_weights(path: Path) -> ModelError:
    return ModelError(
        f"{path} holds no model weights (a mapping of names to tensors, bare or under "
        f"{' or '.join(repr(w) for w in _WRAPPERS)}).",
        "Choose a SAM 2.1 checkpoint.",
        path,
    )


def _some(names: Any) -> str:
    names = list(names)
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
