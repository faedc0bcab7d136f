"""Strokes of napari's own tools as changes of a scan's array."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_sss._layers.brush import stroke_diff, viewed_box
from napari_sss.engine.volumes.grid import AxisView

VIEW = AxisView((2, 0, 1), (True, False, True))
SHAPE = (3, 4, 5)


def painted(paint):
    """What a tool did to a turned view of an array, and what the difference says it did."""
    array = np.zeros(SHAPE, np.uint16)
    array[1, :, 2] = 7
    before = array.copy()
    layer = Labels(VIEW.apply(array))
    diffs = []
    layer.events.paint.connect(
        lambda event: diffs.append(stroke_diff(event.value, VIEW, SHAPE))
    )
    layer.n_edit_dimensions = 3
    paint(layer)
    (diff,) = diffs
    return before, array, diff


@pytest.mark.parametrize(
    "paint",
    [
        lambda layer: layer.paint((2, 1, 1), 9),
        lambda layer: layer.fill((2, 1, 1), 4),
        lambda layer: layer.data_setitem(
            (np.array([0, 2]), np.array([1, 1]), np.array([0, 3])), 5
        ),
    ],
)
def test_the_difference_is_what_was_painted(paint):
    before, after, diff = painted(paint)
    assert not np.array_equal(before, after)
    diff.apply(before, verify=True)
    np.testing.assert_array_equal(before, after)


def test_a_drag_that_crosses_itself_is_one_change():
    def drag(layer):
        with layer.block_history():
            layer.paint((2, 1, 1), 9)
            layer.paint((2, 1, 2), 9)
            layer.paint((2, 1, 1), 3)

    before, after, diff = painted(drag)
    diff.apply(before, verify=True)
    np.testing.assert_array_equal(before, after)


def test_a_box_is_turned_with_the_axes():
    # Axis 2 of 5 is shown first, upside down: 1 to 2 become 5 - 3 to 5 - 1.
    box = (slice(0, 2), slice(1, 2), slice(1, 3))
    assert viewed_box(box, VIEW, SHAPE) == (slice(2, 4), slice(0, 2), slice(2, 3))
