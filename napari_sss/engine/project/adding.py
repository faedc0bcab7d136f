"""From files and folders to cases."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from napari_sss.engine.errors import InputError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case, Reading
from napari_sss.engine.project.fingerprint import fingerprint_of, scan_files, stamp_of
from napari_sss.engine.project.paths import natural, relative_to
from napari_sss.engine.project.records import CaseStatus
from napari_sss.engine.volumes.volume import Volume

_PATIENT_ID = (0x0010, 0x0020)
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


@dataclass(frozen=True)
class Found:
    """A scan that can be added.

    Parameters
    ----------
    path : Path
        A file, or the folder of a DICOM series.
    reading : Reading
        How to read it.
    """

    path: Path
    reading: Reading


@dataclass(frozen=True)
class Added:
    """What came of adding.

    Parameters
    ----------
    cases : tuple of Case
        The new ones.
    skipped : tuple of (Path, str)
        What was not added, and why.
    """

    cases: tuple[Case, ...]
    skipped: tuple[tuple[Path, str], ...] = ()


def discover(
    path: Path, reading: Reading, control: JobControl, without: Path | None = None
) -> list[Found]:
    """The scans at a path: the file, or everything readable in a folder and below it.

    Parameters
    ----------
    path : Path
        A file or a folder.
    reading : Reading
        How they are to be read; with a series, only that one is found.
    control : JobControl
        Told how many files were looked at.
    without : Path, optional
        A folder to leave out: the project's own.

    Raises
    ------
    InputError
        If the path does not exist or holds no scan.
    """
    from napari_sss.engine.volumes.dicom_header import is_dicom

    if not path.exists():
        raise InputError(f"{path} does not exist.", "Check the path.", path)
    if path.is_file() and not is_dicom(path):
        return [Found(path, reading)]
    found, dicom = [], path.is_file()
    for number, file in enumerate(_files(path, without) if path.is_dir() else ()):
        control.report("looking for scans", number)
        if file.name.lower().endswith(_SUFFIXES[:-1]):
            found.append(Found(file, reading))
        else:
            dicom = dicom or is_dicom(file)
    if dicom:
        found += _series(path, reading)
    if not found:
        raise InputError(
            f"{path} holds no scan.",
            "Give NIfTI, NRRD, MHA or DICOM files, or a folder of them.",
            path,
        )
    return found


def examine(found: Found, folder: Path, control: JobControl) -> tuple[Case, bytes]:
    """Read a scan once and make a case of it, not stored yet, with its thumbnail.

    Raises
    ------
    VolumeError
        If it cannot be read.
    """
    from napari_sss.engine.volumes.reading import read_volume

    volume = read_volume(found.path, **found.reading.arguments())
    return describe(volume, found, folder, control)


def describe(
    volume: Volume, found: Found, folder: Path, control: JobControl
) -> tuple[Case, bytes]:
    """Make a case of a scan that was read already, not stored yet, with its thumbnail."""
    from napari_sss.engine.project.thumbnail import thumbnail

    reading = replace(
        found.reading,
        series_uid=volume.source.series_uid or found.reading.series_uid,
        frame=volume.source.frame,
    )
    path = found.path.absolute()
    case = Case(
        id=0,
        name=case_name(path),
        relative_path=relative_to(path, folder),
        absolute_path=path,
        reading=reading,
        grid=volume.grid,
        modality=volume.modality,
        fingerprint=fingerprint_of(path, reading, control),
        stamp=stamp_of(path),
        status=CaseStatus.NEW,
        patient=_patient(path, reading),
        added=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return case, thumbnail(volume)


def case_name(path: Path) -> str:
    """A file's name without its extension, or a folder's."""
    for suffix in _SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def unused_name(name: str, taken: Collection[str]) -> str:
    """The name, with a number where it is taken already."""
    number, candidate = 2, name
    while candidate in taken:
        candidate, number = f"{name} ({number})", number + 1
    return candidate


def _files(folder: Path, without: Path | None) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        entered = [
            name
            for name in folders
            if not name.startswith(".") and (Path(parent) / name) != without
        ]
        folders[:] = sorted(entered, key=natural)
        yield from (
            Path(parent) / n for n in sorted(names, key=natural) if not n.startswith(".")
        )


def _series(path: Path, reading: Reading) -> list[Found]:
    """Each DICOM series, by the smallest folder around its files, or its single file."""
    from napari_sss.engine.volumes.dicom_series import scan_file, scan_folder

    found = []
    for series in (scan_file(path),) if path.is_file() else scan_folder(path):
        if reading.series_uid not in (None, series.info.uid):
            continue
        files = sorted({part.path for part in series.slices})
        place = files[0]
        if len(files) > 1:
            place = Path(os.path.commonpath([file.parent for file in files]))
        uid = series.info.uid if place.is_dir() else None
        found.append(Found(place, replace(reading, series_uid=uid or None)))
    return found


def _patient(path: Path, reading: Reading) -> str | None:
    """The patient's id where a DICOM header tells it."""
    from napari_sss.engine.volumes.dicom_header import is_dicom, read_dicom_header

    first = scan_files(path, reading)[0]
    if not is_dicom(first):
        return None
    return read_dicom_header(first).text(_PATIENT_ID) or None
