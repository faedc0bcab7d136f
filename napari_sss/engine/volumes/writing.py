"""Writing volumes and label maps on their own grid, never leaving half a file.

A file is read back and compared before it takes the place of what was there.
"""

from __future__ import annotations

import contextlib
import gzip
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import GeometryError, InputError, VolumeError, WriteError
from napari_sss.engine.volumes.atomic import replacing, replacing_json, write_json
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.shear import MAX_SHEAR_RADIANS, shear_angle
from napari_sss.engine.volumes.volume import Volume

__all__ = [
    "WRITE_SUFFIXES",
    "read_labels",
    "sidecar_path",
    "write_json",
    "write_labels",
    "write_volume",
]

WRITE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
_IMAGE_IO = {
    ".nii.gz": "NiftiImageIO",
    ".nii": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".mha": "MetaImageIO",
}
_SAME_GRID_MM = 1e-3
_EXACT_MM = 1e-5
_SROW_OFFSET = 280


def write_labels(
    labels: NDArray[Any],
    grid: Grid,
    path: Path | str,
    *,
    sidecar: Mapping[str, Any] | None = None,
) -> Path:
    """Write a label map on a grid.

    Parameters
    ----------
    labels : (Z, Y, X) integer or bool array
        Values of 0 and more; stored as the array's own unsigned type up to 32 bits, else as
        the smallest one that holds them.
    grid : Grid
        Where the voxels lie: that of the scan the labels were made on.
    path : Path or str
        Ends in ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``; an existing file is replaced.
    sidecar : mapping, optional
        How the mask was made, for instance its class table; written as JSON to
        :func:`sidecar_path`, both files or none.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the labels are not whole numbers of 0 and more, or the extension is unknown.
    GeometryError
        If labels and grid differ in shape.
    WriteError
        If the file cannot be written; an older file of that name is untouched.
    """
    path = Path(path)
    together = (
        contextlib.nullcontext()
        if sidecar is None
        else replacing_json(sidecar, sidecar_path(path))
    )
    with together:
        _write(_as_stored(labels, path), grid, path)
    return path


def write_volume(volume: Volume, path: Path | str) -> Path:
    """Write a volume's intensities on its grid, in the array's own type.

    Raises
    ------
    InputError
        If the extension is unknown or the array's type cannot be stored.
    WriteError
        If the file cannot be written; an older file of that name is untouched.
    """
    path = Path(path)
    array = volume.array
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            f"The volume holds NaN or infinities; {path} was not written.",
            "Replace them first.",
            path,
        )
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    _write(array.astype(np.uint8) if array.dtype == bool else array, volume.grid, path)
    return path


def read_labels(path: Path | str, like: Grid) -> NDArray[Any]:
    """Read a label map as an array on the grid of a scan.

    A file that holds the same voxels in another axis order or flipped is turned; the
    comparison is made in the patient's coordinates, never by the arrays alone.

    Parameters
    ----------
    path : Path or str
        The label file.
    like : Grid
        The scan's grid.

    Returns
    -------
    (Z, Y, X) integer array
        Labels in the scan's axis order.

    Raises
    ------
    GeometryError
        If the file lies on another grid.
    VolumeError
        If it cannot be read or holds no labels.
    """
    path = Path(path)
    volume = read_volume(path)
    labels = _whole_numbers(volume.array, path)
    tolerance = max(_SAME_GRID_MM, 0.01 * min(like.spacing))
    view = volume.grid.view_onto(like, tolerance)
    if view is None:
        raise GeometryError(
            f"{path} lies on another grid than the scan: {_described(volume.grid)}, where the "
            f"scan has {_described(like)}.",
            "Give a mask made for this scan, or resample it onto the scan first.",
            path,
        )
    return np.ascontiguousarray(view.apply(labels))


def sidecar_path(path: Path | str) -> Path:
    """The JSON file beside a mask: ``mask.nii.gz`` has ``mask.json``."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(_suffix(path, path.name)) + ".json")


def _write(array: NDArray[Any], grid: Grid, path: Path) -> None:
    _check_grid(array, grid, path)
    suffix = _suffix(path)
    image = _image(array, grid, path)
    with replacing(path, suffix) as beside:
        _write_image(image, beside, suffix)
        _finish(beside, array, grid, path)


def _suffix(path: Path, default: str | None = None) -> str:
    for suffix in WRITE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[-len(suffix) :]
    if default is not None:
        return path.suffix
    raise InputError(
        f"{path} has no extension of an image format that can be written.",
        f"Let the name end in one of {', '.join(WRITE_SUFFIXES)}.",
        path,
    )


def _image(array: NDArray[Any], grid: Grid, path: Path) -> Any:
    import SimpleITK as sitk  # noqa: N813

    try:
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    except (TypeError, KeyError) as error:
        raise InputError(
            f"Voxels of the type {array.dtype} cannot be stored in {path}.",
            "Convert the array to integers or floats of up to 64 bits.",
            path,
        ) from error
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image


def _write_image(image: Any, path: Path, suffix: str) -> None:
    import SimpleITK as sitk  # noqa: N813

    writer = sitk.ImageFileWriter()
    writer.SetImageIO(_IMAGE_IO[suffix.lower()])
    writer.SetFileName(str(path))
    writer.SetUseCompression(suffix.lower() != ".nii")
    writer.Execute(image)


def _finish(beside: Path, array: NDArray[Any], grid: Grid, path: Path) -> None:
    """Read the new file back: a full disk does not always tell its writer."""
    try:
        written = read_volume(beside, modality="unknown")
    except VolumeError as error:
        raise WriteError(
            f"{path} could not be written completely.",
            "Check that the disk is not full. What was there before is untouched.",
            path,
        ) from error
    if not np.array_equal(written.array, array):
        raise WriteError(
            f"{path} did not keep its voxels when written.",
            "Check the disk, or choose another format. What was there before is untouched.",
            path,
        )
    if written.grid.distance_to(grid) > _EXACT_MM and ".nii" in beside.name[-7:].lower():
        _store_exact_transform(beside, grid)


def _store_exact_transform(path: Path, grid: Grid) -> None:
    """Put the exact matrix into a NIfTI's sform where ITK has straightened it.

    ITK stores the nearest rotation; directions that were rounded in their source file (to
    six decimals, for instance) would then move distant voxels more than a reader tolerates.
    """
    opened: Any = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rb") as stream:
        content = bytearray(stream.read())
    rows = np.diag([-1.0, -1.0, 1.0]) @ grid.affine[:3][:, [2, 1, 0, 3]]
    struct.pack_into("<12f", content, _SROW_OFFSET, *rows.reshape(-1))
    with opened(path, "wb") as stream:
        stream.write(content)


def _check_grid(array: NDArray[Any], grid: Grid, path: Path) -> None:
    if tuple(array.shape) != tuple(grid.shape):
        raise GeometryError(
            f"An array of shape {array.shape} does not fit the grid's {grid.shape}; {path} "
            "was not written.",
            "Give the array in the axis order of the grid.",
            path,
        )
    if shear_angle(grid.affine) > MAX_SHEAR_RADIANS:
        raise GeometryError(
            f"The grid's axes are not at right angles; {path} was not written.",
            "Read the scan with shear='resample'.",
            path,
        )


def _as_stored(labels: NDArray[Any], path: Path) -> NDArray[Any]:
    """Labels in the type they are stored in."""
    labels = np.asarray(labels)
    if labels.dtype in (np.uint8, np.uint16, np.uint32):
        return labels
    if labels.dtype.kind not in "iub" or (labels.size and labels.min() < 0):
        raise InputError(
            f"Labels of the type {labels.dtype} cannot be written to {path}.",
            "Give whole numbers of 0 and more.",
            path,
        )
    highest = int(labels.max(initial=0))
    for dtype in (np.uint8, np.uint16, np.uint32):
        if highest <= np.iinfo(dtype).max:
            return labels.astype(dtype)
    raise InputError(
        f"The label {highest} is too large for {path}.", "Number the objects anew.", path
    )


def _whole_numbers(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Labels of a file, which some programs store as floats."""
    whole = array
    if array.dtype.kind == "f":
        whole = array.astype(np.int64)
    if not np.array_equal(whole, array) or whole.min() < 0:
        raise VolumeError(
            f"{path} holds values that are not labels (fractions or negative numbers).",
            "Give a mask of whole numbers of 0 and more.",
            path,
        )
    return _as_stored(whole, path)


def _described(grid: Grid) -> str:
    size = " x ".join(str(n) for n in grid.shape)
    spacing = " x ".join(f"{s:.3g}" for s in grid.spacing)
    origin = ", ".join(f"{o:.1f}" for o in grid.origin)
    return f"{size} voxels of {spacing} mm (Z, Y, X) from ({origin})"
