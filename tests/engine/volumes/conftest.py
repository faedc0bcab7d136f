"""Files made byte by byte, so that their headers say exactly what a test needs."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_NIFTI_TYPES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "u2": 512}

MakeNifti = Callable[..., Path]
MakeDicom = Callable[..., Path]


@pytest.fixture
def make_nifti(tmp_path: Path) -> MakeNifti:
    """Write a NIfTI-1 file; its array is (Z, Y, X) or (T, Z, Y, X)."""

    def make(
        array: np.ndarray,
        *,
        name: str = "scan.nii.gz",
        pixdim: Sequence[float] = (1, 1, 1),
        qfac: float = 1,
        sform: Any = None,
        sform_code: int = 1,
        quaternion: Sequence[float] | None = None,
        offset: Sequence[float] = (0, 0, 0),
        slope: float = 0,
        intercept: float = 0,
        units: int = 2,
        datatype: int | None = None,
        dim: Sequence[int] | None = None,
        order: str = "<",
        extra: bytes = b"",
    ) -> Path:
        header = bytearray(352)

        def put(form: str, at: int, *values: Any) -> None:
            struct.pack_into(order + form, header, at, *values)

        sizes = list(array.shape[::-1]) if dim is None else list(dim)
        put("i", 0, 348)
        put("8h", 40, len(sizes), *sizes, *[1] * (7 - len(sizes)))
        code = _NIFTI_TYPES[array.dtype.str[1:]] if datatype is None else datatype
        put("hh", 70, code, 8 * array.dtype.itemsize)
        put("8f", 76, qfac, *pixdim, 0, 0, 0, 0)
        put("f", 108, 352)
        put("ff", 112, slope, intercept)
        header[123] = units
        if quaternion is not None:
            put("h", 252, 1)
            put("6f", 256, *quaternion, *offset)
        if sform is not None:
            put("h", 254, sform_code)
            put("12f", 280, *np.asarray(sform, dtype=float)[:3].reshape(-1))
        header[344:348] = b"n+1\0"
        content = (
            bytes(header) + array.astype(array.dtype.newbyteorder(order)).tobytes() + extra
        )
        path = tmp_path / name
        path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
        return path

    return make


def element(group: int, number: int, vr: str, value: Any) -> bytes:
    """One DICOM element in explicit little endian; ``value`` of SQ is a list of items."""
    if vr == "SQ":
        items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(i)) + i for i in value)
        return struct.pack("<HH2sHI", group, number, b"SQ", 0, len(items)) + items
    if vr == "US":
        data = struct.pack("<H", value)
    elif vr in ("OW", "OB"):
        data = value
    else:
        text = "\\".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        data = text.encode()
        data += (b"\0" if vr == "UI" else b" ") * (len(data) % 2)
    if vr in ("OW", "OB"):
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(data)) + data
    return struct.pack("<HH2sH", group, number, vr.encode(), len(data)) + data


@pytest.fixture
def make_dicom(tmp_path: Path) -> MakeDicom:
    """Write a DICOM file of one or, with ``groups``, several frames."""
    count = 0

    def make(
        pixels: np.ndarray,
        *,
        name: str | None = None,
        folder: str = "series",
        position: Sequence[float] | None = (0, 0, 0),
        orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
        pixel_spacing: Sequence[float] = (0.5, 0.25),
        instance: int | None = None,
        series: str = "1.2.3",
        description: str = "abdomen",
        modality: str = "CT",
        slope: float = 1,
        intercept: float = -1024,
        samples: int = 1,
        groups: tuple[bytes, Sequence[bytes]] | None = None,
    ) -> Path:
        nonlocal count
        count += 1
        uid = f"1.2.3.4.{count}"
        sop_class = "1.2.840.10008.5.1.4.1.1.2" + (".1" if groups else "")
        frames, rows, columns = pixels.shape if pixels.ndim == 3 else (1, *pixels.shape)
        meta = b"".join(
            [
                element(2, 2, "UI", sop_class),
                element(2, 3, "UI", uid),
                element(2, 0x10, "UI", "1.2.840.10008.1.2.1"),
            ]
        )
        parts = [
            element(8, 0x16, "UI", sop_class),
            element(8, 0x18, "UI", uid),
            element(8, 0x60, "CS", modality),
            element(8, 0x103E, "LO", description),
            element(0x20, 0xE, "UI", series),
            element(0x20, 0x13, "IS", count if instance is None else instance),
        ]
        if position is not None and groups is None:
            parts.append(element(0x20, 0x32, "DS", position))
            parts.append(element(0x20, 0x37, "DS", orientation))
        parts.append(element(0x28, 2, "US", samples))
        parts.append(element(0x28, 4, "CS", "RGB" if samples == 3 else "MONOCHROME2"))
        if samples == 3:
            parts.append(element(0x28, 6, "US", 0))
        if groups is not None:
            parts.append(element(0x28, 8, "IS", frames))
        parts += [
            element(0x28, 0x10, "US", rows),
            element(0x28, 0x11, "US", columns // samples),
        ]
        if groups is None:
            parts.append(element(0x28, 0x30, "DS", pixel_spacing))
        bits = 8 * pixels.dtype.itemsize
        parts += [
            element(0x28, 0x100, "US", bits),
            element(0x28, 0x101, "US", bits),
            element(0x28, 0x102, "US", bits - 1),
            element(0x28, 0x103, "US", 0),
        ]
        if groups is None:
            parts.append(element(0x28, 0x1052, "DS", intercept))
            parts.append(element(0x28, 0x1053, "DS", slope))
        else:
            parts.append(element(0x5200, 0x9229, "SQ", [groups[0]]))
            parts.append(element(0x5200, 0x9230, "SQ", list(groups[1])))
        parts.append(element(0x7FE0, 0x10, "OW" if bits == 16 else "OB", pixels.tobytes()))
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        path = target / (name or f"{count:04d}.dcm")
        length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
        path.write_bytes(bytes(128) + b"DICM" + length + meta + b"".join(parts))
        return path

    return make


def shared_groups(
    orientation: Sequence[float], pixel_spacing: Sequence[float], slope: float, intercept: float
) -> bytes:
    """What all frames of a multi-frame file have in common."""
    return b"".join(
        [
            element(0x20, 0x9116, "SQ", [element(0x20, 0x37, "DS", orientation)]),
            element(0x28, 0x9110, "SQ", [element(0x28, 0x30, "DS", pixel_spacing)]),
            element(
                0x28,
                0x9145,
                "SQ",
                [element(0x28, 0x1052, "DS", intercept) + element(0x28, 0x1053, "DS", slope)],
            ),
        ]
    )


def frame_groups(position: Sequence[float]) -> bytes:
    """Where one frame of a multi-frame file lies."""
    return element(0x20, 0x9113, "SQ", [element(0x20, 0x32, "DS", position)])


@pytest.fixture
def multi_frame_groups() -> tuple[Callable[..., bytes], Callable[..., bytes]]:
    """Builders of the shared and the per-frame groups."""
    return shared_groups, frame_groups
