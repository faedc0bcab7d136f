"""A trained model's folder: SAM-2's weights and card, and beside them what SSS adds.

``model.safetensors`` and ``model.json`` are a SAM-2 that every command takes; the card's
key ``sss`` and ``semantic.safetensors`` hold the classes, the head and DFE.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from napari_sss.engine.errors import ModelError
from napari_sss.engine.models.architecture import build_sam2
from napari_sss.engine.models.checkpoint import read_card, write_checkpoint
from napari_sss.engine.models.files import cached_sha256, writing
from napari_sss.engine.models.loading import WEIGHTS_NAME, load_model
from napari_sss.engine.models.sss.focus import Focus
from napari_sss.engine.models.sss.lora import merged_state
from napari_sss.engine.models.sss.memory_bank import SelfSortingMemoryBank
from napari_sss.engine.models.sss.segmenter import Segmenter, SegmenterConfig

SEMANTIC_NAME = "semantic.safetensors"
CARD_KEY = "sss"

_BANK = "bank."


class TrainedFacts(BaseModel):
    """What a trained model's card says under ``sss``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: dict[str, int] = Field(description="Name to label value, in the head's order.")
    segmenter: SegmenterConfig
    window: str | None = Field(None, description="Intensity window it was trained with.")
    spacing: tuple[float, float, float] | None = Field(
        None, description="Spacing that was used instead of the files'."
    )
    focus: Focus | None = Field(None, description="What it learned of where to look.")
    strategy: str = Field("", description="Method that trained it.")
    semantic_sha256: str = Field("", description="SHA-256 of the file of what SSS adds.")


@dataclass(frozen=True)
class TrainedModel:
    """A network with what is needed to use it on a volume."""

    segmenter: Segmenter
    facts: TrainedFacts
    folder: Path


def save_trained(
    folder: Path, segmenter: Segmenter, facts: TrainedFacts, card: Mapping[str, Any]
) -> None:
    """Write a model's folder; the card comes last, and fits only the weights beside it.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    segmenter : Segmenter
        Left as it is; what LoRA learned is written into the stored weights.
    facts : TrainedFacts
        Its SHA-256 is filled in.
    card : mapping
        Further facts for the card: training, data, scores, licence.

    Raises
    ------
    WriteError
        The folder cannot be written.
    """
    net = build_sam2(segmenter.sam2.architecture)
    net.load_state_dict(merged_state(segmenter.net))
    added = {k: v.detach().cpu().contiguous() for k, v in segmenter.added.state_dict().items()}
    content = save(added | _stored_banks(segmenter))
    complete = facts.model_copy(update={"semantic_sha256": hashlib.sha256(content).hexdigest()})
    path = folder / SEMANTIC_NAME
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".part")
        fresh.write_bytes(content)
        fresh.replace(path)
    described = {
        **card,
        "architecture": segmenter.sam2.architecture.model_dump(mode="json"),
        CARD_KEY: complete.model_dump(mode="json"),
    }
    write_checkpoint(folder / WEIGHTS_NAME, net, described)


def load_trained(
    folder: Path,
    *,
    device: str | torch.device | None = None,
    image_size: int | None = None,
    precision: torch.dtype | None = None,
) -> TrainedModel:
    """Load what :func:`save_trained` wrote.

    Parameters
    ----------
    folder : Path
        A run's folder, or any model folder with a semantic head.
    device, image_size, precision
        As for :func:`~napari_sss.engine.models.loading.load_model`.

    Raises
    ------
    ModelError
        It is no trained model, or its files do not belong together.
    """
    facts = read_facts(folder)
    path = folder / SEMANTIC_NAME
    if not path.is_file() or cached_sha256(path) != facts.semantic_sha256:
        raise ModelError(
            f"{path} is missing or does not belong to the card beside it.",
            "Copy the whole folder of the training again.",
            path,
        )
    sam2 = load_model(folder, device=device, image_size=image_size, precision=precision)
    segmenter = Segmenter(sam2, facts.segmenter)
    try:
        tensors = load_file(path)
        own = {k: v for k, v in tensors.items() if not k.startswith(_BANK)}
        segmenter.added.load_state_dict(own)
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{path} does not fit the model ({reason}).", "Train it again.", path
        ) from error
    segmenter.banks = _restored_banks(tensors, sam2.image_size // 16)
    return TrainedModel(segmenter.eval(), facts, folder)


def read_facts(folder: Path) -> TrainedFacts:
    """The card's part on the semantic head.

    Raises
    ------
    ModelError
        The folder holds no trained model, or one without a semantic head.
    """
    card = read_card(folder / WEIGHTS_NAME) if folder.is_dir() else None
    if card is None:
        raise ModelError(
            f"{folder} holds no trained model.",
            "Give the folder of a training that has written its first model.",
            folder,
        )
    content = (card.model_extra or {}).get(CARD_KEY)
    if content is None:
        raise ModelError(
            f"The model in {folder} has no semantic head.",
            "Choose a model that napari-sss train made.",
            folder,
        )
    try:
        return TrainedFacts.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"The card in {folder} is not valid ({first['msg']}).",
            "Restore the card that came with the weights.",
            folder,
        ) from error


def _stored_banks(segmenter: Segmenter) -> dict[str, Tensor]:
    """The memories in half precision, by class."""
    return {
        f"{_BANK}{place}.{name}": (
            tensor.cpu().to(torch.float16) if name != "iou" else tensor
        ).contiguous()
        for place, bank in segmenter.banks.items()
        for name, tensor in bank.tensors().items()
    }


def _restored_banks(
    tensors: Mapping[str, Tensor], side: int
) -> dict[int, SelfSortingMemoryBank]:
    """The memories by class; none at another image size, where they would not fit."""
    by_class: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(_BANK):
            _, place, name = key.split(".")
            by_class.setdefault(int(place), {})[name] = tensor.to(
                torch.float64 if name == "iou" else torch.float32
            )
    banks = {}
    for number, found in by_class.items():
        if found["memory"].shape[-1] == side:
            banks[number] = SelfSortingMemoryBank(len(found["iou"]))
            banks[number].restore(found)
    return banks
