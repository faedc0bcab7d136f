"""Runs in real child processes: done, paused, killed, started twice, discarded, out of room."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Review
from napari_sss.engine.runs.child import EXIT_ACTIVE
from napari_sss.engine.runs.estimate import read_probe
from napari_sss.engine.runs.gate import Looked
from napari_sss.engine.runs.launch import MODULE, child_environment
from napari_sss.engine.runs.lock import RunIsActiveError, is_locked
from napari_sss.engine.runs.pictures import read_times
from napari_sss.engine.runs.snapshot import read_snapshot
from napari_sss.engine.runs.state import RunPhase
from napari_sss.engine.runs.store import RunStore, pause, stop_and_discard, stop_and_keep
from napari_sss.engine.runs.verdict import Judgement
from napari_sss.engine.runs.watching import RunWatcher
from napari_sss.engine.training.events import read_events

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Watched:
    """A run, its process, and all that was seen of it."""

    def __init__(self, store, folder, until, **start):
        self.store, self.folder, self.until = store, folder, until
        self.process = store.start(folder, **start)
        self.watcher = RunWatcher(folder, self.process)
        self.events = []

    def look(self):
        view = self.watcher.look()
        if view.events_begin_anew:
            self.events.clear()
        self.events += view.events
        return view

    def wait(self, *phases):
        self.until(lambda: self.look().state.phase in phases)
        return self.look().state

    def wait_for_step(self, step):
        self.until(lambda: self.look() and any(e["step"] >= step for e in self.events))

    def end(self):
        self.process.wait(60)
        return self.look().state


@pytest.fixture
def watch(until):
    started = []

    def begin(store, folder, **start):
        started.append(Watched(store, folder, until, **start))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_a_run_learns_judges_and_leaves_what_the_viewer_shows(make_project, settings, watch):
    store = RunStore(make_project(accepted=4, total=6))
    folder = store.prepare(settings(), current="embedded")
    run = watch(store, folder)
    state = run.wait(RunPhase.DONE, RunPhase.FAILED, RunPhase.DIED)
    assert (state.phase, state.problem) == (RunPhase.DONE, "")
    assert run.process.wait(30) == 0
    assert not is_locked(folder)
    # Cases 1 to 3 teach and the fourth is held out; nothing chooses, so the last is kept.
    data = read_snapshot(folder)
    assert [c.name for c in data.lists.labelled] == ["scan0", "scan1", "scan2"]
    assert [c.name for c in data.held_out] == ["scan3"]
    assert [c.name for c in data.lists.unlabelled] == ["scan4", "scan5"]
    assert (folder / "model.safetensors").is_file()
    assert [e["step"] for e in run.events if e["event"] == "validation"] == [3, 6]
    times = read_times(folder)
    assert [time["step"] for time in times] == [3, 6]
    assert {row["case"] for row in times[0]["slices"]} == {"scan4", "scan5"}
    assert all((folder / "pictures" / row["file"]).is_file() for row in times[0]["slices"])
    gate = json.loads((folder / "gate.json").read_text())
    assert set(gate["new"]) == {"scan3"}
    assert set(gate["new"]["scan3"]) == {"bright", "dark"}
    assert "cannot name classes" in gate["why_not_compared"]
    assert Judgement.from_json(gate["judgement"]).mean.cases == 1
    looked = [Looked(**one) for one in gate["looked"]]
    assert {(one.name, one.kind) for one in looked} >= {("scan3", "held-out")}
    assert all((folder / one.new_file).is_file() for one in looked)


def steps_of(folder):
    return [e["step"] for e in read_events(folder) if e["event"] == "step"]


def test_a_paused_run_goes_on_with_what_it_began_with(make_project, settings, watch):
    project = make_project(accepted=2, total=4)
    store = RunStore(project)
    folder = store.prepare(settings(steps=8, validate_every=100))
    labels = {p.name: p.read_bytes() for p in (folder / "labels").glob("*.nii.gz")}
    run = watch(store, folder)
    run.wait_for_step(2)
    pause(folder)
    state = run.wait(RunPhase.PAUSED)
    assert run.process.wait(30) == 0
    assert not is_locked(folder)
    assert state.phase.can_resume
    done = steps_of(folder)[-1]
    assert done < 8
    # In the meantime a case is taken back and one is removed: the run does not see it.
    with Project.open(project) as opened:
        session = opened.open_case(1)
        session.review_case(Review.OPEN)
        session.close()
        opened.cases.remove(2, with_annotation=True)
    again = watch(store, folder)
    assert again.wait(RunPhase.DONE, RunPhase.FAILED, RunPhase.DIED).phase is RunPhase.DONE
    assert steps_of(folder) == list(range(1, 9))
    assert {p.name: p.read_bytes() for p in (folder / "labels").glob("*.nii.gz")} == labels
    gate = json.loads((folder / "gate.json").read_text())
    assert gate["judgement"]["verdict"] == "look"  # two cases: none is held out


def test_a_killed_run_says_so_and_is_never_worked_on_twice(make_project, settings, watch):
    store = RunStore(make_project(accepted=2, total=3))
    folder = store.prepare(settings(steps=4000, validate_every=1000))
    run = watch(store, folder)
    run.wait_for_step(4)
    with pytest.raises(RunIsActiveError, match="running already"):
        store.start(folder)
    second = subprocess.run(
        [sys.executable, "-m", MODULE, str(folder)], env=child_environment(), check=False
    )
    assert second.returncode == EXIT_ACTIVE
    assert run.look().state.phase is RunPhase.TRAINING
    run.process.kill()
    state = run.wait(RunPhase.DIED)
    assert "memory ran out" in state.problem
    assert "Resume" in state.remedy or "resume" in state.remedy
    # A viewer that is opened later has no handle on the process, and finds out by the lock.
    found = store.list()
    assert [(s.folder, s.state.phase) for s in found] == [(folder, RunPhase.DIED)]
    assert RunWatcher(folder).look().state.phase is RunPhase.DIED
    last = steps_of(folder)[-1]
    again = watch(store, folder)
    again.wait_for_step(last + 2)
    counted = steps_of(folder)
    assert counted == list(range(1, len(counted) + 1))
    stop_and_discard(folder)
    assert again.process.wait(60) == 0
    assert not folder.exists()
    assert store.list() == ()


def test_stopped_and_kept_it_validates_once_more_and_is_judged(make_project, settings, watch):
    store = RunStore(make_project(accepted=2, total=2))
    folder = store.prepare(settings(minutes=30, validate_every=500, strategy="supervised"))
    run = watch(store, folder)
    run.wait_for_step(3)
    left = run.wait(RunPhase.TRAINING).seconds_left
    assert left is None or 0 < left <= 1800  # None before it has said for the first time
    stop_and_keep(folder)
    assert run.wait(RunPhase.DONE, RunPhase.FAILED).phase is RunPhase.DONE
    assert read_events(folder)[-1]["reason"] == "asked"
    assert [e["event"] for e in read_events(folder)].count("validation") == 1
    assert (folder / "model.json").is_file()
    assert (folder / "gate.json").is_file()


@pytest.mark.skipif(os.name == "nt", reason="no limit on a file's size there")
def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(
    make_project, settings, watch
):
    store = RunStore(make_project(accepted=2, total=3))
    folder = store.prepare(settings(steps=4, checkpoint_every=1, strategy="supervised"))
    # No file may grow beyond 100 kB: the first checkpoint does not fit.
    code = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"sys.argv = ['run', {str(folder)!r}]\n"
        f"runpy.run_module({MODULE!r}, run_name='__main__')\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), check=False, capture_output=True
    )
    assert process.returncode != 0
    state = RunWatcher(folder).look().state
    assert state.phase is RunPhase.FAILED
    assert "disk is full" in state.problem
    assert "resume" in state.remedy
    again = watch(store, folder)
    assert again.wait(RunPhase.DONE, RunPhase.FAILED).phase is RunPhase.DONE
    assert steps_of(folder) == [1, 2, 3, 4]


def test_a_probe_measures_and_leaves_no_run_and_no_split(make_project, settings):
    project = make_project(accepted=4, total=5)
    store = RunStore(project)
    folder = store.prepare(settings(), for_probe=True)
    process = store.measure(folder)
    assert process.wait(120) == 0
    probe = read_probe(folder)
    assert probe is not None
    assert probe.step_seconds > 0
    # Cases 1 to 3 and the pool's fifth: 4 volumes of 5 slices; the fourth is held out.
    assert probe.slices == 20
    assert probe.batch == 4
    assert probe.memory_needed_mb() >= probe.memory_mb > 50
    assert store.list() == ()
    assert not (project / "split.json").exists()
