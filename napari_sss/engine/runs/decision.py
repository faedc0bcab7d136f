"""What a person decided on a run's model, kept in the run's folder."""

from __future__ import annotations

from pathlib import Path

from napari_sss.engine.modelstore.card import (
    ClassScore,
    DataCounts,
    HeldOutScores,
    StoredModel,
)
from napari_sss.engine.modelstore.store import ModelStore
from napari_sss.engine.runs.files import GATE_NAME, SNAPSHOT_NAME, read_json
from napari_sss.engine.runs.verdict import Judgement
from napari_sss.engine.volumes.atomic import write_json

DECISION_NAME = "decision.json"
ADOPTED, KEPT = "adopted", "kept"


def adopt(project: Path, folder: Path) -> StoredModel:
    """Keep a run's model among the project's and use it from now on.

    Parameters
    ----------
    project, folder : Path
        The project's and the run's.

    Raises
    ------
    ModelError
        The run has no model.
    WriteError
        The project cannot be written.
    """
    model = ModelStore(project).adopt(folder, scores=scores_of(folder), data=counts_of(folder))
    write_json({"decision": ADOPTED, "model": model.id}, folder / DECISION_NAME)
    return model


def keep_the_old(folder: Path) -> None:
    """Note that the model in use stays; the run's own stays in its folder.

    Raises
    ------
    WriteError
        The folder cannot be written.
    """
    write_json({"decision": KEPT}, folder / DECISION_NAME)


def decision_of(folder: Path) -> str:
    """``"adopted"``, ``"kept"``, or "" where nothing was decided."""
    return str((read_json(folder / DECISION_NAME) or {}).get("decision", ""))


def scores_of(folder: Path) -> HeldOutScores | None:
    """What the gate found for the model's card; None where no case was held out."""
    content = read_json(folder / GATE_NAME)
    if content is None:
        return None
    found = Judgement.from_json(content["judgement"])
    if found.mean.new is None or not content.get("new"):
        return None
    classes = {
        line.name: ClassScore(mean=line.new, sd=line.new_sd, cases=line.cases)
        for line in found.classes
        if line.new is not None
    }
    mean = found.mean
    return HeldOutScores(mean=mean.new, sd=mean.new_sd, cases=mean.cases, classes=classes)


def counts_of(folder: Path) -> DataCounts | None:
    """What the run learned from, for the model's card."""
    counts = (read_json(folder / SNAPSHOT_NAME) or {}).get("counts")
    if not counts:
        return None
    return DataCounts(
        labelled_cases=counts.get("labelled_cases"),
        labelled_slices=counts.get("labelled_slices"),
        pool_cases=counts.get("unlabelled_cases"),
        held_out_cases=counts.get("held_out_cases"),
    )
