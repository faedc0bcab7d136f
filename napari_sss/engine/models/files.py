"""What models' files need: checksums, one writer at a time, and clear refusals."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

from napari_sss.engine.errors import WriteError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.registry import MODELS_FOLDER_VARIABLE, ModelEntry

_CHUNK = 1 << 20
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def sha256_of(path: Path, control: JobControl | None = None, stage: str = "verify") -> str:
    """Compute the SHA-256 of a file's bytes, in lower-case hexadecimal.

    Parameters
    ----------
    path : Path
        The file.
    control : JobControl, optional
        Told the bytes read so far under the name ``stage``.
    """
    digest = hashlib.sha256()
    total, done = path.stat().st_size, 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if control is not None:
                control.report(stage, done, total)
    return digest.hexdigest()


def cached_sha256(path: Path) -> str:
    """Compute a file's SHA-256, once per process for as long as the file is unchanged."""
    state = path.stat()
    return _sha256_at(path.resolve(), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=32)
def _sha256_at(path: Path, size: int, modified_ns: int) -> str:
    return sha256_of(path)


def fault(entry: ModelEntry, path: Path, control: JobControl) -> str:
    """Say what is wrong with the file, as a sentence's end; empty where nothing is."""
    size = path.stat().st_size
    if entry.size is not None and size != entry.size:
        return f"it has {size} bytes where the model has {entry.size}."
    if entry.sha256 is None:
        return ""
    found = sha256_of(path, control, stage=f"verify {entry.title}")
    if found != entry.sha256:
        return f"its SHA-256 is {found} where the model's is {entry.sha256}."
    return ""


@contextmanager
def only_writer(final: Path, control: JobControl) -> Iterator[None]:
    """Hold the right to write this file, waiting while another process has it."""
    lock = FileLock(f"{final}.lock")
    while True:
        control.check()
        try:
            with writing(final):
                lock.acquire(timeout=0.2, poll_interval=0.05)
            break
        except Timeout:
            control.report(f"another download of {final.name}", 0)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a :class:`WriteError` with its remedy."""
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        full = error.errno in _DISK_FULL
        remedy = "Free some space there" if full else "Make the folder writable"
        raise WriteError(
            f"{path} cannot be written: {error.strerror or error}.",
            f"{remedy}, or name another folder in {MODELS_FOLDER_VARIABLE}.",
            path,
        ) from error
