"""A small picture of a scan for the case list."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.volumes.intensity import window_for
from napari_sss.engine.volumes.volume import Volume

THUMBNAIL_SIDE = 96


def thumbnail(volume: Volume, side: int = THUMBNAIL_SIDE) -> bytes:
    """The middle axial slice as a grey PNG, patient's left on the right.

    Parameters
    ----------
    volume : Volume
        The scan.
    side : int
        Pixels of the longer side; proportions are those of the patient.
    """
    seen = volume.viewed(volume.grid.canonical_view())
    middle = seen.array[seen.array.shape[0] // 2]
    height, width = (n * s for n, s in zip(middle.shape, seen.grid.spacing[1:], strict=True))
    scale = side / max(height, width)
    rows, columns = (
        _nearest(count, max(1, round(size * scale)))
        for count, size in zip(middle.shape, (height, width), strict=True)
    )
    grey = window_for(volume).apply(middle[np.ix_(rows, columns)])
    return grey_png(np.round(grey * 255).astype(np.uint8))


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG of an image (rows, columns)."""
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), dtype=np.uint8)  # each begins with its filter, none
    lines[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(name, body) for name, body in parts)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def _nearest(count: int, wanted: int) -> NDArray[np.intp]:
    """Indices that take ``count`` pixels to ``wanted``."""
    centres = (np.arange(wanted) + 0.5) * count / wanted
    return np.minimum(centres.astype(np.intp), count - 1)
