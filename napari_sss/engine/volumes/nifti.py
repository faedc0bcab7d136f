"""NIfTI-1 and NIfTI-2 files, header and voxels.

ITK's own NIfTI reader is not used for reading: it fills what a truncated file lacks with
zeros without an error, it cannot open a file whose only transform is sheared, and it does
not say when the header's two transforms contradict each other.

Which transform counts: the sform wherever its code is not 0 and it is not degenerate, else
the qform, else the spacing alone (axes are then taken as ITK takes them, along LPS).
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.nifti_header import DTYPES, NiftiHeader, read_header
from napari_sss.engine.volumes.raw import RawVolume, choose_frame

_MILLIMETRES = {1: 1e3, 3: 1e-3}  # metres and micrometres; all else is taken as mm
_CONFLICT_MM = 0.01


def read_nifti(path: Path, frame: int | None = None) -> RawVolume:
    """Read one volume of a NIfTI file.

    Parameters
    ----------
    path : Path
        A ``.nii`` or ``.nii.gz`` file.
    frame : int, optional
        Which volume of a 4-D file; the first where not given, with a note.

    Raises
    ------
    VolumeError
        If the file is no NIfTI, is damaged, or holds colours or vectors.
    """
    try:
        with _opened(path) as stream:
            header = read_header(stream, path)
            chosen, notes = choose_frame(frame, header.frames, path)
            array = _read_voxels(stream, header, chosen, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VolumeError(
            f"{path} is damaged: its compressed data end early or are corrupt ({error}).",
            "Copy or download the file again.",
            path,
        ) from error
    except OSError as error:
        raise VolumeError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check that the file exists and that you may read it.",
            path,
        ) from error
    affine, known, more = _affine(header, path)
    return RawVolume(
        array,
        affine,
        spacing_known=known,
        frame=chosen if header.frames > 1 else None,
        notes=(*notes, *more),
    )


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb")) if zipped else path.open("rb")


def _read_voxels(
    stream: IO[bytes], header: NiftiHeader, frame: int, path: Path
) -> NDArray[Any]:
    dtype = np.dtype(header.byte_order + DTYPES[header.datatype])
    x, y, z = header.size
    wanted = x * y * z * dtype.itemsize
    stream.seek(header.vox_offset + frame * wanted)
    data = stream.read(wanted)
    if len(data) < wanted:
        raise VolumeError(
            f"{path} is truncated: {len(data)} of {wanted} bytes of voxels are there.",
            "Copy or download the file again.",
            path,
        )
    if frame == header.frames - 1:
        stream.read(1)  # past the end of gzip's data, so that its checksum is verified
    stored = np.frombuffer(data, dtype).reshape(z, y, x).astype(dtype.newbyteorder("="))
    return _rescaled(stored, header)


def _rescaled(stored: NDArray[Any], header: NiftiHeader) -> NDArray[Any]:
    slope, intercept = header.slope, header.intercept
    if not np.isfinite(slope) or not np.isfinite(intercept) or slope == 0:
        return stored
    if (slope, intercept) == (1, 0):
        return stored
    whole = slope == 1 and intercept == int(intercept)
    if whole and stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
        shifted = stored.astype(np.int32) + int(intercept)
        fits = shifted.min() >= -32768 and shifted.max() <= 32767
        return shifted.astype(np.int16) if fits else shifted
    dtype = np.float32 if stored.dtype.itemsize <= 2 else np.float64
    return np.add(np.multiply(stored, slope, dtype=dtype), intercept, dtype=dtype)


def _affine(
    header: NiftiHeader, path: Path
) -> tuple[NDArray[np.float64], bool, tuple[str, ...]]:
    """LPS affine for (z, y, x) indices, whether the spacing is known, and notes."""
    spacing, known = _spacing(header)
    sform = header.srow if header.sform_code > 0 and _regular(header.srow) else None
    qform = _qform(header, spacing) if header.qform_code > 0 else None
    notes: list[str] = []
    if sform is not None:
        chosen = sform
        known = True
        if qform is not None:
            notes += _conflict(sform, qform, header, path)
    elif qform is not None:
        chosen = qform
    else:
        chosen = np.c_[np.diag([-spacing[0], -spacing[1], spacing[2]]), np.zeros(3)]
        notes.append(
            f"{path.name} does not say how it lies in the patient (no qform, no sform): "
            "its axes are taken as left, back and head."
        )
    if not np.isfinite(chosen).all():
        raise GeometryError(
            f"{path} has a header with positions that are not numbers.",
            "Correct its qform or sform, or export the scan again.",
            path,
        )
    default = np.array_equal(np.abs(chosen), np.eye(3, 4))  # what bare arrays are saved with
    scale = _MILLIMETRES.get(header.units & 7, 1.0)
    affine = np.eye(4)
    affine[:3] = np.diag([-scale, -scale, scale]) @ chosen
    affine[:3, :3] = affine[:3, 2::-1]
    return affine, known and not default, tuple(notes)


def _spacing(header: NiftiHeader) -> tuple[NDArray[np.float64], bool]:
    given = np.array(header.pixdim[1:4], dtype=np.float64)
    axes = min(3, header.dim[0])
    valid = np.isfinite(given) & (given > 0)
    return np.where(valid, given, 1.0), bool(valid[:axes].all())


def _regular(srow: NDArray[np.float64]) -> bool:
    """Whether an sform spans space; writers leave zeros in it despite a code."""
    lengths = np.linalg.norm(srow[:, :3], axis=0)
    if not np.isfinite(srow).all() or lengths.min() == 0:
        return False
    return abs(np.linalg.det(srow[:, :3] / lengths)) > 1e-3


def _qform(header: NiftiHeader, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """The qform as a (3, 4) matrix to RAS, as the NIfTI-1 standard's method 2 defines it."""
    b, c, d = header.quaternion[:3]
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < 1e-7:
        b, c, d = np.array([b, c, d]) / np.sqrt(b * b + c * c + d * d)
        a = 0.0
    else:
        a = float(np.sqrt(rest))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handed = np.array([1.0, 1.0, -1.0 if header.pixdim[0] < 0 else 1.0])
    return np.c_[rotation * (spacing * handed), header.quaternion[3:6]]


def _conflict(
    sform: NDArray[np.float64], qform: NDArray[np.float64], header: NiftiHeader, path: Path
) -> list[str]:
    ends = [(0, n - 1) for n in header.size]
    corners = np.array(np.meshgrid(*ends, [1])).reshape(4, -1)
    apart = float(np.linalg.norm((sform - qform) @ corners, axis=0).max())
    if apart <= _CONFLICT_MM:
        return []
    return [
        f"{path.name} holds two positions that differ by up to {apart:.2f} mm (qform and "
        "sform): the sform is used."
    ]
