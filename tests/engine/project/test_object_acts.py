"""Merging, splitting, tidying and deleting objects; what a person decides about them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import LockedError, ProjectError
from napari_sss.engine.project.records import (
    CaseStatus,
    Flag,
    Maker,
    Review,
    SectionKey,
    SliceKey,
)
from napari_sss.engine.prompts.types import Box, Plane, Point, SlicePrompt
from napari_sss.engine.volumes.region import Region


def give(session, object_id, mask, offset=(0, 0, 0)):
    session.set_region(object_id, Region.of(np.asarray(mask, dtype=bool), offset))


def voxels(session, object_id):
    return int((session.labels == object_id).sum())


@pytest.fixture
def kidney(session):
    """An object with a box on slice 1, without voxels."""
    return session.add_object(1, [SlicePrompt(1, box=Box(2, 2, 6, 6))])


class TestOperations:
    def test_merged_objects_share_voxels_and_prompts(self, session, kidney):
        """Boxes on the same slice become the box around both, points add up."""
        other = session.add_object(
            2,
            [
                SlicePrompt(1, box=Box(4, 1, 9, 5), points=(Point(5, 3),)),
                SlicePrompt(2, points=(Point(1, 1),)),
            ],
        )
        give(session, kidney, np.ones((2, 3, 3)))
        give(session, other, np.ones((1, 2, 2)), (3, 5, 5))
        session.merge([other, kidney], into=kidney)
        assert voxels(session, kidney) == 18 + 4
        assert set(session.state.objects) == {kidney}
        first, second = session.state.prompts_of(kidney)
        assert first.box == Box(2, 1, 9, 6)
        assert first.points == (Point(5, 3),)
        assert second == SlicePrompt(2, points=(Point(1, 1),))
        assert session.state.sections[SectionKey(kidney, Plane.AXIAL, 3)].edited
        session.undo()
        assert voxels(session, other) == 4
        assert session.state.objects[other].class_id == 2

    def test_split_keeps_the_id_with_the_largest_part(self, session, kidney):
        mask = np.zeros((1, 6, 8))
        mask[0, 0:2, 0:2] = 1  # 4 voxels
        mask[0, 2, 2] = 1  # touches them at a corner: 26 neighbours
        mask[0, 4:6, 5:8] = 1  # 6 voxels
        mask[0, 0, 7] = 1
        give(session, kidney, mask)
        session.split(kidney)
        sizes = {i: voxels(session, i) for i in session.state.objects}
        assert sizes == {kidney: 6, kidney + 1: 5, kidney + 2: 1}
        assert len(session.state.prompts_of(kidney)) == 1
        with pytest.raises(ProjectError, match="connected"):
            session.split(kidney)

    def test_keep_largest_takes_the_rest_away(self, session, kidney):
        mask = np.zeros((1, 4, 8))
        mask[0, 0:3, 0:3] = mask[0, 0, 5:8] = 1
        give(session, kidney, mask)
        session.keep_largest(kidney)
        assert voxels(session, kidney) == 9
        assert session.keep_largest(kidney).is_empty

    def test_holes_are_filled_but_not_over_a_neighbour(self, session, kidney):
        """A ring of 5 x 5 with a hole of 9, of which another object has 1."""
        other = session.add_object(1)
        ring = np.ones((1, 5, 5))
        ring[0, 1:4, 1:4] = 0
        give(session, kidney, ring)
        give(session, other, np.ones((1, 1, 1)), (0, 2, 2))
        session.fill_holes(kidney)
        assert voxels(session, kidney) == 16 + 8
        assert voxels(session, other) == 1

    def test_holes_open_along_z_are_filled_in_slices_only(self, session, kidney):
        tube = np.ones((3, 3, 3))
        tube[:, 1, 1] = 0
        give(session, kidney, tube)
        assert session.fill_holes(kidney, in_slices=False).is_empty
        session.fill_holes(kidney)
        assert voxels(session, kidney) == 27

    def test_smoothing_takes_a_spur_off_and_leaves_the_bulk(self, session, kidney):
        mask = np.zeros((4, 12, 14))
        mask[:, 2:10, 2:10] = 1
        mask[1, 5, 10:13] = 1
        give(session, kidney, mask)
        session.smooth(kidney, 1.0, (1.0, 1.0, 1.0))
        assert session.labels[1, 5, 12] == 0
        assert (session.labels[:, 4:8, 4:8] == kidney).all()
        assert session.labels[0, 5, 5] == kidney  # no erosion at the volume's border

    def test_deleting_leaves_nothing_and_undo_brings_all_back(self, session, kidney):
        give(session, kidney, np.ones((2, 3, 3)))
        session.delete([kidney])
        assert not session.labels.any()
        assert not session.state.objects
        assert not session.state.prompts
        assert not session.state.sections
        session.undo()
        assert voxels(session, kidney) == 18
        assert session.state.prompts_of(kidney)[0].box == Box(2, 2, 6, 6)

    @pytest.mark.parametrize(
        "operate",
        [
            lambda s, i: s.delete([i]),
            lambda s, i: s.merge([i], s.add_object(1)),
            lambda s, i: s.split(i),
            lambda s, i: s.keep_largest(i),
            lambda s, i: s.fill_holes(i),
            lambda s, i: s.smooth(i, 1.0, (1.0, 1.0, 1.0)),
            lambda s, i: s.change_class([i], 2),
            lambda s, i: s.set_prompt(i, SlicePrompt(0, points=(Point(1, 1),))),
        ],
    )
    def test_what_is_accepted_is_locked_against_operations(self, session, kidney, operate):
        mask = np.zeros((1, 6, 8))
        mask[0, 0:3, 0:3] = mask[0, 5, 5] = 1
        give(session, kidney, mask)
        session.review_objects([kidney], Review.ACCEPTED)
        labels = session.labels.copy()
        with pytest.raises(LockedError, match=rf"Object {kidney} is accepted"):
            operate(session, kidney)
        assert np.array_equal(session.labels, labels)

    def test_deleting_through_an_accepted_slice_is_refused(self, session, kidney):
        give(session, kidney, np.ones((2, 3, 3)))
        session.review_slice(Plane.AXIAL, 1, Review.ACCEPTED)
        with pytest.raises(LockedError, match="accepted slices"):
            session.delete([kidney])
        assert voxels(session, kidney) == 18


class TestPrompts:
    def test_prompts_of_a_slice_are_one_record(self, session, kidney):
        session.set_prompt(kidney, SlicePrompt(1, points=(Point(3, 3),)))
        session.set_prompt(kidney, SlicePrompt(2, points=(Point(4, 4, positive=False),)))
        assert [p.index for p in session.state.prompts_of(kidney)] == [1, 2]
        assert session.state.prompts_of(kidney)[0].box is None
        session.remove_prompt(kidney, Plane.AXIAL, 1)
        assert session.prompts(kidney).prompts == (
            SlicePrompt(2, points=(Point(4, 4, positive=False),)),
        )
        assert session.prompts(kidney).class_name == "organ"

    def test_all_prompts_at_once(self, session, kidney):
        session.set_prompts(kidney, [SlicePrompt(0, points=(Point(3, 3),))])
        assert [p.index for p in session.state.prompts_of(kidney)] == [0]

    def test_prompts_outside_the_volume_are_refused(self, session, kidney):
        with pytest.raises(ProjectError, match="out of the slice"):
            session.set_prompt(kidney, SlicePrompt(1, points=(Point(14, 3),)))

    def test_a_mask_prompt_is_copied_into_the_project(
        self, session, kidney, make_scan, project
    ):
        mask = make_scan("mask.nii.gz")
        session.set_prompt(kidney, SlicePrompt(1, mask=mask))
        kept = session.state.prompts_of(kidney)[0].mask
        assert kept.parent == project.folder / "prompt_masks"
        assert kept.read_bytes() == mask.read_bytes()
        kept.unlink()
        session.close()
        reopened = project.open_case(1)  # opens although the mask has vanished
        assert reopened.state.prompts_of(kidney)[0].mask == kept


class TestReviews:
    def test_a_rejected_object_loses_its_voxels_not_its_prompts(self, session, kidney):
        give(session, kidney, np.ones((2, 3, 3)))
        session.review_objects([kidney], Review.REJECTED)
        assert not session.labels.any()
        assert session.state.prompts_of(kidney)
        session.undo()
        assert voxels(session, kidney) == 18

    def test_a_section_rejected_is_empty_the_others_stay(self, session, kidney):
        give(session, kidney, np.ones((2, 3, 3)))
        session.review_section(kidney, Plane.AXIAL, 1, Review.REJECTED)
        assert voxels(session, kidney) == 9
        section = session.state.sections[SectionKey(kidney, Plane.AXIAL, 1)]
        assert (section.review, section.maker) == (Review.REJECTED, Maker.PAINTED)

    def test_flags_stay_until_they_are_lowered(self, session, kidney):
        key = SliceKey(Plane.CORONAL, 3)
        for target in (kidney, key, SectionKey(kidney, Plane.AXIAL, 1), None):
            session.set_flag(target, Flag.UNCERTAIN_CLASS)
        assert session.state.objects[kidney].flags == {Flag.UNCERTAIN_CLASS}
        assert session.state.slices[key].flags == {Flag.UNCERTAIN_CLASS}
        assert session.state.case.flags == {Flag.UNCERTAIN_CLASS}
        session.set_flag(key, Flag.UNCERTAIN_CLASS, on=False)
        assert key not in session.state.slices

    def test_the_case_goes_through_its_states_and_back(self, session, project):
        assert session.status is CaseStatus.NEW
        session.add_object(1)
        assert session.status is CaseStatus.IN_WORK
        session.review_case(Review.ACCEPTED)
        session.flush()
        assert project.cases.get(1).status is CaseStatus.ACCEPTED
        session.undo()
        session.undo()
        session.flush()
        assert project.cases.get(1).status is CaseStatus.NEW

    def test_an_act_that_changes_nothing_is_none(self, session, kidney):
        before = session.performed
        assert session.review_objects([kidney], Review.OPEN).is_empty
        assert session.paint(LabelDiff.empty()).is_empty
        assert session.performed == before
