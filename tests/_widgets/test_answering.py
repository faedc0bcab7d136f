"""Quick answers: what is asked, what is superseded, and what happens while nobody asks."""

import threading
import time

import numpy as np
import pytest

from napari_sss._widgets import answering
from napari_sss._widgets.answering import Answering
from napari_sss._widgets.model_choice import ModelChoice
from napari_sss._widgets.status import ModelPhase
from napari_sss._widgets.worker import Job, Mailbox, Worker
from napari_sss.engine.errors import PromptError
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, Point, SlicePrompt
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

WINDOW = IntensityWindow(0, 100)


class Opened:
    """Answers with a mask of as many voxels as the prompt has points; counts its steps."""

    def __init__(self, engine, volume, model, window):
        self.engine, self.volume, self.model, self.window = engine, volume, model, window

    def answers(self, object_id, prompt, current, labels, control):
        self.engine.asked.append((object_id, prompt, current))
        self.engine.answering.set()
        count = len(prompt.points)
        if self.engine.first_sight:
            yield self.mask(object_id, prompt, 10), True
        while not self.engine.gate.is_set():
            control.check()
            time.sleep(0.001)
        if self.engine.fail_with is not None:
            raise self.engine.fail_with
        yield self.mask(object_id, prompt, count), False

    def mask(self, object_id, prompt, count):
        mask = np.ones((1, count), dtype=bool)
        return SliceMask(object_id, prompt.index, prompt.plane, (0, 0), mask, 0.9)

    def step(self, plane, index, control):
        self.engine.steps.append((self, plane, index))
        control.report("slices ready", len(self.engine.steps), 3)
        return len(self.engine.steps) < 3


class Engine:
    def __init__(self):
        self.gate, self.answering = threading.Event(), threading.Event()
        self.gate.set()
        self.first_sight = False
        self.fail_with = None
        self.asked, self.steps, self.opened = [], [], []

    def load_model(self, name, control):
        return name

    def describe(self, model):
        return "CPU"

    def open_volume(self, volume, model, window, tell):
        self.opened.append((volume, model, window))
        self.tell = tell
        return Opened(self, volume, model, window)


class Bench:
    """Everything around :class:`Answering`, and what it has said."""

    def __init__(self):
        self.mailbox = Mailbox()
        self.worker = Worker(self.mailbox)
        self.engine = Engine()
        self.model = ModelChoice(self.engine, self.worker.submit)
        self.answering = Answering(self.engine, self.worker, self.model)
        self.told, self.failures, self.ready, self.notes = [], [], [], []
        self.answering.answered.connect(lambda a: self.told.append(a))
        self.answering.failed.connect(lambda e: self.failures.append(e))
        self.answering.readiness_changed.connect(lambda p: self.ready.append(p))
        self.answering.told.connect(lambda text: self.notes.append(text))

    def read(self, until=lambda: True):
        """Read the mailbox until something is true and nobody is busy."""
        deadline = time.monotonic() + 10
        while not until() or self.worker.busy or not self.mailbox.empty:
            assert time.monotonic() < deadline
            self.read_once()
            time.sleep(0.001)

    def read_once(self):
        for report in self.mailbox.take_progress():
            report()
        while (letter := self.mailbox.take()) is not None:
            letter()


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(answering, "SETTLED_S", 0.0)
    bench = Bench()
    yield bench
    bench.engine.gate.set()
    assert bench.worker.close(10)


@pytest.fixture
def ready(bench):
    """The bench with a model loaded and a scan open."""
    bench.model.choose("embedded")
    bench.read(lambda: bench.model.status.phase is ModelPhase.LOADED)
    bench.answering.open(scan(), WINDOW)
    bench.read(lambda: len(bench.engine.steps) == 3)
    return bench


def scan():
    return Volume(np.zeros((9, 8, 8), np.int16), Grid((9, 8, 8)), "CT")


def prompted(*points, object_id=1, index=4):
    places = tuple(Point(float(x), 1.0) for x in points)
    return ObjectPrompts(object_id, "liver", (SlicePrompt(index, points=places),))


def voxels(answers):
    return [int(a.mask.mask.sum()) for a in answers]


def test_a_click_is_answered_on_its_slice(ready):
    ready.answering.ask(prompted(2))
    assert ready.answering.pending
    ready.read(lambda: not ready.answering.pending)
    (told,) = ready.told
    assert (told.mask.object_id, told.mask.index, told.mask.plane) == (1, 4, Plane.AXIAL)
    assert told.prompt == prompted(2).prompts[0]
    assert not told.provisional
    assert told.seconds > 0


def test_first_sight_comes_before_the_answer(ready):
    ready.engine.first_sight = True
    ready.answering.ask(prompted(2))
    ready.read(lambda: not ready.answering.pending)
    assert [(a.provisional, int(a.mask.mask.sum())) for a in ready.told] == [
        (True, 10),
        (False, 1),
    ]


def test_the_slice_that_is_meant_can_be_named_and_its_prompts_count_as_one(ready):
    on_four, on_six = prompted(1).prompts[0], prompted(2, index=6).prompts[0]
    more_on_four = prompted(3).prompts[0]
    ready.answering.ask(ObjectPrompts(1, "liver", (on_four, on_six, more_on_four)), index=4)
    ready.read(lambda: not ready.answering.pending)
    ((_, prompt, _),) = ready.engine.asked
    assert prompt.index == 4
    assert [p.x for p in prompt.points] == [1, 3]


def test_what_stands_on_the_slice_is_handed_over(ready):
    current = np.ones((8, 8), dtype=bool)
    ready.answering.ask(prompted(1), current=current)
    ready.read(lambda: not ready.answering.pending)
    assert ready.engine.asked[0][2] is current


def test_a_newer_click_supersedes_the_older_one(ready):
    ready.engine.gate.clear()
    ready.answering.ask(prompted(1))
    assert ready.engine.answering.wait(10)
    ready.answering.ask(prompted(1, 2))
    ready.engine.gate.set()
    ready.read(lambda: not ready.answering.pending)
    assert voxels(ready.told) == [2]


def test_a_click_that_supersedes_an_unanswered_one_corrects_what_stood_before(ready):
    """What stands by then may be the former one's provisional mask."""
    before, provisional = np.eye(8, dtype=bool), np.ones((8, 8), dtype=bool)
    ready.engine.gate.clear()
    ready.answering.ask(prompted(1), current=before)
    assert ready.engine.answering.wait(10)
    ready.answering.ask(prompted(1, 2), current=provisional)
    ready.engine.gate.set()
    ready.read(lambda: not ready.answering.pending)
    assert ready.engine.asked[-1][2] is before
    ready.answering.ask(prompted(1, 2, 3), current=provisional)
    ready.read(lambda: not ready.answering.pending)
    assert ready.engine.asked[-1][2] is provisional


def test_first_sight_of_a_superseded_click_is_not_shown(ready):
    """It lies in the mailbox already when the next click comes."""
    ready.engine.first_sight = True
    ready.engine.gate.clear()
    ready.answering.ask(prompted(1))
    assert ready.engine.answering.wait(10)
    time.sleep(0.05)
    ready.engine.first_sight = False
    ready.answering.ask(prompted(1, 2))
    ready.engine.gate.set()
    ready.read(lambda: not ready.answering.pending)
    assert voxels(ready.told) == [2]


def test_clicks_on_other_objects_and_slices_are_all_answered(ready):
    ready.engine.gate.clear()
    ready.answering.ask(prompted(1))
    assert ready.engine.answering.wait(10)
    ready.answering.ask(prompted(1, object_id=2))
    ready.answering.ask(prompted(1, index=5))
    ready.engine.gate.set()
    ready.read(lambda: not ready.answering.pending)
    assert [(a.mask.object_id, a.mask.index) for a in ready.told] == [(1, 4), (2, 4), (1, 5)]


def test_a_click_is_answered_while_a_long_job_runs(ready):
    begun, answered = threading.Event(), threading.Event()

    def long(control, post):
        begun.set()
        while not answered.is_set():
            control.check()
            time.sleep(0.001)

    ready.worker.submit(Job("propagate", long))
    assert begun.wait(10)
    ready.answering.answered.connect(lambda _: answered.set())
    ready.answering.ask(prompted(1))
    ready.read(answered.is_set)
    assert voxels(ready.told) == [1]


def test_a_forgotten_object_is_not_answered(ready):
    ready.engine.gate.clear()
    ready.answering.ask(prompted(1))
    assert ready.engine.answering.wait(10)
    ready.answering.forget([1])
    ready.engine.gate.set()
    ready.read()
    assert ready.told == []
    assert not ready.answering.pending


def test_another_scan_is_not_given_the_answers_of_the_former(ready):
    ready.engine.gate.clear()
    ready.answering.ask(prompted(1))
    assert ready.engine.answering.wait(10)
    ready.answering.open(scan(), WINDOW)
    ready.engine.gate.set()
    ready.read()
    assert ready.told == []


def test_without_a_scan_nothing_is_asked(bench):
    bench.answering.ask(prompted(1))
    assert not bench.answering.pending
    assert bench.engine.asked == []


def test_an_error_is_told_and_the_next_click_is_answered(ready):
    ready.engine.fail_with = PromptError("No.", "Do.")
    ready.answering.ask(prompted(1))
    ready.read(lambda: not ready.answering.pending)
    assert [str(e) for e in ready.failures] == ["No. Do."]
    ready.engine.fail_with = None
    ready.answering.ask(prompted(1, 2))
    ready.read(lambda: not ready.answering.pending)
    assert voxels(ready.told) == [2]


def test_slices_are_encoded_ahead_once_the_model_is_there(bench):
    bench.answering.look_at(Plane.CORONAL, 3)
    bench.answering.open(scan(), WINDOW)
    bench.read()
    assert bench.engine.steps == []
    bench.model.choose("embedded")
    bench.read(lambda: len(bench.engine.steps) == 3)
    assert {(plane, index) for _, plane, index in bench.engine.steps} == {(Plane.CORONAL, 3)}
    bench.read(lambda: bool(bench.ready))
    assert bench.ready[-1].total == 3


def test_nothing_is_ready_where_no_scan_is_open(ready):
    ready.answering.open(None, None)
    ready.read()
    assert (ready.ready[-1].done, ready.ready[-1].total) == (0, 0)


def test_looking_elsewhere_turns_it_there(ready):
    ready.answering.look_at(Plane.AXIAL, 7)
    ready.read(lambda: len(ready.engine.steps) == 4)
    assert ready.engine.steps[-1][1:] == (Plane.AXIAL, 7)


def test_another_window_opens_the_volume_anew_and_the_same_view_does_not(ready):
    assert len(ready.engine.opened) == 1
    ready.answering.look_at(Plane.AXIAL, 5)
    ready.answering.open(ready.engine.opened[0][0], IntensityWindow(0, 50))
    ready.read(lambda: len(ready.engine.opened) == 2)
    assert [window.high for _, _, window in ready.engine.opened] == [100, 50]


def test_another_model_opens_the_volume_anew(ready):
    ready.model.choose("sam2.1-tiny")
    ready.read(lambda: len(ready.engine.opened) == 2)
    assert [model for _, model, _ in ready.engine.opened] == ["embedded", "sam2.1-tiny"]


def test_what_the_engine_tells_reaches_the_person(ready):
    ready.answering.ask(prompted(1))
    ready.read(lambda: not ready.answering.pending)
    ready.engine.tell("Memory ran out.")
    ready.read(lambda: bool(ready.notes))
    assert ready.notes == ["Memory ran out."]
