"""Masks out of a project, as files that other programs read, each with its provenance."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sss.engine.errors import InputError, WriteError
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.masks import (
    accepted_objects,
    class_mask,
    class_of,
    object_mask,
)
from napari_sss.engine.project.paths import safe_name
from napari_sss.engine.project.provenance import provenance
from napari_sss.engine.project.state import AnnotationState

if TYPE_CHECKING:
    from napari_sss.engine.project.project import Project

Values = Literal["classes", "objects"]


def export_mask(
    project: Project,
    case_id: int,
    path: Path | str,
    *,
    values: Values = "classes",
    accepted_only: bool = False,
    identify: bool = False,
) -> Path:
    """Write a case's mask as one file, on the scan's own grid, with its sidecar.

    Parameters
    ----------
    project : Project
        The project.
    case_id : int
        The case.
    path : Path
        Ends in ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``; an existing file is replaced.
    values : {"classes", "objects"}
        What the voxels hold: class ids, or object ids.
    accepted_only : bool
        Leave out objects that are not accepted.
    identify : bool
        Tell the case's name, path and patient in the sidecar.

    Raises
    ------
    InputError
        If the extension is not known.
    WriteError
        If the file cannot be written; an older one is untouched.
    """
    from napari_sss.engine.volumes.writing import write_labels

    state = project.annotation(case_id)
    only = accepted_objects(state) if accepted_only else None
    mask = class_mask(state, only) if values == "classes" else object_mask(state, only)
    sidecar = case_provenance(project, case_id, state, identify=identify, only=only)
    sidecar["values"] = values
    return write_labels(mask, project.cases.get(case_id).grid, path, sidecar=sidecar)


def export_objects(
    project: Project,
    case_id: int,
    folder: Path | str,
    *,
    suffix: str = ".nii.gz",
    accepted_only: bool = False,
    identify: bool = False,
) -> list[Path]:
    """Write each object of a case as a mask of its own, named by number and class.

    Returns
    -------
    list of Path
        The files, by object id; ``objects.json`` beside them is their sidecar.
    """
    from napari_sss.engine.volumes.writing import WRITE_SUFFIXES, write_json, write_labels

    if suffix not in WRITE_SUFFIXES:
        raise InputError(
            f"{suffix} is no extension of an image format that can be written.",
            f"Choose one of {', '.join(WRITE_SUFFIXES)}.",
        )
    state = project.annotation(case_id)
    only = accepted_objects(state) if accepted_only else tuple(sorted(state.objects))
    if not only:
        what = "accepted object" if accepted_only else "object"
        name = project.cases.get(case_id).name
        raise ProjectError(f"{name} has no {what} to export.", "Annotate and accept it first.")
    place = made_folder(folder)
    written = []
    for object_id in only:
        name = safe_name(class_of(state, state.objects[object_id]).name)
        mask = state.region(object_id).to_array(state.shape).astype(np.uint8)
        path = place / f"{object_id:03d}_{name}{suffix}"
        written.append(write_labels(mask, project.cases.get(case_id).grid, path))
    files = {path.name: object_id for path, object_id in zip(written, only, strict=True)}
    sidecar = case_provenance(project, case_id, state, identify=identify, only=only)
    write_json({**sidecar, "files": files}, place / "objects.json")
    return written


def case_provenance(
    project: Project,
    case_id: int,
    state: AnnotationState | None = None,
    *,
    identify: bool = False,
    only: Collection[int] | None = None,
) -> dict[str, Any]:
    """How a case's masks were made; see :mod:`~napari_sss.engine.project.provenance`."""
    if state is None:
        state = project.annotation(case_id)
    case, seconds = project.cases.get(case_id), project.seconds_spent(case_id)
    return provenance(case, state, seconds, identify=identify, only=only)


def chosen_cases(
    project: Project, names: Collection[str] = (), *, accepted_only: bool = False
) -> list[int]:
    """Ids of the cases of these names, or of all that have been annotated.

    Raises
    ------
    ProjectError
        If there is no case of a name, or nothing to export.
    """
    from napari_sss.engine.project.records import CaseStatus

    wanted = {project.cases.named(name).id for name in names}
    cases = [case for case in project.cases_now() if not names or case.id in wanted]
    if accepted_only:
        cases = [case for case in cases if case.status is CaseStatus.ACCEPTED]
    elif not names:
        cases = [case for case in cases if case.status is not CaseStatus.NEW]
    if not cases:
        what = "accepted" if accepted_only else "annotated"
        raise ProjectError(
            f"No case of {project.folder} is {what}.", f"Export once a case is {what}."
        )
    return [case.id for case in cases]


def made_folder(folder: Path | str) -> Path:
    """A folder to write to, made where it is missing.

    Raises
    ------
    WriteError
        If it cannot be made.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"The folder {folder} cannot be made: {error.strerror or error}.",
            "Choose a folder that you may write in.",
            folder,
        ) from error
    return folder
