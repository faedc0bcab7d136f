"""The background process: it does the work, and says how it ended, whatever happens."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from napari_sss.engine.background.job import WHAT, read_job
from napari_sss.engine.errors import Cancelled
from napari_sss.engine.models.environment import prepare_for_torch
from napari_sss.engine.runs.child import (
    EXIT_ACTIVE,
    EXIT_DONE,
    EXIT_FAILED,
    explained,
    listen_to_the_system,
)
from napari_sss.engine.runs.lock import RunIsActiveError, RunLock
from napari_sss.engine.runs.machine import stay_in_the_background
from napari_sss.engine.runs.reporter import Reporter
from napari_sss.engine.runs.run_control import RunControl
from napari_sss.engine.runs.state import RunPhase
from napari_sss.engine.runs.wishes import Wish

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Work on a project's pool until it is done, or somebody wants it otherwise.

    Returns
    -------
    int
        0 where it ended as it was asked to, 5 where it failed, 6 where another process does
        this work.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    lock = RunLock(args.folder)
    try:
        lock.acquire()
    except RunIsActiveError:
        log.error("%s is under way.", WHAT)
        return EXIT_ACTIVE
    prepare_for_torch()
    stay_in_the_background()
    reporter = Reporter(args.folder)
    try:
        with reporter:
            return _worked(args.folder, reporter)
    finally:
        lock.release()


def _worked(folder: Path, reporter: Reporter) -> int:
    control = RunControl(
        folder,
        reporter.progress,
        shares_device=True,
        on_waiting=lambda waits: reporter.update(gives_way=waits, now=True),
    )
    listen_to_the_system(control.end_by_system)
    try:
        from napari_sss.engine.background.work import work_on_pool
        from napari_sss.engine.models.devices import set_threads
        from napari_sss.engine.project.project import Project

        set_threads()
        job = read_job(folder)
        with Project.open(folder.parent, read_only=True) as project:
            work_on_pool(project, folder, job, control)
    except Cancelled:
        gone = control.wish is Wish.DISCARD
        reporter.update(phase=RunPhase.DISCARDED if gone else RunPhase.PAUSED, now=True)
        return EXIT_DONE
    except BaseException as error:
        log.exception("The work in the background failed")
        problem, remedy = explained(error)
        reporter.update(phase=RunPhase.FAILED, problem=problem, remedy=remedy, now=True)
        return EXIT_FAILED
    reporter.update(phase=RunPhase.DONE, now=True)
    return EXIT_DONE
