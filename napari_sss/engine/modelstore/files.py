"""Copying a model's files into place: hashed on the way, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from napari_sss.engine.errors import ModelError, WriteError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.modelstore.card import FileFacts

UNFINISHED = ".incoming-"
DISCARDED = ".deleted-"
_LOCK_NAME = ".lock"
_PATIENCE = 15.0  # seconds; copying a large model takes less
_CHUNK = 1 << 20


class Stream(Protocol):
    """What can be read in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; none at the end."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the right to change a folder of models, across processes.

    Whatever a killed process left half done is swept away first: it held the same right, so
    nobody works on it any more.

    Raises
    ------
    WriteError
        The folder cannot be written, or another process keeps it for too long.
    """
    lock = FileLock(str(folder / _LOCK_NAME))
    with writing_models(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout as error:
            raise WriteError(
                f"Another program is changing the models in {folder}.",
                "Wait until it has finished, then try again.",
                folder,
            ) from error
    try:
        for rest in folder.iterdir():
            if rest.name.startswith((UNFINISHED, DISCARDED)):
                shutil.rmtree(rest, ignore_errors=True)
        yield
    finally:
        lock.release()


@contextmanager
def writing_models(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a :class:`WriteError` with its remedy."""
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Check that there is room on the disk and that you may write there. Nothing was "
            "changed.",
            path,
        ) from error


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A folder to fill beside the models; gone afterwards unless it was moved into place."""
    made = folder / f"{UNFINISHED}{uuid.uuid4().hex}"
    with writing_models(folder):
        made.mkdir(parents=True)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def put_in_place(made: Path, final: Path) -> None:
    """Give a filled folder its final name, in one step.

    Raises
    ------
    WriteError
        It cannot be renamed; nothing is there then.
    """
    with writing_models(final):
        os.rename(made, final)
    flush_folder(final.parent)


def discard(folder: Path) -> None:
    """Remove a folder: at once out of sight, then file by file.

    Raises
    ------
    WriteError
        It cannot be removed; it is still there then.
    """
    hidden = folder.with_name(f"{DISCARDED}{uuid.uuid4().hex}")
    with writing_models(folder):
        os.rename(folder, hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def copy_hashed(
    stream: Stream, target: Path, control: JobControl, most: int | None = None
) -> FileFacts:
    """Write a stream to a file, on the disk when this returns.

    Parameters
    ----------
    stream : Stream
        What to copy.
    target : Path
        A new file.
    control : JobControl
        May cancel between chunks of a megabyte.
    most : int, optional
        Bytes that it may have.

    Raises
    ------
    ModelError
        It has more.
    WriteError
        The target cannot be written.
    """
    digest, size = hashlib.sha256(), 0
    with writing_models(target), target.open("xb") as out:
        while chunk := stream.read(_CHUNK):
            control.check()
            size += len(chunk)
            if most is not None and size > most:
                raise ModelError(
                    f"{target.name} is larger than its card says ({most} bytes).",
                    "It is damaged or was tampered with: get the model again.",
                )
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return FileFacts(size=size, sha256=digest.hexdigest())


def hashed(path: Path, control: JobControl) -> FileFacts:
    """A file's size and SHA-256.

    Raises
    ------
    ModelError
        It is missing or cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with readable(path), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            control.check()
            digest.update(chunk)
            size += len(chunk)
    return FileFacts(size=size, sha256=digest.hexdigest())


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a :class:`ModelError`."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check that it is there and that you may read it.",
            path,
        ) from error


def flush_folder(folder: Path) -> None:
    """Have a renaming survive a power cut, where the system can do that."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
