from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_sss.engine.reports.table import as_text, object_rows, region_dice
from napari_sss.engine.volumes.region import Region


def test_rows_come_by_id_with_the_figures_of_each_mask(volume, segmentation):
    kidney, liver = object_rows(volume, segmentation)

    assert (kidney.object_id, kidney.class_id, kidney.class_name) == (1, 7, "kidney")
    assert kidney.volume_ml == pytest.approx(1.0)
    assert kidney.mean_intensity == 300.0
    assert kidney.sd_intensity == 0.0
    assert kidney.candidate_ml is None
    assert kidney.agreement is None

    # 6 voxels of 100 on slice 1 and 6 of 200 on slice 2: mean 150, deviation 50.
    assert (liver.class_id, liver.slices, liver.origin) == (3, 2, "candidate")
    assert liver.volume_ml == pytest.approx(12.0)
    assert liver.mean_intensity == pytest.approx(150.0)
    assert liver.sd_intensity == pytest.approx(50.0)
    assert (liver.candidate_ml, liver.sam2_ml) == pytest.approx((12.0, 6.0))
    # 6 voxels in common of 12 and 6: 2 * 6 / 18.
    assert liver.agreement == pytest.approx(2 / 3)


def test_each_object_is_compared_with_the_structure_it_overlaps_best(
    volume, segmentation, truth
):
    kidney, liver = object_rows(volume, segmentation, truth)
    # Truth: 12 voxels; ours has 12 of which 6 are true, SAM-2's 6 are all true.
    assert liver.truth == "true liver"
    assert liver.dice == pytest.approx(2 * 6 / (12 + 12))
    assert liver.candidate_dice == pytest.approx(0.5)
    assert liver.sam2_dice == pytest.approx(2 * 6 / (6 + 12))
    assert (kidney.truth, kidney.dice) == (None, None)


def test_of_two_structures_the_one_with_the_higher_dice_counts(volume, segmentation, truth):
    # 5 of the liver's voxels belong to a structure of 5, 1 to one of 7 (1 inside, 6 beside).
    labels = np.zeros(volume.grid.shape, dtype=np.uint8)
    labels[1, 2, 1:4] = 1
    labels[1, 3, 1:3] = 1
    labels[1, 3, 3:8] = 2
    labels[1, 4, 0:2] = 2
    _, liver = object_rows(volume, segmentation, replace(truth, labels=labels, names={1: "a"}))
    assert liver.truth == "a"
    assert liver.dice == pytest.approx(2 * 5 / (12 + 5))


def test_an_empty_mask_has_no_mean_but_a_row(volume, segmentation, truth):
    emptied = replace(segmentation.objects[1], region=Region.of(np.zeros((1, 1, 1))))
    (row,) = object_rows(volume, replace(segmentation, objects=(emptied,)), truth)
    assert row.volume_ml == 0.0
    assert np.isnan(row.mean_intensity)
    assert row.truth is None


def test_text_has_a_line_for_each_object_and_scores_only_with_a_truth(
    volume, segmentation, truth
):
    plain = as_text(object_rows(volume, segmentation)).splitlines()
    assert plain[0].split() == ["id", "class", "ml", "mean", "HU", "confidence", "mask"]
    assert plain[2].split() == ["1", "kidney", "1.0", "300", "0.50", "SAM-2"]
    assert plain[3].split() == ["2", "liver", "12.0", "150", "0.90", "candidate"]

    scored = as_text(object_rows(volume, segmentation, truth)).splitlines()
    assert scored[3].split()[-5:] == ["true", "liver", "0.500", "0.500", "0.667"]
    assert scored[2].split()[-4:] == ["-", "-", "-", "-"]


def test_text_says_when_nothing_was_found():
    assert as_text(()) == "No objects were found."


def test_rows_are_plain_content(volume, segmentation, truth):
    rows = [row.to_json() for row in object_rows(volume, segmentation, truth)]
    assert json.loads(json.dumps(rows))[1]["truth"] == "true liver"


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ((0, 0, 0), 1.0),
        ((0, 0, 1), 2 * 4 / 16),  # half of the 2 x 2 x 2 voxels in common
        ((1, 1, 1), 2 * 1 / 16),
        ((2, 0, 0), 0.0),
    ],
)
def test_region_dice(offset, expected):
    cube = Region((0, 0, 0), np.ones((2, 2, 2), dtype=bool))
    assert region_dice(cube, replace(cube, offset=offset)) == pytest.approx(expected)
    assert region_dice(replace(cube, offset=offset), cube) == pytest.approx(expected)


def test_region_dice_of_nothing_with_nothing_is_one():
    nothing = Region.of(np.zeros((1, 1, 1)))
    assert region_dice(nothing, nothing) == 1.0
