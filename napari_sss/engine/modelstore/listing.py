"""What models a project has, and which of them is used: looking, without changing anything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import ModelError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.registry import model_names
from napari_sss.engine.modelstore.adoptions import Adoption, StoreState, read_state
from napari_sss.engine.modelstore.card import (
    StoredModel,
    card_json,
    read_stored_card,
)
from napari_sss.engine.modelstore.files import hashed

MODELS = "models"
ID = re.compile(r"m(\d{4,})")


@dataclass(frozen=True)
class Listing:
    """Everything there is in a store.

    Parameters
    ----------
    models : tuple of StoredModel
        By number, the oldest first.
    damaged : tuple of (Path, str)
        Folders of models that cannot be used, and why.
    """

    models: tuple[StoredModel, ...]
    damaged: tuple[tuple[Path, str], ...] = ()


class ModelShelf:
    """The models of a project, to be looked at.

    Parameters
    ----------
    project : Path
        The project's folder. Nothing is written before something is to be kept.
    """

    def __init__(self, project: Path | str) -> None:
        self.project = Path(project)
        self.folder = self.project / MODELS

    # -- looking ------------------------------------------------------------------------

    def listing(self) -> Listing:
        """All models; what is damaged is named and does not hide the others.

        Only sizes are looked at, not contents: that is for :meth:`verify`.
        """
        models, damaged = [], []
        for folder in self._folders():
            try:
                models.append(_stored(folder))
            except ModelError as error:
                damaged.append((folder, str(error)))
        return Listing(tuple(models), tuple(damaged))

    @property
    def models(self) -> tuple[StoredModel, ...]:
        """The usable models, the oldest first."""
        return self.listing().models

    def get(self, model_id: str) -> StoredModel:
        """One model.

        Raises
        ------
        ModelError
            There is none of this id, or it is damaged.
        """
        folder = self.folder / model_id
        if not ID.fullmatch(model_id) or not folder.is_dir():
            raise ModelError(
                f"The project has no model {model_id!r}.", "Choose one of those listed."
            )
        return _stored(folder)

    def named(self, name: str) -> StoredModel:
        """The model of this name or id.

        Raises
        ------
        ModelError
            There is none.
        """
        for model in self.models:
            if name in (model.name, model.id):
                return model
        known = ", ".join(model.name for model in self.models) or "none yet"
        raise ModelError(f"The project has no model {name!r}.", f"It has: {known}.")

    def verify(self, model_id: str, control: JobControl | None = None) -> StoredModel:
        """Read all files of a model and compare them with its card.

        Raises
        ------
        ModelError
            A file is missing or not the one that was stored.
        """
        model, control = self.get(model_id), control or JobControl()
        for name, facts in model.card.files.items():
            if hashed(model.folder / name, control) != facts:
                raise _changed(model.folder / name)
        return model

    # -- what is used -------------------------------------------------------------------

    @property
    def active(self) -> str:
        """What is used: an id of the project, or a name of the registry.

        Raises
        ------
        ModelError
            The file that tells it is damaged.
        """
        return self._stack()[-1]

    @property
    def active_model(self) -> StoredModel | None:
        """The project's model that is used; None where it is one of the registry."""
        active = self.active
        return None if active in model_names() else self.get(active)

    @property
    def previous(self) -> str | None:
        """What a roll back leads to; None where there is nothing to go back to."""
        stack = self._stack()
        return stack[-2] if len(stack) > 1 else None

    @property
    def passed_over(self) -> str:
        """The model that should be used and cannot, for it is damaged or gone; else ""."""
        wanted = read_state(self.folder).stack(lambda _: True)[-1]
        return "" if self._usable(wanted) else wanted

    @property
    def history(self) -> tuple[Adoption, ...]:
        """Everything that was activated and rolled back, the oldest first."""
        return read_state(self.folder).log

    # -- inside -------------------------------------------------------------------------

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        found = (path for path in self.folder.iterdir() if ID.fullmatch(path.name))
        return sorted((path for path in found if path.is_dir()), key=number_of)

    def _stack(self, state: StoreState | None = None) -> tuple[str, ...]:
        state = read_state(self.folder) if state is None else state

        return state.stack(self._usable)

    def _usable(self, model: str) -> bool:
        """Whether a model is there and, by its card and its files' sizes, whole."""
        if model in model_names():
            return True
        try:
            self.get(model)
        except ModelError:
            return False
        return True


def _stored(folder: Path) -> StoredModel:
    """A model by its folder, its files' sizes looked at."""
    card = read_stored_card(folder)
    if card.id != folder.name:
        raise ModelError(
            f"{folder} holds the model {card.id}.",
            "Folders of models are not to be renamed or copied: use Export and Import.",
            folder,
        )
    for name, facts in card.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != facts.size:
            raise _changed(path)
    return StoredModel(card.id, folder, card)


def _changed(path: Path) -> ModelError:
    return ModelError(
        f"{path} is missing or not the file that was stored.",
        "Restore it from a backup, import the model again, or delete it.",
        path,
    )


def number_of(folder: Path) -> int:
    """The number in the name of a model's folder."""
    return int(folder.name[1:])


def model_reference(project: Path, model: str) -> str:
    """What ``load_model`` takes for a model of a project or of the registry.

    Parameters
    ----------
    project : Path
        The project's folder.
    model : str
        As :attr:`ModelStore.active` gives it.
    """
    return model if model in model_names() else str(project / MODELS / model)


def facts_json(model: StoredModel) -> dict[str, Any]:
    """A model as plain content: its card, its size and its content's SHA-256."""
    return {**card_json(model.card), "size": model.size, "sha256": model.sha256}
