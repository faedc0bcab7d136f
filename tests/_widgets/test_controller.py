"""Segmenting into a case: no viewer, a fake engine, a real project on disk."""

import json
import threading

import numpy as np
import pytest

from napari_sss._widgets.controller import BUSY, NO_OBJECTS, NO_PROMPTS, NO_SCAN
from napari_sss._widgets.engine_access import AutoRequest
from napari_sss._widgets.status import ModelPhase, ObjectState, PanelState, Severity
from napari_sss.engine.errors import WriteError
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.guard import Overwrite
from napari_sss.engine.project.records import Maker, Review, SectionKey
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, SlicePrompt
from napari_sss.engine.volumes.grid import AxisView
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.reading import read_volume

REQUEST = AutoRequest("intensity", "bone")


def drawn(object_id, z=20, x=5, class_name="liver"):
    return ObjectPrompts(object_id, class_name, (SlicePrompt(z, Box(x, 2, x + 6, 7)),))


def prompt(bench, prompts, *, propagate=True):
    """A person prompts an object on the layers, and has it followed through the stack."""
    bench.scene.show_prompts([prompts])
    bench.controller.enter(prompts)
    if propagate:
        bench.controller.propagate(prompts.id)


def paint(bench, object_id, z, row, columns):
    """A brush writes into the masks; what it wrote is handed on."""
    labels = bench.scene.array
    places = [np.ravel_multi_index((z, row, x), labels.shape) for x in columns]
    before = labels.reshape(-1)[places].copy()
    labels.reshape(-1)[places] = object_id
    bench.acts.paint(LabelDiff.of_voxels(places, before, object_id))


def auto(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()


def counts(labels):
    values, numbers = np.unique(labels[labels > 0], return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def test_without_a_scan_it_says_what_to_do_first(bench):
    bench.scene.volume, bench.scene.key = None, None
    bench.show_scan()
    status = bench.statuses[-1]
    assert status.state is PanelState.NO_SCAN
    assert status.why_not == status.why_no_export == NO_SCAN
    auto(bench)
    assert bench.engine.requests == []


def test_a_scan_that_cannot_be_used_says_why(bench):
    bench.scene.volume, bench.scene.problem = None, "It is a colour image."
    bench.show_scan()
    assert bench.controller.status.why_not == "It is a colour image."


def test_auto_prompt_shows_prompts_enters_masks_and_fills_the_table(bench):
    bench.controller.window = IntensityWindow(-100, 200)
    bench.controller.auto_prompt(REQUEST)
    assert bench.controller.status.state is PanelState.RUNNING
    assert bench.controller.status.why_not == BUSY
    bench.settle()
    (request,) = bench.engine.requests
    assert request == AutoRequest(
        "intensity", "bone", IntensityWindow(-100, 200), first_index=7
    )
    assert sorted(bench.scene.shown) == [1, 2]
    assert counts(bench.scene.array) == {1: 400, 2: 400}
    first, second = bench.rows
    # 400 voxels of 1 mm: 0.4 ml; slices 4 k to 4 k + 3; the box is on slice 4 k + 1.
    assert (first.first, first.last, first.ml, first.best_index) == (4, 7, 0.4, 5)
    assert (second.first, second.last, second.confidence) == (8, 11, 0.81)
    assert first.state is ObjectState.SUGGESTED
    assert bench.controller.status.state is PanelState.READY
    assert bench.controller.status.progress is None
    assert bench.notices == []
    assert bench.scene.redrawn
    # The class was added by the same step, and colours the objects: the second one with 0.3
    # of white, e6 9f 00 + 0.3 * (19 60 ff).
    assert (first.class_name, first.colour) == ("thing", "#e69f00")
    assert bench.scene.colours == {1: "#e69f00", 2: "#eebc4c"}
    assert bench.controller.status.undo == "Auto-prompt"


def test_one_undo_takes_an_auto_prompt_back_and_redo_brings_it_again(bench):
    auto(bench)
    bench.acts.undo()
    bench.settle()
    assert not bench.scene.array.any()
    assert bench.scene.shown == {}
    assert bench.rows == ()
    assert bench.acts.classes() == ()
    assert bench.controller.status.undo is None
    bench.acts.redo()
    bench.settle()
    assert counts(bench.scene.array) == {1: 400, 2: 400}
    assert sorted(bench.scene.shown) == [1, 2]
    assert [row.ml for row in bench.rows] == [0.4, 0.4]


def test_undo_during_an_auto_prompt_stops_it_first(bench):
    bench.engine.pause = 0.01
    bench.controller.auto_prompt(REQUEST)
    bench.wait_for(lambda: bench.scene.array.any())
    bench.acts.undo()
    bench.settle()
    assert not bench.scene.array.any()
    assert bench.rows == ()
    assert bench.notices == []


def test_the_table_is_there_before_the_masks(bench):
    bench.engine.pause = 0.05
    bench.controller.auto_prompt(REQUEST)
    bench.wait_for(lambda: len(bench.rows) == 2 and bench.rows[-1].state is ObjectState.WAITING)
    assert bench.rows[-1].confidence == pytest.approx(0.7)
    assert bench.rows[-1].ml is None


def test_choosing_an_object_shows_its_best_slice(bench):
    auto(bench)
    bench.controller.show_object(2)
    assert bench.scene.slices == [(Plane.AXIAL, 9)]


def test_a_second_auto_prompt_replaces_the_first(bench):
    auto(bench)
    bench.engine.objects = 1
    auto(bench)
    # Numbers are not given again: the new object is 3.
    assert sorted(bench.scene.shown) == [3]
    assert counts(bench.scene.array) == {3: 400}
    assert [row.id for row in bench.rows] == [3]


def test_what_a_person_prompted_stays_and_is_not_taken_from(bench):
    auto(bench)
    prompt(bench, drawn(2, z=6, x=12))
    bench.settle()
    # Object 2 has now slices 5 to 8, rows 2 to 6, columns 12 to 17: 4 * 5 * 6 voxels.
    assert counts(bench.scene.array) == {1: 400, 2: 120}
    prompted = bench.scene.array == 2
    auto(bench)
    assert [row.id for row in bench.rows] == [2, 3, 4]
    assert bench.rows[0].state is ObjectState.EDITED
    np.testing.assert_array_equal(bench.scene.array == 2, prompted)
    assert counts(bench.scene.array) == {2: 120, 3: 400, 4: 400}


def test_what_a_brush_painted_stays_and_is_a_step_of_its_own(bench):
    auto(bench)
    bench.acts.class_name = "lesion"
    paint(bench, 1, 30, 0, range(5))
    paint(bench, 3, 31, 0, range(5))
    bench.settle()
    assert [(r.id, r.class_name, r.ml) for r in bench.rows] == [
        (1, "thing", 0.405),
        (2, "thing", 0.4),
        (3, "lesion", 0.005),
    ]
    auto(bench)
    # Objects 1 and 3 are kept; the new ones are 4 and 5, and 4 finds its place taken.
    assert counts(bench.scene.array) == {1: 405, 3: 5, 5: 400}
    assert [r.state.name for r in bench.rows] == ["EDITED", "EDITED", "EMPTY", "SUGGESTED"]
    for _ in range(2):
        bench.acts.undo()
    bench.settle()
    assert counts(bench.scene.array) == {1: 405, 2: 400}


def test_a_failed_job_leaves_masks_prompts_and_table_as_they_were(bench):
    auto(bench)
    before, shown = bench.scene.array.copy(), dict(bench.scene.shown)
    rows = bench.rows
    bench.engine.objects, bench.engine.fail_after_masks = 3, 6
    bench.engine.fail_with = RuntimeError("CUDA out of memory")
    auto(bench)
    np.testing.assert_array_equal(bench.scene.array, before)
    assert bench.scene.shown == shown
    assert bench.rows == rows
    (notice,) = bench.notices
    assert notice.severity is Severity.ERROR
    assert "CUDA out of memory" in notice.text
    assert bench.controller.status.state is PanelState.READY


def test_a_failed_propagation_leaves_the_former_mask_and_the_prompt(bench):
    prompt(bench, drawn(1))
    bench.settle()
    bench.engine.fail_with, bench.engine.fail_after_masks = RuntimeError("no"), 2
    prompt(bench, drawn(1, z=25))
    bench.settle()
    assert np.argwhere(bench.scene.array == 1)[:, 0].min() == 19
    assert counts(bench.scene.array) == {1: 120}
    assert bench.session.prompts(1).prompts[0].index == 25


def test_an_error_of_the_engine_is_shown_with_its_remedy(bench):
    bench.engine.fail_with = WriteError("The disk is full.", "Free some space.")
    auto(bench)
    assert bench.notices[0].text == "The disk is full. Free some space."


def test_cancelling_keeps_what_is_done(bench):
    bench.engine.pause = 0.01
    bench.controller.auto_prompt(REQUEST)
    bench.wait_for(lambda: counts(bench.scene.array).get(1))
    bench.controller.cancel()
    assert bench.controller.status.state is PanelState.CANCELLING
    bench.settle()
    assert bench.controller.status.state is PanelState.READY
    assert counts(bench.scene.array)[1] >= 100
    assert sorted(bench.scene.shown) == [1, 2]
    assert bench.rows[-1].state is ObjectState.EMPTY
    assert bench.notices == []


def test_propagations_take_their_turn(bench):
    bench.engine.gate.clear()
    prompt(bench, drawn(9))
    prompt(bench, drawn(8, z=30))
    bench.wait_for(lambda: len(bench.rows) == 2)
    bench.engine.gate.set()
    bench.settle()
    assert [r.objects[0].id for r in bench.engine.requests] == [9, 8]
    assert counts(bench.scene.array) == {9: 120, 8: 120}


def test_a_prompt_given_while_the_object_is_followed_stops_that(bench):
    bench.engine.gate.clear()
    prompt(bench, drawn(1, z=20))
    bench.wait_for(lambda: len(bench.engine.requests) == 1)
    prompt(bench, drawn(1, z=30))
    assert bench.controller.status.state is PanelState.CANCELLING
    bench.engine.gate.set()
    bench.settle()
    assert [r.objects[0].prompts[0].index for r in bench.engine.requests] == [20, 30]
    assert np.argwhere(bench.scene.array == 1)[:, 0].min() == 29


def test_an_object_without_prompts_cannot_be_followed(bench):
    paint(bench, 1, 3, 3, range(4))
    bench.controller.propagate(1)
    bench.settle()
    assert bench.notices[-1].text == NO_PROMPTS


def test_an_answer_on_a_slice_is_one_step_with_its_prompt(bench):
    prompt(bench, drawn(1), propagate=False)
    seq = bench.session.history.cursor
    mask = SliceMask(1, 20, Plane.AXIAL, (2, 5), np.ones((5, 6), bool), 0.9)
    bench.controller.enter_answer(mask, seq)
    bench.settle()
    assert counts(bench.scene.array) == {1: 30}
    made = bench.session.state.sections[SectionKey(1, Plane.AXIAL, 20)]
    assert made.maker is Maker.PROMPTED
    assert made.edited  # the answer heeds what stood there: prompts alone do not give it again
    assert bench.session.state.runs[made.run].model == "embedded"
    bench.acts.undo()
    bench.settle()
    assert not bench.scene.array.any()
    assert bench.rows == ()


def test_accepted_slices_are_anchors_and_stay_as_they_are(bench):
    prompt(bench, drawn(1, z=20))
    bench.settle()
    bench.scene.in_view = (Plane.AXIAL, 21)
    bench.acts.choose(1)
    bench.acts.accept_section()
    prompt(bench, drawn(1, z=20, x=30))
    bench.settle()
    asked = bench.engine.requests[-1].objects[0]
    assert [(p.index, p.mask is not None) for p in asked.prompts] == [(20, False), (21, True)]
    # The anchor is handed over as an array: rows 2 to 6, columns 5 to 10 of slice 21 alone.
    (labels,) = bench.engine.asked[-1][1].values()
    assert np.argwhere(labels).min(axis=0).tolist() == [21, 2, 5]
    assert np.argwhere(labels).max(axis=0).tolist() == [21, 6, 10]
    # Slices 19 to 22 were made anew at columns 30 to 35, except for the accepted one.
    for z, column in ((19, 30), (20, 30), (21, 5), (22, 30)):
        assert np.argwhere(bench.scene.array[z] == 1)[:, 1].min() == column


def test_a_mask_that_would_take_accepted_voxels_asks(bench):
    prompt(bench, drawn(1))
    bench.settle()
    bench.acts.review([1], Review.ACCEPTED)
    bench.room.set_overwrite(Overwrite.ASK)
    bench.settle()
    prompt(bench, drawn(2, x=8))
    bench.settle()
    # Columns 8 to 10 belong to object 1: 4 slices of 5 rows of 3 columns are kept.
    assert counts(bench.scene.array) == {1: 120, 2: 60}
    (question,) = bench.questions
    assert "60 of object 1" in question.text
    question.take()
    bench.settle()
    assert counts(bench.scene.array) == {1: 60, 2: 120}


def test_the_answer_to_overlaps_is_kept_with_the_project(bench, home):
    bench.room.set_overwrite(Overwrite.ASK)
    bench.settle()
    saved = json.loads((home / "default" / "settings.json").read_text())
    assert saved["overwrite_accepted"] == "ask"
    bench.room.set_overwrite(Overwrite.KEEP)


def test_a_deleted_object_leaves_no_trace_and_comes_back(bench):
    auto(bench)
    bench.acts.delete([1])
    bench.settle()
    assert sorted(bench.scene.shown) == [2]
    assert counts(bench.scene.array) == {2: 400}
    assert [row.id for row in bench.rows] == [2]
    bench.acts.undo()
    bench.settle()
    assert sorted(bench.scene.shown) == [1, 2]
    assert counts(bench.scene.array) == {1: 400, 2: 400}


def test_rows_count_slices_as_the_slider_does(bench):
    # Displayed upside down: array slices 4 to 7 of 40 are shown as 39 - 7 to 39 - 4.
    bench.scene.view_of_axes = AxisView(flips=(True, False, False))
    bench.controller.spacing_changed()
    auto(bench)
    assert (bench.rows[0].first, bench.rows[0].last) == (32, 35)


def test_export_writes_classes_with_their_provenance(bench, tmp_path):
    auto(bench)
    bench.acts.change_class([2], "spleen")
    path = tmp_path / "mask.nii.gz"
    bench.controller.export(path)
    bench.settle()
    mask = read_volume(path).array
    np.testing.assert_array_equal(mask == 1, bench.scene.array == 1)
    np.testing.assert_array_equal(mask == 2, bench.scene.array == 2)
    told = json.loads((tmp_path / "mask.json").read_text())
    assert told["format"] == "napari-sss annotation"
    assert [o["class"] for o in told["objects"]] == ["thing", "spleen"]
    assert {s["made_by"] for o in told["objects"] for s in o["sections"]} == {"auto"}
    assert [run["model"] for run in told["runs"].values()] == ["embedded"]
    assert str(tmp_path) not in json.dumps(told)
    assert "Saved mask.nii.gz (1 = thing, 2 = spleen)" in bench.notices[-1].text


def test_there_is_nothing_to_export_before_there_are_objects(bench, tmp_path):
    assert bench.controller.status.why_no_export == NO_OBJECTS
    bench.controller.export(tmp_path / "mask.nii.gz")
    bench.settle()
    assert not list(tmp_path.iterdir())


def test_the_model_is_loaded_once_in_the_worker_and_reported(bench):
    assert bench.controller.status.model.phase is ModelPhase.LOADED
    assert bench.controller.status.model.note == "CPU · 1 thread"
    auto(bench)
    assert bench.engine.loaded == ["embedded"]


def test_a_model_that_cannot_be_loaded_is_reported_and_another_can_be_chosen(bench):
    bench.controller.model.choose("broken")
    assert bench.controller.status.model.phase is ModelPhase.LOADING
    bench.settle()
    assert bench.controller.status.model.phase is ModelPhase.FAILED
    assert "Download it again." in bench.notices[0].text
    bench.controller.model.choose("other")
    bench.settle()
    assert bench.controller.status.model.phase is ModelPhase.LOADED


def test_percentiles_are_computed_in_the_worker(bench):
    threads, windows = [], []
    bench.scene.volume.array[0, 0, :2] = (10, 20)

    def take(window):
        threads.append(threading.current_thread())
        windows.append(window)

    bench.controller.percentile_window(take)
    bench.settle()
    assert threads == [threading.main_thread()]
    # Foreground is 10 and 20; half a percent in from each: 10.05 and 19.95.
    assert (windows[0].low, windows[0].high) == pytest.approx((10.05, 19.95))
