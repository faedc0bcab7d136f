"""Reading a scan: NIfTI, NRRD, MetaImage and DICOM, with the checks that all share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.dicom import read_dicom
from napari_sss.engine.volumes.dicom_header import is_dicom
from napari_sss.engine.volumes.dicom_series import SeriesInfo, list_series, series_uid_of
from napari_sss.engine.volumes.grid import Grid, Vector3
from napari_sss.engine.volumes.itk import IMAGE_IO, read_itk
from napari_sss.engine.volumes.modality import guess_modality
from napari_sss.engine.volumes.nifti import read_nifti
from napari_sss.engine.volumes.raw import RawVolume
from napari_sss.engine.volumes.shear import MAX_SHEAR_RADIANS, resampled_upright, shear_angle
from napari_sss.engine.volumes.volume import Modality, Source, Volume

__all__ = [
    "NIFTI_SUFFIXES",
    "SeriesInfo",
    "can_read",
    "list_series",
    "read_volume",
    "series_uid_of",
]

NIFTI_SUFFIXES = (".nii", ".nii.gz")


def can_read(path: Path | str) -> bool:
    """Whether :func:`read_volume` would try: by extension, or by DICOM's mark. Cheap."""
    path = Path(path)
    if path.is_dir():
        return any(is_dicom(file) for file in _first_files(path))
    name = path.name.lower()
    return name.endswith((*NIFTI_SUFFIXES, *IMAGE_IO, ".dcm")) or is_dicom(path)


def read_volume(
    path: Path | str,
    *,
    series_uid: str | None = None,
    frame: int | None = None,
    spacing: Vector3 | None = None,
    modality: Modality | None = None,
    nan: Literal["refuse", "fill"] = "refuse",
    shear: Literal["refuse", "resample"] = "refuse",
) -> Volume:
    """Read a scan with the geometry its header gives.

    Parameters
    ----------
    path : Path or str
        A NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd) or DICOM file
        (single slice or multi-frame), or the folder of a DICOM series. Files of 2 axes are
        read as one slice.
    series_uid : str, optional
        Which series of a DICOM folder; needed where there are several.
    frame : int, optional
        Which frame of a 4-D file, from 0; where not given the first, with a note.
    spacing : (float, float, float), optional
        Millimetres along Z, Y, X, instead of the header's.
    modality : {"CT", "MR", "unknown"}, optional
        Instead of what the header says or the intensities suggest.
    nan : {"refuse", "fill"}
        What to do with NaN and infinities: refuse the file, or give them the smallest
        finite intensity.
    shear : {"refuse", "resample"}
        What to do with axes that are not at right angles (a sheared sform, a tilted gantry):
        refuse, or resample onto a grid with right angles.

    Returns
    -------
    Volume
        ``(Z, Y, X)`` as SimpleITK's ``GetArrayFromImage`` orders it; :attr:`Volume.notes`
        holds what the user should know.

    Raises
    ------
    SeriesChoiceError
        If a folder holds several series and none was chosen.
    GeometryError
        If the geometry is sheared, irregular, contradictory or degenerate.
    VolumeError
        If the file is missing, damaged, of an unknown kind, or holds no plain intensities.
    """
    path = Path(path)
    raw = _filled(_read(path, series_uid, frame), nan, path)
    if shear_angle(raw.affine) > MAX_SHEAR_RADIANS:
        raw = _without_shear(raw, shear, path)
    grid, known, notes = _grid(raw, spacing, path)
    return Volume(
        raw.array,
        grid,
        modality=modality or (guess_modality(raw.array) if _silent(raw) else raw.modality),
        source=Source(path, raw.series_uid, raw.frame),
        spacing_known=known,
        notes=notes,
    )


def _read(path: Path, series_uid: str | None, frame: int | None) -> RawVolume:
    name = path.name.lower()
    if not path.exists():
        raise VolumeError(f"{path} does not exist.", "Check the path.", path)
    if path.is_dir() or is_dicom(path):
        return read_dicom(path, series_uid, frame)
    if name.endswith(NIFTI_SUFFIXES):
        return read_nifti(path, frame)
    if path.suffix.lower() in IMAGE_IO:
        return read_itk(path, frame)
    raise VolumeError(
        f"{path} is no kind of scan that can be read.",
        "Give a NIfTI (.nii, .nii.gz), NRRD, MHA, MHD or DICOM file, or a DICOM folder.",
        path,
    )


def _first_files(folder: Path, count: int = 32) -> list[Path]:
    """A few files of a folder, or of its first sub-folders where it has none."""
    try:
        entries = sorted(folder.iterdir())
        files = [entry for entry in entries if entry.is_file()][:count]
        if not files:
            folders = [entry for entry in entries if entry.is_dir()][:count]
            files = [f for inner in folders for f in sorted(inner.iterdir())[:2] if f.is_file()]
    except OSError:
        return []
    return files


def _filled(raw: RawVolume, nan: str, path: Path) -> RawVolume:
    if raw.array.dtype.kind != "f":
        return raw
    finite = np.isfinite(raw.array)
    bad = int(raw.array.size - np.count_nonzero(finite))
    if bad == 0:
        return raw
    if nan != "fill" or bad == raw.array.size:
        raise VolumeError(
            f"{path} holds {bad} voxels that are NaN or infinite.",
            "Replace them in the file, or read it with nan='fill', which gives them the "
            "smallest finite intensity.",
            path,
        )
    lowest = raw.array[finite].min()
    note = f"{bad} voxels were NaN or infinite and were set to {lowest:g}."
    return replace(raw, array=np.where(finite, raw.array, lowest), notes=(*raw.notes, note))


def _without_shear(raw: RawVolume, shear: str, path: Path) -> RawVolume:
    if shear == "resample":
        return resampled_upright(raw)
    raise GeometryError(
        f"The axes of {path} are {np.rad2deg(shear_angle(raw.affine)):.2f} degrees off a right "
        "angle (a sheared sform, or a tilted gantry), which masks cannot be written for.",
        "Read it with shear='resample', or resample it with another program first.",
        path,
    )


def _silent(raw: RawVolume) -> bool:
    return raw.modality == "unknown"


def _grid(
    raw: RawVolume, spacing: Vector3 | None, path: Path
) -> tuple[Grid, bool, tuple[str, ...]]:
    shape = (raw.array.shape[0], raw.array.shape[1], raw.array.shape[2])
    grid = Grid.from_affine(shape, raw.affine)
    if not np.isfinite(grid.affine).all() or min(grid.spacing) <= 0:
        raise GeometryError(
            f"{path} has a header with a degenerate geometry.",
            "Correct spacing, origin and direction, or export the scan again.",
            path,
        )
    if spacing is None:
        if raw.spacing_known:
            return grid, True, raw.notes
        note = f"{path.name} gives no spacing: 1 mm is assumed. Sizes in mm and ml need it."
        return grid, False, (*raw.notes, note)
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise GeometryError(
            f"The spacing {spacing} is not three positive numbers.",
            "Give millimetres along Z, Y and X.",
            path,
        )
    notes = raw.notes
    given = tuple(float(s) for s in spacing)
    if raw.spacing_known and not np.allclose(given, grid.spacing, rtol=1e-3):
        old = ", ".join(f"{s:g}" for s in grid.spacing)
        notes = (*notes, f"The file's own spacing ({old} mm) was replaced.")
    return replace(grid, spacing=given), True, notes  # type: ignore[arg-type]
