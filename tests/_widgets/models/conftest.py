"""The Models tab's logic at work without a viewer, on real folders."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from napari_sss._widgets.model_choice import ModelChoice
from napari_sss._widgets.models.controller import ModelsController, Workers
from napari_sss._widgets.models.pool_controller import PoolController
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.modelstore.store import ModelStore
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_volume

_STORE_TESTS = Path(__file__).parents[2] / "engine" / "modelstore" / "conftest.py"


def _store_tests() -> ModuleType:
    """The helpers of the store's tests, which are no package."""
    name = "modelstore_test_helpers"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _STORE_TESTS)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class SlowEngine:
    """Loads nothing."""

    def load_model(self, name, control):
        return name

    def describe(self, model):
        return "CPU"


class ModelsBench:
    """Room, choice and controllers; mail is delivered when the test says so."""

    def __init__(self, home: Path) -> None:
        self.mailbox = Mailbox()
        self.workers = [Worker(self.mailbox) for _ in range(4)]
        case, model, quick, files = self.workers
        self.room = ProjectRoom(case, self.mailbox.put, home)
        self.choice = ModelChoice(SlowEngine(), model.submit)
        self.controller = ModelsController(
            self.room, Workers(quick, files, files), self.choice, self.mailbox.put
        )
        self.pool = PoolController(self.room, quick, self.controller)
        self.notices = []
        self.controller.noticed.connect(self.notices.append)
        self.pool.noticed.connect(self.notices.append)

    def deliver(self):
        for report in self.mailbox.take_progress():
            report()
        while (letter := self.mailbox.take()) is not None:
            letter()

    def settle(self, seconds=20.0):
        deadline = time.monotonic() + seconds
        while any(w.busy for w in self.workers) or not self.mailbox.empty:
            assert time.monotonic() < deadline, "the workers do not come to rest"
            self.deliver()
            time.sleep(0.002)

    def open_project(self, folder: Path) -> None:
        self.room.create(folder)
        self.settle()

    @property
    def store(self) -> ModelStore:
        return self.controller.store

    def row(self, key):
        return self.controller.row(key)


@pytest.fixture
def bench(tmp_path):
    bench = ModelsBench(tmp_path / "home")
    bench.choice.choose("embedded")
    bench.settle()
    yield bench
    bench.controller.shut_down()
    for worker in bench.workers[1:]:
        assert worker.close(10)
    bench.room.shut_down()


@pytest.fixture
def opened(bench, tmp_path):
    """The same with an empty project open."""
    bench.open_project(tmp_path / "project")
    return bench


@pytest.fixture
def make_run(opened):
    """Make a training's folder in the open project, by its content."""
    write = _store_tests().write_run

    def make(content="a"):
        return write(opened.store.project / "runs" / f"run-{content}", content)

    return make


@pytest.fixture
def scans(tmp_path):
    """Three small scans."""
    paths = []
    for k in range(3):
        array = np.random.default_rng(k).integers(0, 100, (4, 12, 12)).astype(np.int16)
        path = tmp_path / "scans" / f"s{k}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        write_volume(Volume(array, Grid(array.shape), "MR"), path)
        paths.append(path)
    return paths
