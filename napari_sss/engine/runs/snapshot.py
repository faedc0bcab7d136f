"""What a run learns from, fixed when it begins: labels are copied, images are remembered.

From then on the person can go on editing the project; the run does not see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.masks import IGNORE
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.training_data import (
    LabelledCase,
    TrainingData,
    accepted_training_data,
)
from napari_sss.engine.runs.files import LABELS, SNAPSHOT_NAME, read_json
from napari_sss.engine.runs.overview import Overview, candidates_of, overview
from napari_sss.engine.runs.split import Side, group_of, keep_split
from napari_sss.engine.training.data.cases import Case, CaseLists
from napari_sss.engine.training.data.readings import reading_arguments
from napari_sss.engine.training.errors import DataError
from napari_sss.engine.volumes.atomic import write_json


@dataclass(frozen=True)
class Snapshot:
    """A run's data.

    Parameters
    ----------
    lists : CaseLists
        To learn from, unlabelled, and to choose the checkpoint by.
    held_out : tuple of Case
        To judge by; never seen in the training, neither they nor other scans of the same
        patients.
    classes : dict
        Name to label value of what is learned.
    case_ids : dict
        Name to number of the project's cases.
    counts : dict
        Cases, slices and objects of each class that are learned from, for the model's card.
    left_out : dict
        Cases that cannot be used, by name, and why.
    created : str
        When, ISO 8601 in UTC.
    """

    lists: CaseLists
    held_out: tuple[Case, ...]
    classes: dict[str, int]
    case_ids: dict[str, int]
    counts: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    created: str = ""


def take_snapshot(
    project: Path,
    folder: Path,
    control: JobControl | None = None,
    *,
    keep_sides: bool = True,
) -> tuple[Snapshot, Overview]:
    """Copy what a project has accepted into a run's folder.

    The project is read through a handle of its own; whoever edits it is not disturbed. Cases
    that have no side yet get one for good.

    Parameters
    ----------
    project, folder : Path
        The project's and the run's.
    control : JobControl, optional
        Told each case.
    keep_sides : bool
        False for a look ahead: no side is given for good.

    Raises
    ------
    DataError
        There is nothing to learn from.
    WriteError
        The folder cannot be written.
    """
    with Project.open(project, read_only=True) as opened:
        seen = overview(opened, control)
        blocking = [a.text for a in seen.advice()] if not seen.can_start else []
        if blocking:
            raise DataError(f"Nothing can be learned from {project}.", blocking[0], project)
        data = accepted_training_data(opened, folder / LABELS, control)
        groups = {c.id: group_of(c.patient, c.fingerprint) for c in opened.cases.select()}
        fingerprints = {c.name: c.fingerprint for c in opened.cases.select()}
    sides = {case.group: case.side for case in seen.cases}
    if keep_sides:
        sides = keep_split(project, candidates_of(seen.cases))
    made = _divided(data, groups, sides, seen)
    _hide_unknown(made, control)
    stated = made.lists.fingerprints() | {
        "held_out": [case.fingerprint() for case in made.held_out],
        "classes": made.classes,
        "case_ids": made.case_ids,
        "counts": made.counts,
        "left_out": made.left_out,
        "created": made.created,
        "sha256": fingerprints,
    }
    write_json(stated, folder / SNAPSHOT_NAME)
    return made, seen


def read_snapshot(folder: Path) -> Snapshot:
    """A run's data as they were fixed.

    Raises
    ------
    DataError
        The file is missing or damaged.
    """
    path = folder / SNAPSHOT_NAME
    known = read_json(path)
    if known is None:
        raise DataError(f"{path} is missing or damaged.", "Start a new fine-tuning.", path)

    def cases(role: str) -> tuple[Case, ...]:
        return tuple(map(Case.of_fingerprint, known[role]))

    return Snapshot(
        CaseLists(cases("labelled"), cases("unlabelled"), cases("validation")),
        cases("held_out"),
        dict(known["classes"]),
        dict(known["case_ids"]),
        dict(known["counts"]),
        dict(known["left_out"]),
        known["created"],
    )


def _divided(
    data: TrainingData, groups: Mapping[int, str], sides: Mapping[str, Side], seen: Overview
) -> Snapshot:
    """The cases by their sides; those who judge keep their whole patient out of the pool."""

    def side(case_id: int) -> Side | None:
        return sides.get(groups[case_id])

    shown = {case.case_id for case in seen.cases}
    labelled = [c for c in data.labelled if c.case_id in shown]
    by_side = {
        wanted: tuple(_case(c) for c in labelled if side(c.case_id) is wanted)
        for wanted in Side
    }
    apart = (Side.HELD_OUT, Side.CHOOSE)
    pool = tuple(
        Case(c.name, c.image, reading=reading_arguments(c.reading))
        for c in data.unlabelled
        if side(c.case_id) not in apart
    )
    taught = {facts.name: facts for facts in seen.classes(Side.TRAIN)}
    learned = {name: value for name, value in data.classes.items() if name in taught}
    if not by_side[Side.TRAIN] or not learned:
        raise DataError(
            "None of the cases to learn from can be read.",
            "; ".join(reason for _, reason in data.missing) or "Accept one more case.",
        )
    return Snapshot(
        CaseLists(by_side[Side.TRAIN], pool, by_side[Side.CHOOSE]),
        by_side[Side.HELD_OUT],
        learned,
        {c.name: c.case_id for c in data.labelled}
        | {c.name: c.case_id for c in data.unlabelled},
        {
            "labelled_cases": len(by_side[Side.TRAIN]),
            "held_out_cases": len(by_side[Side.HELD_OUT]),
            "choosing_cases": len(by_side[Side.CHOOSE]),
            "unlabelled_cases": len(pool),
            "classes": {
                name: {"cases": f.cases, "slices": f.slices, "objects": f.objects}
                for name, f in taught.items()
            },
        },
        dict(data.missing),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _case(labelled: LabelledCase) -> Case:
    return Case(
        labelled.name,
        labelled.image,
        labelled.label,
        not labelled.whole,
        reading_arguments(labelled.reading),
    )


def _hide_unknown(made: Snapshot, control: JobControl | None) -> None:
    """Make voxels of classes that are not learned unknown in the cases that judge."""
    known = {0, IGNORE, *made.classes.values()}
    for case in _in_turn((*made.lists.validation, *made.held_out), control):
        _hide(case, known)


def _in_turn(cases: Iterable[Case], control: JobControl | None) -> Iterable[Case]:
    for case in cases:
        if control is not None:
            control.check()
        yield case


def _hide(case: Case, known: set[int]) -> None:
    from napari_sss.engine.training.data.preparing import read_case_volume
    from napari_sss.engine.volumes.writing import read_labels, write_labels

    assert case.label is not None
    grid = read_case_volume(case).grid
    labels = read_labels(case.label, grid)
    unknown = ~np.isin(labels, sorted(known))
    if unknown.any():
        labels[unknown] = IGNORE
        write_labels(labels, grid, case.label)
