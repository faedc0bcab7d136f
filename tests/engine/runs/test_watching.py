"""Watching without a process: beats, locks, clocks that jump, files that are replaced."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from napari_sss.engine.errors import Cancelled, WriteError
from napari_sss.engine.runs import state as states
from napari_sss.engine.runs.child import explained
from napari_sss.engine.runs.lock import RunIsActiveError, RunLock, is_locked
from napari_sss.engine.runs.run_control import RunControl
from napari_sss.engine.runs.state import RunPhase, RunState, read_state, write_state
from napari_sss.engine.runs.watching import (
    QUIET_SECONDS,
    STUCK_SECONDS,
    EventTail,
    RunWatcher,
)
from napari_sss.engine.runs.wishes import GiveWaySign, Wish, wish_for, wish_of

TRAINING = RunState(RunPhase.TRAINING, beat=5, pid=1, host="here")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def locked(tmp_path):
    lock = RunLock(tmp_path)
    lock.acquire()
    yield lock
    lock.release()


def test_a_lock_is_seen_and_held_by_one_alone(tmp_path, locked, monkeypatch):
    assert is_locked(tmp_path)
    monkeypatch.setattr("napari_sss.engine.runs.lock.PATIENCE_SECONDS", 0.05)
    with pytest.raises(RunIsActiveError, match="running already"):
        RunLock(tmp_path).acquire()
    locked.release()
    assert not is_locked(tmp_path)


def test_a_run_that_beats_lives(tmp_path, clock, locked):
    watcher = RunWatcher(tmp_path, clock=clock)
    for beat in range(5, 9):
        write_state(tmp_path, replace(TRAINING, beat=beat))
        clock.now += 100
        view = watcher.look()
        assert (view.state.phase, view.stuck) == (RunPhase.TRAINING, False)


def test_without_beat_and_lock_it_has_died(tmp_path, clock):
    write_state(tmp_path, TRAINING)
    view = RunWatcher(tmp_path, clock=clock).look()
    assert view.state.phase is RunPhase.DIED
    assert "last checkpoint" in view.state.remedy
    # What is written on the disk is left as it is: the next look may find it alive.
    assert read_state(tmp_path) == TRAINING


def test_a_process_that_is_there_and_silent_is_stuck(tmp_path, clock, locked):
    watcher = RunWatcher(tmp_path, clock=clock)
    write_state(tmp_path, TRAINING)
    assert not watcher.look().stuck
    clock.now += STUCK_SECONDS - 1
    assert not watcher.look().stuck
    clock.now += 2
    assert watcher.look().stuck


def test_no_clock_of_the_run_is_trusted(tmp_path, clock, locked):
    """Beats go on while the watcher's own clock stands still: nothing is amiss."""
    watcher = RunWatcher(tmp_path, clock=clock)
    for beat in (5, 6, 7):
        write_state(tmp_path, replace(TRAINING, beat=beat))
        assert watcher.look().state.phase is RunPhase.TRAINING
    # The machine sleeps for a day; the run, asleep too, has not beaten, but holds its lock.
    clock.now += QUIET_SECONDS + 1
    assert watcher.look().state.phase is RunPhase.TRAINING


@pytest.mark.parametrize("phase", [RunPhase.DONE, RunPhase.PAUSED, RunPhase.FAILED])
def test_who_has_ended_has_not_died(tmp_path, clock, phase):
    write_state(tmp_path, replace(TRAINING, phase=phase))
    clock.now += 1000
    assert RunWatcher(tmp_path, clock=clock).look().state.phase is phase


def test_events_are_read_once_and_half_a_line_waits(tmp_path):
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    assert tail.read() == ((), False)
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert tail.read() == (({"step": 1}, {"step": 2}), False)
    with path.open("a") as stream:
        stream.write('ep": 3}\nno json\n')
    assert tail.read() == (({"step": 3},), False)
    # A resumed training replaces the file by a shorter one.
    beside = tmp_path / "other"
    beside.write_text('{"step": 1}\n')
    beside.replace(path)
    assert tail.read() == (({"step": 1},), True)


def test_a_state_can_be_written_where_no_new_file_can(tmp_path, monkeypatch):
    write_state(tmp_path, replace(TRAINING, stage="x" * 50))

    def full(*_):
        raise WriteError("The disk is full.")

    monkeypatch.setattr(states, "write_json", full)
    failed = RunState(RunPhase.FAILED, beat=9, problem="The disk is full.", remedy="Free it.")
    assert write_state(tmp_path, failed)
    seen = read_state(tmp_path)
    assert (seen.phase, seen.problem) == (RunPhase.FAILED, "The disk is full.")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"phase": "dancing"}', '{"load": {}}'])
def test_a_state_that_cannot_be_read_is_none(tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    assert read_state(tmp_path) is None


def test_fields_of_a_newer_program_are_read_over(tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"phase": "done", "mood": "good"}))
    assert read_state(tmp_path).phase is RunPhase.DONE


# -- the run's own side -----------------------------------------------------------------


def test_wishes_are_heard_at_step_boundaries(tmp_path):
    control = RunControl(tmp_path)
    control.check()
    wish_for(tmp_path, Wish.PAUSE)
    time.sleep(0.25)
    with pytest.raises(Cancelled):
        control.check()
    assert control.wish is Wish.PAUSE


def test_finishing_is_asked_for_and_cancels_nothing(tmp_path):
    wish_for(tmp_path, Wish.FINISH)
    control = RunControl(tmp_path)
    control.check()
    assert control.finish_early()


def test_a_shutdown_of_the_system_is_a_pause(tmp_path):
    control = RunControl(tmp_path)
    control.end_by_system()
    with pytest.raises(Cancelled):
        control.check()
    assert control.wish is Wish.PAUSE


def test_a_damaged_wish_is_none(tmp_path):
    (tmp_path / "control.json").write_text('{"wish": "fly"}')
    assert wish_of(tmp_path) is Wish.RUN


def test_on_a_shared_device_it_waits_while_the_viewer_is_busy(tmp_path):
    waits: list[bool] = []
    sign = GiveWaySign(tmp_path)
    control = RunControl(tmp_path, shares_device=True, on_waiting=waits.append)
    sign.raise_it()
    threading.Timer(0.4, sign.lower).start()
    began = time.monotonic()
    control.check()
    assert 0.3 < time.monotonic() - began < 5
    assert waits == [True, False]


def test_on_a_device_of_its_own_it_does_not_wait(tmp_path):
    GiveWaySign(tmp_path).raise_it()
    began = time.monotonic()
    RunControl(tmp_path, shares_device=False).check()
    assert time.monotonic() - began < 0.3


def test_a_sign_left_by_a_viewer_that_is_gone_holds_nobody_up(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sss.engine.runs.run_control.GIVE_WAY_SECONDS", 0.3)
    sign = GiveWaySign(tmp_path)
    control = RunControl(tmp_path, shares_device=True)
    sign.raise_it()
    began = time.monotonic()
    control.check()
    assert 0.2 < time.monotonic() - began < 5
    began = time.monotonic()
    control.check()  # and it is not waited for again
    assert time.monotonic() - began < 0.2


def test_a_pause_is_heard_while_waiting(tmp_path):
    GiveWaySign(tmp_path).raise_it()
    control = RunControl(tmp_path, shares_device=True)
    threading.Timer(0.3, lambda: wish_for(tmp_path, Wish.PAUSE)).start()
    with pytest.raises(Cancelled):
        control.check()


# -- what went wrong, in words ----------------------------------------------------------


def test_a_full_disk_is_named_however_deep_it_lies():
    import errno

    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as cause:
            raise WriteError("checkpoint cannot be written") from cause
    except WriteError as error:
        problem, remedy = explained(error)
    assert problem.startswith("The disk is full")
    assert "resume" in remedy


def test_a_full_disk_is_recognised_in_the_words_of_a_library():
    error = RuntimeError("Error while serializing: I/O error: No space left (os error 28)")
    assert explained(error)[0].startswith("The disk is full")


def test_a_vanished_gpu_is_named():
    problem, remedy = explained(RuntimeError("CUDA error: device-side assert\nmore"))
    assert problem == "The GPU cannot be reached any more: CUDA error: device-side assert."
    assert "nvidia-smi" in remedy


def test_a_file_that_is_gone_is_named():
    error = FileNotFoundError(2, "No such file or directory", "/data/scan.nii")
    assert "/data/scan.nii" in explained(error)[0]
