"""Masks as DICOM Segmentation objects, for scans that are DICOM series.

Written with highdicom, which is an optional extra: ``pip install "napari-sss[dicom]"``.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sss._version import __version__
from napari_sss.engine.errors import InputError
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.exporting import case_provenance
from napari_sss.engine.project.masks import accepted_objects, class_of
from napari_sss.engine.project.records import Maker
from napari_sss.engine.project.state import AnnotationState

if TYPE_CHECKING:
    from napari_sss.engine.project.project import Project

# A category and a type are mandatory. What a class's name means anatomically is not known
# here, so it goes into the segment's label, under SNOMED CT's most general codes.
_CATEGORY = ("85756007", "SCT", "Tissue")
_TYPE = ("85756007", "SCT", "Tissue")


def why_no_dicom_seg(case: Case) -> str:
    """Why no DICOM Segmentation can be written for a case, in a sentence; "" if it can be.

    Cheap: neither the scan nor highdicom is loaded.
    """
    if find_spec("highdicom") is None:
        return 'It needs the package highdicom: pip install "napari-sss[dicom]".'
    if case.reading.series_uid is None:
        return f"{case.name} is no DICOM series: export it as NIfTI or NRRD."
    return ""


def export_dicom_seg(
    project: Project,
    case_id: int,
    path: Path | str,
    *,
    accepted_only: bool = False,
    identify: bool = False,
) -> Path:
    """Write a case's objects as one DICOM Segmentation, a segment for each, with its sidecar.

    Patient and study are those of the series, as the standard demands.

    Parameters
    ----------
    project : Project
        The project.
    case_id : int
        A case whose scan is a DICOM series of single-frame files.
    path : Path
        Ends in ``.dcm``; an existing file is replaced.
    accepted_only : bool
        Leave out objects that are not accepted.
    identify : bool
        Tell the case's name, path and patient in the sidecar. The DICOM file itself names
        the patient in any case.

    Raises
    ------
    InputError
        If highdicom is not installed, the scan is no DICOM series, or the name does not end
        in ``.dcm``.
    ProjectError
        If there is no object.
    WriteError
        If it cannot be written; an older file is untouched.
    """
    from napari_sss.engine.volumes.atomic import replacing, replacing_json

    path = Path(path)
    highdicom = _highdicom()
    if path.suffix.lower() != ".dcm":
        raise InputError(f"{path} is no name of a DICOM file.", "Let it end in .dcm.", path)
    case = project.cases.get(case_id)
    state = project.annotation(case_id)
    ids = accepted_objects(state) if accepted_only else tuple(sorted(state.objects))
    ids = tuple(i for i in ids if state.region(i).mask.size)
    if not ids:
        raise ProjectError(f"{case.name} has no object to export.", "Annotate it first.")
    headers = _slice_headers(project.cases.locate(case_id), case)
    try:
        segmentation = _segmentation(highdicom, headers, state, ids)
    except (AttributeError, ValueError, TypeError) as error:
        raise InputError(
            f"The series of {case.name} lacks what a DICOM Segmentation demands: {error}.",
            "Export the mask as NIfTI or NRRD instead.",
        ) from error
    sidecar = case_provenance(project, case_id, state, identify=identify, only=ids)
    sidecar["values"] = "segments"
    with (
        replacing_json(sidecar, path.with_suffix(".json")),
        replacing(path, ".dcm") as beside,
    ):
        segmentation.save_as(beside)
    return path


def _highdicom() -> ModuleType:
    try:
        import highdicom
        import highdicom.seg
    except ImportError as error:
        raise InputError(
            "DICOM Segmentations need the package highdicom, which is not installed.",
            'Run: pip install "napari-sss[dicom]"',
        ) from error
    return highdicom


def _slice_headers(path: Path, case: Case) -> list[Any]:
    """The series' data sets in the order of the mask's slices."""
    from pydicom import dcmread

    from napari_sss.engine.volumes.dicom_geometry import stacked
    from napari_sss.engine.volumes.dicom_header import is_dicom
    from napari_sss.engine.volumes.dicom_series import choose_series, scan_file, scan_folder

    if path.is_dir():
        series = choose_series(scan_folder(path), case.reading.series_uid, path)
    elif is_dicom(path):
        series = scan_file(path)
    else:
        raise InputError(
            f"{path} is no DICOM series.", "Export the mask as NIfTI or NRRD instead.", path
        )
    slices = stacked(series.slices, path).frames[case.reading.frame or 0]
    if len({part.path for part in slices}) != len(slices):
        raise InputError(
            f"{path} is a multi-frame file, for which no DICOM Segmentation is written.",
            "Export the mask as NIfTI or NRRD instead.",
            path,
        )
    headers = [dcmread(part.path, stop_before_pixels=True) for part in slices]
    for header in headers:
        if not header.get("SliceThickness"):  # may be empty by the standard
            header.SliceThickness = case.grid.spacing[0]
    return headers


def _segmentation(
    highdicom: Any, headers: list[Any], state: AnnotationState, ids: tuple[int, ...]
) -> Any:
    pixels = np.stack([state.labels == object_id for object_id in ids], axis=-1)
    codes = [highdicom.sr.CodedConcept(*code) for code in (_CATEGORY, _TYPE)]
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"{class_of(state, state.objects[object_id]).name} {object_id}",
            segmented_property_category=codes[0],
            segmented_property_type=codes[1],
            algorithm_type=_algorithm_type(highdicom, state, object_id),
            algorithm_identification=_algorithm(highdicom, state, object_id),
        )
        for number, object_id in enumerate(ids, start=1)
    ]
    return highdicom.seg.Segmentation(
        source_images=headers,
        pixel_array=pixels.astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=highdicom.UID(),
        series_number=100,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="napari-sss",
        manufacturer_model_name="napari-sss",
        software_versions=__version__,
        device_serial_number="0",
        series_description="Segmentation (research use only)",
    )


def _algorithm_type(highdicom: Any, state: AnnotationState, object_id: int) -> Any:
    """Manual where only a person made it, semi-automatic where a person helped a model."""
    makers = {made.maker for _, made in state.sections_of(object_id)}
    kinds = highdicom.seg.SegmentAlgorithmTypeValues
    if makers <= {Maker.PAINTED, Maker.IMPORTED}:
        return kinds.MANUAL
    return kinds.AUTOMATIC if makers == {Maker.AUTO} else kinds.SEMIAUTOMATIC


def _algorithm(highdicom: Any, state: AnnotationState, object_id: int) -> Any:
    kind = _algorithm_type(highdicom, state, object_id)
    if kind is highdicom.seg.SegmentAlgorithmTypeValues.MANUAL:
        return None
    runs = {made.run for _, made in state.sections_of(object_id) if made.run is not None}
    names = sorted({state.runs[key].model for key in runs if key in state.runs})
    family = highdicom.sr.CodedConcept("123110", "DCM", "Artificial Intelligence")
    return highdicom.AlgorithmIdentificationSequence(
        name=", ".join(names) or "SAM-2", family=family, version=__version__
    )
