"""A small engine and a scene without napari, for controllers and panels."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from napari_sss._layers.conversion import layer_data_for
from napari_sss._widgets.acts import Acts
from napari_sss._widgets.controller import SegmentationController
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.errors import ModelError
from napari_sss.engine.inference.result import (
    ObjectDone,
    ObjectsFound,
    Segmentation,
    SegmentedObject,
    SliceMask,
)
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, Point, SlicePrompt
from napari_sss.engine.reports.sidecar import ModelIdentity
from napari_sss.engine.volumes.grid import AxisView, Grid
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.volume import Source, Volume


@dataclass
class FakeEngine:
    """Finds the same cuboids everywhere; fills the boxes it is prompted with.

    Object k (1, 2, ...) spans slices 4k to 4k + 3, rows 10 to 19, columns 10k to 10k + 9:
    4 x 10 x 10 = 400 voxels each.
    """

    objects: int = 2
    pause: float = 0.0
    fail_with: Exception | None = None
    fail_after_masks: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    requests: list = field(default_factory=list)
    loaded: list = field(default_factory=list)
    asked: list = field(default_factory=list)

    def __post_init__(self):
        self.gate.set()

    def load_model(self, name, control):
        control.report("loading", 0)
        self.loaded.append(name)
        if name == "broken":
            raise ModelError("The model 'broken' is damaged.", "Download it again.")
        return name

    def describe(self, model):
        return "CPU · 1 thread"

    def auto_segment(self, volume, model, request, on_event, control):
        self.requests.append(request)
        self.gate.wait(10)
        prompts = tuple(
            ObjectPrompts(
                k,
                request.class_name or "thing",
                (
                    SlicePrompt(
                        4 * k + 1,
                        Box(10 * k, 10, 10 * k + 10, 20),
                        (Point(10 * k + 5, 15),),
                        confidence=0.5 + 0.1 * k,
                    ),
                ),
                confidence=0.5 + 0.1 * k,
            )
            for k in range(1, self.objects + 1)
        )
        return self._segment(volume, prompts, on_event, control)

    def identify(self, model):
        return ModelIdentity(model, "0" * 64, 128, "cpu")

    def segment_prompts(
        self, volume, prompts, model, window, on_event, control, *, propagate=True, labels=None
    ):
        self.requests.append(prompts)
        self.asked.append((propagate, labels))
        self.gate.wait(10)
        return self._segment(volume, prompts.objects, on_event, control, propagate)

    def open_volume(self, volume, model, window, tell):
        return FakeVolume(volume, self)

    def _segment(self, volume, objects, on_event, control, propagate=True):
        control.report("prompts", 0)
        on_event(ObjectsFound(objects))
        done, masks = [], 0
        for number, o in enumerate(objects):
            box, best = o.prompts[0].box, o.prompts[0].index
            first, depth = (best - 1, 4) if propagate else (best, 1)
            mask = np.ones((round(box.height), round(box.width)), dtype=bool)
            for z in range(first, first + depth):
                if self.fail_with is not None and masks >= self.fail_after_masks:
                    raise self.fail_with
                control.report("masks", masks, 4 * len(objects))
                time.sleep(self.pause)
                on_event(
                    SliceMask(o.id, z, Plane.AXIAL, (round(box.y0), round(box.x0)), mask, 0.9)
                )
                masks += 1
            region = Region((first, round(box.y0), round(box.x0)), np.stack([mask] * depth))
            confidence = 0.8 + 0.01 * number
            on_event(ObjectDone(o.id, confidence, "sam2", region))
            done.append(SegmentedObject(o, region, confidence))
        return Segmentation(volume.grid, tuple(done), {"thing": 1})


@dataclass
class FakeVolume:
    """Fills the box of a prompt, else 5 x 5 voxels around its first place."""

    volume: Volume
    engine: FakeEngine

    def answers(self, object_id, prompt, current, labels, control):
        self.engine.requests.append(prompt)
        drawings = (*prompt.strokes, *prompt.polygons)
        if prompt.box is not None:
            x, y = round(prompt.box.x0), round(prompt.box.y0)
            mask = np.ones((round(prompt.box.height), round(prompt.box.width)), dtype=bool)
        else:
            places = [(p.x, p.y) for p in prompt.points] + [d.points[0] for d in drawings]
            x, y = (round(v) - 2 for v in places[0])
            mask = np.ones((5, 5), dtype=bool)
        yield SliceMask(object_id, prompt.index, prompt.plane, (y, x), mask, 0.7), False

    def step(self, plane, index, control):
        return False


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


class FakeScene:
    """The controller's scene without napari: an empty scan of 40 x 40 x 60 voxels, 1 mm."""

    def __init__(self):
        self.key = 1
        self.problem = ""
        self.volume = Volume(np.zeros((40, 40, 60), np.int16), Grid((40, 40, 60)), "CT")
        self.view_of_axes = AxisView()
        self.session = None
        self.shown: dict[int, ObjectPrompts] = {}
        self.colours = {}
        self.reserved = 0
        self.redrawn = []
        self.slices = []
        self.added = []
        self.in_view = (Plane.AXIAL, 7)

    @property
    def array(self):
        return self.session.labels

    def attach(self, session):
        if session is not self.session:
            self.shown.clear()
        self.session = session

    def shown_slice(self):
        return self.in_view

    def prompts(self):
        return tuple(self.shown.values())

    def show_prompts(self, objects, remove=()):
        for object_id in remove:
            self.shown.pop(object_id, None)
        self.shown.update({o.id: o for o in objects})

    def reserve(self, highest_id):
        self.reserved = max(self.reserved, highest_id)

    def colour(self, colours):
        self.colours = dict(colours)

    def redraw(self, box):
        self.redrawn.append(box)

    def add_scan(self, layer_data):
        self.added.append(layer_data)

    def show_slice(self, plane, index):
        self.slices.append((plane, index))


class Bench:
    """A controller at work, its mail delivered when the test says so."""

    def __init__(self, scene, engine, home):
        self.scene, self.engine = scene, engine
        self.mailbox = Mailbox()
        self.worker = Worker(self.mailbox)
        self.case_worker, self.counter = Worker(self.mailbox), Worker(self.mailbox)
        self.room = ProjectRoom(self.case_worker, self.mailbox.put, home)
        self.controller = SegmentationController(
            scene, engine, self.worker, self.room, self.counter
        )
        self.acts = Acts(self.room, scene, self.controller)
        self.notices, self.statuses, self.questions = [], [], []
        for source in (self.controller, self.room, self.acts):
            source.noticed.connect(self.notices.append)
        for source in (self.controller, self.acts):
            source.asked.connect(self.questions.append)
        self.controller.status_changed.connect(self.statuses.append)
        self.controller.model.choose("embedded")
        self.show_scan()
        self.settle()
        self.notices.clear()

    def show_scan(self):
        """Take note of the scene's scan, as the panel does."""
        self.controller.scan_changed()
        self.room.choose(self.scene.key, self.scene.volume, "scan")

    @property
    def session(self):
        return self.room.session

    @property
    def rows(self):
        return self.controller.objects.rows

    @property
    def busy(self):
        return self.worker.busy or self.case_worker.busy or self.counter.busy

    def deliver(self):
        for report in self.mailbox.take_progress():
            report()
        while (letter := self.mailbox.take()) is not None:
            letter()

    def settle(self, seconds=60.0):
        """Deliver until nothing is left to do and everything is saved."""
        deadline = time.monotonic() + seconds
        while self.busy or not self.mailbox.empty or not self.is_saved:
            assert time.monotonic() < deadline, "the workers do not come to rest"
            self.deliver()
            time.sleep(0.002)

    @property
    def is_saved(self):
        session = self.room.session
        return session is None or session.read_only or session.is_saved

    def wait_for(self, condition, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            self.deliver()
            time.sleep(0.002)

    def close(self):
        self.engine.gate.set()
        ended = self.worker.close(10) and self.counter.close(10)
        self.room.shut_down()
        return ended


@pytest.fixture
def scene() -> FakeScene:
    return FakeScene()


@pytest.fixture
def bench(scene, engine, home):
    bench = Bench(scene, engine, home)
    yield bench
    assert bench.close()


@pytest.fixture
def ramp():
    """Make a CT of 24 x 64 x 64 voxels of 2 x 1 x 1 mm whose values are -100 and the row.

    It is stored from foot to head, so that its slices are shown flipped.
    """

    def make(path=Path("scan.nii.gz"), modality="CT"):
        rows = np.arange(64, dtype=np.int16)[:, None] - 100
        array = np.broadcast_to(rows, (24, 64, 64)).copy()
        return Volume(array, Grid(array.shape, (2.0, 1.0, 1.0)), modality, Source(path))

    return make


@pytest.fixture
def add_scan():
    """Open a volume in a viewer, as the reader does."""

    def add(viewer, volume):
        from napari.layers import Image

        data, keywords, _ = layer_data_for(volume)
        viewer.add_layer(Image(data, **keywords))

    return add


@pytest.fixture
def wait_until_done(qtbot):
    """Wait until a panel has nothing left to do."""

    def wait(panel):
        qtbot.waitUntil(lambda: not panel.pending, timeout=120_000)

    return wait
