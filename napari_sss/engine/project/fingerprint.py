"""What makes a scan the same scan: its content, wherever it lies and whatever it is called."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Reading

_CHUNK = 1 << 20
_DETACHED = (".nhdr", ".mhd")
_DATA_KEYS = ("data file", "elementdatafile")
_HEADER_BYTES = 1 << 16


def fingerprint_of(path: Path, reading: Reading, control: JobControl | None = None) -> str:
    """SHA-256 of a scan's files, the same in whatever order and under whatever names.

    Parameters
    ----------
    path : Path
        A file, or the folder of a DICOM series.
    reading : Reading
        Names the series.
    control : JobControl, optional
        Honoured between chunks of a megabyte.

    Raises
    ------
    VolumeError
        If the series is not there, or a file cannot be read.
    """
    digests = sorted(_sha256(file, control) for file in scan_files(path, reading))
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def stamp_of(path: Path) -> str:
    """Sizes and times of everything at ``path``: equal as long as nothing was touched."""
    digest = hashlib.sha256()
    for file in _all_files(path):
        state = file.stat()
        digest.update(f"{file.name}|{state.st_size}|{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def scan_files(path: Path, reading: Reading) -> list[Path]:
    """The files that hold a scan."""
    from napari_sss.engine.volumes.dicom_series import choose_series, scan_folder

    if path.is_dir():
        series = choose_series(scan_folder(path), reading.series_uid, path)
        return sorted({part.path for part in series.slices})
    return list(_all_files(path))


def _all_files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        yield from _data_file(path)
        return
    for parent, folders, names in os.walk(path):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


def _data_file(header: Path) -> Iterable[Path]:
    """The file that a detached header names."""
    if header.suffix.lower() not in _DETACHED:
        return
    with header.open("rb") as stream:
        text = stream.read(_HEADER_BYTES).decode("latin-1")
    for line in text.splitlines():
        key, separator, value = line.replace("=", ":", 1).partition(":")
        if separator and key.strip().lower() in _DATA_KEYS:
            data = header.with_name(value.strip())
            if data.is_file():
                yield data


def _sha256(path: Path, control: JobControl | None) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                if control is not None:
                    control.check()
    except OSError as error:
        raise VolumeError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check that it exists and that you may read it.",
            path,
        ) from error
    return digest.hexdigest()
