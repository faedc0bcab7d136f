"""What a run's process does: train, judge, and say how it ended, whatever happens."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import re
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import Cancelled, SSSError
from napari_sss.engine.models.environment import prepare_for_torch
from napari_sss.engine.runs.lock import RunIsActiveError, RunLock
from napari_sss.engine.runs.machine import stay_in_the_background
from napari_sss.engine.runs.reporter import Reporter
from napari_sss.engine.runs.run_control import RunControl
from napari_sss.engine.runs.state import RunPhase, read_state
from napari_sss.engine.runs.wishes import Wish

log = logging.getLogger(__name__)

EXIT_DONE, EXIT_FAILED, EXIT_ACTIVE = 0, 5, 6

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def main(arguments: Sequence[str]) -> int:
    """Work on a run until it is done, or somebody wants it otherwise.

    Returns
    -------
    int
        0 where it ended as it was asked to, 5 where it failed, 6 where another process works
        on the run.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--judge-only", action="store_true", help="keep what was learned so far, and judge it"
    )
    parser.add_argument("--probe", action="store_true", help="measure a few steps, no more")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    lock = RunLock(args.folder)
    try:
        lock.acquire()
    except RunIsActiveError as error:
        log.error("%s", error)
        return EXIT_ACTIVE
    prepare_for_torch()
    stay_in_the_background()
    reporter = Reporter(args.folder, read_state(args.folder))
    try:
        with reporter:
            return _worked(args.folder, reporter, judge_only=args.judge_only, probe=args.probe)
    finally:
        discarded = reporter.state.phase is RunPhase.DISCARDED
        lock.release()
        if discarded:
            # What another program holds open goes when the runs are listed next.
            shutil.rmtree(args.folder, ignore_errors=True)


def _worked(folder: Path, reporter: Reporter, *, judge_only: bool, probe: bool) -> int:
    """Do the work, and write how it ended."""
    control = RunControl(
        folder,
        reporter.progress,
        on_waiting=lambda waits: reporter.update(gives_way=waits, now=True),
    )
    listen_to_the_system(control.end_by_system)
    try:
        if probe:
            from napari_sss.engine.runs.probe import measure

            measure(folder, control)
        else:
            from napari_sss.engine.runs.work import work

            work(folder, control, reporter, judge_only=judge_only)
    except Cancelled:
        gone = control.wish is Wish.DISCARD
        phase = RunPhase.DISCARDED if gone else RunPhase.PAUSED
        reporter.update(phase=phase, stage="", seconds_left=None, now=True)
        return EXIT_DONE
    except BaseException as error:  # the process's last chance to say what happened
        log.exception("The run failed")
        problem, remedy = explained(error)
        reporter.update(
            phase=RunPhase.FAILED, problem=problem, remedy=remedy, stage="", now=True
        )
        return EXIT_FAILED
    reporter.update(phase=RunPhase.DONE, stage="", seconds_left=None, now=True)
    return EXIT_DONE


def explained(error: BaseException) -> tuple[str, str]:
    """What went wrong and what to do about it, in the user's words."""
    if _is_full_disk(error):
        return (
            "The disk is full: the fine-tuning could not save its work.",
            "Free some space, then resume; it goes on from its last checkpoint.",
        )
    if isinstance(error, SSSError):
        return error.problem, error.remedy or "Resume, or start anew."
    if isinstance(error, MemoryError):
        return (
            "The memory does not suffice.",
            "Close other programs, or lower 'Slices kept' and 'Features kept'; then resume.",
        )
    if type(error).__name__ == "AcceleratorError" or _is_cuda_loss(error):
        return (
            f"The GPU cannot be reached any more: {_first_line(error)}",
            "Check it with nvidia-smi, then resume; it goes on from its last checkpoint.",
        )
    if isinstance(error, OSError):
        name = f" ({error.filename})" if error.filename else ""
        return (
            f"A file cannot be used: {error.strerror or error}{name}.",
            "Put it back, or mend it, and resume.",
        )
    return (
        f"{type(error).__name__}: {_first_line(error)}",
        "Resume once; should it happen again, report it with the file log.txt of the run.",
    )


def _is_full_disk(error: BaseException) -> bool:
    """Whether an error, or one that led to it, is the system's refusal of more room."""
    root: BaseException | None = error
    while root is not None:
        if isinstance(root, OSError) and root.errno in _FULL:
            return True
        told = _OS_ERROR.search(str(root))  # libraries in Rust pass on only the number
        if told is not None and int(told[1]) in _FULL:
            return True
        root = root.__cause__ or root.__context__
    return False


def _is_cuda_loss(error: BaseException) -> bool:
    """The GPU's driver speaks through plain RuntimeErrors; its words are all there is."""
    words = ("CUDA error", "cudaError", "CUDA driver", "NVML", "no CUDA-capable device")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def _first_line(error: BaseException) -> str:
    line = str(error).strip().partition("\n")[0]
    return line if line.endswith((".", "!", "?")) else f"{line}."


def listen_to_the_system(end: Callable[[], None]) -> None:
    """A request to end, as at a shutdown, is a pause."""

    def heard(_signal: int, _frame: Any) -> None:
        end()

    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            with contextlib.suppress(OSError, ValueError):  # not the main thread: a test
                signal.signal(getattr(signal, name), heard)
