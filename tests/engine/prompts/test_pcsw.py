"""PCSW on small volumes whose prompts can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_sss.engine.errors import Cancelled, PromptError, VolumeError
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.prompts.candidates import Candidate
from napari_sss.engine.prompts.constraints import PhysicalConstraints
from napari_sss.engine.prompts.cross_section import box_of, interior_point, neighbour_agreement
from napari_sss.engine.prompts.pcsw import FoundObject, PcswConfig, pcsw
from napari_sss.engine.prompts.types import Box, Point
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region

PAPER = PcswConfig.paper()
OURS = PcswConfig()


def _found(
    coarse: NDArray[np.generic],
    config: PcswConfig = OURS,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    intensities: NDArray[np.generic] | None = None,
) -> tuple[FoundObject, ...]:
    grid = Grid(coarse.shape, spacing)
    return pcsw(coarse, grid, config, class_name="kidney", intensities=intensities)


def _kidneys() -> NDArray[np.bool_]:
    """Two equal objects on slices 3 to 7, largest on slice 5: 3 x 3, 5 x 5 and 3 x 3."""
    mask = np.zeros((12, 9, 20), dtype=bool)
    for x in (4, 15):
        mask[3:8, 3:6, x - 1 : x + 2] = True
        mask[5, 2:7, x - 2 : x + 3] = True
    return mask


# The paper's behaviour


def test_the_paper_prompts_one_object_by_box_and_centre() -> None:
    """One object; N = 5 of 12 slices from slice 0: the first window with anything ends it.

    Windows of 5 begin at 0; the one from 0 holds slices 3 and 4 alone, C = 1. There all
    cross-sections are 3 x 3, so the first, slice 3, is the largest.
    """
    mask = _kidneys()
    mask[:, :, 10:] = False
    (found,) = _found(mask, PAPER)
    (prompt,) = found.prompts.prompts
    assert prompt.index == 3
    assert prompt.box == Box(3, 3, 6, 6)
    assert prompt.points == (Point(4, 4),)
    assert found.continuity == 1.0
    # The cleaned component ends where the window ends.
    assert (found.region.offset[0], len(found.region.mask)) == (3, 2)


def test_the_paper_rejects_two_equal_kidneys_and_falls_back() -> None:
    """C = 0.5 in every window; the slice with the largest area, 5, gives a box of both."""
    (found,) = _found(_kidneys(), PAPER)
    (prompt,) = found.prompts.prompts
    assert found.continuity == pytest.approx(0.5)
    assert prompt.index == 5
    assert prompt.box == Box(2, 2, 18, 7)
    assert prompt.points == (Point(9.5, 4),)


def test_the_paper_cleans_the_window() -> None:
    """Beside 9 voxels per slice, a speck of 1: C = 0.9, and the box leaves the speck out."""
    mask = np.zeros((3, 8, 8), dtype=bool)
    mask[:, 1:4, 1:4] = True
    mask[:, 6, 6] = True
    (found,) = _found(mask, PAPER)
    assert found.continuity == pytest.approx(0.9)
    assert found.prompts.prompts[0].box == Box(1, 1, 4, 4)


def test_the_paper_boxes_the_whole_image_where_nothing_is() -> None:
    (found,) = _found(np.zeros((5, 6, 8), dtype=bool), PAPER)
    (prompt,) = found.prompts.prompts
    assert (prompt.index, prompt.box, prompt.points) == (2, Box(0, 0, 8, 6), (Point(3.5, 2.5),))
    assert found.region.voxels == 0
    assert found.confidence == prompt.confidence == 0.0


def test_fallbacks_are_a_switch() -> None:
    none = PAPER.model_copy(update={"fallback": "none"})
    assert _found(np.zeros((5, 6, 8), dtype=bool), none) == ()
    assert _found(_kidneys(), none) == ()


@pytest.mark.parametrize(("tau", "continuity"), [(0.75, 0.75), (0.76, 1.0)])
def test_tau_decides_the_window(tau: float, continuity: float) -> None:
    """Slice 0 holds 3 and 1 voxels apart (C = 0.75), slice 1 one of 2 alone (C = 1); N = 1."""
    mask = np.zeros((3, 1, 8), dtype=bool)
    mask[0, 0, [0, 1, 2, 6]] = True
    mask[1, 0, 3:5] = True
    (found,) = _found(mask, PAPER.model_copy(update={"tau": tau}))
    assert found.continuity == continuity


# All objects


def test_both_kidneys_are_found_on_their_best_slices() -> None:
    found = _found(_kidneys())
    assert [f.prompts.id for f in found] == [1, 2]
    assert {f.prompts.class_name for f in found} == {"kidney"}
    for each in found:
        (prompt,) = each.prompts.prompts
        assert prompt.index == 5
        assert each.continuity == 1.0
        # 4 slices of 9 voxels and one of 25.
        assert each.region.voxels == 61
    assert {f.prompts.prompts[0].box for f in found} == {Box(2, 2, 7, 7), Box(13, 2, 18, 7)}
    assert {f.prompts.prompts[0].points for f in found} == {(Point(4, 4),), (Point(15, 4),)}


def test_ids_follow_size_and_begin_where_told() -> None:
    mask = np.zeros((2, 4, 12), dtype=bool)
    mask[0, 0, 0] = True
    mask[:, 1:3, 3:5] = True
    mask[:, :, 8:11] = True
    found = pcsw(mask, Grid(mask.shape), OURS, class_name="a", first_id=7)
    assert [(f.prompts.id, f.region.voxels) for f in found] == [(7, 24), (8, 8), (9, 1)]


def test_of_equal_cross_sections_the_middle_one_is_best() -> None:
    mask = np.zeros((9, 5, 5), dtype=bool)
    mask[2:7, 1:4, 1:4] = True
    (found,) = _found(mask)
    # S = 9, N = 3 and 4 hold at most 3 of the 5 slices at first: 3 to 5 around slice 4.
    assert found.prompts.prompts[0].index == 4


def test_an_object_without_any_accepted_window_is_dropped() -> None:
    """Two legs on all of 12 slices: in one piece where they meet on slice 0, else never."""
    mask = np.zeros((12, 1, 8), dtype=bool)
    mask[:, 0, [0, 4]] = True
    mask[0, 0, :5] = True
    (found,) = _found(mask)
    assert found.continuity == 1.0
    # Joined nowhere, they are two objects.
    mask[0, 0, 1:4] = False
    assert len(_found(mask)) == 2
    # As one candidate they are one object, in two pieces in every window.
    legs = Candidate(Region.of(mask), 0.9)
    assert pcsw([legs], Grid(mask.shape), OURS, class_name="a") == ()


def test_labels_of_touching_parts_stay_apart() -> None:
    labels = np.zeros((3, 4, 8), dtype=np.uint16)
    labels[:, :, :4] = 5
    labels[:, :, 4:6] = 2
    found = _found(labels)
    assert [f.prompts.prompts[0].box for f in found] == [Box(0, 0, 4, 4), Box(4, 0, 6, 4)]
    assert len(_found(labels > 0)) == 1


def test_candidates_may_overlap_and_bring_their_probability() -> None:
    whole = np.zeros((3, 6, 6), dtype=bool)
    whole[:, 1:5, 1:5] = True
    part = np.zeros_like(whole)
    part[:, 2:4, 2:4] = True
    candidates = [Candidate(Region.of(whole), 0.5), Candidate(Region.of(part), 0.8)]
    found = pcsw(candidates, Grid(whole.shape), OURS, class_name="a")
    assert [f.region.voxels for f in found] == [48, 12]
    # Continuity 1, agreement 1, and the probability.
    assert found[0].confidence == pytest.approx((1 + 1 + 0.5) / 3)
    assert found[1].confidence == pytest.approx((1 + 1 + 0.8) / 3)
    (paper,) = pcsw(candidates, Grid(whole.shape), PAPER, class_name="a")
    assert paper.prompts.prompts[0].box == Box(1, 1, 5, 5)


def test_a_candidate_outside_the_volume_is_refused() -> None:
    outside = Candidate(Region((2, 0, 0), np.ones((2, 2, 2), dtype=bool)), 0.5)
    with pytest.raises(PromptError, match="Candidate 0 reaches out"):
        pcsw([outside], Grid((3, 4, 4)), OURS, class_name="a")


def test_only_the_largest_are_kept_where_there_are_too_many() -> None:
    mask = np.zeros((1, 1, 12), dtype=bool)
    mask[0, 0, [0, 2, 3, 5, 6, 7]] = True
    found = _found(mask, PcswConfig(max_objects=2))
    assert [f.region.voxels for f in found] == [3, 2]


def test_a_mask_that_covers_its_slice_has_collapsed() -> None:
    full = np.ones((4, 5, 6), dtype=bool)
    assert _found(full) == ()
    (found,) = _found(full, PcswConfig(max_slice_share=1.0))
    assert found.prompts.prompts[0].box == Box(0, 0, 6, 5)


# Constraints inside PCSW


def test_constraints_use_the_spacing() -> None:
    # Each kidney's 61 voxels are 0.061 ml at 1 mm and 0.122 ml at 2 mm between slices.
    rule = PcswConfig(constraints=PhysicalConstraints(min_volume_ml=0.1))
    assert _found(_kidneys(), rule) == ()
    assert len(_found(_kidneys(), rule, spacing=(2.0, 1.0, 1.0))) == 2


def test_constraints_of_intensity_choose_the_object() -> None:
    mask = _kidneys()
    volume = np.where(mask, 30, 0).astype(np.int16)
    volume[:, :, 10:] *= 5
    rule = PcswConfig(constraints=PhysicalConstraints(intensity_range=(20, 60)))
    (found,) = _found(mask, rule, intensities=volume)
    assert found.prompts.prompts[0].box == Box(2, 2, 7, 7)


def test_constraints_of_intensity_hold_without_finite_values_elsewhere() -> None:
    mask = _kidneys()
    volume = np.where(mask, 30.0, np.nan)
    rule = PcswConfig(constraints=PhysicalConstraints(intensity_range=(20, 60)))
    assert len(_found(mask, rule, intensities=volume)) == 2
    volume[5, 4, 4] = np.nan
    with pytest.raises(VolumeError, match="NaN"):
        _found(mask, rule, intensities=volume)


def test_a_leak_is_trimmed_before_the_best_slice_is_chosen() -> None:
    """An organ of 16 voxels per slice on 5 slices; the mask leaks on slice 6 to 3 voxels.

    Without constraints the object has 6 slices; a change of 13/16 in 1 mm ends it at 5.
    """
    mask = np.zeros((10, 12, 12), dtype=bool)
    mask[1:6, 2:6, 2:6] = True
    mask[6, 2, 2:5] = True
    rule = PcswConfig(constraints=PhysicalConstraints(max_area_change_per_mm=0.5))
    (free,), (trimmed,) = _found(mask), _found(mask, rule)
    assert (len(free.region.mask), len(trimmed.region.mask)) == (6, 5)
    assert trimmed.region.voxels == 80


# Probabilities and confidence


def test_probabilities_are_cut_at_the_threshold() -> None:
    coarse = np.zeros((3, 4, 6), dtype=np.float32)
    coarse[:, 1:3, 1:3] = 0.5
    coarse[:, 1:3, 3:5] = 0.49
    (found,) = _found(coarse)
    assert found.prompts.prompts[0].box == Box(1, 1, 3, 3)
    (wider,) = _found(coarse, PcswConfig(threshold=0.4))
    assert wider.prompts.prompts[0].box == Box(1, 1, 5, 3)


def test_confidence_is_the_mean_of_its_reasons() -> None:
    """Slices of 4, 9 and 4 voxels in a corner, of probability 0.6, 0.8 and 1.0.

    Dice of neighbours: 2 * 4 / 13 = 0.615 on both sides. On the best slice, the middle one:
    (1 + 0.8 + 0.615) / 3. For the object, mean probability (2.4 + 7.2 + 4) / 17 = 0.8.
    """
    coarse = np.zeros((5, 6, 6), dtype=np.float64)
    coarse[1, 1:3, 1:3] = 0.6
    coarse[2, 1:4, 1:4] = 0.8
    coarse[3, 1:3, 1:3] = 1.0
    config = PcswConfig(threshold=0.5)
    (found,) = _found(coarse, config)
    dice = 2 * 4 / 13
    # S = 5, N = 2: two of the three slices at most, but the best of the fullest window.
    assert found.prompts.prompts[0].index == 2
    assert found.prompts.prompts[0].confidence == pytest.approx((1 + 0.8 + dice) / 3)
    assert found.confidence == pytest.approx((1 + 13.6 / 17 + dice) / 3)
    assert found.prompts.confidence == found.confidence
    (without,) = _found(coarse > 0)
    assert without.confidence == pytest.approx((1 + dice) / 2)


def test_a_single_slice_has_no_neighbours_to_disagree_with() -> None:
    (only,) = _found(np.pad(np.ones((1, 2, 2), dtype=bool), ((0, 0), (1, 1), (1, 1))))
    assert only.confidence == only.prompts.prompts[0].confidence == 1.0
    # On one slice of several, both neighbours disagree: (1 + 0) / 2.
    (lonely,) = _found(np.pad(np.ones((1, 2, 2), dtype=bool), 1))
    assert lonely.confidence == lonely.prompts.prompts[0].confidence == 0.5


# Boxes and points


def test_a_box_excludes_its_maxima() -> None:
    section = np.zeros((6, 8), dtype=bool)
    section[2, 3] = True
    assert box_of(section) == Box(3, 2, 4, 3)
    assert box_of(section, (10, 20)) == Box(23, 12, 24, 13)


def test_the_point_of_a_bent_object_lies_inside_it() -> None:
    """A U of 5 x 5 with arms of width 1: the box's centre, (2, 2), is outside."""
    mask = np.zeros((1, 7, 7), dtype=bool)
    mask[0, 1:6, 1] = mask[0, 1:6, 5] = mask[0, 5, 1:6] = True
    (ours,) = _found(mask)
    (point,) = ours.prompts.prompts[0].points
    assert mask[0, int(point.y), int(point.x)]
    (centre,) = _found(mask, PcswConfig(point="centre"))
    assert centre.prompts.prompts[0].points == (Point(3, 3),)
    assert not mask[0, 3, 3]
    (none,) = _found(mask, PcswConfig(point="none"))
    assert none.prompts.prompts[0].points == ()


def test_the_interior_point_is_the_deepest() -> None:
    # A bar of 9 x 1 voxels with a square of 3 x 3 at its end: the square's middle.
    section = np.zeros((3, 12), dtype=bool)
    section[1, :9] = True
    section[:, 9:] = True
    assert interior_point(section) == Point(10, 1)
    # With rows 10 mm apart every voxel's edge is nearest to its side: 2 mm for x = 10.
    assert interior_point(section, spacing=(10.0, 1.0)).y == 1


def test_agreement_of_neighbours() -> None:
    mask = np.zeros((3, 1, 6), dtype=bool)
    mask[0, 0, :4] = True
    mask[1, 0, 2:6] = True
    mask[2, 0, 2:4] = True
    # 2 * 2 / 8 and 2 * 2 / 6.
    np.testing.assert_allclose(neighbour_agreement(Region.of(mask)), [0.5, 2 / 3])


# Input that cannot be used


def test_an_empty_volume_gives_nothing() -> None:
    empty = np.zeros((4, 5, 6))
    for coarse in (empty.astype(bool), empty.astype(np.float32), empty.astype(np.uint8)):
        assert _found(coarse) == ()


@pytest.mark.parametrize(
    ("coarse", "message"),
    [
        (np.full((2, 3, 4), np.nan), "NaN"),
        (np.where(np.arange(24).reshape(2, 3, 4) == 5, np.nan, 0.2), "NaN"),
        (np.full((2, 3, 4), 1.5), "sigmoid"),
        (np.full((2, 3, 4), -0.5), "sigmoid"),
        (np.full((2, 3, 4), np.inf), "sigmoid"),
        (np.full((2, 3, 4), -1, dtype=np.int8), "labels from 0"),
        (np.zeros((2, 3, 4), dtype=complex), "sigmoid"),
    ],
)
def test_what_is_no_mask_is_refused(coarse: NDArray[np.generic], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        _found(coarse)


def test_a_mask_of_another_grid_is_refused() -> None:
    with pytest.raises(PromptError, match=r"\(2, 3, 4\)"):
        pcsw(np.zeros((2, 3, 4), dtype=bool), Grid((2, 3, 5)), OURS, class_name="a")


@pytest.mark.parametrize(
    "settings", [{"tau": 0}, {"tau": 1.1}, {"threshold": 0}, {"objects": "some"}, {"Tau": 0.8}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PcswConfig.model_validate(settings)


# Jobs


def test_progress_is_told_and_cancelling_honoured() -> None:
    told: list[Progress] = []
    pcsw(_kidneys(), Grid((12, 9, 20)), OURS, class_name="a", control=JobControl(told.append))
    assert [(p.stage, p.done, p.total) for p in told] == [("prompts", 0, 2), ("prompts", 1, 2)]
    control = JobControl()
    control.cancel()
    for config in (OURS, PAPER):
        with pytest.raises(Cancelled):
            pcsw(_kidneys(), Grid((12, 9, 20)), config, class_name="a", control=control)


def test_the_paper_preset_is_the_documented_one() -> None:
    assert PAPER.model_dump(exclude={"constraints"}) == {
        "objects": "one",
        "threshold": 0.5,
        "tau": 0.8,
        "connectivity": 26,
        "window_order": "grow",
        "point": "centre",
        "fallback": "whole-image",
        "max_slice_share": 1.0,
        "max_objects": 64,
    }
