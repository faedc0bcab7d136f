"""Replacing a file as a whole or not at all.

The new file is written beside the old one under another name, flushed to the disk, and only
then renamed over it: whatever fails, the old file survives.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import WriteError


def write_json(content: Mapping[str, Any], path: Path | str) -> Path:
    """Write JSON in the same all-or-nothing way.

    Raises
    ------
    WriteError
        If the file cannot be written; an older file of that name is untouched.
    """
    path = Path(path)
    with replacing_json(content, path):
        pass
    return path


@contextmanager
def replacing_json(content: Mapping[str, Any], path: Path) -> Iterator[None]:
    """Lay JSON beside its place, and put it there only when the block has succeeded.

    For a file that goes with another one: write that within the block, and a full disk
    leaves both as they were.

    Raises
    ------
    WriteError
        If the file cannot be written; an older file of that name is untouched.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with replacing(path, ".json") as beside:
        beside.write_text(text, encoding="utf-8")
        yield


@contextmanager
def replacing(path: Path, suffix: str, *, make_folder: bool = False) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; on success it takes the place of ``path``.

    Parameters
    ----------
    path : Path
        The final file.
    suffix : str
        The extension the temporary name needs.
    make_folder : bool
        Make the folder where it is missing.

    Raises
    ------
    WriteError
        If anything fails on the way; ``path`` is then as it was.
    """
    beside: Path | None = None
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix, f".{path.name}.", path.parent)
        os.close(handle)
        beside = Path(name)
        yield beside
        _flush(beside)
        _set_mode(beside, path)
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise WriteError(
            f"{path} cannot be written: {reason or str(error).strip().splitlines()[-1]}.",
            "Check that its folder exists, that you may write there and that the disk is not "
            "full. What was there before is untouched.",
            path,
        ) from error
    finally:
        if beside is not None:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have the system put a file on the disk, so that a power cut cannot leave it empty."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _set_mode(beside: Path, path: Path) -> None:
    """The permissions of the file replaced, or those of any new file."""
    if path.exists():
        shutil.copymode(path, beside)
        return
    umask = os.umask(0)
    os.umask(umask)
    beside.chmod(0o666 & ~umask)
