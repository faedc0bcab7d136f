"""What a finished training's folder tells of the model that came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import ModelError
from napari_sss.engine.models.registry import EMBEDDED, entry, model_names
from napari_sss.engine.modelstore.card import (
    NETWORK_CARD,
    SEMANTIC,
    WEIGHTS,
    DataCounts,
    FileFacts,
    Parent,
    StoredModel,
)

_FACTS, _TRAINING = "sss", "training"


def network_card(folder: Path) -> dict[str, Any]:
    """The network's own card in a trained model's folder.

    Raises
    ------
    ModelError
        The folder holds no trained model with a semantic head.
    """
    path = folder / NETWORK_CARD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} holds no trained model: its {NETWORK_CARD} cannot be read.",
            "Choose the folder of a training that has written its first model, or what Export "
            "made.",
            folder,
        ) from error
    facts = content.get(_FACTS) if isinstance(content, dict) else None
    if not isinstance(facts, dict) or not isinstance(facts.get("classes"), dict):
        raise ModelError(
            f"The model in {folder} knows no classes.",
            "Choose a model that was fine-tuned by napari-sss.",
            folder,
        )
    return content


def check_together(card: dict[str, Any], files: dict[str, FileFacts], folder: Path) -> None:
    """Refuse files that are not those of the card beside them.

    Raises
    ------
    ModelError
        A file's SHA-256 is another one: damaged, or written again while it was copied.
    """
    wanted = {WEIGHTS: card.get("sha256"), SEMANTIC: card[_FACTS].get("semantic_sha256")}
    for name, sha256 in wanted.items():
        if files[name].sha256 != sha256:
            raise ModelError(
                f"{folder / name} does not belong to the card beside it.",
                "Wait until the training has written its model, or copy the folder again.",
                folder / name,
            )


def created(folder: Path) -> str:
    """When a model's card was written, ISO 8601 in UTC."""
    written = (folder / NETWORK_CARD).stat().st_mtime
    return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")


def training_facts(card: dict[str, Any]) -> dict[str, Any]:
    """Fields of the stored card that the network's card tells."""
    training = card.get(_TRAINING) or {}
    facts = card[_FACTS]
    return {
        "strategy": str(facts.get("strategy") or training.get("strategy") or ""),
        "classes": dict(facts["classes"]),
        "steps": training.get("steps"),
        "seconds": training.get("seconds"),
        "image_size": (card.get("architecture") or {}).get("image_size"),
        "licence": str(card.get("licence") or "unknown"),
    }


def data_counts(folder: Path, card: dict[str, Any]) -> DataCounts:
    """What was learned from, as the run's list of cases and the card tell."""
    training = card.get(_TRAINING) or {}
    counts: dict[str, Any] = {"labelled_slices": training.get("labelled_slices")}
    try:
        lists = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        lists = {}
    for field, role in (("labelled_cases", "labelled"), ("pool_cases", "unlabelled")):
        if isinstance(lists.get(role), list):
            counts[field] = len(lists[role])
    if counts.get("pool_cases") is None:
        counts["pool_cases"] = training.get("unlabelled_volumes")
    return DataCounts(**counts)


def parents(card: dict[str, Any], known: Sequence[StoredModel]) -> tuple[Parent, ...]:
    """The models this one was trained from, the nearest first.

    A parent is recognised by the SHA-256 of its weights, wherever it was read from; its own
    parents follow.
    """
    training = card.get(_TRAINING) or {}
    name, sha256 = str(training.get("base_model") or ""), str(training.get("base_sha256") or "")
    for model in known:
        if sha256 and model.card.files[WEIGHTS].sha256 == sha256:
            own = Parent(name=model.name, sha256=sha256, model_id=model.id)
            return (own, *model.card.parents)
    if not name and not sha256:
        return ()
    if name in model_names():
        name = entry(name).title
    return (Parent(name=name or EMBEDDED, sha256=sha256),)
