"""The background process, started, paused, killed and gone on with for real."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from napari_sss.engine.background import job as background
from napari_sss.engine.background.child import main
from napari_sss.engine.background.results import current_store
from napari_sss.engine.errors import ConfigError
from napari_sss.engine.runs.child import EXIT_ACTIVE, EXIT_FAILED
from napari_sss.engine.runs.lock import RunIsActiveError, RunLock
from napari_sss.engine.runs.run_control import RunControl
from napari_sss.engine.runs.state import RunPhase
from napari_sss.engine.runs.wishes import GiveWaySign


def _wait(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_goes_on_where_it_was(project, job):
    """Ranking too, so that there is enough to do to be killed in the middle."""
    both = job.model_copy(update={"rank": True})
    background.start(project.folder, both)
    folder = background.background_folder(project.folder)
    try:
        _wait(lambda: (background.status(project.folder).state or job) is not job)
        _wait(lambda: list((project.folder / "ranking").glob("*/*.npz")))
        seen = background.status(project.folder)
        assert seen.running
        with pytest.raises(RunIsActiveError, match="background is under way"):
            background.start(project.folder)
        os.kill(seen.state.pid, signal.SIGKILL)
        _wait(lambda: not background.status(project.folder).running)
        assert background.status(project.folder).can_go_on
        background.start(project.folder)  # the same job
        _wait(lambda: background.status(project.folder).is_done)
    finally:
        background.pause(project.folder)
        _wait(lambda: not background.status(project.folder).running)
    store = current_store(folder)
    assert all(store.has(case) for case in project.cases.select())
    assert (project.folder / "ranking" / "ranking.json").exists()


def test_a_pause_is_heard_and_told(project, folder, job):
    from napari_sss.engine.runs.wishes import Wish, wish_for
    from napari_sss.engine.volumes.atomic import write_json

    write_json(job.model_dump(mode="json"), folder / background.JOB_NAME)
    wish_for(folder, Wish.PAUSE)
    assert main([str(folder)]) == 0
    found = background.status(project.folder)
    assert (found.state.phase, found.running, found.can_go_on) == (
        RunPhase.PAUSED,
        False,
        True,
    )


def test_a_fault_is_told_with_what_to_do(project, folder, job, tmp_path):
    from napari_sss.engine.volumes.atomic import write_json

    gone = job.model_copy(update={"model": str(tmp_path / "gone")})
    write_json(gone.model_dump(mode="json"), folder / background.JOB_NAME)
    assert main([str(folder)]) == EXIT_FAILED
    state = background.status(project.folder).state
    assert state.phase is RunPhase.FAILED
    assert "gone" in state.problem
    assert state.remedy


def test_two_do_not_work_at_once(folder):
    lock = RunLock(folder)
    lock.acquire()
    try:
        assert main([str(folder)]) == EXIT_ACTIVE
    finally:
        lock.release()


def test_nothing_to_go_on_with(project):
    assert background.status(project.folder) == background.PoolStatus()
    with pytest.raises(ConfigError, match="no work to go on with"):
        background.start(project.folder)
    background.pause(project.folder)  # harmless


def test_it_waits_between_slices_while_the_sign_is_up(folder):
    waits = []
    control = RunControl(folder, shares_device=True, on_waiting=waits.append)
    control.check()
    assert waits == []
    sign = GiveWaySign(folder)
    sign.raise_it()
    import threading

    threading.Timer(0.3, sign.lower).start()
    began = time.monotonic()
    control.check()
    assert 0.2 < time.monotonic() - began < 5
    assert waits == [True, False]
