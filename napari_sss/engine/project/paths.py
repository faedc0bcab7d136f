"""Paths and names that stay where they belong.

Everything a project writes lies below its folder, and everything an export writes below the
folder that was asked for, whatever names cases and classes have.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

from napari_sss.engine.project.errors import ProjectError

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


def relative_to(path: Path, folder: Path) -> str | None:
    """The way from ``folder`` to ``path``, with ``..`` where needed; None between drives."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return None
