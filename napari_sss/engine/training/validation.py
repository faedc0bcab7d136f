"""Validating while training: Dice of the head on the volumes' own grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.semantic import semantic_squares
from napari_sss.engine.models.sss.segmenter import Segmenter
from napari_sss.engine.training.data.preparing import IGNORE
from napari_sss.engine.training.data.store import CaseStore, Preparation
from napari_sss.engine.training.metrics import Scores, case_scores, summary


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
    store : CaseStore
        Holds the volumes.
    numbers : sequence of int
        Those of them, labelled ones, to validate on; what cannot be read is left out.
    preparation : Preparation
        The training's.
    threshold : float
        What counts as confident.
    """

    def __init__(
        self,
        store: CaseStore,
        numbers: Sequence[int],
        preparation: Preparation,
        *,
        threshold: float,
    ) -> None:
        self.store = store
        self.numbers = tuple(numbers)
        self.preparation = preparation
        self.threshold = threshold
        self._truths: dict[int, NDArray[np.uint8]] = {}

    def __call__(
        self, segmenter: Segmenter, check: Callable[[], None] = lambda: None
    ) -> Validation:
        """Validate a network."""
        places = range(1, len(self.preparation.classes) + 1)
        count = len(self.preparation.classes) + 1
        scores: dict[str, dict[int, Scores]] = {}
        predicted, true = np.zeros(count), np.zeros(count)
        sure, named = np.zeros(count), np.zeros(count)
        for number in self.numbers:
            case = self.store.cases[number]
            prepared = self.store.get(number)
            if prepared is None:
                continue
            if number not in self._truths:
                self._truths[number] = self.preparation.truth(case)
            truth = self._truths[number]
            squares = semantic_squares(segmenter, prepared.grey, check=check)
            full = prepared.geometry.probabilities_on_source(squares)
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
