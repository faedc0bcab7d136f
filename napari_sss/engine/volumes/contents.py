"""Which scans a file or folder holds, told by headers alone."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.dicom_geometry import stacked
from napari_sss.engine.volumes.dicom_header import is_dicom
from napari_sss.engine.volumes.dicom_series import Series, scan_file, scan_folder
from napari_sss.engine.volumes.itk import IMAGE_IO
from napari_sss.engine.volumes.nifti_header import read_header

_NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Content:
    """A scan that can be read; the fields are those of ``read_volume``.

    Parameters
    ----------
    path : Path
        The file or folder.
    series_uid : str, optional
        The series, where a folder holds DICOM.
    frame : int, optional
        The frame, where there are several.
    title : str
        What tells it from the others.
    slices : int
        How many slices it has, as far as that is known; else 0.
    """

    path: Path
    series_uid: str | None = None
    frame: int | None = None
    title: str = ""
    slices: int = 0


def contents_of(path: Path | str) -> tuple[Content, ...]:
    """The scans at a path: a folder's DICOM series, a file's frames, or just the file.

    Parameters
    ----------
    path : Path or str
        What ``read_volume`` takes.

    Raises
    ------
    VolumeError
        If it cannot be read, or is a folder without DICOM images.
    """
    path = Path(path)
    if path.is_dir():
        found = [content for series in scan_folder(path) for content in _of(series, path)]
        return tuple(found)
    if not path.is_file():
        raise VolumeError(f"{path} does not exist.", "Check the path.", path)
    if is_dicom(path):
        return _of(scan_file(path), path)
    return _frames(path, None, path.name, _frames_of_file(path), 0)


def _of(series: Series, path: Path) -> tuple[Content, ...]:
    """A series, or each of its points in time."""
    info = series.info
    name = info.description or "without a description"
    title = f"{info.modality or '?'} · {name} · {info.slices} slices"
    try:
        frames = len(stacked(series.slices, path).frames)
    except GeometryError:  # reading it will say what is wrong
        frames = 1
    # An anonymised series may have no identifier; "" still tells it from the others.
    uid = info.uid if path.is_dir() else None
    return _frames(path, uid, title, frames, info.slices)


def _frames(
    path: Path, uid: str | None, title: str, frames: int, slices: int
) -> tuple[Content, ...]:
    if frames == 1:
        return (Content(path, uid, None, title, slices),)
    return tuple(
        Content(path, uid, k, f"{title} · frame {k} (of 0 to {frames - 1})", slices // frames)
        for k in range(frames)
    )


def _frames_of_file(path: Path) -> int:
    name = path.name.lower()
    if name.endswith(_NIFTI):
        return _frames_of_nifti(path)
    if path.suffix.lower() in IMAGE_IO:
        return _frames_of_itk(path)
    return 1


def _frames_of_nifti(path: Path) -> int:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            return read_header(stream, path).frames  # type: ignore[arg-type]
    except (OSError, EOFError):
        return 1  # reading it will say what is wrong


def _frames_of_itk(path: Path) -> int:
    import SimpleITK as sitk  # noqa: N813

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(IMAGE_IO[path.suffix.lower()])
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return 1
    frames = 1
    for count in reader.GetSize()[3:]:
        frames *= int(count)
    return frames
