"""Giving voxels: answers of a model, suggestions, strokes; what locks and policies keep."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import LockedError, OverlapQuestion, ProjectError
from napari_sss.engine.project.guard import Overwrite, OverwritePolicy
from napari_sss.engine.project.mask_actions import Making, Suggestion
from napari_sss.engine.project.records import (
    CaseStatus,
    Maker,
    Review,
    RunRecord,
    SectionKey,
    SliceKey,
)
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, SlicePrompt
from napari_sss.engine.volumes.region import Region

RUN = RunRecord("embedded", "ab" * 32, 256, {"low": -160.0, "high": 240.0, "name": "soft"})


@pytest.fixture
def answer(naive):
    """``answer(z, y0, y1, x0, x1)``: a rectangle on an axial slice, maxima exclusive."""

    def make(z, y0, y1, x0, x1):
        return naive.SliceAnswer(z, (y0, x0), np.ones((y1 - y0, x1 - x0), bool))

    return make


def stroke(session, z, ys, xs, value):
    """The change that paints a rectangle of one slice."""
    box = np.mgrid[z : z + 1, ys, xs].reshape(3, -1)
    where = np.ravel_multi_index(tuple(box), session.labels.shape)
    return LabelDiff.of_voxels(where, session.labels.reshape(-1)[where], value)


def block(offset, shape):
    return Region(offset, np.ones(shape, dtype=bool))


def made(session, object_id, z, plane=Plane.AXIAL):
    return session.state.sections[SectionKey(object_id, plane, z)]


class TestAnswers:
    def test_an_answer_takes_the_place_of_the_one_before_on_its_slice_alone(
        self, session, answer
    ):
        kidney = session.add_object(1)
        session.set_slices(kidney, [answer(1, 2, 6, 2, 6), answer(2, 2, 6, 2, 6)])
        session.set_slices(kidney, [answer(1, 4, 7, 4, 9)], Making(run=RUN))
        assert (session.labels[1] == kidney).sum() == 3 * 5
        assert (session.labels[2] == kidney).sum() == 4 * 4
        assert made(session, kidney, 1).run == RUN.key
        assert made(session, kidney, 1).maker is Maker.PROMPTED
        assert made(session, kidney, 1).confidence == 0.75
        assert session.state.runs[RUN.key] == RUN

    def test_an_answer_that_found_nothing_is_remembered(self, session, naive):
        kidney = session.add_object(1)
        nothing = naive.SliceAnswer(3, (0, 0), np.zeros((0, 0), bool))
        session.set_slices(kidney, [nothing])
        assert made(session, kidney, 3).maker is Maker.PROMPTED

    def test_answers_in_another_plane_count_for_the_objects_own_slices(self, session, naive):
        """A sagittal patch at x = 5 over z 1..2 touches the axial sections 1 and 2."""
        kidney = session.add_object(1, [SlicePrompt(0, box=Box(0, 0, 2, 2))])
        patch = naive.SliceAnswer(5, (1, 3), np.ones((2, 4), bool))
        patch.plane = Plane.SAGITTAL
        session.set_slices(kidney, [patch])
        assert np.argwhere(session.labels == kidney)[:, 2].tolist() == [5] * 8
        assert {k.index for k, _ in session.state.sections_of(kidney)} == {1, 2}

    def test_a_patch_that_reaches_out_of_the_slice_is_refused(self, session, answer):
        kidney = session.add_object(1)
        before = session.performed
        with pytest.raises(ProjectError, match="does not fit"):
            session.set_slices(kidney, [answer(1, 8, 14, 0, 3)])
        with pytest.raises(ProjectError, match="no axial slice 4"):
            session.set_slices(kidney, [answer(4, 0, 1, 0, 1)])
        assert session.performed == before
        assert not session.labels.any()

    def test_streamed_slices_are_one_step(self, session, answer):
        kidney = session.add_object(1)
        seq = None
        for z in range(4):
            seq = session.set_slices(kidney, [answer(z, 1, 4, 1, 4)], joins=seq).seq
        assert session.history.undoable == 2
        applied = session.undo()
        assert applied.box == (slice(0, 4), slice(1, 4), slice(1, 4))
        assert not session.labels.any()
        session.redo()
        assert (session.labels == kidney).sum() == 4 * 9

    def test_what_comes_after_something_else_joins_no_more(self, session, answer):
        kidney = session.add_object(1)
        seq = session.set_slices(kidney, [answer(0, 1, 4, 1, 4)]).seq
        session.review_slice(Plane.AXIAL, 3, Review.ACCEPTED)
        session.set_slices(kidney, [answer(1, 1, 4, 1, 4)], joins=seq)
        assert session.history.undoable == 4

    def test_accepted_slices_are_anchors_whatever_the_policy(self, session, answer):
        kidney = session.add_object(1)
        session.set_slices(kidney, [answer(z, 1, 4, 1, 4) for z in range(3)])
        session.review_slice(Plane.AXIAL, 0, Review.ACCEPTED)
        session.review_section(kidney, Plane.AXIAL, 1, Review.ACCEPTED)
        assert session.anchors(kidney, Plane.AXIAL) == (0, 1)
        grasping = Making(policy=OverwritePolicy(accepted=Overwrite.OVERWRITE))
        applied = session.set_region(kidney, block((0, 5, 5), (4, 2, 2)), grasping)
        assert [(session.labels[z] == kidney).sum() for z in range(4)] == [9, 9, 4, 4]
        assert applied.refused == 2 * (9 + 4)
        assert session.anchors(kidney, Plane.AXIAL) == (0, 1)


class TestSuggestions:
    def suggestion(self, region, confidence, class_id=1):
        prompt = SlicePrompt(region.offset[0], box=Box(1, 1, 5, 5))
        return Suggestion(
            ObjectPrompts(1, "organ", (prompt,), confidence), class_id, region, confidence
        )

    def test_the_surer_one_wins_and_what_was_there_wins_over_both(self, session, answer):
        mine = session.add_object(1)
        session.set_slices(mine, [answer(0, 0, 2, 0, 2)])
        sure = self.suggestion(block((0, 0, 1), (1, 2, 3)), 0.9)
        unsure = self.suggestion(block((0, 0, 3), (1, 2, 3)), 0.4)
        first, second = session.suggest([sure, unsure], run=RUN)
        row = session.labels[0, 0, :7].tolist()
        assert row == [mine, mine, first, first, second, second, 0]
        assert made(session, first, 0).edited  # cut by what was there
        assert made(session, second, 0).edited  # covered in part by the surer one
        assert made(session, first, 0).maker is Maker.AUTO
        assert session.state.prompts_of(first) == sure.prompts.prompts

    def test_suggestions_alone_leave_the_case_suggested(self, session):
        session.suggest([self.suggestion(block((0, 0, 0), (1, 2, 2)), 0.9)])
        assert session.status is CaseStatus.SUGGESTED
        session.undo()
        assert session.status is CaseStatus.NEW

    def test_new_ones_take_the_place_of_old_ones_in_one_step(self, session):
        old = session.suggest([self.suggestion(block((0, 0, 0), (1, 4, 4)), 0.9)])
        (new,) = session.suggest(
            [self.suggestion(block((0, 2, 2), (1, 4, 4)), 0.8)], replaced=old
        )
        assert set(np.unique(session.labels)) == {0, new}
        assert (session.labels == new).sum() == 16
        assert set(session.state.objects) == {new}
        session.undo()
        assert set(session.state.objects) == set(old)
        assert (session.labels == old[0]).sum() == 16


class TestStrokes:
    def test_a_stroke_makes_the_section_a_persons(self, session, answer):
        kidney = session.add_object(1)
        session.set_slices(kidney, [answer(1, 1, 4, 1, 4)])
        session.paint(stroke(session, 1, slice(4, 6), slice(1, 3), kidney))
        assert made(session, kidney, 1).maker is Maker.PAINTED
        assert made(session, kidney, 1).edited
        assert made(session, kidney, 1).confidence == 0.75

    def test_painting_a_new_id_makes_an_object(self, session):
        session.paint(stroke(session, 2, slice(0, 2), slice(0, 2), 9), class_id=2)
        assert session.state.objects[9].class_id == 2
        assert session.free_id() == 10
        with pytest.raises(ProjectError, match="no object 5"):
            session.paint(stroke(session, 2, slice(5, 6), slice(0, 2), 5))

    def test_an_adopted_stroke_is_put_back_where_it_met_a_lock(self, session, answer):
        """The brush has painted 4 x 4; 2 x 2 of it belong to an accepted object."""
        done, mine = session.add_object(1), session.add_object(1)
        session.set_slices(done, [answer(1, 0, 2, 0, 2)])
        session.review_objects([done], Review.ACCEPTED)
        diff = stroke(session, 1, slice(0, 4), slice(0, 4), mine)
        diff.apply(session.labels)
        applied = session.adopt(diff)
        assert (session.labels[1] == done).sum() == 4
        assert (session.labels[1] == mine).sum() == 12
        assert applied.refused == 4
        assert applied.box == (slice(1, 2), slice(0, 4), slice(0, 4))

    def test_a_stroke_wholly_on_a_lock_leaves_no_trace(self, session, answer):
        done = session.add_object(1)
        session.set_slices(done, [answer(1, 0, 4, 0, 4)])
        session.review_objects([done], Review.ACCEPTED)
        before = session.performed
        diff = stroke(session, 1, slice(1, 2), slice(1, 3), 0)
        diff.apply(session.labels)
        applied = session.adopt(diff)
        assert (session.labels[1] == done).sum() == 16
        assert (applied.refused, session.performed) == (2, before)
        assert applied.box == diff.box(session.labels.shape)

    @pytest.mark.parametrize(
        ("choice", "theirs", "ours"), [(Overwrite.KEEP, 9, 6), (Overwrite.OVERWRITE, 6, 9)]
    )
    def test_others_keep_or_lose_their_voxels(self, session, answer, choice, theirs, ours):
        """A stroke of 3 x 3 lies over one column, 3 voxels, of another object's 3 x 3."""
        other, mine = session.add_object(1), session.add_object(1)
        session.set_slices(other, [answer(0, 0, 3, 0, 3)])
        session.paint(
            stroke(session, 0, slice(0, 3), slice(2, 5), mine), OverwritePolicy(others=choice)
        )
        assert (session.labels == other).sum() == theirs
        assert (session.labels == mine).sum() == ours

    def test_asking_names_who_would_lose_how_much(self, session, answer):
        other, mine = session.add_object(1), session.add_object(1)
        session.set_slices(other, [answer(0, 0, 3, 0, 3)])
        diff = stroke(session, 0, slice(0, 3), slice(2, 5), mine)
        diff.apply(session.labels)
        with pytest.raises(OverlapQuestion) as asked:
            session.adopt(diff, OverwritePolicy(others=Overwrite.ASK))
        assert asked.value.taken == {other: 3}
        assert (session.labels == other).sum() == 9

    def test_overwriting_what_is_accepted_reopens_it(self, session, answer):
        done, mine = session.add_object(1), session.add_object(1)
        session.set_slices(done, [answer(0, 0, 3, 0, 3)])
        session.review_objects([done], Review.ACCEPTED)
        session.review_slice(Plane.AXIAL, 0, Review.ACCEPTED)
        session.paint(
            stroke(session, 0, slice(0, 1), slice(0, 1), mine),
            OverwritePolicy(accepted=Overwrite.OVERWRITE),
        )
        assert session.state.objects[done].review is Review.OPEN
        assert SliceKey(Plane.AXIAL, 0) in session.state.slices
        assert session.state.slices[SliceKey(Plane.AXIAL, 0)].review is Review.OPEN
        session.undo()
        assert session.state.objects[done].review is Review.ACCEPTED

    def test_a_sagittal_anchor_keeps_its_column(self, session):
        """The slice x = 3 is accepted: a stroke over x 2..4 leaves it out."""
        mine = session.add_object(1)
        session.review_slice(Plane.SAGITTAL, 3, Review.ACCEPTED)
        session.paint(stroke(session, 0, slice(0, 2), slice(2, 5), mine))
        assert session.labels[0, 0, :6].tolist() == [0, 0, mine, 0, mine, 0]

    def test_an_accepted_case_is_closed_to_strokes(self, session):
        mine = session.add_object(1)
        session.review_case(Review.ACCEPTED)
        with pytest.raises(LockedError, match="case is accepted"):
            session.paint(stroke(session, 0, slice(0, 2), slice(2, 5), mine))
