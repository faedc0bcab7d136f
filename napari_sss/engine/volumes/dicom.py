"""DICOM: a folder's series, a single file, an enhanced multi-frame file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.volumes.dicom_geometry import stacked
from napari_sss.engine.volumes.dicom_series import (
    Series,
    Slice,
    choose_series,
    scan_file,
    scan_folder,
)
from napari_sss.engine.volumes.raw import RawVolume, choose_frame
from napari_sss.engine.volumes.volume import Modality


def read_dicom(
    path: Path, series_uid: str | None = None, frame: int | None = None
) -> RawVolume:
    """Read one volume of a DICOM series.

    Parameters
    ----------
    path : Path
        A folder (searched with the folders below it), or one file, which may hold many
        frames.
    series_uid : str, optional
        Which series of a folder; needed where there are several.
    frame : int, optional
        Which point in time, where slices repeat at the same positions.

    Raises
    ------
    SeriesChoiceError
        If the folder holds several series and none was chosen.
    GeometryError
        If the slices make no regular stack.
    VolumeError
        If files cannot be read, slices are missing, or pixels are colours.
    """
    if path.is_dir():
        series = choose_series(scan_folder(path), series_uid, path)
    else:
        series = scan_file(path)
    if series.colour:
        raise VolumeError(
            f"{path} holds colour pixels, not one intensity per voxel.",
            "Choose the scan's own series instead of a colour capture.",
            path,
        )
    stack = stacked(series.slices, path)
    chosen, notes = choose_frame(frame, len(stack.frames), path)
    return RawVolume(
        _pixels(stack.frames[chosen], path),
        stack.affine,
        modality=_modality(series),
        spacing_known=stack.spacing_known,
        frame=chosen if len(stack.frames) > 1 else None,
        series_uid=series.info.uid or None,
        notes=(*stack.notes, *notes),
    )


def _modality(series: Series) -> Modality:
    if series.info.modality == "CT":
        return "CT"
    return "MR" if series.info.modality == "MR" else "unknown"


def _pixels(slices: Sequence[Slice], path: Path) -> NDArray[Any]:
    """The (Z, Y, X) intensities of sorted slices, rescaled."""
    import SimpleITK as sitk  # noqa: N813

    files = list(dict.fromkeys(s.path for s in slices))
    rescaled_alike = len({s.rescale for s in slices}) == 1
    reader: Any
    if len(files) == 1:
        if not rescaled_alike:
            raise VolumeError(
                f"The frames of {path} have different rescale slopes or intercepts, which "
                "cannot be read.",
                "Export the series as single slices.",
                path,
            )
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(files[0]))
    else:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames([str(file) for file in files])
        if not rescaled_alike:
            # The first slice's type would be used for all, and cut off the others' decimals.
            reader.SetOutputPixelType(sitk.sitkFloat32)
    reader.SetImageIO("GDCMImageIO")
    try:
        array = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise VolumeError(
            f"{path} cannot be decoded: {str(error).strip().splitlines()[-1]}.",
            "A file may be damaged or compressed in a way that is not supported: export the "
            "series again, uncompressed.",
            path,
        ) from error
    if len(files) > 1:
        return array
    order = [s.frame for s in slices]
    frames = array.reshape(-1, *slices[0].size)
    return frames if order == list(range(len(frames))) else frames[np.asarray(order)]
