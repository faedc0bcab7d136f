"""Validating while training: Dice of the head on the volumes' own grids."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import InputError
from napari_sss.engine.inference.prediction import look_at_volume
from napari_sss.engine.models.sss.focus import Focus
from napari_sss.engine.models.sss.segmenter import Segmenter
from napari_sss.engine.training.data.cases import Case
from napari_sss.engine.training.data.preparing import (
    IGNORE,
    read_case_labels,
    read_case_volume,
)
from napari_sss.engine.training.data.store import Preparation
from napari_sss.engine.training.metrics import Scores, case_scores, summary
from napari_sss.engine.volumes.volume import Volume

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Parameters
    ----------
    dice : float
        Mean over cases and classes, 0 to 1.
    classes : dict
        Class name to its mean Dice.
    predicted, true : (K + 1,) arrays
        Share of the voxels of each class, background first.
    confident : tuple of float
        For each class, background first, the share of its predicted pixels with a
        probability above the threshold.
    """

    dice: float
    classes: dict[str, float]
    predicted: NDArray[np.float64]
    true: NDArray[np.float64]
    confident: tuple[float, ...]


class Validator:
    """Predicts volumes and compares them with their labels.

    Parameters
    ----------
    cases : sequence of Case
        Labelled ones; what cannot be read is left out, or refused.
    preparation : Preparation
        The training's.
    focus : Focus, optional
        What the training learned of where to look.
    threshold : float
        What counts as confident.
    on_error : {"skip", "refuse"}
        What to do with a case that cannot be read.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        preparation: Preparation,
        focus: Focus | None = None,
        *,
        threshold: float,
        on_error: Literal["skip", "refuse"] = "skip",
    ) -> None:
        self.cases = tuple(cases)
        self.preparation = preparation
        self.focus = focus
        self.threshold = threshold
        self._on_error = on_error
        self._unreadable: set[Case] = set()

    def __call__(
        self, segmenter: Segmenter, check: Callable[[], None] = lambda: None
    ) -> Validation:
        """Validate a network, as :func:`~napari_sss.engine.inference.prediction` predicts."""
        places = range(1, len(self.preparation.classes) + 1)
        count = len(self.preparation.classes) + 1
        scores: dict[str, dict[int, Scores]] = {}
        predicted, true = np.zeros(count), np.zeros(count)
        sure, named = np.zeros(count), np.zeros(count)
        for case in self.cases:
            read = self._read(case)
            if read is None:
                continue
            volume, truth = read
            geometry, seen = look_at_volume(
                volume,
                segmenter,
                self.focus,
                self.preparation.window,
                spacing=self.preparation.spacing,
                check=check,
            )
            full = geometry.probabilities_on_source(seen.squares)
            labels = full.argmax(axis=0)
            scores[case.name] = case_scores(
                labels, truth, places, (1.0, 1.0, 1.0), surfaces=False
            )
            known = truth != IGNORE
            predicted += np.bincount(labels[known], minlength=count)
            true += np.bincount(truth[known], minlength=count)[:count]
            top = full.max(axis=0)
            named += np.bincount(labels.ravel(), minlength=count)
            sure += np.bincount(labels[top >= self.threshold], minlength=count)
        means = summary(scores)
        names = list(self.preparation.classes)
        return Validation(
            means["mean"]["dice"] or 0.0,
            {name: means["classes"][str(p)]["dice"] or 0.0 for p, name in enumerate(names, 1)}
            if scores
            else {},
            predicted / max(1.0, predicted.sum()),
            true / max(1.0, true.sum()),
            tuple((sure / np.maximum(named, 1)).tolist()),
        )

    def _read(self, case: Case) -> tuple[Volume, NDArray[np.uint8]] | None:
        """A case's volume and its truth; None where it cannot be read and may be skipped."""
        if case in self._unreadable:
            return None
        try:
            volume = read_case_volume(case)
            truth = read_case_labels(case, volume.grid, self.preparation.places)
        except InputError as error:
            if self._on_error == "refuse":
                raise
            log.warning("%s is left out: %s", case.name, error)
            self._unreadable.add(case)
            return None
        return volume, truth
