"""What a project knows of one of its models: ``card.json`` in the model's folder.

The network's own card (``model.json``) says how to build it and is never changed. This one
says where the model comes from and what it is worth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_sss.engine.errors import ModelError

CARD_NAME = "card.json"
CARD_FORMAT = "napari-sss model"
CARD_VERSION = 1

WEIGHTS, NETWORK_CARD, SEMANTIC = "model.safetensors", "model.json", "semantic.safetensors"
MODEL_FILES = (WEIGHTS, NETWORK_CARD, SEMANTIC)
"""What a trained model consists of, beside the project's card."""

LONGEST_NAME = 80


class _Part(BaseModel):
    """Frozen; what a newer program of the same version adds is read over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FileFacts(_Part):
    """A file's size in bytes and SHA-256."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Parent(_Part):
    """A model that this one was trained from."""

    name: str = Field(description="As it was called then, or the registry's name.")
    sha256: str = Field("", description="Of its weights.")
    model_id: str | None = Field(None, description="Its id, where it is one of the project's.")


class DataCounts(_Part):
    """What a model learned from; None where it is not known."""

    labelled_cases: int | None = None
    labelled_slices: int | None = None
    pool_cases: int | None = Field(None, description="Cases without labels.")
    held_out_cases: int | None = Field(None, description="Never learned from.")


class ClassScore(_Part):
    """Dice of one class over held-out cases, 0 to 1."""

    mean: float
    sd: float | None = Field(None, description="Over the cases; None for a single one.")
    cases: int = Field(ge=0)


class HeldOutScores(_Part):
    """What a model reached on cases that neither it nor its parents learned from."""

    mean: float = Field(description="Dice, mean over classes, 0 to 1.")
    sd: float | None = None
    cases: int = Field(ge=0)
    classes: dict[str, ClassScore] = Field(default_factory=dict)
    how: str = Field("held-out cases", description="How it was measured, in a few words.")


class StoredCard(_Part):
    """A model's card in a project."""

    format: str = CARD_FORMAT
    version: int = CARD_VERSION
    id: str
    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    created: str = Field(description="When it was trained, ISO 8601 in UTC.")
    strategy: str = ""
    classes: dict[str, int] = Field(default_factory=dict, description="Label value by name.")
    parents: tuple[Parent, ...] = Field((), description="The nearest first.")
    data: DataCounts = DataCounts()
    scores: HeldOutScores | None = None
    steps: int | None = None
    seconds: float | None = None
    image_size: int | None = None
    licence: str = "unknown"
    run: str | None = Field(None, description="Folder name of the training in the project.")
    imported_from: str | None = Field(None, description="Its id where it came from.")
    files: dict[str, FileFacts]


@dataclass(frozen=True)
class StoredModel:
    """A model of a project.

    Parameters
    ----------
    id : str
        Never given again in the project, for instance ``"m0003"``.
    folder : Path
        What ``load_model`` and ``load_trained`` take.
    card : StoredCard
        What is known of it.
    """

    id: str
    folder: Path
    card: StoredCard

    @property
    def name(self) -> str:
        """What people call it."""
        return self.card.name

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(facts.size for facts in self.card.files.values())

    @property
    def sha256(self) -> str:
        """Of its content: the same for the same weights, wherever they lie."""
        return content_hash(self.card.files)


def content_hash(files: Mapping[str, FileFacts]) -> str:
    """One SHA-256 of several files' names and SHA-256s."""
    digest = hashlib.sha256()
    for name, facts in sorted(files.items()):
        digest.update(f"{name}|{facts.sha256}\n".encode())
    return digest.hexdigest()


def read_stored_card(folder: Path) -> StoredCard:
    """Read the card in a model's folder.

    Raises
    ------
    ModelError
        It is missing, not valid, or of a newer program.
    """
    path = folder / CARD_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}.",
            "Restore the folder from a backup, or export the model again where it came from.",
            path,
        ) from error
    return parse_card(text, path)


def parse_card(text: str, path: Path) -> StoredCard:
    """A card's content; ``path`` names it in errors.

    Raises
    ------
    ModelError
        See :func:`read_stored_card`.
    """
    try:
        card = StoredCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        raise ModelError(
            f"{path} is not the card of a model ({where}: {first['msg']}).",
            "Export the model again where it came from.",
            path,
        ) from error
    if card.format != CARD_FORMAT:
        raise ModelError(
            f"{path} is not the card of a napari-sss model.", "Choose what Export made.", path
        )
    if card.version > CARD_VERSION:
        raise ModelError(
            f"{path} was written by a newer napari-sss (version {card.version} of the card).",
            "Update napari-sss.",
            path,
        )
    if set(card.files) != set(MODEL_FILES):
        raise ModelError(
            f"{path} names the files {', '.join(sorted(card.files)) or 'none'} instead of "
            f"{', '.join(sorted(MODEL_FILES))}.",
            "Export the model again where it came from.",
            path,
        )
    return card


def checked_name(name: str) -> str:
    """A model's name as it is kept.

    Raises
    ------
    ModelError
        If it is empty, too long, or holds a line break or another control character.
    """
    name = name.strip()
    if not name:
        raise ModelError("A model needs a name.", "Give it one.")
    if len(name) > LONGEST_NAME:
        raise ModelError(
            f"The name has {len(name)} characters.", f"Use at most {LONGEST_NAME}."
        )
    if not name.isprintable():
        raise ModelError("The name holds a character that cannot be shown.", "Remove it.")
    return name


def card_json(card: StoredCard) -> dict[str, Any]:
    """A card as plain JSON content."""
    return card.model_dump(mode="json")
