"""All cases of a training, read when they are needed and kept while there is room."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import InputError
from napari_sss.engine.inference.looking import labelled_region
from napari_sss.engine.inference.squares import SliceGeometry
from napari_sss.engine.models.sss.focus import Window
from napari_sss.engine.training.data.cases import Case
from napari_sss.engine.training.data.preparing import (
    IGNORE,
    PreparedCase,
    prepare_case,
    read_case_labels,
    read_case_volume,
)
from napari_sss.engine.training.errors import DataError
from napari_sss.engine.volumes.grid import Vector3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preparation:
    """How cases become squares; the same for training, validation and prediction.

    Parameters
    ----------
    side : int
        Of the stored squares, pixels; views may be smaller parts of them.
    classes : dict
        Class name to label value, in the order of the model's classes.
    window : str, optional
        Name of the intensity window.
    spacing : (float, float, float), optional
        Instead of the files'.
    """

    side: int
    classes: dict[str, int]
    window: str | None = None
    spacing: Vector3 | None = None

    @property
    def places(self) -> dict[int, int]:
        """Label value to the class's place, 1 to K."""
        return {value: place for place, value in enumerate(self.classes.values(), start=1)}

    def truth(self, case: Case) -> NDArray[np.uint8]:
        """A case's labels (Z, Y, X) on its own grid, as places 0 to K."""
        return read_case_labels(case, read_case_volume(case).grid, self.places)

    def __call__(self, case: Case) -> PreparedCase:
        """Read and prepare a case."""
        return prepare_case(
            case, self.side, self.places, window=self.window, spacing=self.spacing
        )


class CaseStore:
    """Prepared cases by their number, no more of them at once than fit in ``megabytes``.

    Parameters
    ----------
    cases : sequence of Case
        Labelled ones and the pool; the number of a case is its place here.
    prepare : callable
        Reads and prepares one.
    megabytes : float
        Room for prepared cases; one is always kept.
    on_error : {"skip", "refuse"}
        What to do with a case that cannot be read.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        prepare: Callable[[Case], PreparedCase],
        *,
        megabytes: float = 2048,
        on_error: Literal["skip", "refuse"] = "skip",
    ) -> None:
        self.cases = tuple(cases)
        self.unreadable: dict[int, str] = {}
        self._prepare = prepare
        self._room = megabytes * 2**20
        self._on_error = on_error
        self._kept: OrderedDict[int, PreparedCase] = OrderedDict()

    def __getitem__(self, number: int) -> PreparedCase:
        """A case that is known to be readable.

        Raises
        ------
        InputError
            It cannot be read.
        """
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        prepared = self._prepare(self.cases[number])
        self._kept[number] = prepared
        while len(self._kept) > 1 and sum(c.nbytes for c in self._kept.values()) > self._room:
            self._kept.popitem(last=False)
        return prepared

    def get(self, number: int) -> PreparedCase | None:
        """A case, or None where it cannot be read and such cases are to be skipped.

        Raises
        ------
        InputError
            It cannot be read, and such cases are to be refused.
        """
        if number in self.unreadable:
            return None
        try:
            return self[number]
        except InputError as error:
            if self._on_error == "refuse":
                raise
            self.unreadable[number] = str(error)
            log.warning("%s is left out: %s", self.cases[number].name, error)
            return None


@dataclass(frozen=True)
class LabelSurvey:
    """What the labelled cases show.

    Parameters
    ----------
    slices : list of (int, int)
        Case number and slice of every slice that has a known voxel.
    by_class : list of lists
        For each class, the places in ``slices`` where it is.
    shares : (K + 1,) array
        Share of the known pixels that each class has, background first.
    """

    slices: list[tuple[int, int]]
    by_class: list[list[int]]
    shares: NDArray[np.float64] = field(repr=False)


def find_regions(
    cases: Sequence[Case], preparation: Preparation, on_error: Literal["skip", "refuse"]
) -> dict[int, Window]:
    """Where the labels of each case lie, by its place in the list; in squares of that side."""
    regions: dict[int, Window] = {}
    for number, case in enumerate(cases):
        try:
            grid = read_case_volume(case).grid
            labels = read_case_labels(case, grid, preparation.places)
        except InputError as error:
            if on_error == "refuse":
                raise
            log.warning("%s is left out: %s", case.name, error)
            continue
        if preparation.spacing is not None:
            grid = replace(grid, spacing=preparation.spacing)
        squares = SliceGeometry.of(grid, preparation.side).label_squares(labels)
        region = labelled_region(squares, squares != IGNORE)
        if region is not None:
            regions[number] = region
    return regions


def find_classes(cases: Sequence[Case], on_error: Literal["skip", "refuse"]) -> dict[str, int]:
    """Every value in the labels as a class, named by its number.

    Raises
    ------
    DataError
        There is no value but 0.
    """
    from napari_sss.engine.volumes.writing import read_labels

    values: set[int] = set()
    for case in cases:
        if case.label is None:
            continue
        try:
            found = np.unique(read_labels(case.label, read_case_volume(case).grid))
        except InputError as error:
            if on_error == "refuse":
                raise
            log.warning("%s is left out: %s", case.name, error)
            continue
        values |= {int(v) for v in found}
    values -= {0, IGNORE}
    if not values:
        raise DataError(
            "The labels hold no class: every voxel is 0.", "Give labels with values above 0."
        )
    if max(values) > 200:
        raise DataError(
            f"The labels hold the value {max(values)}.",
            "Class values must not exceed 200: number the classes anew.",
        )
    return {str(value): value for value in sorted(values)}


def survey(store: CaseStore, numbers: Sequence[int], classes: dict[str, int]) -> LabelSurvey:
    """Look through the labelled cases once.

    Raises
    ------
    DataError
        No labelled case can be read, or a class has no voxel in any of them.
    """
    slices: list[tuple[int, int]] = []
    by_class: list[list[int]] = [[] for _ in classes]
    pixels = np.zeros(len(classes) + 1, dtype=np.int64)
    for number in numbers:
        prepared = store.get(number)
        if prepared is None or prepared.labels is None:
            continue
        for index, section in enumerate(prepared.labels):
            counts = np.bincount(section.ravel(), minlength=IGNORE + 1)[: len(pixels)]
            if not counts.any():
                continue
            for place in np.flatnonzero(counts[1:]):
                by_class[place].append(len(slices))
            slices.append((number, index))
            pixels += counts
    if not slices:
        raise DataError(
            "None of the labelled cases can be read.",
            "; ".join(store.unreadable.values()) or "Check the labels.",
        )
    for name, places in zip(classes, by_class, strict=True):
        if not places:
            raise DataError(
                f"The class '{name}' (value {classes[name]}) has no voxel in a labelled case.",
                "Label a case that shows it, or leave the class out.",
            )
    return LabelSurvey(slices, by_class, pixels / pixels.sum())
