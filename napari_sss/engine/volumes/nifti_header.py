"""The headers of NIfTI-1 and NIfTI-2 files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import VolumeError

DTYPES = {
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
    if header.datatype not in DTYPES:
        raise VolumeError(
            f"{path} has voxels of the NIfTI type {header.datatype}, which is not supported.",
            "Save it with integer or float voxels of up to 64 bits.",
            path,
        )
