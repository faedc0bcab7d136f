"""Which DICOM series lie in a folder, and what the header of each slice says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_sss.engine.errors import SeriesChoiceError, VolumeError
from napari_sss.engine.volumes.dicom_header import (
    DicomHeader,
    NotDicomError,
    is_dicom,
    read_dicom_header,
)

_SOP_UID = (0x0008, 0x0018)
_MODALITY = (0x0008, 0x0060)
_DESCRIPTION = (0x0008, 0x103E)
_SERIES_UID = (0x0020, 0x000E)
_SERIES_NUMBER = (0x0020, 0x0011)
_INSTANCE = (0x0020, 0x0013)
_TIME_KEYS = ((0x0020, 0x0100), (0x0020, 0x0012), (0x0018, 0x1060), _INSTANCE)
_SAMPLES = (0x0028, 0x0002)
_FRAMES = (0x0028, 0x0008)
_ROWS, _COLUMNS = (0x0028, 0x0010), (0x0028, 0x0011)
_POSITION, _ORIENTATION = (0x0020, 0x0032), (0x0020, 0x0037)
_PIXEL_SPACING = (0x0028, 0x0030)
_SLOPE, _INTERCEPT = (0x0028, 0x1053), (0x0028, 0x1052)
_SHARED, _PER_FRAME = (0x5200, 0x9229), (0x5200, 0x9230)
_PLANE_POSITION, _PLANE_ORIENTATION = (0x0020, 0x9113), (0x0020, 0x9116)
_MEASURES, _TRANSFORM = (0x0028, 0x9110), (0x0028, 0x9145)


@dataclass(frozen=True)
class SeriesInfo:
    """One series of a folder.

    Parameters
    ----------
    uid : str
        Series Instance UID.
    description : str
        What the scanner called it; may be empty.
    modality : str
        As in the file, for instance ``"CT"``.
    slices : int
        Slices, all frames counted.
    """

    uid: str
    description: str
    modality: str
    slices: int

    def __str__(self) -> str:
        name = f" '{self.description}'" if self.description else ""
        return f"{self.modality or '?'}{name}, {self.slices} slices: {self.uid}"


@dataclass(frozen=True)
class Slice:
    """One slice, a file of its own or a frame of a multi-frame file.

    Parameters
    ----------
    path : Path
        The file.
    frame : int
        Its place within the file, from 0.
    size : (int, int)
        Rows and columns.
    position : tuple of 3 floats, or empty
        LPS mm of its first pixel's centre.
    orientation : tuple of 6 floats, or empty
        Directions along a row, then down a column.
    pixel_spacing : tuple of 2 floats, or empty
        Millimetres between rows, between columns.
    rescale : tuple of floats
        Slope and intercept.
    time : tuple of floats
        What orders slices at the same position.
    """

    path: Path
    frame: int
    size: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    rescale: tuple[float, ...]
    time: tuple[float, ...]


@dataclass(frozen=True)
class Series:
    """A series with all its slices."""

    info: SeriesInfo
    slices: tuple[Slice, ...]
    colour: bool


def list_series(folder: Path | str) -> tuple[SeriesInfo, ...]:
    """The image series in a folder and the folders below it, in the scanner's order.

    Raises
    ------
    VolumeError
        If the folder cannot be read or holds no DICOM images.
    """
    return tuple(series.info for series in scan_folder(Path(folder)))


def series_uid_of(path: Path | str) -> str | None:
    """The series that a DICOM file belongs to; None where it was removed."""
    return read_dicom_header(Path(path)).text(_SERIES_UID) or None


def scan_folder(folder: Path) -> tuple[Series, ...]:
    """All image series below ``folder``, each with its slices."""
    headers: dict[str, list[tuple[Path, DicomHeader]]] = {}
    for path in _files(folder):
        if not is_dicom(path):
            continue
        header = read_dicom_header(path)
        if header.integer(_ROWS):  # else reports, plans and indices, which hold no image
            headers.setdefault(header.text(_SERIES_UID), []).append((path, header))
    if not headers:
        raise VolumeError(
            f"{folder} holds no DICOM images.",
            "Give the folder of a DICOM series, or a NIfTI, NRRD or MHA file.",
            folder,
        )
    ordered = sorted(headers.values(), key=lambda f: f[0][1].integer(_SERIES_NUMBER) or 0)
    return tuple(_series(files) for files in ordered)


def scan_file(path: Path) -> Series:
    """The series that a single DICOM file is, all its frames as slices."""
    header = read_dicom_header(path)
    if not header.integer(_ROWS):
        raise NotDicomError(
            f"{path} is a DICOM file without an image.", "Give the series' folder.", path
        )
    return _series([(path, header)])


def choose_series(series: tuple[Series, ...], uid: str | None, folder: Path) -> Series:
    """The series asked for, or the only one.

    Raises
    ------
    SeriesChoiceError
        If there are several and none was asked for, or the one asked for is not there.
    """
    if uid is None and len(series) == 1:
        return series[0]
    for candidate in series:
        if candidate.info.uid == uid:
            return candidate
    listing = "; ".join(str(candidate.info) for candidate in series)
    problem = (
        f"{folder} holds {len(series)} series and none was chosen"
        if uid is None
        else f"{folder} holds no series {uid}"
    )
    raise SeriesChoiceError(
        f"{problem}.",
        f"Choose one by its identifier: {listing}.",
        folder,
        tuple(candidate.info.uid for candidate in series),
    )


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise VolumeError(
            f"The folder {error.filename} cannot be read: {error.strerror}.",
            "Check that it exists and that you may read it.",
            folder,
        ) from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            yield Path(parent) / name


def _series(files: list[tuple[Path, DicomHeader]]) -> Series:
    first = files[0][1]
    unique = {h.text(_SOP_UID) or str(p): (p, h) for p, h in files}  # a file copied twice
    slices = [s for path, header in unique.values() for s in _slices(path, header)]
    info = SeriesInfo(
        first.text(_SERIES_UID), first.text(_DESCRIPTION), first.text(_MODALITY), len(slices)
    )
    return Series(info, tuple(slices), any((h.integer(_SAMPLES) or 1) > 1 for _, h in files))


def _slices(path: Path, header: DicomHeader) -> Iterator[Slice]:
    size = (header.integer(_ROWS) or 0, header.integer(_COLUMNS) or 0)
    shared = header.item(_SHARED)
    frames = header.integer(_FRAMES) or 1
    own = header.sequences.get(_PER_FRAME, [])
    for number in range(frames):
        groups = (own[number] if number < len(own) else DicomHeader(), shared)

        def find(sequence: tuple[int, int], tag: tuple[int, int]) -> tuple[float, ...]:
            for group in groups:  # noqa: B023 - called within this turn of the loop
                if found := group.item(sequence).floats(tag):
                    return found
            # One position cannot be that of several frames.
            return () if frames > 1 and tag == _POSITION else header.floats(tag)

        yield Slice(
            path,
            number,
            size,
            position=find(_PLANE_POSITION, _POSITION),
            orientation=find(_PLANE_ORIENTATION, _ORIENTATION),
            pixel_spacing=find(_MEASURES, _PIXEL_SPACING),
            rescale=find(_TRANSFORM, _SLOPE) + find(_TRANSFORM, _INTERCEPT),
            time=(*(_number(header, key) for key in _TIME_KEYS), float(number)),
        )


def _number(header: DicomHeader, tag: tuple[int, int]) -> float:
    found = header.floats(tag)
    return found[0] if found else 0.0
