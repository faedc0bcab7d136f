"""The models of a project: ``PROJECT/models/``, a folder for each, and which one is used.

::

    PROJECT/models/store.json        what was activated when (adoptions.py)
    PROJECT/models/m0001/            model.safetensors, model.json, semantic.safetensors,
                                     card.json

A model appears and goes in one renaming, so that a killed process leaves a whole model or
none. Several processes may use one store: changes wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import ModelError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.registry import model_names
from napari_sss.engine.modelstore.adoptions import (
    read_state,
    write_state,
)
from napari_sss.engine.modelstore.card import (
    CARD_NAME,
    MODEL_FILES,
    DataCounts,
    FileFacts,
    HeldOutScores,
    StoredCard,
    StoredModel,
    card_json,
    checked_name,
    content_hash,
)
from napari_sss.engine.modelstore.events import events
from napari_sss.engine.modelstore.files import (
    copy_hashed,
    discard,
    held,
    put_in_place,
    readable,
    unfinished,
)
from napari_sss.engine.modelstore.listing import ID, ModelShelf, number_of
from napari_sss.engine.modelstore.provenance import (
    check_together,
    created,
    data_counts,
    network_card,
    parents,
    training_facts,
)
from napari_sss.engine.volumes.atomic import write_json

RUNS = "runs"

Fill = Callable[[Path, JobControl], dict[str, FileFacts]]


class ModelStore(ModelShelf):
    """The models of a project, and everything that can be done to them.

    Parameters
    ----------
    project : Path
        The project's folder. Nothing is written before something is to be kept.
    """

    def activate(self, model: str, control: JobControl | None = None) -> str:
        """Use a model from now on; one of the project is verified before.

        Parameters
        ----------
        model : str
            An id of the project, or a name of the registry.
        control : JobControl, optional
            May cancel the verifying.

        Returns
        -------
        str
            ``model``.

        Raises
        ------
        ModelError
            It is not there, or damaged; the former one stays active.
        WriteError
            The project cannot be written.
        """
        if model not in model_names():
            self.verify(model, control)
        with held(self.folder):
            state = read_state(self.folder)
            if self._stack(state)[-1] != model:
                write_state(state.with_step("activate", model), self.folder)
        events.changed.emit(self.folder)
        return model

    def roll_back(self) -> str:
        """Use again what was used before; returns it.

        Raises
        ------
        ModelError
            Nothing was used before.
        """
        with held(self.folder):
            state = read_state(self.folder)
            before = self._stack(state)
            if len(before) < 2:
                raise ModelError(
                    "No other model was used before.", "Activate the one that you want."
                )
            # Steps whose models are gone are passed over; each roll back takes one off.
            while self._stack(state) == before:
                state = state.with_step("roll back", before[-2])
            write_state(state, self.folder)
        events.changed.emit(self.folder)
        return self._stack(state)[-1]

    # -- keeping ------------------------------------------------------------------------

    def add(
        self,
        run: Path | str,
        *,
        name: str = "",
        scores: HeldOutScores | None = None,
        data: DataCounts | None = None,
        control: JobControl | None = None,
    ) -> StoredModel:
        """Keep the model that a training made, without using it yet.

        Parameters
        ----------
        run : Path
            The training's folder, or any folder of a trained model; it stays as it is.
        name : str
            What it is called; by default the method and a number.
        scores : HeldOutScores, optional
            What it reached on held-out cases.
        data : DataCounts, optional
            What it learned from; by default what the run's own files tell.
        control : JobControl, optional
            May cancel.

        Returns
        -------
        StoredModel
            The model; where the same weights were kept before, that one.

        Raises
        ------
        ModelError
            The folder holds no trained model, or its files do not belong together.
        WriteError
            The project cannot be written, or has no room; nothing was kept.
        """
        run = Path(run)
        network = network_card(run)
        facts = training_facts(network)
        facts |= {"created": created(run), "data": data or data_counts(run, network)}
        facts |= {"run": run.name if run.parent == self.project / RUNS else None}
        facts |= {"scores": scores, "parents": parents(network, self.models)}

        def copy(made: Path, control: JobControl) -> dict[str, FileFacts]:
            files = {}
            for file in MODEL_FILES:
                with readable(run / file), (run / file).open("rb") as stream:
                    files[file] = copy_hashed(stream, made / file, control)
            check_together(network_card(made), files, run)
            return files

        kept = self.keep(copy, facts, name, control)
        return kept if scores is None else self._with_scores(kept, scores)

    def adopt(
        self,
        run: Path | str,
        *,
        name: str = "",
        scores: HeldOutScores | None = None,
        data: DataCounts | None = None,
        control: JobControl | None = None,
    ) -> StoredModel:
        """Keep the model that a training made, and use it; parameters as of :meth:`add`."""
        model = self.add(run, name=name, scores=scores, data=data, control=control)
        self.activate(model.id, control)
        return model

    def rename(self, model_id: str, name: str) -> StoredModel:
        """Call a model otherwise.

        Raises
        ------
        ModelError
            The name cannot be used, or another model has it.
        """
        name = checked_name(name)
        with held(self.folder):
            model = self.get(model_id)
            self._require_free(name, but=model_id)
            return self._rewritten(model, {"name": name})

    def delete(self, model_id: str) -> None:
        """Remove a model for good; not the one that is used.

        Raises
        ------
        ModelError
            It is used, or not there.
        WriteError
            It cannot be removed.
        """
        with held(self.folder):
            if self.active == model_id:
                raise ModelError(
                    "This model is in use.", "Activate another one first, then delete it."
                )
            folder = self.folder / model_id
            if not ID.fullmatch(model_id) or not folder.is_dir():
                raise ModelError(f"The project has no model {model_id!r}.", "")
            discard(folder)
        events.changed.emit(self.folder)

    def keep(
        self, fill: Fill, facts: dict[str, Any], name: str, control: JobControl | None = None
    ) -> StoredModel:
        """Make a new model of this store.

        Parameters
        ----------
        fill : callable
            ``fill(folder, control)`` puts the model's files into a folder and tells their
            sizes and SHA-256s; it raises where they cannot be used.
        facts : dict
            The other fields of the card.
        name : str
            The name wished for; where it is taken a number is added.
        control : JobControl, optional
            May cancel.

        Returns
        -------
        StoredModel
            The new model, or the one there is with the same content.
        """
        control = control or JobControl()
        if name:
            name = checked_name(name)
        with held(self.folder), unfinished(self.folder) as made:
            files = fill(made, control)
            for known in self.models:
                if known.sha256 == content_hash(files):
                    return known
            state = read_state(self.folder)
            number = 1 + max([state.highest, *(number_of(f) for f in self._folders())])
            model_id = f"m{number:04d}"
            free = self._free_name(name or f"{_title(facts)} {number}")
            card = StoredCard(id=model_id, name=free, files=files, **facts)
            write_json(card_json(card), made / CARD_NAME)
            # The number first: should the power fail in between, it is passed over.
            write_state(state.model_copy(update={"highest": number}), self.folder)
            put_in_place(made, self.folder / model_id)
        events.changed.emit(self.folder)
        return StoredModel(model_id, self.folder / model_id, card)

    # -- inside -------------------------------------------------------------------------

    def _with_scores(self, model: StoredModel, scores: HeldOutScores) -> StoredModel:
        """The model with the scores of its latest comparison."""
        if model.card.scores == scores:
            return model
        with held(self.folder):
            return self._rewritten(model, {"scores": scores})

    def _rewritten(self, model: StoredModel, changes: dict[str, Any]) -> StoredModel:
        card = model.card.model_copy(update=changes)
        write_json(card_json(card), model.folder / CARD_NAME)
        events.changed.emit(self.folder)
        return replace(model, card=card)

    def _require_free(self, name: str, but: str = "") -> None:
        if any(m.name == name for m in self.models if m.id != but) or name in model_names():
            raise ModelError(f"There is a model {name!r} already.", "Choose another name.")

    def _free_name(self, name: str) -> str:
        taken = {model.name for model in self.models} | set(model_names())
        tries = (name if k == 1 else f"{name[:70]} ({k})" for k in range(1, len(taken) + 2))
        return next(text for text in tries if text not in taken)


def _title(facts: dict[str, Any]) -> str:
    strategy = str(facts.get("strategy") or "")
    return strategy.upper() if len(strategy) <= 3 else strategy.capitalize() or "Model"
