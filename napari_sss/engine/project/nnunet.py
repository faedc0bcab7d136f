"""A project's accepted cases as an nnU-Net dataset (version 2).

The layout is that of nnU-Net's ``documentation/dataset_format.md``: ``imagesTr`` with
``NAME_0000.nii.gz``, ``labelsTr`` with ``NAME.nii.gz``, ``dataset.json``. Labels are numbered
without gaps, as nnU-Net demands; the class table in ``dataset.json`` says which is which.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sss.engine.errors import WriteError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case, Reading
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.exporting import case_provenance, made_folder
from napari_sss.engine.project.masks import class_mask, class_names, known_voxels
from napari_sss.engine.project.paths import safe_name
from napari_sss.engine.project.records import CaseStatus
from napari_sss.engine.project.training_data import has_accepted

if TYPE_CHECKING:
    from napari_sss.engine.project.project import Project

Images = Literal["link", "copy"]

_ENDING = ".nii.gz"


@dataclass(frozen=True)
class Dataset:
    """What was written.

    Parameters
    ----------
    folder : Path
        The dataset's.
    names : mapping
        Name in the dataset of each case, by its id.
    labels : mapping
        Value of each class in the label files.
    skipped : tuple of (str, str)
        Cases that could not be exported, by name, and why.
    """

    folder: Path
    names: dict[int, str]
    labels: dict[str, int]
    skipped: tuple[tuple[str, str], ...] = ()


def export_nnunet(
    project: Project,
    folder: Path | str,
    *,
    images: Images = "copy",
    partial: bool = False,
    own_names: bool = False,
    identify: bool = False,
    control: JobControl | None = None,
) -> Dataset:
    """Write the accepted cases as an nnU-Net dataset.

    Parameters
    ----------
    project : Project
        The project.
    folder : Path
        The dataset's, for instance ``nnUNet_raw/Dataset501_Liver``.
    images : {"link", "copy"}
        Link scans that are ``.nii.gz`` already, or copy them; others are converted. A link
        tells whoever gets the dataset where the scan lies.
    partial : bool
        Also cases of which parts are accepted; the rest gets nnU-Net's ignore label.
    own_names : bool
        Name files by their cases, which may carry a patient's name; else ``case_0001``.
    identify : bool
        Tell name, path and patient of each case in its sidecar.
    control : JobControl, optional
        Told each case.

    Raises
    ------
    ProjectError
        If nothing is accepted.
    WriteError
        If something cannot be written.
    """
    from napari_sss.engine.volumes.writing import write_json, write_labels

    control = control or JobControl()
    cases = _accepted(project, partial)
    place = made_folder(folder)
    scans, masks = made_folder(place / "imagesTr"), made_folder(place / "labelsTr")
    values = {name: k for k, name in enumerate(_used_classes(project), start=1)}
    ignore = len(values) + 1
    names: dict[int, str] = {}
    skipped = []
    for number, case in enumerate(cases):
        control.report("nnU-Net dataset", number, len(cases))
        name = safe_name(case.name) if own_names else f"case_{case.id:04d}"
        try:
            _place_image(project, case, scans / f"{name}_0000{_ENDING}", images)
        except ProjectError as error:
            skipped.append((case.name, str(error)))
            continue
        labels = _labels(project, case.id, values, ignore)
        sidecar = case_provenance(project, case.id, identify=identify)
        write_labels(labels, case.grid, masks / f"{name}{_ENDING}")
        write_json(sidecar, made_folder(place / "provenance") / f"{name}.json")
        names[case.id] = name
    if not names:
        raise ProjectError("No accepted case could be exported.", str(skipped[0][1]))
    write_json(
        _description(cases, names, values, ignore if partial else None), place / "dataset.json"
    )
    control.report("nnU-Net dataset", len(cases), len(cases))
    return Dataset(place, names, values, tuple(skipped))


def _accepted(project: Project, partial: bool) -> list[Case]:
    cases = [
        case
        for case in project.cases_now()
        if case.status is CaseStatus.ACCEPTED
        or (
            partial
            and case.status is not CaseStatus.NEW
            and has_accepted(project.annotation(case.id))
        )
    ]
    if not cases:
        raise ProjectError(
            f"Nothing in {project.folder} is accepted.", "Accept a case first, then export."
        )
    return cases


def _used_classes(project: Project) -> dict[str, int]:
    return class_names({record.id: record for record in project.classes})


def _labels(project: Project, case_id: int, values: dict[str, int], ignore: int) -> np.ndarray:
    """Class ids renumbered without gaps; what nobody has judged gets the ignore label."""
    state = project.annotation(case_id)
    table = np.zeros(256, dtype=np.uint8)
    for name, class_id in class_names(state.classes).items():
        table[class_id] = values[name]
    labels = table[class_mask(state)]
    labels[~known_voxels(state)] = ignore
    return labels


def _place_image(project: Project, case: Case, target: Path, images: Images) -> None:
    from napari_sss.engine.volumes.writing import replacing, write_volume

    source = project.cases.locate(case.id)
    as_it_is = replace(case.reading, modality=None) == Reading()
    if source.name.lower().endswith(_ENDING) and as_it_is:
        if images == "link":
            _link(source, target)
            return
        with replacing(target, _ENDING) as beside:
            shutil.copyfile(source, beside)
        return
    write_volume(project.cases.read(case.id), target)


def _link(source: Path, target: Path) -> None:
    try:
        target.unlink(missing_ok=True)
        os.symlink(source.resolve(), target)
    except OSError as error:
        raise WriteError(
            f"{target} cannot be made a link: {error.strerror or error}.",
            "Export with copies instead.",
            target,
        ) from error


def _description(
    cases: list[Case], names: dict[int, str], values: dict[str, int], ignore: int | None
) -> dict[str, object]:
    modalities = {case.modality for case in cases if case.id in names}
    channel = modalities.pop() if len(modalities) == 1 else "unknown"
    labels = {"background": 0, **values}
    if ignore is not None:
        labels["ignore"] = ignore
    return {
        # nnU-Net normalises a channel called CT as Hounsfield units, all others by z-scores.
        "channel_names": {
            "0": "CT" if channel == "CT" else "MR" if channel == "MR" else "scan"
        },
        "labels": labels,
        "numTraining": len(names),
        "file_ending": _ENDING,
    }
