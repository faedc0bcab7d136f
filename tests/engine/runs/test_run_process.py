"""Runs in real child processes: done, paused, killed, started twice, discarded, out of room."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Review
from napari_sss.engine.runs.gate import Looked
from napari_sss.engine.runs.lock import RunIsActiveError, is_locked
from napari_sss.engine.runs.pictures import read_times
from napari_sss.engine.runs.snapshot import read_snapshot
from napari_sss.engine.runs.state import RunPhase, read_state
from napari_sss.engine.runs.store import (
    RunStore,
    pause,
    stop_and_discard,
    stop_and_keep,
)
from napari_sss.engine.runs.verdict import Judgement
from napari_sss.engine.runs.watching import RunWatcher
from napari_sss.engine.training.events import read_events

pytestmark = pytest.mark.slow


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
