"""What fine-tuning may learn from: what a person has accepted, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case, Reading
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.masks import (
    IGNORE,
    accepted_objects,
    class_names,
    class_of,
    training_mask,
)
from napari_sss.engine.project.paths import safe_name
from napari_sss.engine.project.records import CaseStatus, Review, SectionKey, SliceKey
from napari_sss.engine.project.state import AnnotationState

if TYPE_CHECKING:
    from napari_sss.engine.project.project import Project

MASKS = "masks"


@dataclass(frozen=True)
class LabelledCase:
    """A case of which something is accepted.

    Parameters
    ----------
    case_id : int
        The case.
    name : str
        Its name.
    image : Path
        The scan's file, or its DICOM folder.
    reading : Reading
        How it is read.
    label : Path
        Class ids on the scan's grid, 255 where nobody has judged.
    whole : bool
        The case as a whole is accepted.
    slices : tuple of SliceKey
        Slices accepted wholly, the background too; empty where ``whole`` says it all.
    objects : mapping
        Class id of each object accepted as a whole; outside accepted slices they teach what
        belongs, and everything beside them is ignored.
    sections : tuple of SectionKey
        Objects accepted on single slices.
    """

    case_id: int
    name: str
    image: Path
    reading: Reading
    label: Path
    whole: bool
    slices: tuple[SliceKey, ...]
    objects: Mapping[int, int]
    sections: tuple[SectionKey, ...]


@dataclass(frozen=True)
class UnlabelledCase:
    """A case of the unlabelled pool; fields as of :class:`LabelledCase`."""

    case_id: int
    name: str
    image: Path
    reading: Reading


@dataclass(frozen=True)
class TrainingData:
    """What a project has to learn from.

    Parameters
    ----------
    labelled : tuple of LabelledCase
        Cases of which something is accepted.
    unlabelled : tuple of UnlabelledCase
        All others.
    classes : mapping
        Value in the label files by class name.
    missing : tuple of (str, str)
        Cases that cannot be used, by name, and why.
    """

    labelled: tuple[LabelledCase, ...]
    unlabelled: tuple[UnlabelledCase, ...]
    classes: Mapping[str, int]
    missing: tuple[tuple[str, str], ...] = ()
    ignore: int = IGNORE


def accepted_training_data(
    project: Project, folder: Path | str | None = None, control: JobControl | None = None
) -> TrainingData:
    """Collect what is accepted; label files are written where they are not up to date.

    Parameters
    ----------
    project : Project
        The project.
    folder : Path, optional
        Where label files go; by default the project's own ``masks``, which a project that
        is open for reading only does not have.
    control : JobControl, optional
        Told each case.

    Raises
    ------
    WriteError
        If a label file cannot be written.
    ProjectError
        If the project is only read and no folder is given.
    """
    if folder is None and project.read_only:
        raise ProjectError(
            f"{project.folder} is open for reading only.", "Name a folder for label files."
        )
    place = project.folder / MASKS if folder is None else Path(folder)
    control = control or JobControl()
    labelled, unlabelled, missing = [], [], []
    cases = project.cases_now()
    for number, case in enumerate(cases):
        control.report("accepted data", number, len(cases))
        try:
            image = project.cases.locate(case.id, control)
            state = None if case.status is CaseStatus.NEW else project.annotation(case.id)
        except ProjectError as error:
            missing.append((case.name, str(error)))
            continue
        if state is None or not has_accepted(state):
            unlabelled.append(UnlabelledCase(case.id, case.name, image, case.reading))
        else:
            labelled.append(_labelled(case, state, image, place))
    control.report("accepted data", len(cases), len(cases))
    names = class_names({record.id: record for record in project.classes})
    return TrainingData(tuple(labelled), tuple(unlabelled), names, tuple(missing))


def has_accepted(state: AnnotationState) -> bool:
    """Whether a person has accepted anything of a case."""
    records: tuple[Any, ...] = (
        state.case,
        *state.objects.values(),
        *state.slices.values(),
        *state.sections.values(),
    )
    return any(record.review is Review.ACCEPTED for record in records)


def _labelled(case: Case, state: AnnotationState, image: Path, folder: Path) -> LabelledCase:
    whole = state.case.review is Review.ACCEPTED
    slices = [k for k, record in state.slices.items() if record.review is Review.ACCEPTED]
    sections = [k for k, made in state.sections.items() if made.review is Review.ACCEPTED]
    return LabelledCase(
        case.id,
        case.name,
        image,
        case.reading,
        _label_file(case, state, folder),
        whole,
        () if whole else tuple(slices),
        {i: class_of(state, state.objects[i]).id for i in accepted_objects(state)},
        () if whole else tuple(sections),
    )


def _label_file(case: Case, state: AnnotationState, folder: Path) -> Path:
    """The case's label file, written anew only if its content would be another one."""
    from napari_sss.engine.volumes.writing import sidecar_path, write_labels

    mask = training_mask(state)
    content = {
        "format": "napari-sss training labels",
        "classes": class_names(state.classes),
        "ignore": IGNORE,
        "sha256": hashlib.sha256(mask.data).hexdigest(),
    }
    path = folder / f"{case.id:04d}_{safe_name(case.name)}.nii.gz"
    beside = sidecar_path(path)
    if path.exists() and beside.exists():
        try:
            known = json.loads(beside.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = None
        if known == content:
            return path
    folder.mkdir(parents=True, exist_ok=True)
    return write_labels(mask, case.grid, path, sidecar=content)
