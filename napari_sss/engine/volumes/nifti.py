"""NIfTI-1 and NIfTI-2 files, header and voxels.

ITK's own NIfTI reader is not used for reading: it fills what a truncated file lacks with
zeros without an error, it cannot open a file whose only transform is sheared, and it does
not say when the header's two transforms contradict each other.

Which transform counts: the sform wherever its code is not 0 and it is not degenerate, else
the qform, else the spacing alone (axes are then taken as ITK takes them, along LPS).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.raw import RawVolume, choose_frame

_DTYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_COLOUR = {128: "RGB", 2304: "RGBA", 32: "complex", 1792: "complex", 2048: "complex"}
_MILLIMETRES = {1: 1e3, 3: 1e-3}  # metres and micrometres; all else is taken as mm
_CONFLICT_MM = 0.01


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI header that matter here, both versions alike.

    Parameters
    ----------
    byte_order : {"<", ">"}
        Little or big endian.
    dim : tuple of 8 ints
        Number of axes, then their sizes in the order x, y, z, t, ...
    datatype : int
        NIfTI's code of the voxel type.
    pixdim : tuple of 8 floats
        Handedness of the qform, then the spacing along x, y, z, t, ...
    vox_offset : int
        Where in the file the voxels begin, in bytes.
    slope, intercept : float
        Intensity is ``slope * stored + intercept``; a slope of 0 means no rescaling.
    qform_code, sform_code : int
        0 where that transform is absent.
    quaternion : (b, c, d, x, y, z)
        Rotation and offset of the qform.
    srow : (3, 4) array
        The sform, from ``(i, j, k, 1)`` to RAS.
    units : int
        ``xyzt_units``.
    """

    byte_order: str
    dim: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: int
    slope: float
    intercept: float
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    srow: NDArray[np.float64]
    units: int

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        sizes = (*self.dim[1 : self.dim[0] + 1], 1, 1)
        return sizes[0], sizes[1], sizes[2]

    @property
    def frames(self) -> int:
        """Volumes in the file."""
        return self.dim[4] if self.dim[0] > 3 else 1


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


def read_header(stream: IO[bytes], path: Path) -> NiftiHeader:
    """Read and check the header at the start of ``stream``.

    Raises
    ------
    VolumeError
        If this is no NIfTI header, or its axes make no volume.
    """
    start = stream.read(540)
    for order in "<>":
        kind = struct.unpack_from(order + "i", start)[0] if len(start) >= 4 else 0
        if kind == 348 and len(start) >= 348 and start[344:347] == b"n+1":
            header = _unpack_1(start, order)
            break
        if kind == 540 and len(start) == 540 and start[4:7] == b"n+2":
            header = _unpack_2(start, order)
            break
    else:
        what = "is empty" if not start else "is not a NIfTI file (.nii or .nii.gz)"
        raise VolumeError(
            f"{path} {what}.", "Check the file, or save the scan as NIfTI again.", path
        )
    _check_axes(header, path)
    return header


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb")) if zipped else path.open("rb")


def _unpack_1(data: bytes, order: str) -> NiftiHeader:
    def at(form: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + form, data, offset)

    return NiftiHeader(
        byte_order=order,
        dim=at("8h", 40),
        datatype=at("h", 70)[0],
        pixdim=at("8f", 76),
        vox_offset=int(at("f", 108)[0]),
        slope=at("f", 112)[0],
        intercept=at("f", 116)[0],
        qform_code=at("h", 252)[0],
        sform_code=at("h", 254)[0],
        quaternion=at("6f", 256),
        srow=np.array(at("12f", 280), dtype=np.float64).reshape(3, 4),
        units=data[123],
    )


def _unpack_2(data: bytes, order: str) -> NiftiHeader:
    def at(form: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + form, data, offset)

    return NiftiHeader(
        byte_order=order,
        dim=at("8q", 16),
        datatype=at("h", 12)[0],
        pixdim=at("8d", 104),
        vox_offset=at("q", 168)[0],
        slope=at("d", 176)[0],
        intercept=at("d", 184)[0],
        qform_code=at("i", 344)[0],
        sform_code=at("i", 348)[0],
        quaternion=at("6d", 352),
        srow=np.array(at("12d", 400)).reshape(3, 4),
        units=at("i", 500)[0],
    )


def _check_axes(header: NiftiHeader, path: Path) -> None:
    axes = header.dim[0]
    sizes = header.dim[1 : axes + 1]
    if not 2 <= axes <= 7 or min(sizes) < 1:
        raise VolumeError(
            f"{path} holds no voxels: its axes have the sizes {tuple(sizes)}.",
            "Export the scan again with at least one voxel along every axis.",
            path,
        )
    kind = _COLOUR.get(header.datatype)
    if kind is None and int(np.prod(sizes[4:])) > 1:
        kind = "several"
    if kind is not None:
        raise VolumeError(
            f"{path} holds {kind} values per voxel, not one intensity.",
            "Give the scan itself, or convert the file to one channel.",
            path,
        )
    if header.datatype not in _DTYPES:
        raise VolumeError(
            f"{path} has voxels of the NIfTI type {header.datatype}, which is not supported.",
            "Save it with integer or float voxels of up to 64 bits.",
            path,
        )


def _read_voxels(
    stream: IO[bytes], header: NiftiHeader, frame: int, path: Path
) -> NDArray[Any]:
    dtype = np.dtype(header.byte_order + _DTYPES[header.datatype])
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
