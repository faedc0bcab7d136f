"""Starting the process of a run, apart from the viewer's in every way.

It has a session of its own, so that neither the viewer's end nor a Ctrl-C in its terminal
ends it; a low priority; one core less than there are, which is the viewer's; and OpenMP
threads that sleep while they wait. Where the viewer computes on the same GPU, the run leaves
it a share of the GPU's memory, and waits between two steps while somebody waits for an
answer of the viewer (:mod:`~napari_sss.engine.runs.wishes`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from napari_sss.engine.errors import RunError
from napari_sss.engine.runs.files import LOG_NAME
from napari_sss.engine.runs.lock import RunIsActiveError, is_locked
from napari_sss.engine.runs.wishes import Wish, wish_for

MODULE = "napari_sss.engine.runs"

_LOG_BYTES = 200_000


def spawn(
    folder: Path, *arguments: str, module: str = MODULE, what: str = ""
) -> subprocess.Popen[bytes]:
    """Start the process that works on a run's folder.

    Parameters
    ----------
    folder : Path
        The run's.
    *arguments : str
        Further arguments of ``python -m MODULE``.
    module : str
        What is run with the folder as its first argument.
    what : str
        What people call the work; by default the fine-tuning of that name.

    Raises
    ------
    RunIsActiveError
        A process works on it already.
    RunError
        It cannot be started.
    """
    if is_locked(folder):
        raise RunIsActiveError(
            f"{what or f'The fine-tuning {folder.name}'} is running already.",
            "Watch it, or pause it first.",
            folder,
        )
    wish_for(folder, Wish.RUN)
    log = folder / LOG_NAME
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.unlink()
    command = [sys.executable, "-m", module, str(folder), *arguments]
    try:
        with log.open("ab") as stream:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                **_apart(),  # type: ignore[call-overload]
            )
    except OSError as error:
        raise RunError(
            f"{what or 'The fine-tuning'} could not be started: {error.strerror or error}.",
            "Check that the project's folder can be written and that memory is left.",
            folder,
        ) from error


def usable_threads() -> int:
    """How many threads a run takes: all cores but one, and at least one."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, cores - 1)


def child_environment() -> dict[str, str]:
    """The environment of a run's process; what the user set of it stays."""
    threads = str(usable_threads())
    defaults = {
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": threads,
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    return defaults | dict(os.environ)


def _apart() -> dict[str, object]:
    """What keeps the process alive when the viewer goes."""
    if os.name == "nt":
        flags = (
            subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined]
            | subprocess.BELOW_NORMAL_PRIORITY_CLASS  # type: ignore[attr-defined]
            | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined]
        )
        return {"creationflags": flags}
    return {"start_new_session": True}
