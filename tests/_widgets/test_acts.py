"""What a person does to objects: no viewer, a real project on disk."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss._widgets.status import ObjectState, Severity
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.guard import Overwrite
from napari_sss.engine.project.records import Flag, Review, SliceKey
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, SlicePrompt


@pytest.fixture
def put(bench):
    """Give an object a cuboid of voxels, as a brush does."""

    def put(object_id, box, class_name="organ"):
        labels = bench.session.labels
        places = np.ravel_multi_index(np.mgrid[box].reshape(3, -1), labels.shape)
        before = labels.reshape(-1)[places].copy()
        labels.reshape(-1)[places] = object_id
        bench.acts.class_name = class_name
        bench.acts.paint(LabelDiff.of_voxels(places, before, object_id))
        bench.settle()

    return put


def voxels(bench, object_id):
    return int(np.count_nonzero(bench.session.labels == object_id))


def states(bench):
    bench.settle()
    return {row.id: row.state for row in bench.rows}


def test_accepted_is_locked_and_reopened(bench, put):
    put(1, np.s_[2:4, 2:4, 2:4])
    bench.acts.choose(1)
    bench.acts.accept()
    assert states(bench) == {1: ObjectState.ACCEPTED}
    assert "locked" in bench.acts.why_locked(1)
    put(2, np.s_[2:3, 2:3, 2:6])
    # Two of the four voxels belong to the accepted object and stay its own.
    assert (voxels(bench, 1), voxels(bench, 2)) == (8, 2)
    assert "2 voxels were kept" in bench.notices[-1].text
    bench.acts.toggle_lock([1])
    assert states(bench)[1] is ObjectState.EDITED
    assert bench.acts.why_locked(1) == ""


def test_the_brush_asks_where_that_is_wanted(bench, put):
    put(1, np.s_[2:4, 2:4, 2:4])
    bench.acts.review([1], Review.ACCEPTED)
    bench.room.set_overwrite(Overwrite.ASK)
    bench.settle()
    put(2, np.s_[2:3, 2:3, 2:6])
    assert (voxels(bench, 1), voxels(bench, 2)) == (8, 0)
    (question,) = bench.questions
    assert "2 of object 1" in question.text
    question.take()
    bench.settle()
    assert (voxels(bench, 1), voxels(bench, 2)) == (6, 4)


def test_rejected_loses_its_voxels_and_gets_them_back(bench, put):
    put(1, np.s_[2:4, 2:4, 2:4])
    bench.acts.choose(1)
    bench.acts.reject()
    assert states(bench) == {1: ObjectState.REJECTED}
    assert voxels(bench, 1) == 0
    bench.acts.undo()
    assert states(bench) == {1: ObjectState.EDITED}
    assert voxels(bench, 1) == 8


def test_slices_and_cases_are_accepted_and_reopened(bench, put):
    put(1, np.s_[7:8, 2:4, 2:4])
    key = SliceKey(Plane.AXIAL, 7)
    bench.acts.accept_slice()
    assert bench.session.state.slices[key].review is Review.ACCEPTED
    bench.acts.accept_slice()
    assert key not in bench.session.state.slices
    bench.acts.accept_case()
    assert bench.session.state.case.review is Review.ACCEPTED
    bench.acts.delete([1])
    bench.settle()
    assert voxels(bench, 1) == 4
    assert "accepted" in bench.notices[-1].text
    bench.acts.accept_case()
    assert bench.session.state.case.review is Review.OPEN
    bench.scene.in_view = None
    bench.acts.accept_slice()
    assert "3-D" in bench.notices[-1].text


def test_flags_put_an_object_first_among_the_doubts(bench, put):
    for object_id in (1, 2):
        put(object_id, np.s_[2:3, 2:3, 5 * object_id : 5 * object_id + 2])
    bench.acts.toggle_flag([2], Flag.UNCLEAR_BOUNDARY)
    bench.settle()
    assert bench.rows[1].flags == ("unclear boundary",)
    bench.acts.next_doubt()
    assert bench.acts.current == 2
    bench.acts.toggle_flag([2], Flag.UNCLEAR_BOUNDARY)
    bench.settle()
    assert bench.rows[1].flags == ()
    bench.acts.review([1, 2], Review.ACCEPTED)
    bench.settle()
    bench.acts.next_doubt()
    assert "Nothing is left" in bench.notices[-1].text


def test_objects_are_gone_through_round_and_round(bench, put):
    for object_id in (1, 2, 3):
        put(object_id, np.s_[2:3, 2:3, 5 * object_id : 5 * object_id + 2])
    seen = []
    for step in (1, 1, 1, 1, -1):
        bench.acts.next_object(step)
        seen.append(bench.acts.current)
    assert seen == [1, 2, 3, 1, 3]


def test_merge_split_fill_and_keep_the_largest(bench, put):
    put(1, np.s_[2:3, 2:8, 2:8])
    put(2, np.s_[2:3, 20:22, 2:4])
    put(1, np.s_[2:3, 30:31, 2:5])
    bench.acts.split([1])
    bench.settle()
    assert (voxels(bench, 1), voxels(bench, 3)) == (36, 3)
    bench.acts.choose(1)
    bench.acts.merge([2, 1])
    bench.settle()
    assert (voxels(bench, 1), voxels(bench, 2)) == (40, 0)
    bench.acts.keep_largest([1])
    bench.settle()
    assert voxels(bench, 1) == 36
    put(0, np.s_[2:3, 4:6, 4:6])
    assert voxels(bench, 1) == 32
    bench.acts.fill_holes([1])
    bench.settle()
    assert voxels(bench, 1) == 36
    bench.acts.merge([1])
    assert "two or more" in bench.notices[-1].text


def test_a_class_in_use_is_removed_only_into_another(bench, put):
    put(1, np.s_[2:3, 2:3, 2:4], "kidney")
    put(2, np.s_[2:3, 2:3, 8:10], "liver")
    kidney, liver = bench.acts.classes()
    assert bench.acts.count_of_class(kidney.id) == 1
    bench.acts.remove_class(kidney.id)
    bench.settle()
    assert bench.notices[-1].severity is Severity.ERROR
    assert "kidney" in bench.notices[-1].text
    assert [record.name for record in bench.acts.classes()] == ["kidney", "liver"]
    bench.acts.remove_class(kidney.id, liver.id)
    bench.settle()
    assert [row.class_name for row in bench.rows] == ["liver", "liver"]
    bench.acts.undo()
    bench.settle()
    assert [row.class_name for row in bench.rows] == ["kidney", "liver"]


def test_classes_are_added_renamed_and_given_to_objects(bench, put):
    put(1, np.s_[2:3, 2:3, 2:4], "kidney")
    bench.acts.add_class("spleen")
    bench.acts.change_class([1], "spleen")
    bench.acts.change_class([1], "spleen, left")
    bench.settle()
    assert bench.rows[0].class_name == "spleen, left"
    assert [record.key for record in bench.acts.classes()] == ["1", "2", "3"]


def test_the_last_prompt_takes_a_suggestion_with_it_but_nothing_painted(bench, put):
    box = SlicePrompt(4, Box(10, 10, 15, 13))
    bench.controller.enter(ObjectPrompts(1, "organ", (box,)))
    bench.controller.enter(ObjectPrompts(2, "organ", (box,)))
    put(2, np.s_[4:5, 20:22, 20:22])
    bench.acts.prompts_gone([1, 2])
    bench.settle()
    assert list(bench.session.state.objects) == [2]
    assert bench.session.state.prompts_of(2) == ()
    assert voxels(bench, 2) == 4


def test_without_a_case_acts_say_so(bench):
    bench.scene.key, bench.scene.volume = None, None
    bench.show_scan()
    bench.acts.add_class("kidney")
    assert "open a scan" in bench.notices[-1].text


def test_everything_can_be_undone_and_done_again(bench, put):
    put(1, np.s_[2:4, 2:9, 2:9])
    bench.acts.choose(1)
    bench.acts.toggle_flag([1], Flag.UNCERTAIN_CLASS)
    bench.acts.change_class([1], "spleen")
    bench.acts.accept()
    bench.settle()
    after = bench.session.labels.copy()
    steps = bench.session.history.undoable
    assert steps == 4
    for _ in range(steps):
        bench.acts.undo()
        bench.settle()
    assert not bench.session.labels.any()
    assert bench.rows == ()
    assert bench.controller.status.undo is None
    for _ in range(steps):
        bench.acts.redo()
        bench.settle()
    np.testing.assert_array_equal(bench.session.labels, after)
    assert (bench.rows[0].class_name, bench.rows[0].is_locked) == ("spleen", True)
    assert bench.controller.status.redo is None
