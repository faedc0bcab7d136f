"""Evaluating a trained model on labelled volumes it has not seen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

from napari_sss.engine.errors import InputError
from napari_sss.engine.inference.prediction import PredictOptions, predict_volume
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sss.trained import TrainedModel
from napari_sss.engine.training.data.cases import Case
from napari_sss.engine.training.data.preparing import read_case_labels, read_case_volume
from napari_sss.engine.training.errors import DataError
from napari_sss.engine.training.metrics import Scores, case_scores, summary
from napari_sss.engine.volumes.grid import Vector3

log = logging.getLogger(__name__)


def evaluate(
    trained: TrainedModel,
    cases: Sequence[Case],
    options: PredictOptions | None = None,
    *,
    spacing: Vector3 | None = None,
    on_error: Literal["skip", "refuse"] = "skip",
    control: JobControl | None = None,
) -> dict[str, Any]:
    """Predict labelled volumes and score them on their own grids.

    Parameters
    ----------
    trained : TrainedModel
        The model.
    cases : sequence of Case
        With labels.
    options : PredictOptions, optional
        How it predicts.
    spacing : (float, float, float), optional
        Millimetres along Z, Y, X for the surface distances, instead of the files'.
    on_error : {"skip", "refuse"}
        What to do with a case that cannot be read.
    control : JobControl, optional
        For progress and cancelling.

    Returns
    -------
    dict
        ``mean``, ``classes`` by label value, ``cases`` by name; and ``skipped``, name to
        reason, where a case could not be read.

    Raises
    ------
    DataError
        No case can be read.
    """
    control = control or JobControl()
    values = list(trained.facts.classes.values())
    places = {value: value for value in values}
    scores: dict[str, dict[int, Scores]] = {}
    skipped: dict[str, str] = {}
    for number, case in enumerate(cases):
        control.report("evaluate", number, len(cases))
        try:
            volume = read_case_volume(case)
            truth = read_case_labels(case, volume.grid, places)
        except InputError as error:
            if on_error == "refuse":
                raise
            log.warning("%s is left out: %s", case.name, error)
            skipped[case.name] = str(error)
            continue
        predicted = predict_volume(volume, trained, options, control).labels()
        used = spacing or trained.facts.spacing or volume.grid.spacing
        scores[case.name] = case_scores(predicted, truth, values, used)
    control.report("evaluate", len(cases), len(cases))
    if not scores:
        raise DataError("No case could be evaluated.", "; ".join(list(skipped.values())[:3]))
    found = summary(scores)
    return found | ({"skipped": skipped} if skipped else {})
