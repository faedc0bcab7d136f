"""The cases of a project: what a person has accepted, and the pool of all else."""

from __future__ import annotations

import logging
from pathlib import Path

from napari_sss.engine.project.project import Project
from napari_sss.engine.project.training_data import accepted_training_data
from napari_sss.engine.training.data.cases import Case, CaseLists
from napari_sss.engine.training.data.readings import reading_arguments
from napari_sss.engine.training.data.store import find_classes
from napari_sss.engine.training.errors import DataError

log = logging.getLogger(__name__)


def project_cases(project: Path, labels: Path) -> tuple[CaseLists, dict[str, int]]:
    """What a project has to learn from.

    A slice that was accepted teaches whole; an object that was accepted elsewhere teaches
    its own voxels, and all else there is ignored. Volumes of which only a part was accepted
    belong to the pool as well.

    Parameters
    ----------
    project : Path
        The project's folder; it is only read.
    labels : Path
        The folder that its labels are written to.

    Returns
    -------
    cases : CaseLists
        Without validation cases.
    classes : dict
        Name to label value of the classes that have an accepted voxel.

    Raises
    ------
    DataError
        Nothing has been accepted yet.
    ProjectError
        It is no project.
    """
    with Project.open(project, read_only=True) as opened:
        data = accepted_training_data(opened, labels)
    for name, reason in data.missing:
        log.warning("%s is left out: %s", name, reason)
    if not data.labelled:
        raise DataError(
            f"Nothing has been accepted in the project {project}.",
            "Accept an object, a slice or a case first.",
            project,
        )
    labelled = tuple(
        Case(c.name, c.image, c.label, not c.whole, reading_arguments(c.reading))
        for c in data.labelled
    )
    pool = tuple(
        Case(c.name, c.image, reading=reading_arguments(c.reading)) for c in data.unlabelled
    )
    shown = set(find_classes(labelled, "skip").values())
    classes = {name: value for name, value in data.classes.items() if value in shown}
    return CaseLists(labelled, pool), classes
