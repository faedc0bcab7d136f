"""A small engine and a scene without napari, for controllers and panels."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from napari_sss._layers.conversion import layer_data_for
from napari_sss._widgets.controller import SegmentationController
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
from napari_sss.engine.volumes.grid import Grid
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
    written: list = field(default_factory=list)

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

    def segment_prompts(self, volume, prompts, model, window, on_event, control):
        self.requests.append(prompts)
        self.gate.wait(10)
        return self._segment(volume, prompts.objects, on_event, control)

    def open_volume(self, volume, model, window, tell):
        return FakeVolume(volume, self)

    def write_mask(self, mask, class_ids, source, path):
        self.written.append((mask, dict(class_ids), source, path))

    def _segment(self, volume, objects, on_event, control):
        control.report("prompts", 0)
        on_event(ObjectsFound(objects))
        done, masks = [], 0
        for number, o in enumerate(objects):
            box, best = o.prompts[0].box, o.prompts[0].index
            first = best - 1
            mask = np.ones((round(box.height), round(box.width)), dtype=bool)
            for z in range(first, first + 4):
                if self.fail_with is not None and masks >= self.fail_after_masks:
                    raise self.fail_with
                control.report("masks", masks, 4 * len(objects))
                time.sleep(self.pause)
                on_event(
                    SliceMask(o.id, z, Plane.AXIAL, (round(box.y0), round(box.x0)), mask, 0.9)
                )
                masks += 1
            region = Region((first, round(box.y0), round(box.x0)), np.stack([mask] * 4))
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
        self.array = np.zeros((40, 40, 60), np.uint16)
        self.shown: dict[int, ObjectPrompts] = {}
        self.redrawn = []
        self.slices = []
        self.added = []

    def shown_index(self):
        return 7

    def labels(self):
        return self.array

    def prompts(self):
        return tuple(self.shown.values())

    def show_prompts(self, objects, remove=()):
        for object_id in remove:
            self.shown.pop(object_id, None)
        self.shown.update({o.id: o for o in objects})

    def rename(self, object_id, class_name):
        self.shown[object_id] = replace(self.shown[object_id], class_name=class_name)

    def redraw(self, touched):
        self.redrawn.append(touched)

    def add_scan(self, layer_data):
        self.added.append(layer_data)

    def show_slice(self, plane, index):
        self.slices.append((plane, index))

    def for_export(self):
        return self.volume, lambda labels: labels[::-1]


class Bench:
    """A controller at work, its mail delivered when the test says so."""

    def __init__(self, scene, engine):
        self.scene, self.engine = scene, engine
        self.mailbox = Mailbox()
        self.worker = Worker(self.mailbox)
        self.controller = SegmentationController(scene, engine, self.worker)
        self.notices, self.statuses = [], []
        self.controller.noticed.connect(self.notices.append)
        self.controller.status_changed.connect(self.statuses.append)
        self.controller.model.choose("embedded")
        self.controller.scan_changed()
        self.settle()

    def deliver(self):
        for report in self.mailbox.take_progress():
            report()
        while (letter := self.mailbox.take()) is not None:
            letter()

    def settle(self, seconds=10.0):
        """Deliver until nothing is left to do."""
        deadline = time.monotonic() + seconds
        while self.worker.busy or not self.mailbox.empty:
            assert time.monotonic() < deadline, "the worker does not come to rest"
            self.deliver()
            time.sleep(0.002)

    def wait_for(self, condition, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            self.deliver()
            time.sleep(0.002)


@pytest.fixture
def scene() -> FakeScene:
    return FakeScene()


@pytest.fixture
def bench(scene, engine):
    bench = Bench(scene, engine)
    yield bench
    engine.gate.set()
    assert bench.worker.close(10)


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
