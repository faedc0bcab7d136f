"""The gate: a new model against the one in use, on cases that neither has learned from.

What it finds lies in the run's ``gate.json``, and both models' masks of every case that was
looked at in ``gate/``, so that the viewer can show them at once. It adopts nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import InputError, ModelError
from napari_sss.engine.inference.prediction import predict_volume
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sss.trained import TrainedModel, load_trained
from napari_sss.engine.project.paths import safe_name
from napari_sss.engine.runs.files import GATE_FOLDER, GATE_NAME
from napari_sss.engine.runs.request import RunRequest
from napari_sss.engine.runs.snapshot import Snapshot
from napari_sss.engine.runs.verdict import judged
from napari_sss.engine.training.data.cases import Case
from napari_sss.engine.training.data.preparing import (
    IGNORE,
    read_case_labels,
    read_case_volume,
)
from napari_sss.engine.training.metrics import overlap_scores
from napari_sss.engine.volumes.atomic import write_json
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_labels

log = logging.getLogger(__name__)

FORMAT = "napari-sss gate"
LEAST_TO_LOOK_AT = 4
"""Cases whose masks are made; where fewer are held out, cases of the pool are added."""


@dataclass(frozen=True)
class Looked:
    """A case that both models have predicted.

    Parameters
    ----------
    case_id, name : int, str
        The project's.
    kind : {"held-out", "pool", "learned"}
        What it is to the run; only held-out ones count for the verdict.
    agreement : float, optional
        Mean Dice of the two models' masks with each other: low where they differ most. None
        where the model in use cannot name classes.
    gain : float, optional
        Difference of their mean Dice against the truth.
    new_file, old_file : str
        Masks, relative to the run's folder; ``old_file`` is empty where there is none.
    """

    case_id: int
    name: str
    kind: str
    agreement: float | None
    gain: float | None
    new_file: str
    old_file: str = ""


def judge(folder: Path, request: RunRequest, data: Snapshot, control: JobControl) -> None:
    """Compare a run's model with the one in use, and write what was found.

    Parameters
    ----------
    folder : Path
        The run's, which holds its model.
    request : RunRequest
        Names the model in use.
    data : Snapshot
        Names the held-out cases.
    control : JobControl
        Told each case; may cancel.

    Raises
    ------
    ModelError
        The run's own model cannot be loaded.
    WriteError
        The result cannot be written.
    """
    device = request.config.device
    new = load_trained(folder, device=device)
    old, why_not = _current(request, data, device)
    gate = _Gate(folder, data, new, old)
    cases = _to_look_at(data)
    for number, (case, kind) in enumerate(cases):
        control.report("comparing the models", number, len(cases))
        gate.look(case, kind, control)
    control.report("comparing the models", len(cases), len(cases))
    gate.write(request.current, why_not)


class _Gate:
    """Both models on one case after another."""

    def __init__(
        self, folder: Path, data: Snapshot, new: TrainedModel, old: TrainedModel | None
    ) -> None:
        self._folder, self._data, self._new, self._old = folder, data, new, old
        self._scores: dict[str, dict[str, dict[str, float | None]]] = {"new": {}, "old": {}}
        self._looked: list[Looked] = []
        self._left_out: dict[str, str] = {}

    def look(self, case: Case, kind: str, control: JobControl) -> None:
        """Predict a case by both models; score it where it is held out."""
        try:
            volume = read_case_volume(case)
            truth = None
            if kind == "held-out":
                places = {value: value for value in self._data.classes.values()}
                truth = read_case_labels(case, volume.grid, places)
        except InputError as error:
            log.warning("%s is left out: %s", case.name, error)
            self._left_out[case.name] = str(error)
            return
        new = self._predicted(volume, self._new, control)
        old = None if self._old is None else self._predicted(volume, self._old, control)
        gain = None
        if truth is not None:
            self._scores["new"][case.name] = self._dice(new, truth)
            if old is not None:
                self._scores["old"][case.name] = self._dice(old, truth)
                gain = self._mean("new", case.name) - self._mean("old", case.name)
        agreement = None if old is None else _known_mean(self._dice(new, old))
        self._looked.append(
            Looked(
                self._data.case_ids.get(case.name, 0),
                case.name,
                kind,
                agreement,
                gain,
                self._kept(new, volume, case, "new"),
                "" if old is None else self._kept(old, volume, case, "old"),
            )
        )

    def write(self, current: str, why_not_compared: str) -> None:
        """Write what was found, the cases that differ most first."""
        compared = self._old is not None
        found = judged(
            tuple(self._data.classes),
            self._scores["new"],
            self._scores["old"] if compared else None,
        )
        looked = sorted(self._looked, key=_most_worth_a_look)
        content: dict[str, Any] = {
            "format": FORMAT,
            "current": current,
            "why_not_compared": why_not_compared,
            "classes": self._data.classes,
            "judgement": found.as_json(),
            "new": self._scores["new"],
            "old": self._scores["old"],
            "looked": [asdict(one) for one in looked],
            "left_out": self._left_out,
        }
        write_json(content, self._folder / GATE_NAME)

    def _predicted(
        self, volume: Volume, trained: TrainedModel, control: JobControl
    ) -> NDArray[np.uint8]:
        """Labels with the run's values, whatever those of the model are."""
        labels = predict_volume(volume, trained, control=control).labels()
        table = np.zeros(256, dtype=np.uint8)
        for name, value in trained.facts.classes.items():
            table[value] = self._data.classes.get(name, 0)
        return table[labels]

    def _dice(
        self, predicted: NDArray[np.uint8], truth: NDArray[np.uint8]
    ) -> dict[str, float | None]:
        known = truth != IGNORE
        found: dict[str, float | None] = {}
        for name, value in self._data.classes.items():
            dice = overlap_scores((predicted == value) & known, truth == value)["dice"]
            found[name] = dice if np.isfinite(dice) else None
        return found

    def _mean(self, which: str, case: str) -> float:
        return _known_mean(self._scores[which][case]) or 0.0

    def _kept(self, labels: NDArray[np.uint8], volume: Volume, case: Case, which: str) -> str:
        """Write a mask; where it goes, relative to the run's folder."""
        name = f"{GATE_FOLDER}/{safe_name(case.name)}_{which}.nii.gz"
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        write_labels(labels, volume.grid, path, sidecar={"classes": self._data.classes})
        return name


def _current(
    request: RunRequest, data: Snapshot, device: str
) -> tuple[TrainedModel | None, str]:
    """The model in use if it can name a class of the run's, else why it is not compared."""
    path = Path(request.current)
    if not request.current or not path.is_dir():
        return None, "The model in use only follows prompts: it cannot name classes by itself."
    try:
        trained = load_trained(path, device=device)
    except ModelError as error:
        return None, f"The model in use could not be compared: {error}"
    if not set(trained.facts.classes) & set(data.classes):
        return None, "The model in use knows none of these classes."
    return trained, ""


def _to_look_at(data: Snapshot) -> list[tuple[Case, str]]:
    """The held-out cases and, where they are few, some of the pool or of those learned."""
    cases = [(case, "held-out") for case in data.held_out]
    missing = LEAST_TO_LOOK_AT - len(cases)
    more: Sequence[Case] = data.lists.unlabelled or data.lists.labelled
    kind = "pool" if data.lists.unlabelled else "learned"
    if missing > 0 and more:
        step = max(1, len(more) // missing)
        cases += [(case, kind) for case in more[::step][:missing]]
    return cases


def _most_worth_a_look(one: Looked) -> tuple[float, bool, str]:
    """Where the models agree least comes first; held-out ones before others."""
    agreement = 1.0 if one.agreement is None else one.agreement
    return agreement, one.kind != "held-out", one.name


def _known_mean(scores: dict[str, float | None]) -> float | None:
    known = [value for value in scores.values() if value is not None]
    return float(np.mean(known)) if known else None
