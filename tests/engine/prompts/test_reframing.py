"""Prompts and masks in all 48 axis orders, checked against the arrays themselves."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sss.engine.prompts.reframing import (
    inverse_view,
    object_to_source,
    prompts_to_source,
    prompts_to_view,
    region_to_source,
    viewed_shape,
)
from napari_sss.engine.prompts.types import (
    Box,
    ObjectPrompts,
    Plane,
    Point,
    Polygon,
    PromptSet,
    SlicePrompt,
    Stroke,
)
from napari_sss.engine.volumes.grid import AxisView
from napari_sss.engine.volumes.region import Region

SHAPE = (5, 7, 11)  # of the source; all different, so that no swap goes unseen
VIEWS = [
    AxisView(order, flips)
    for order in permutations(range(3))
    for flips in product((False, True), repeat=3)
]


@st.composite
def slice_prompts(draw, shape):
    """A prompt with everything in it, inside a volume of this shape."""
    plane = draw(st.sampled_from(Plane))
    rows, columns = shape[plane.row_axis], shape[plane.column_axis]
    xs, ys = st.integers(0, columns - 1), st.integers(0, rows - 1)
    place = st.tuples(xs, ys)
    (x0, x1), (y0, y1) = (
        sorted(draw(st.tuples(s, s).filter(lambda v: v[0] != v[1]))) for s in (xs, ys)
    )
    return SlicePrompt(
        draw(st.integers(0, shape[plane.axis] - 1)),
        box=Box(x0, y0, x1, y1),
        points=tuple(Point(*p, s) for p, s in draw(st.lists(st.tuples(place, st.booleans())))),
        strokes=(Stroke(tuple(draw(st.lists(place, min_size=1))), draw(st.booleans())),),
        polygons=(Polygon(tuple(draw(st.lists(place, min_size=3))), draw(st.booleans())),),
        mask=Path("labels.nii"),
        plane=plane,
        confidence=0.5,
    )


views_and_prompts = st.sampled_from(VIEWS).flatmap(
    lambda view: st.tuples(st.just(view), slice_prompts(viewed_shape(view, SHAPE)))
)


def moved(prompt: SlicePrompt, view: AxisView) -> SlicePrompt:
    return object_to_source(ObjectPrompts(1, "", (prompt,)), view, SHAPE).prompts[0]


def voxels(prompt: SlicePrompt, box: Box, shape) -> np.ndarray:
    """The voxels of a box of this slice, in the whole volume."""
    array = np.zeros(shape, dtype=bool)
    index: list = [0, 0, 0]
    index[prompt.plane.axis] = prompt.index
    index[prompt.plane.row_axis] = slice(int(box.y0), int(box.y1))
    index[prompt.plane.column_axis] = slice(int(box.x0), int(box.x1))
    array[tuple(index)] = True
    return array


def voxel_of(prompt: SlicePrompt, x: float, y: float) -> tuple[int, int, int]:
    index = [0, 0, 0]
    index[prompt.plane.axis] = prompt.index
    index[prompt.plane.row_axis], index[prompt.plane.column_axis] = int(y), int(x)
    return index[0], index[1], index[2]


def test_there_are_48_views():
    assert len(set(VIEWS)) == 48


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_inverse_view_undoes_a_view(view):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    np.testing.assert_array_equal(inverse_view(view).apply(view.apply(array)), array)
    assert inverse_view(inverse_view(view)) == view
    assert view.apply(array).shape == viewed_shape(view, SHAPE)


@given(views_and_prompts)
def test_to_the_source_and_back_is_where_it_was(drawn):
    view, prompt = drawn
    prompts = PromptSet((ObjectPrompts(3, "kidney", (prompt,), 0.7),), frame=2)
    there = prompts_to_source(prompts, view, SHAPE)
    assert prompts_to_view(there, view, SHAPE) == prompts


@given(views_and_prompts)
def test_the_box_covers_the_same_voxels(drawn):
    view, prompt = drawn
    seen = voxels(prompt, prompt.box, viewed_shape(view, SHAPE))
    source = moved(prompt, view)
    np.testing.assert_array_equal(voxels(source, source.box, SHAPE), view.undo(seen))


@given(views_and_prompts)
def test_points_and_drawings_lie_on_the_same_voxels(drawn):
    view, prompt = drawn
    numbered = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    seen, source = view.apply(numbered), moved(prompt, view)
    for before, after in zip(prompt.points, source.points, strict=True):
        assert (
            seen[voxel_of(prompt, before.x, before.y)]
            == numbered[voxel_of(source, after.x, after.y)]
        )
        assert before.positive is after.positive
    drawings = (*prompt.strokes, *prompt.polygons)
    for before, after in zip(drawings, (*source.strokes, *source.polygons), strict=True):
        assert type(before) is type(after)
        assert before.positive is after.positive
        for a, b in zip(before.points, after.points, strict=True):
            assert seen[voxel_of(prompt, *a)] == numbered[voxel_of(source, *b)]


@given(views_and_prompts)
def test_what_has_no_place_stays(drawn):
    view, prompt = drawn
    source = moved(prompt, view)
    # A label file is matched by its own grid, whatever the axis order.
    assert (source.mask, source.confidence) == (prompt.mask, prompt.confidence)


@settings(max_examples=200)
@given(
    st.sampled_from(VIEWS),
    st.lists(st.tuples(*(st.integers(0, n - 1) for n in range(5, 8))), min_size=1),
)
def test_a_region_agrees_with_the_whole_array(view, places):
    shape = viewed_shape(view, SHAPE)
    seen = np.zeros(shape, dtype=bool)
    for place in places:
        seen[tuple(p % n for p, n in zip(place, shape, strict=True))] = True
    found = region_to_source(Region.of(seen), view, SHAPE)
    np.testing.assert_array_equal(found.to_array(SHAPE), view.undo(seen))


def test_a_flip_by_hand():
    # The view's columns run against the source's: of 11 columns, 2 to 4 are 6 to 8 there.
    view = AxisView((0, 1, 2), (False, False, True))
    prompt = SlicePrompt(3, box=Box(2, 1, 5, 4), points=(Point(2.25, 1),))
    source = moved(prompt, view)
    assert source.box == Box(6, 1, 9, 4)
    assert source.points == (Point(7.75, 1),)
    assert source.index == 3


def test_a_transposition_by_hand():
    # The view's slices are the source's columns: an axial prompt there is a sagittal one.
    view = AxisView((2, 0, 1), (True, False, False))
    source = moved(SlicePrompt(4, box=Box(1, 2, 3, 5)), view)
    assert source.plane is Plane.SAGITTAL
    assert source.index == 6  # 11 columns, counted from the other end
    assert source.box == Box(1, 2, 3, 5)
