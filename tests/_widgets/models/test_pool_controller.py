"""The work in the background as the viewer starts, watches and enters it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sss._widgets.models import pool_controller
from napari_sss._widgets.models.joining import in_view
from napari_sss._widgets.models.pool_controller import (
    EMPTY,
    NEEDS_PRESET,
    NO_CASES,
    NO_PROJECT,
)
from napari_sss.engine.background import job as background
from napari_sss.engine.background.job import PoolJob
from napari_sss.engine.background.results import CaseResult, FoundObject, make_current
from napari_sss.engine.project.records import CaseStatus, Review, RunRecord
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, SlicePrompt
from napari_sss.engine.ranking.ranking import (
    Ranking,
    SuggestedCase,
    SuggestedSlice,
    write_ranking,
)
from napari_sss.engine.runs.lock import RunLock
from napari_sss.engine.runs.state import RunPhase, RunState, write_state
from napari_sss.engine.runs.wishes import Wish, give_way_count, wish_of
from napari_sss.engine.volumes.grid import AxisView
from napari_sss.engine.volumes.region import Region


@pytest.fixture
def pooled(opened, scans, monkeypatch):
    """A project with three cases; what would be started is written down instead."""
    opened.room.project.cases.add(scans)
    opened.started = []

    def spawn(folder, **_):
        opened.started.append(json.loads((folder / "job.json").read_text()))

    monkeypatch.setattr(background, "spawn", spawn)
    opened.pool.look()
    opened.settle()
    return opened


@pytest.fixture
def process(pooled):
    """A process that works, as its files show it."""
    folder = background.background_folder(pooled.room.project.folder)
    folder.mkdir(exist_ok=True)
    (folder / "job.json").write_text(PoolJob(preset="mr-bright").model_dump_json())
    lock = RunLock(folder)
    lock.acquire()
    write_state(folder, RunState(RunPhase.PREPARING, stage="pre-labelling", done=1, total=3))
    pooled.pool.look()
    pooled.settle()
    yield folder, lock
    lock.release()


def _result(project, folder, case_id):
    """A finished case in the results."""
    prompts = ObjectPrompts(1, "organ", (SlicePrompt(1, Box(2, 2, 6, 6)),), 0.7)
    found = FoundObject(prompts, Region((1, 2, 2), np.ones((2, 4, 4), dtype=bool)), 0.7)
    run = RunRecord("Tiny", "0" * 64, 64, {"low": 0.0, "high": 1.0, "name": "custom"})
    store = make_current(folder, "key")
    store.put(project.cases.get(case_id), CaseResult((found,), run))


def test_without_a_project_nothing_can_be_started(bench):
    assert bench.pool.shown.why_not_prelabel == NO_PROJECT
    assert bench.pool.suggested.text == NO_PROJECT


def test_a_model_without_classes_needs_a_tissue(pooled):
    assert pooled.pool.shown.why_not_prelabel == NEEDS_PRESET
    assert pooled.pool.shown.why_not_rank == ""
    pooled.pool.prelabel()  # refused
    assert pooled.started == []
    pooled.pool.set_preset("mr-bright")
    pooled.pool.prelabel()
    pooled.settle()
    (job,) = pooled.started
    assert (job["model"], job["preset"], job["trained"]) == ("embedded", "mr-bright", False)
    assert job["prelabel"]
    assert not job["rank"]  # that is asked for by itself
    pooled.pool.rank()
    pooled.settle()
    assert (pooled.started[-1]["rank"], pooled.started[-1]["prelabel"]) == (True, False)


def test_a_trained_model_finds_its_classes_by_itself(pooled, make_run):
    model = pooled.store.adopt(make_run("a"), name="Heart")
    pooled.settle()
    assert pooled.pool.shown.knows_classes
    pooled.pool.prelabel()
    pooled.settle()
    (job,) = pooled.started
    assert (job["model"], job["model_name"], job["trained"]) == (
        str(model.folder),
        "Heart",
        True,
    )
    assert job["run"].endswith("run-a")


def test_a_project_without_cases_says_so(opened):
    opened.pool.look()
    opened.settle()
    assert opened.pool.shown.why_not_rank == EMPTY
    assert opened.pool.shown.why_not_prelabel == EMPTY


def test_with_every_case_worked_on_there_is_nothing_to_do(pooled):
    project = pooled.room.project
    for case in project.cases.select():
        session = project.open_case(case.id)
        session.review_case(Review.ACCEPTED)
        session.close()
    pooled.pool.set_preset("mr-bright")
    pooled.pool.look()
    pooled.settle()
    assert pooled.pool.shown.why_not_prelabel == NO_CASES


def test_progress_pause_and_cancel(pooled, process):
    folder, lock = process
    shown = pooled.pool.shown
    assert (shown.text, shown.running) == ("Pre-labelling 1/3", True)
    assert shown.fraction == pytest.approx(1 / 3)
    pooled.pool.pause()
    pooled.settle()
    assert wish_of(folder) is Wish.PAUSE
    lock.release()
    write_state(folder, RunState(RunPhase.PAUSED, done=1, total=3))
    pooled.pool.look()
    pooled.settle()
    shown = pooled.pool.shown
    assert (shown.text, shown.running, shown.can_go_on) == ("Paused at 1/3.", False, True)
    pooled.pool.go_on()
    pooled.settle()
    assert pooled.started[-1]["preset"] == "mr-bright"
    pooled.pool.cancel()
    pooled.settle()
    assert not pooled.pool.shown.can_go_on
    assert pooled.pool.shown.text == ""


def test_a_killed_process_can_be_gone_on_with(pooled, process):
    _, lock = process
    lock.release()  # the system does that when a process dies
    pooled.pool.look()
    pooled.settle()
    assert pooled.pool.shown.can_go_on
    assert not pooled.pool.shown.running


def test_a_fault_is_told_once_with_the_remedy(pooled, process):
    folder, lock = process
    write_state(
        folder, RunState(RunPhase.FAILED, problem="The disk is full.", remedy="Free some.")
    )
    lock.release()
    for _ in range(2):
        pooled.pool.look()
        pooled.settle()
    told = [n.text for n in pooled.notices if "stopped" in n.text]
    assert told == ["The work in the background stopped: The disk is full. Free some."]
    assert pooled.pool.shown.text == "Stopped: The disk is full."


def test_results_are_entered_a_few_at_a_time_and_told(pooled, process):
    folder, _ = process
    project = pooled.room.project
    for case_id in (1, 2, 3):
        _result(project, folder, case_id)
    told = []
    pooled.pool.entered.connect(told.append)
    pooled.pool.look()
    pooled.settle()
    assert told == [(1, 2)]
    pooled.pool.tick()  # what was entered last time is a reason to look again
    pooled.settle()
    assert told == [(1, 2), (3,)]
    assert {c.status for c in project.cases.select()} == {CaseStatus.SUGGESTED}


def test_while_somebody_waits_the_sign_is_up_and_renewed(pooled, process):
    folder, _ = process
    pooled.pool.set_interactive(True)
    pooled.settle()
    first = give_way_count(folder)
    assert first is not None
    pooled.pool.tick()
    pooled.settle()
    assert give_way_count(folder) > first
    pooled.pool.set_interactive(False)
    pooled.settle()
    assert give_way_count(folder) is None


def test_closing_the_window_pauses_the_work(pooled, process):
    folder, _ = process
    pooled.pool.shut_down()
    assert wish_of(folder) is Wish.PAUSE


def _ranking(pooled):
    cases = tuple(
        SuggestedCase(
            i, f"s{i - 1}", 1.0 / i, ("It helps.",), (SuggestedSlice(Plane.AXIAL, 1, "why"),)
        )
        for i in (2, 1, 3)
    )
    write_ranking(Ranking("k", "Tiny", "", (), cases), pooled.room.project.folder)
    pooled.pool.look()
    pooled.settle()


def test_the_best_case_is_suggested_until_it_is_accepted(pooled):
    assert "press Rank" in pooled.pool.suggested.text
    _ranking(pooled)
    assert pooled.pool.suggested.case.case_id == 2
    assert [case.case_id for case in pooled.pool.suggested.others] == [1, 3]
    session = pooled.room.project.open_case(2)
    session.review_case(Review.ACCEPTED)
    session.close()
    pooled.pool.look()
    pooled.settle()
    assert pooled.pool.suggested.case.case_id == 1


def test_a_case_that_was_removed_is_not_suggested(pooled):
    _ranking(pooled)
    pooled.room.project.cases.remove(2)
    pooled.pool.look()
    pooled.settle()
    assert pooled.pool.suggested.case.case_id == 1


def test_nothing_is_read_again_and_again_while_nothing_happens(pooled, monkeypatch):
    looks = []
    monkeypatch.setattr(pooled.pool, "look", lambda: looks.append(1))
    for _ in range(2 * pool_controller.RARELY):
        pooled.pool.tick()
    assert len(looks) == 2


def test_a_slice_is_shown_where_the_layer_has_it():
    """A stack stored from foot to head: its slice 2 of 10 is the layer's 7."""
    flipped = AxisView((0, 1, 2), (True, False, False))
    assert in_view(flipped, (10, 20, 30), Plane.AXIAL, 2) == (Plane.AXIAL, 7)
    turned = AxisView((2, 0, 1), (False, False, False))  # sagittal slices come first
    assert in_view(turned, (10, 20, 30), Plane.SAGITTAL, 4) == (Plane.AXIAL, 4)
