"""NRRD and MetaImage files (.nrrd, .nhdr, .mha, .mhd), read by SimpleITK."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.volumes.raw import RawVolume, choose_frame

IMAGE_IO: Mapping[str, str] = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
_SPACING_FIELDS = ("space directions", "spacings", "ElementSpacing", "ElementSize")
_SIZE_FIELDS = ("sizes", "DimSize")


def read_itk(path: Path, frame: int | None = None) -> RawVolume:
    """Read one volume of an NRRD or MetaImage file.

    Parameters
    ----------
    path : Path
        A file with one of the extensions of :data:`IMAGE_IO`.
    frame : int, optional
        Which volume of a 4-D file; the first where not given, with a note.

    Raises
    ------
    VolumeError
        If the file is damaged, empty, or holds colours or vectors.
    """
    import SimpleITK as sitk  # noqa: N813

    fields = _header_fields(path)
    _check_sizes(fields, path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(IMAGE_IO[path.suffix.lower()])
    try:
        reader.ReadImageInformation()
        size = [*reader.GetSize(), 1, 1][: max(3, reader.GetDimension())]
        _check_values(reader, path)
        frames = int(np.prod(size[3:]))
        chosen, notes = choose_frame(frame, frames, path)
        if len(size) == 4:
            reader.SetExtractIndex([0, 0, 0, chosen])
            reader.SetExtractSize([*size[:3], 0])
        image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(
            f"{path} cannot be read ({_reason(error)}).",
            "It may be truncated or not what its extension says: copy or export it again.",
            path,
        ) from error
    array = sitk.GetArrayFromImage(image)
    affine = _affine(reader)
    stated = any(name in fields for name in _SPACING_FIELDS)
    default = np.array_equal(affine, _default_affine())  # what bare arrays are saved with
    return RawVolume(
        array[np.newaxis] if array.ndim == 2 else array,
        affine,
        spacing_known=stated and not default,
        frame=chosen if frames > 1 else None,
        notes=notes,
    )


def _header_fields(path: Path) -> dict[str, str]:
    """The text header's fields; both formats end it before the voxels begin."""
    try:
        with path.open("rb") as stream:
            start = stream.read(65536)
    except OSError as error:
        raise VolumeError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check that the file exists and that you may read it.",
            path,
        ) from error
    if not start.strip():
        raise VolumeError(f"{path} is empty.", "Copy or export the scan again.", path)
    fields = {}
    for line in start.decode("latin-1").splitlines():
        if not line.strip():
            break
        name, mark, value = line.partition("=" if path.suffix.lower() in _META else ":")
        if mark:
            fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    return fields


_META = (".mha", ".mhd")


def _check_sizes(fields: Mapping[str, str], path: Path) -> None:
    for name in _SIZE_FIELDS:
        sizes = fields.get(name, "").split()
        if "0" in sizes:
            raise VolumeError(
                f"{path} holds no voxels: its axes have the sizes {' x '.join(sizes)}.",
                "Export the scan again with at least one voxel along every axis.",
                path,
            )


def _check_values(reader: Any, path: Path) -> None:
    import SimpleITK as sitk  # noqa: N813

    complex_types = (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)
    if reader.GetNumberOfComponents() > 1 or reader.GetPixelID() in complex_types:
        raise VolumeError(
            f"{path} holds {reader.GetNumberOfComponents()} values per voxel (colours or "
            "vectors), not one intensity.",
            "Give the scan itself, or convert the file to one channel.",
            path,
        )
    if reader.GetDimension() > 4:
        raise VolumeError(
            f"{path} has {reader.GetDimension()} axes.", "Give a file of 2 to 4 axes.", path
        )


def _affine(reader: Any) -> NDArray[np.float64]:
    """LPS affine for (z, y, x) indices of a reader's 2-D, 3-D or 4-D image."""
    axes = reader.GetDimension()
    used = min(3, axes)
    steps = np.eye(3)
    direction = np.asarray(reader.GetDirection()).reshape(axes, axes)
    steps[:used, :used] = direction[:used, :used] * np.asarray(reader.GetSpacing())[:used]
    affine = np.eye(4)
    affine[:3, :3] = steps[:, ::-1]
    affine[:used, 3] = reader.GetOrigin()[:used]
    return affine


def _default_affine() -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = affine[:3, 2::-1]
    return affine


def _reason(error: RuntimeError) -> str:
    """The last line of ITK's message; those before it are source files and addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"
