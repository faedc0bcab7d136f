"""Noticing in time that a training collapses.

Teacher, student and SAM-2 can agree on nonsense: nearly everything foreground, or a class
that none of them finds any more. The guard compares what the model predicts with how much
of each class there is in truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.training.errors import CollapsedError

LEAST_OF_TRUTH = 0.02  # a class predicted less than this part of its true share is lost
MOST_FOREGROUND = 0.9  # and at least three times the true share


@dataclass
class CollapseGuard:
    """Counts validations in a row that look like a collapse.

    Parameters
    ----------
    classes : sequence of str
        Names of the classes 1 to K.
    patience : int
        So many bad validations in a row stop the training.
    """

    classes: Sequence[str]
    patience: int
    bad: int = 0
    found_once: tuple[str, ...] = ()

    def look(self, predicted: NDArray[np.float64], true: NDArray[np.float64]) -> str | None:
        """Judge a validation.

        A class that has never been found is one that is not learned yet, not one lost.

        Parameters
        ----------
        predicted, true : (K + 1,) arrays
            Share of the pixels of each class, background first.

        Returns
        -------
        str or None
            What looks wrong.

        Raises
        ------
        CollapsedError
            It has looked wrong for ``patience`` validations in a row.
        """
        found = [
            name
            for name, p, t in zip(self.classes, predicted[1:], true[1:], strict=True)
            if p >= LEAST_OF_TRUTH * t
        ]
        lost = [name for name in self.found_once if name not in found]
        self.found_once = tuple(dict.fromkeys([*self.found_once, *found]))
        problem = None
        if lost:
            problem = f"the class {', '.join(lost)} is no longer found"
        foreground = 1 - predicted[0]
        if foreground > MOST_FOREGROUND and foreground > 3 * (1 - true[0]):
            problem = f"{100 * foreground:.0f} % of the pixels are called foreground"
        self.bad = self.bad + 1 if problem else 0
        if problem and self.bad >= self.patience:
            raise CollapsedError(
                f"The training has collapsed: {problem}, for {self.bad} validations.",
                "Use the best model so far, or train again with a lower unlabelled_weight, a "
                "longer ramp or a higher threshold.",
            )
        return problem

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"bad": self.bad, "found_once": list(self.found_once)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self.bad, self.found_once = int(state["bad"]), tuple(state["found_once"])
