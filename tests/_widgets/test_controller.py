import threading
from pathlib import Path

import numpy as np
import pytest

from napari_sss._widgets.controller import BUSY, NO_OBJECTS, NO_SCAN
from napari_sss._widgets.engine_access import AutoRequest
from napari_sss._widgets.status import ModelPhase, ObjectState, PanelState, Severity
from napari_sss.engine.errors import WriteError
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, SlicePrompt
from napari_sss.engine.volumes.intensity import IntensityWindow

REQUEST = AutoRequest("intensity", "bone")


def drawn(object_id, z=20, x=5, class_name="liver"):
    return ObjectPrompts(object_id, class_name, (SlicePrompt(z, Box(x, 2, x + 6, 7)),))


def edit(bench, prompts):
    """A person changes an object's prompts on the layers."""
    bench.scene.show_prompts([prompts])
    bench.controller.edit(prompts)


def counts(labels):
    values, numbers = np.unique(labels[labels > 0], return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def test_without_a_scan_it_says_what_to_do_first(bench):
    bench.scene.volume, bench.scene.key = None, None
    bench.controller.scan_changed()
    status = bench.statuses[-1]
    assert status.state is PanelState.NO_SCAN
    assert status.why_not == status.why_no_export == NO_SCAN
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    assert bench.engine.requests == []


def test_a_scan_that_cannot_be_used_says_why(bench):
    bench.scene.volume, bench.scene.problem = None, "It is a colour image."
    bench.controller.scan_changed()
    assert bench.controller.status.why_not == "It is a colour image."


def test_auto_prompt_shows_prompts_paints_masks_and_fills_the_table(bench):
    bench.controller.window = IntensityWindow(-100, 200)
    bench.controller.auto_prompt(REQUEST)
    assert bench.controller.status.state is PanelState.RUNNING
    assert bench.controller.status.why_not == BUSY
    bench.settle()
    (request,) = bench.engine.requests
    assert request == AutoRequest("intensity", "bone", IntensityWindow(-100, 200), None, 7)
    assert sorted(bench.scene.shown) == [1, 2]
    assert counts(bench.scene.array) == {1: 400, 2: 400}
    first, second = bench.controller.objects.rows
    # 400 voxels of 1 mm: 0.4 ml; slices 4 k to 4 k + 3; the box is on slice 4 k + 1.
    assert (first.first, first.last, first.ml, first.best_index) == (4, 7, 0.4, 5)
    assert (second.first, second.last, second.confidence) == (8, 11, 0.81)
    assert first.state is ObjectState.DONE
    assert bench.controller.status.state is PanelState.READY
    assert bench.controller.status.progress is None
    assert bench.notices == []
    assert bench.scene.redrawn


def test_the_table_is_there_before_the_masks(bench):
    bench.engine.pause = 0.02
    bench.controller.auto_prompt(REQUEST)
    bench.wait_for(lambda: bench.controller.objects.rows)
    assert bench.controller.objects.rows[-1].state is ObjectState.WAITING
    assert bench.controller.objects.rows[-1].confidence == pytest.approx(0.7)
    assert bench.controller.objects.rows[-1].ml is None


def test_choosing_an_object_shows_its_best_slice(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    bench.controller.show_object(2)
    assert bench.scene.slices == [(Plane.AXIAL, 9)]


def test_a_second_auto_prompt_replaces_the_first(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    bench.engine.objects = 1
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    assert sorted(bench.scene.shown) == [1]
    assert counts(bench.scene.array) == {1: 400}
    assert [row.id for row in bench.controller.objects.rows] == [1]


def test_what_a_person_edited_stays_and_is_not_painted_over(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    edit(bench, drawn(2, z=6, x=12))
    bench.settle()
    # Object 2 has now slices 5 to 8, rows 2 to 6, columns 12 to 17: 4 * 5 * 6 voxels.
    assert counts(bench.scene.array) == {1: 400, 2: 120}
    edited = bench.scene.array == 2
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    rows = bench.controller.objects.rows
    assert [row.id for row in rows] == [2, 3, 4]
    assert rows[0].state is ObjectState.EDITED
    np.testing.assert_array_equal(bench.scene.array == 2, edited)
    assert counts(bench.scene.array) == {2: 120, 3: 400, 4: 400}


def test_what_a_brush_painted_stays(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    bench.scene.array[30, 0, :5] = 1  # a stroke on object 1, and one of a new number
    bench.scene.array[31, 0, :5] = 3
    bench.controller.objects.paint([1, 3])
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    # Objects 1 and 3 are kept; the new ones are 4 and 5, and 4 finds its place taken.
    assert [row.id for row in bench.controller.objects.rows] == [1, 4, 5]
    assert counts(bench.scene.array) == {1: 405, 3: 5, 5: 400}


def test_a_failed_job_leaves_masks_prompts_and_table_as_they_were(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    before, shown = bench.scene.array.copy(), dict(bench.scene.shown)
    rows = bench.controller.objects.rows
    bench.engine.objects, bench.engine.fail_after_masks = 3, 6
    bench.engine.fail_with = RuntimeError("CUDA out of memory")
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    np.testing.assert_array_equal(bench.scene.array, before)
    assert bench.scene.shown == shown
    assert bench.controller.objects.rows == rows
    (notice,) = bench.notices
    assert notice.severity is Severity.ERROR
    assert "CUDA out of memory" in notice.text
    assert bench.controller.status.state is PanelState.READY


def test_an_error_of_the_engine_is_shown_with_its_remedy(bench, tmp_path):
    bench.engine.fail_with = WriteError("The disk is full.", "Free some space.")
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
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
    assert bench.controller.objects.rows[-1].state is ObjectState.STOPPED
    assert bench.notices == []


def test_an_edit_during_a_job_waits_for_its_turn(bench):
    bench.engine.gate.clear()
    bench.controller.auto_prompt(REQUEST)
    edit(bench, drawn(9))
    edit(bench, drawn(8, z=30))
    assert len(bench.controller.objects.rows) == 2
    bench.engine.gate.set()
    bench.settle()
    asked = bench.engine.requests[-1]
    assert [o.id for o in asked.objects] == [9, 8]
    assert counts(bench.scene.array)[9] == 120


def test_an_object_edited_while_it_is_made_is_made_again(bench):
    bench.engine.gate.clear()
    edit(bench, drawn(1, z=20))
    bench.wait_for(lambda: len(bench.engine.requests) == 1)
    edit(bench, drawn(1, z=30))
    assert bench.controller.status.state is PanelState.CANCELLING
    bench.engine.gate.set()
    bench.settle()
    assert [r.objects[0].prompts[0].index for r in bench.engine.requests] == [20, 30]
    where = np.argwhere(bench.scene.array == 1)
    assert where[:, 0].min() == 29


def test_a_removed_object_leaves_no_trace(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    bench.controller.remove([1])
    bench.settle()
    assert sorted(bench.scene.shown) == [2]
    assert counts(bench.scene.array) == {2: 400}
    assert [row.id for row in bench.controller.objects.rows] == [2]


def test_export_writes_classes_in_the_files_own_order(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    bench.controller.rename(2, "spleen")
    bench.scene.array[39, 0, 0] = 77  # painted by hand: in no row of the table
    bench.controller.export(Path("mask.nii.gz"), "lesion")
    bench.settle()
    ((mask, classes, source, path),) = bench.engine.written
    assert classes == {"thing": 1, "spleen": 2, "lesion": 3}
    assert source is bench.scene.volume
    assert path == Path("mask.nii.gz")
    # The scene's own order is that of the scan upside down.
    np.testing.assert_array_equal(mask[::-1] == 1, bench.scene.array == 1)
    np.testing.assert_array_equal(mask[::-1] == 2, bench.scene.array == 2)
    assert mask[0, 0, 0] == 3
    assert mask.dtype == np.uint8
    assert "Saved mask.nii.gz (1 = thing, 2 = spleen, 3 = lesion)." in bench.notices[0].text


def test_there_is_nothing_to_export_before_there_are_objects(bench):
    assert bench.controller.status.why_no_export == NO_OBJECTS
    bench.controller.export(Path("mask.nii.gz"))
    bench.settle()
    assert bench.engine.written == []


def test_another_scan_has_its_own_objects_and_stops_the_job(bench):
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
    bench.scene.key = 2
    bench.controller.scan_changed()
    assert bench.controller.objects.rows == ()
    bench.scene.key = 1
    bench.controller.scan_changed()
    assert [row.id for row in bench.controller.objects.rows] == [1, 2]


def test_the_model_is_loaded_once_in_the_worker_and_reported(bench):
    assert bench.controller.status.model.phase is ModelPhase.LOADED
    assert bench.controller.status.model.note == "CPU · 1 thread"
    bench.controller.auto_prompt(REQUEST)
    bench.settle()
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
