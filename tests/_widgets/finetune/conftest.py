"""A project on disk, a room that has it open, and a controller whose mail is delivered."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from psygnal import Signal

from napari_sss._widgets.finetune.controller import FinetuneController
from napari_sss._widgets.status import Notice
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Review
from napari_sss.engine.runs.state import RunPhase, RunState, write_state
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_volume

GRID = Grid((4, 24, 24), (5.0, 1.5, 1.5))


class Room:
    """What the tab needs of a project room."""

    project_changed = Signal()
    case_changed = Signal()
    session_changed = Signal(Applied)
    noticed = Signal(Notice)

    def __init__(self):
        self.project = None
        self.why_read_only = ""
        self.case_id = None
        self.asked_for = []
        self.notices = []
        self.noticed.connect(self.notices.append)

    def open(self, folder):
        self.project = Project.open(folder)
        self.project_changed.emit()

    def open_case(self, case_id):
        self.asked_for.append(case_id)


class Process:
    """A run's process as the controller knows it."""

    def __init__(self):
        self.code = None

    def poll(self):
        return self.code


class Bench:
    """A controller at work."""

    def __init__(self, room):
        self.room = room
        self.mailbox = Mailbox()
        self.disk, self.watcher = Worker(self.mailbox), Worker(self.mailbox)
        self.controller = FinetuneController(room, self.disk, self.watcher)
        self.shown = []
        self.controller.changed.connect(self.shown.append)

    def settle(self, seconds=60.0):
        deadline = time.monotonic() + seconds
        while self.disk.busy or self.watcher.busy or not self.mailbox.empty:
            assert time.monotonic() < deadline, "the workers do not come to rest"
            for report in self.mailbox.take_progress():
                report()
            while (letter := self.mailbox.take()) is not None:
                letter()
            time.sleep(0.002)

    def open(self, folder):
        self.room.open(folder)
        self.settle()

    def poll(self):
        self.controller.poll()
        self.settle()
        return self.controller.shown.run

    def close(self):
        for worker in (self.disk, self.watcher):
            assert worker.close(30)
        if self.room.project is not None:
            self.room.project.close()


@pytest.fixture
def make_project(tmp_path):
    """Make a project of scans, the first few of them accepted with one object."""

    def make(accepted=4, total=5):
        folder = tmp_path / "project"
        rng = np.random.default_rng(0)
        with Project.create(folder) as project:
            project.add_class("organ")
            for k in range(total):
                array = rng.normal(100, 5, GRID.shape).astype(np.float32)
                path = tmp_path / "scans" / f"scan{k}.nii.gz"
                path.parent.mkdir(exist_ok=True)
                write_volume(Volume(array, GRID, "MR"), path)
                project.cases.add([path])
            for case_id in range(1, accepted + 1):
                session = project.open_case(case_id)
                session.set_region(
                    session.add_object(1), Region((1, 5, 6), np.ones((2, 8, 8), bool))
                )
                session.review_case(Review.ACCEPTED)
                session.close()
        return folder

    return make


@pytest.fixture
def room():
    return Room()


@pytest.fixture
def bench(room):
    made = Bench(room)
    yield made
    made.close()


@pytest.fixture
def started(monkeypatch):
    """Runs are not really started; what the child would write is written by the test."""
    processes = []

    def spawn(folder, *arguments):
        process = Process()
        process.folder, process.arguments = folder, arguments
        processes.append(process)
        return process

    monkeypatch.setattr("napari_sss.engine.runs.store.spawn", spawn)
    monkeypatch.setattr("napari_sss.engine.runs.watching.is_locked", lambda _: True)
    return processes


class Story:
    """Writes what a run's process would."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.beat = 0

    def state(self, phase: RunPhase, **more):
        self.beat += 1
        state = replace(RunState(phase, self.beat, 4242, "somewhere"), **more)
        assert write_state(self.folder, state)

    def event(self, **content):
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(content) + "\n")

    def gate(self, new=0.8, old=0.7):
        from napari_sss.engine.runs.verdict import judged

        found = judged(["organ"], {"scan3": {"organ": new}}, {"scan3": {"organ": old}})
        looked = {
            "case_id": 4,
            "name": "scan3",
            "kind": "held-out",
            "agreement": 0.75,
            "gain": new - old,
            "new_file": "gate/scan3_new.nii.gz",
            "old_file": "gate/scan3_old.nii.gz",
        }
        content = {
            "judgement": found.as_json(),
            "why_not_compared": "",
            "looked": [looked],
            "left_out": {},
            "new": {"scan3": {"organ": new}},
        }
        (self.folder / "gate.json").write_text(json.dumps(content))


@pytest.fixture
def story():
    return Story
