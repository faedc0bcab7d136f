"""Paths and names that stay where they belong.

Everything a project writes lies below its folder, and everything an export writes below the
folder that was asked for, whatever names cases and classes have.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.volumes.atomic import replacing

_UNSAFE = re.compile(r"[^\w.-]+")
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_LONGEST = 80


def inside(folder: Path, relative: str) -> Path:
    """The path below ``folder`` that a stored text names.

    Raises
    ------
    ProjectError
        If it leads out of the folder.
    """
    windows = PureWindowsPath(relative)
    absolute = PurePosixPath(relative).is_absolute() or windows.drive or windows.root
    if absolute or ".." in windows.parts or ".." in PurePosixPath(relative).parts:
        raise ProjectError(
            f"{relative!r} leads out of the project {folder}.",
            "The project's database was changed by another program; use a backup.",
            folder,
        )
    return folder.joinpath(*PurePosixPath(relative).parts)


def safe_name(name: str) -> str:
    """A file name, without extension, made of a free text.

    Letters of any script, digits, ``-``, ``_`` and ``.`` stay; everything else becomes
    ``_``. Never empty, hidden, reserved by Windows, or longer than 80 characters.
    """
    plain = unicodedata.normalize("NFC", name)
    plain = _UNSAFE.sub("_", plain)[:_LONGEST].strip("._ ")
    if not plain or _RESERVED.match(plain):
        plain = f"_{plain}"
    return plain


def natural(name: str) -> list[tuple[int, int | str]]:
    """A key that sorts ``CT_9`` before ``CT_10``, and small letters like capitals."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def kept_copy(path: Path, folder: Path) -> Path:
    """A copy of a file in a folder, named by its content; the file itself if it is there.

    Raises
    ------
    ProjectError
        If the file cannot be read.
    WriteError
        If the copy cannot be written.
    """
    if path.resolve().is_relative_to(folder.resolve()):
        return path
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check that it exists and that you may read it.",
            path,
        ) from error
    suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
    copy = folder / f"{digest[:24]}{suffix}"
    if not copy.exists():
        with replacing(copy, suffix, make_folder=True) as beside:
            shutil.copyfile(path, beside)
    return copy


def relative_to(path: Path, folder: Path) -> str | None:
    """The way from ``folder`` to ``path``, with ``..`` where needed; None between drives."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return None
