"""Prompts that are drawn: known first, shown afterwards."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sss._layers.boxes_layer import BOXES
from napari_sss._layers.drawing import Drawn, Stencil
from napari_sss._layers.points_layer import POINTS
from napari_sss._layers.prompt_layers import PromptLayers
from napari_sss._layers.prompt_rows import BoxRow, DrawingRow
from napari_sss._layers.signs import COLOURS, GLYPHS, rgba
from napari_sss._layers.strokes_layer import STROKES
from napari_sss.engine.prompts.types import (
    Box,
    ObjectPrompts,
    Plane,
    Point,
    Polygon,
    SlicePrompt,
    Stroke,
)

SHAPE = (20, 48, 64)
PLACEMENT = {"scale": (3.0, 0.5, 0.5), "translate": (0.0, 0.0, 0.0), "units": ("mm",) * 3}
LINE = np.array([[4.0, 5, 6], [4, 5, 10], [4, 9, 10]])
SQUARE = np.array([[4.0, 5, 6], [4, 5, 16], [4, 15, 16], [4, 15, 6]])


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE), scale=PLACEMENT["scale"], units="mm")
    return viewer


@pytest.fixture
def plane():
    return [Plane.AXIAL]


@pytest.fixture
def layers(viewer, plane):
    return PromptLayers(viewer, SHAPE, PLACEMENT, lambda: plane[0])


@pytest.fixture
def edits(layers):
    heard = []
    layers.prompted.connect(heard.extend)
    return heard


@pytest.fixture
def refused(layers):
    heard = []
    layers.refused.connect(lambda error: heard.append(str(error)))
    return heard


def draw(layers, stencil, way, **keywords):
    layers.drawing.drawn.emit(Drawn(stencil, np.asarray(way, float), **keywords))


def test_a_scribble_is_a_new_objects_stroke(viewer, layers, edits):
    draw(layers, Stencil.SCRIBBLE, LINE)
    stroke = Stroke(((6.0, 5.0), (10.0, 5.0), (10.0, 9.0)))
    (edit,) = edits
    assert edit.former is None
    assert edit.prompts == ObjectPrompts(1, "object", (SlicePrompt(4, strokes=(stroke,)),))
    assert edit.slices == edit.prompts.prompts
    shown = viewer.layers[STROKES]
    np.testing.assert_array_equal(shown.data[0], LINE)
    assert shown.shape_type == ["path"]
    assert list(shown.features["label"]) == [GLYPHS[True]]


def test_the_edit_is_told_before_anything_is_drawn(viewer, layers):
    shown = []
    layers.draw(Stencil.SCRIBBLE)
    layers.prompted.connect(lambda _: shown.append(len(viewer.layers[STROKES].data)))
    draw(layers, Stencil.SCRIBBLE, LINE)
    assert shown == [0]
    assert len(viewer.layers[STROKES].data) == 1


def test_signs_differ_in_colour_and_in_shape(viewer, layers):
    draw(layers, Stencil.LASSO, SQUARE)
    draw(layers, Stencil.LASSO, SQUARE + np.array([0, 1, 1]), positive=False)
    shown = viewer.layers[STROKES]
    assert list(shown.features["label"]) == [GLYPHS[True], GLYPHS[False]]
    np.testing.assert_allclose(shown.edge_color, [rgba(COLOURS[True]), rgba(COLOURS[False])])
    # What belongs is tinted, what does not is bare.
    assert shown.face_color[0][3] > 0 == shown.face_color[1][3]
    lassos = layers.objects[0].prompts[0].polygons
    assert [p.positive for p in lassos] == [True, False]


@pytest.mark.parametrize(
    ("shown", "way"),
    [
        (Plane.AXIAL, [[4, 5, 6], [4, 9, 8]]),
        (Plane.CORONAL, [[5, 4, 6], [9, 4, 8]]),
        (Plane.SAGITTAL, [[5, 6, 4], [9, 8, 4]]),
    ],
)
def test_prompts_lie_in_the_plane_that_is_shown(layers, plane, shown, way):
    plane[0] = shown
    draw(layers, Stencil.BOX, way)
    draw(layers, Stencil.POINT, way[:1])
    draw(layers, Stencil.SCRIBBLE, way)
    (prompt,) = layers.objects[0].prompts
    assert prompt.plane is shown
    assert prompt.index == 4
    assert prompt.points == (Point(6.0, 5.0),)
    assert prompt.strokes == (Stroke(((6.0, 5.0), (8.0, 9.0))),)
    assert prompt.box is not None


def test_a_drawn_box_covers_what_it_was_drawn_around(layers):
    # From x 4.6 to 8.4 and y 1.6 to 5.4: voxels 5 to 8 and 2 to 5.
    draw(layers, Stencil.BOX, [[4, 1.6, 4.6], [4, 3.0, 6.0], [4, 5.4, 8.4]])
    assert layers.objects[0].prompts[0].box == Box(5, 2, 9, 6)


def test_a_box_begins_an_object_and_corrections_belong_to_it(layers):
    draw(layers, Stencil.BOX, [[4, 1.6, 4.6], [4, 5.4, 8.4]])
    draw(layers, Stencil.POINT, [[4, 3, 5]], positive=False)
    draw(layers, Stencil.BOX, [[4, 11.6, 4.6], [4, 15.4, 8.4]])
    draw(layers, Stencil.BOX, [[5, 11.6, 4.6], [5, 15.4, 8.4]], to_object=True)
    first, second = layers.objects
    assert first.prompts[0].points == (Point(5, 3, positive=False),)
    assert [p.index for p in second.prompts] == [5, 4]


def test_another_box_on_the_slice_takes_the_place_of_the_first(viewer, layers, edits):
    draw(layers, Stencil.BOX, [[4, 1.6, 4.6], [4, 5.4, 8.4]])
    draw(layers, Stencil.BOX, [[4, 2.6, 4.6], [4, 6.4, 8.4]], to_object=True)
    assert layers.objects[0].prompts[0].box == Box(5, 3, 9, 7)
    assert len(viewer.layers[BOXES].data) == 1
    assert [e.former is None for e in edits] == [True, False]


def test_only_the_edited_slice_is_told(layers, edits):
    draw(layers, Stencil.POINT, [[4, 3, 5]])
    draw(layers, Stencil.POINT, [[7, 3, 5]])
    draw(layers, Stencil.POINT, [[4, 6, 5]])
    assert [e.slices[0].index for e in edits] == [4, 7, 4]
    assert [len(e.slices[0].points) for e in edits] == [1, 1, 2]
    assert edits[2].former == edits[1].prompts


def test_a_deleted_scribble_leaves_an_empty_slice_in_the_edit(viewer, layers, edits):
    draw(layers, Stencil.POINT, [[4, 3, 5]])
    draw(layers, Stencil.SCRIBBLE, LINE + np.array([3, 0, 0]))
    shown = viewer.layers[STROKES]
    shown.selected_data = {0}
    shown.remove_selected()
    assert edits[-1].slices == (SlicePrompt(7),)
    assert [p.index for p in layers.objects[0].prompts] == [4]


def test_a_moved_scribble_is_an_edit(viewer, layers, edits):
    draw(layers, Stencil.SCRIBBLE, LINE)
    shown = viewer.layers[STROKES]
    shown.data = [LINE + np.array([0, 0, 2])]
    assert edits[-1].slices[0].strokes[0].points[0] == (8.0, 5.0)


def test_a_turned_scribble_is_an_edit(viewer, layers, edits):
    draw(layers, Stencil.SCRIBBLE, LINE)
    viewer.layers[STROKES].selected_data = {0}
    assert layers.toggle_selected()
    assert edits[-1].slices[0].strokes[0].positive is False
    assert list(viewer.layers[STROKES].features["label"]) == [GLYPHS[False]]


def test_what_is_shown_again_is_no_edit(viewer, layers, edits):
    stroke = Stroke(((1 / 3, 2 / 3), (9.12345, 8.7)), positive=False)
    lasso = Polygon(((1, 1), (1, 9), (9, 9.5)))
    given = ObjectPrompts(3, "liver", (SlicePrompt(4, strokes=(stroke,), polygons=(lasso,)),))
    layers.show([given])
    while layers.flush():
        pass
    assert len(viewer.layers[STROKES].data) == 2
    draw(layers, Stencil.POINT, [[9, 3, 5]])  # of another object
    viewer.layers[POINTS].selected_data = {0}
    assert layers.toggle_selected()
    assert {e.prompts.id for e in edits} == {4}
    assert layers.objects[0] is given


def test_a_dot_is_a_scribble_of_one_point(viewer, layers):
    draw(layers, Stencil.SCRIBBLE, [[4, 5, 6], [4, 5, 6]])
    assert layers.objects[0].prompts[0].strokes == (Stroke(((6.0, 5.0),)),)


def test_a_mask_is_shown_by_its_outline_and_goes_when_that_is_deleted(viewer, layers, edits):
    mask = Path("mask.nii.gz")
    outline = ((1.0, 1.0), (5.0, 1.0), (5.0, 6.0))
    layers.ensure().strokes.outline(mask, Plane.AXIAL, 4, outline)
    layers.add(DrawingRow(0, Plane.AXIAL, 4, mask))
    shown = viewer.layers[STROKES]
    assert edits[-1].slices == (SlicePrompt(4, mask=mask),)
    assert shown.data[0].tolist() == [[4, 1, 1], [4, 1, 5], [4, 6, 5]]
    assert list(shown.features["label"]) == ["mask"]
    draw(layers, Stencil.POINT, [[4, 3, 5]])
    shown.selected_data = {0}
    shown.remove_selected()
    assert edits[-1].slices == (SlicePrompt(4, points=(Point(5, 3),)),)


def test_what_is_drawn_beside_the_scan_is_refused(layers, refused):
    draw(layers, Stencil.POINT, [[4, -3, 5]])
    draw(layers, Stencil.BOX, [[4, 90, 90], [4, 95, 95]])
    draw(layers, Stencil.SCRIBBLE, LINE + np.array([40, 0, 0]))
    assert layers.objects == ()
    assert ["outside" in text for text in refused] == [True] * 3


def test_a_locked_object_keeps_its_prompts(viewer, layers, edits, refused):
    layers.add(BoxRow(0, Plane.AXIAL, 4, Box(5, 2, 9, 6)))
    layers.why_locked = lambda object_id: "Object 1 is accepted." if object_id == 1 else ""
    before = layers.objects
    draw(layers, Stencil.POINT, [[4, 3, 5]])
    viewer.layers[BOXES].data = [viewer.layers[BOXES].data[0] + [0, 5, 0]]
    viewer.layers[BOXES].selected_data = {0}
    viewer.layers[BOXES].remove_selected()
    assert layers.objects == before
    assert len(viewer.layers[BOXES].data) == 1
    assert len(edits) == 1
    assert all("accepted" in text for text in refused)
    assert len(refused) == 3


def test_selecting_an_object_does_not_take_the_tool_away(viewer, layers):
    layers.add(BoxRow(0, Plane.AXIAL, 4, Box(5, 2, 9, 6)))
    layers.draw(Stencil.SCRIBBLE)
    layers.select(1)
    assert viewer.layers.selection.active is viewer.layers[STROKES]
    assert layers.stencil is Stencil.SCRIBBLE
    layers.rest()
    layers.select(1)
    assert viewer.layers.selection.active is viewer.layers[BOXES]
