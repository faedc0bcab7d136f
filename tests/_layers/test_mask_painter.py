import numpy as np
import pytest

from napari_sss._layers.mask_painter import MaskPainter, Touched, regions_of
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.region import Region


def slice_mask(object_id, index, offset, shape, plane=Plane.AXIAL, confidence=0.9):
    return SliceMask(object_id, index, plane, offset, np.ones(shape, bool), confidence)


@pytest.fixture
def labels():
    return np.zeros((6, 8, 10), np.uint16)


def test_a_slice_lands_where_the_event_says(labels):
    painter = MaskPainter(labels, {})
    touched = painter.paint_slice(slice_mask(1, 2, (3, 4), (2, 5)), 1)
    assert np.argwhere(labels == 1).min(axis=0).tolist() == [2, 3, 4]
    assert np.argwhere(labels == 1).max(axis=0).tolist() == [2, 4, 8]
    assert touched == Touched((2, 3, 4), (3, 5, 9))


@pytest.mark.parametrize(
    ("plane", "first", "last"),
    [
        # Rows and columns are the remaining axes in order: coronal z and x, sagittal z and y.
        (Plane.CORONAL, [1, 5, 2], [2, 5, 4]),
        (Plane.SAGITTAL, [1, 2, 5], [2, 4, 5]),
    ],
)
def test_other_planes_cut_other_axes(labels, plane, first, last):
    touched = MaskPainter(labels, {}).paint_slice(slice_mask(1, 5, (1, 2), (2, 3), plane), 1)
    where = np.argwhere(labels == 1)
    assert where.min(axis=0).tolist() == first
    assert where.max(axis=0).tolist() == last
    assert touched.start == tuple(first)
    assert touched.stop == tuple(v + 1 for v in last)


def test_a_second_mask_of_a_slice_replaces_the_first(labels):
    painter = MaskPainter(labels, {})
    painter.paint_slice(slice_mask(1, 2, (0, 0), (3, 3)), 1)
    touched = painter.paint_slice(slice_mask(1, 2, (5, 6), (1, 2)), 1)
    assert np.count_nonzero(labels) == 2
    assert touched == Touched((2, 0, 0), (3, 6, 8))  # what disappeared is redrawn, too


def test_others_voxels_are_never_written(labels):
    labels[2] = 7
    labels[2, 3, 4] = 0
    MaskPainter(labels, {}).paint_slice(slice_mask(1, 2, (0, 0), (8, 10)), 1)
    assert np.count_nonzero(labels == 1) == 1
    assert labels[2, 3, 4] == 1


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_surer_of_two_objects_wins_in_any_order(labels, order):
    painter = MaskPainter(labels, {})
    confidence = {1: 0.4, 2: 0.8}
    for object_id in order:
        painter.announce(object_id, confidence[object_id])
    # 1 covers columns 0 to 5, 2 columns 4 to 9: they meet in columns 4 and 5.
    for object_id in order:
        start = 0 if object_id == 1 else 4
        painter.paint_slice(slice_mask(object_id, 0, (0, start), (1, 6)), object_id)
    assert labels[0, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]


def test_rollback_brings_back_what_was_replaced_and_keeps_what_was_painted_meanwhile(labels):
    labels[0, 0, :4] = 3
    labels[5, 5, 5] = 9
    before = labels.copy()
    painter = MaskPainter(labels, regions_of(labels, [3]))
    painter.erase([3])
    painter.paint_slice(slice_mask(4, 0, (0, 0), (2, 2)), 4)
    painter.paint_object(4, Region((1, 1, 1), np.ones((2, 2, 2), bool)), 0.9)
    labels[5, 0, 0] = 9  # a person's brush, while the job runs
    painter.rollback()
    before[5, 0, 0] = 9
    np.testing.assert_array_equal(labels, before)


def test_an_object_made_anew_keeps_its_mask_until_there_is_another(labels):
    labels[1:4, 2, 2] = 3
    painter = MaskPainter(labels, regions_of(labels, [3]))
    painter.announce(3, 0.5)
    painter.paint_slice(slice_mask(3, 2, (4, 4), (1, 1)), 3)
    assert [int(labels[z, 2, 2]) for z in (1, 2, 3)] == [3, 0, 3]
    painter.paint_object(3, Region((2, 4, 4), np.ones((1, 1, 1), bool)), 0.5)
    assert np.argwhere(labels == 3).tolist() == [[2, 4, 4]]


def test_the_result_counts_whatever_was_streamed(labels):
    painter = MaskPainter(labels, {})
    painter.paint_slice(slice_mask(1, 0, (0, 0), (8, 10)), 1)
    painter.paint_slice(slice_mask(2, 1, (0, 0), (8, 10)), 2)
    painter.paint_all([(1, Region((4, 0, 0), np.ones((1, 1, 3), bool)), 0.9)])
    assert np.argwhere(labels == 1).tolist() == [[4, 0, 0], [4, 0, 1], [4, 0, 2]]
    assert not (labels == 2).any()


def test_regions_of_absent_objects_are_empty(labels):
    labels[1, 2, 3] = 2
    regions = regions_of(labels, [2, 5])
    assert regions[2].offset == (1, 2, 3)
    assert regions[5].voxels == 0


def test_a_slice_shows_the_box_between_its_bounds():
    touched = Touched((2, 0, 0), (4, 5, 5))
    assert [touched.crosses(0, z) for z in range(1, 5)] == [False, True, True, False]
