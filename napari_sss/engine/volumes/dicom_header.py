"""The header of a DICOM file, down to its sequences.

SimpleITK reads a file's voxels and plain tags, but not what lies inside sequences, which is
where multi-frame files keep position, orientation and spacing of every frame.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from napari_sss.engine.errors import VolumeError

Tag = tuple[int, int]

_IMPLICIT = "1.2.840.10008.1.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_PIXELS = (0x7FE0, 0x0008)  # float pixels; the tags above are pixels too
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN",
                       b"UR", b"UT", b"UV"})  # fmt: skip
_LONGEST_VALUE = 4096  # nothing we look at is longer
# Without value representations in the file, a sequence of known length shows by its tag only.
_SEQUENCES = frozenset(
    {(0x5200, 0x9229), (0x5200, 0x9230), (0x0020, 0x9113), (0x0020, 0x9116), (0x0020, 0x9111),
     (0x0028, 0x9110), (0x0028, 0x9145)}
)  # fmt: skip


class NotDicomError(VolumeError):
    """The file is no DICOM file."""


@dataclass
class DicomHeader:
    """The elements of a data set, or of one item of a sequence.

    Parameters
    ----------
    values : dict
        Raw bytes by tag; long values are left out.
    sequences : dict
        Items by tag.
    byte_order : {"<", ">"}
        Of binary numbers.
    """

    values: dict[Tag, bytes] = field(default_factory=dict)
    sequences: dict[Tag, list[DicomHeader]] = field(default_factory=dict)
    byte_order: str = "<"

    def text(self, tag: Tag) -> str:
        """The value as text, empty where absent."""
        return self.values.get(tag, b"").decode("latin-1").strip(" \0")

    def floats(self, tag: Tag) -> tuple[float, ...]:
        """The numbers of a decimal string, empty where absent or malformed."""
        try:
            return tuple(float(part) for part in self.text(tag).split("\\") if part.strip())
        except ValueError:
            return ()

    def integer(self, tag: Tag) -> int | None:
        """An unsigned short or an integer string; None where absent."""
        raw = self.values.get(tag, b"")
        if tag in _BINARY_SHORTS:
            return int(struct.unpack(self.byte_order + "H", raw[:2])[0]) if raw else None
        parts = self.floats(tag)
        return int(parts[0]) if parts else None

    def item(self, tag: Tag) -> DicomHeader:
        """The first item of a sequence, an empty one where absent."""
        items = self.sequences.get(tag)
        return items[0] if items else DicomHeader(byte_order=self.byte_order)


_BINARY_SHORTS: Mapping[Tag, str] = {
    (0x0028, 0x0002): "SamplesPerPixel",
    (0x0028, 0x0010): "Rows",
    (0x0028, 0x0011): "Columns",
}


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's mark after its preamble."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dicom_header(path: Path) -> DicomHeader:
    """Everything before the pixels of a DICOM file.

    Raises
    ------
    NotDicomError
        If the file carries no DICOM mark.
    VolumeError
        If it cannot be read or ends within the header.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(132)[128:] != b"DICM":
                raise NotDicomError(
                    f"{path} is not a DICOM file.", "Check the file or give its folder.", path
                )
            return _read_file(stream)
    except (struct.error, zlib.error, EOFError) as error:
        raise VolumeError(
            f"{path} is damaged: its DICOM header ends early.",
            "Copy or export the series again.",
            path,
        ) from error
    except OSError as error:
        raise VolumeError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check that you may read it.",
            path,
        ) from error


def _read_file(stream: IO[bytes]) -> DicomHeader:
    meta = _Parser(stream, explicit=True, byte_order="<").file_meta()
    syntax = meta.text((0x0002, 0x0010))
    if syntax == _DEFLATED:
        stream = io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read()))
    order = ">" if syntax == _BIG_ENDIAN else "<"
    return _Parser(stream, explicit=syntax != _IMPLICIT, byte_order=order).data_set(None)


class _Parser:
    """Reads elements one after the other from a stream that can seek."""

    def __init__(self, stream: IO[bytes], explicit: bool, byte_order: str) -> None:
        self._stream = stream
        self._explicit = explicit
        self._order = byte_order

    def file_meta(self) -> DicomHeader:
        """The group 0002, after which the stream stands at the data set."""
        header = DicomHeader()
        while True:
            here = self._stream.tell()
            element = self._element()
            if element is None or element[0][0] != 0x0002:
                self._stream.seek(here)
                return header
            tag, _, length = element
            header.values[tag] = self._exactly(length)

    def data_set(self, end: int | None) -> DicomHeader:
        """Elements up to ``end``, an item's end mark, the pixels or the file's end."""
        header = DicomHeader(byte_order=self._order)
        while end is None or self._stream.tell() < end:
            element = self._element()
            if element is None or element[0] == _ITEM_END:
                break
            tag, vr, length = element
            if _PIXELS <= tag < (0x7FE1, 0):
                break
            if vr == b"SQ" or length == _UNDEFINED or (not vr and tag in _SEQUENCES):
                header.sequences[tag] = self._items(length, unknown=vr == b"UN")
            elif length <= _LONGEST_VALUE:
                header.values[tag] = self._exactly(length)
            else:
                self._stream.seek(length, io.SEEK_CUR)
        return header

    def _items(self, length: int, unknown: bool) -> list[DicomHeader]:
        """A sequence's items; one of unknown representation is always implicit inside."""
        inner = _Parser(self._stream, self._explicit and not unknown, self._order)
        end = None if length == _UNDEFINED else self._stream.tell() + length
        items: list[DicomHeader] = []
        while end is None or self._stream.tell() < end:
            group, element, size = struct.unpack(self._order + "HHI", self._exactly(8))
            if (group, element) == _SEQUENCE_END:
                break
            if (group, element) != _ITEM:
                raise EOFError("a sequence is broken")
            stop = None if size == _UNDEFINED else self._stream.tell() + size
            items.append(inner.data_set(stop))
        return items

    def _element(self) -> tuple[Tag, bytes, int] | None:
        """Tag, value representation (empty if implicit) and length; None at the end."""
        start = self._stream.read(8)
        if len(start) < 8:
            return None
        group, element = struct.unpack(self._order + "HH", start[:4])
        tag = (group, element)
        if not self._explicit or group == 0xFFFE:
            return tag, b"", struct.unpack(self._order + "I", start[4:])[0]
        vr = start[4:6]
        if vr in _LONG_VRS:
            return tag, vr, struct.unpack(self._order + "I", self._exactly(4))[0]
        return tag, vr, struct.unpack(self._order + "H", start[6:])[0]

    def _exactly(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) < length:
            raise EOFError("the header ends early")
        return data
