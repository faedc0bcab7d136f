"""A small engine and a scene without napari, for controllers and panels."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from napari_sss.engine.errors import ModelError
from napari_sss.engine.inference.result import (
    ObjectDone,
    ObjectsFound,
    SegmentedObject,
    Segmentation,
    SliceMask,
)
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, Point, SlicePrompt
from napari_sss.engine.volumes.region import Region


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


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()
