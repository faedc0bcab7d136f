import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sss._layers.boxes_layer import BOXES
from napari_sss._layers.points_layer import POINTS
from napari_sss._layers.prompt_layers import AT_ONCE, PromptLayers
from napari_sss._layers.prompt_shapes import box_corners
from napari_sss._layers.signs import COLOURS, SYMBOLS
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, Point, SlicePrompt

PLACEMENT = {"scale": (3.0, 0.5, 0.5), "translate": (0.0, 0.0, 0.0), "units": ("mm",) * 3}


def prompts(object_id, index=4, class_name="kidney"):
    box = Box(10 * object_id, 2, 10 * object_id + 8, 9)
    points = (Point(10 * object_id + 1, 3), Point(10 * object_id + 5, 8, positive=False))
    return ObjectPrompts(
        object_id, class_name, (SlicePrompt(index, box, points, confidence=0.75),), 0.75
    )


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((20, 64, 64)), scale=PLACEMENT["scale"], units="mm")
    return viewer


class Flushed(PromptLayers):
    """Shows everything at once."""

    def show(self, objects, remove=()):
        super().show(objects, remove)
        while self.flush():
            pass


@pytest.fixture
def layers(viewer):
    return Flushed(viewer, (20, 64, 64), PLACEMENT, lambda: Plane.AXIAL)


@pytest.fixture
def heard(layers):
    heard = {"edited": [], "removed": [], "refused": []}
    layers.edited.connect(lambda objects: heard["edited"].append(objects))
    layers.removed.connect(lambda ids: heard["removed"].append(ids))
    layers.refused.connect(lambda error: heard["refused"].append(error))
    return heard


def test_nothing_is_made_before_it_is_needed(viewer, layers):
    assert len(viewer.layers) == 1


def test_prompts_are_shown_with_confidence_sign_and_the_scans_placement(viewer, layers, heard):
    layers.show([prompts(1), prompts(2)])
    boxes, points = viewer.layers[BOXES], viewer.layers[POINTS]
    np.testing.assert_array_equal(boxes.data[0], box_corners(Box(10, 2, 18, 9), Plane.AXIAL, 4))
    assert list(boxes.features["label"]) == ["kidney 1  0.75", "kidney 2  0.75"]
    assert points.data.tolist() == [[4, 3, 11], [4, 8, 15], [4, 3, 21], [4, 8, 25]]
    assert [str(s) for s in points.symbol] == [SYMBOLS[True], SYMBOLS[False]] * 2
    assert not np.array_equal(points.face_color[0], points.face_color[1])
    assert tuple(boxes.scale) == tuple(points.scale) == (3.0, 0.5, 0.5)
    assert layers.objects == (prompts(1), prompts(2))
    assert heard == {"edited": [], "removed": [], "refused": []}


def test_the_users_selection_stays(viewer, layers):
    viewer.layers.selection.active = viewer.layers[0]
    layers.show([prompts(1)])
    assert viewer.layers.selection.active is viewer.layers[0]


def test_removed_objects_disappear(viewer, layers, heard):
    layers.show([prompts(1), prompts(2)])
    layers.show([prompts(3)], remove=[1])
    assert sorted(viewer.layers[BOXES].features["object_id"]) == [2, 3]
    assert sorted(viewer.layers[POINTS].features["object_id"]) == [2, 2, 3, 3]
    assert heard["removed"] == []


def test_many_boxes_come_in_several_turns(viewer, monkeypatch):
    monkeypatch.setattr("napari_sss._layers.prompt_layers.BUDGET_S", -1.0)
    layers = PromptLayers(viewer, (20, 64, 64), PLACEMENT, lambda: Plane.AXIAL)
    box = SlicePrompt(3, Box(1, 2, 8, 9))
    layers.show([ObjectPrompts(k + 1, "x", (box,)) for k in range(AT_ONCE + 5)])
    assert len(layers.objects) == AT_ONCE + 5  # known at once
    shown = []
    added = []
    while layers.flush():
        added.append(len(viewer.layers))
        shown.append(len(viewer.layers[BOXES].data) if BOXES in viewer.layers else 0)
    shown.append(len(viewer.layers[BOXES].data))
    assert list(dict.fromkeys(shown)) == [0, AT_ONCE, AT_ONCE + 5]
    assert np.diff(added).max() == 1  # the layers come one at a time, too


def test_an_edit_before_all_is_shown_loses_nothing(viewer, monkeypatch):
    monkeypatch.setattr("napari_sss._layers.prompt_layers.BUDGET_S", -1.0)
    layers = PromptLayers(viewer, (20, 64, 64), PLACEMENT, lambda: Plane.AXIAL)
    layers.show([prompts(1), prompts(2)])
    while layers.flush():
        pass
    heard = []
    layers.edited.connect(heard.append)
    layers.show([prompts(3)], remove=[1])  # neither is on the layers yet
    viewer.layers[BOXES].add_rectangles([box_corners(Box(1, 1, 5, 5), Plane.AXIAL, 7)])
    assert [o.id for o in heard[0]] == [4]
    assert [o.id for o in layers.objects] == [2, 3, 4]
    while layers.flush():
        pass
    assert sorted(viewer.layers[BOXES].features["object_id"]) == [2, 3, 4]
    assert layers.objects[1] == prompts(3)


def test_a_moved_box_is_an_edit(viewer, layers, heard):
    layers.show([prompts(1), prompts(2)])
    boxes = viewer.layers[BOXES]
    data = list(boxes.data)
    data[1] = box_corners(Box(30, 30, 40, 40), Plane.AXIAL, 4)
    boxes.data = data
    (edited,) = heard["edited"]
    assert [o.id for o in edited] == [2]
    assert edited[0].prompts[0].box == Box(30, 30, 40, 40)
    assert edited[0].prompts[0].points == prompts(2).prompts[0].points
    assert list(boxes.features["label"]) == ["kidney 1  0.75", "kidney 2"]
    # Who made a box shows in its colour and in its width.
    assert not np.array_equal(boxes.edge_color[0], boxes.edge_color[1])
    assert boxes.edge_width[1] == 2 * boxes.edge_width[0]


def test_a_drawn_box_is_a_new_object(viewer, layers, heard):
    layers.show([prompts(1), prompts(2)])
    layers.class_name = "liver"
    layers.draw_boxes()
    boxes = viewer.layers[BOXES]
    boxes.add_rectangles([box_corners(Box(1, 1, 5, 5), Plane.CORONAL, 7)])
    ((made,),) = heard["edited"]
    assert (made.id, made.class_name) == (3, "liver")
    assert made.prompts == (SlicePrompt(7, Box(1, 1, 5, 5), plane=Plane.CORONAL),)


def test_a_new_box_is_no_part_of_the_object_selected_before(viewer, layers, heard):
    layers.show([prompts(1)])
    layers.select(1)
    viewer.layers[BOXES].add_rectangles([box_corners(Box(1, 1, 5, 5), Plane.AXIAL, 7)])
    assert [o.id for o in layers.objects] == [1, 2]


def test_a_new_point_belongs_to_the_selected_object(viewer, layers, heard):
    layers.show([prompts(1), prompts(2)])
    layers.select(2)
    viewer.layers[POINTS].add([[4, 6.0, 22.0]])
    ((edited,),) = heard["edited"]
    assert edited.id == 2
    assert edited.prompts[0].points[-1] == Point(22.0, 6.0, positive=True)


def test_without_a_selected_object_a_point_begins_one(viewer, layers, heard):
    layers.draw_points()
    viewer.layers[POINTS].add([[4, 6.0, 22.0]])
    viewer.layers[POINTS].add([[4, 7.0, 23.0]])
    assert [o.id for o in layers.objects] == [1]
    assert len(layers.objects[0].prompts[0].points) == 2


def test_the_sign_of_the_next_point_and_of_the_selected_ones(viewer, layers, heard):
    layers.show([prompts(1)])
    layers.select(1)
    points = viewer.layers[POINTS]
    layers.drawing.positive = False
    points.add([[4, 6.0, 14.0]])
    assert layers.objects[0].prompts[0].points[-1] == Point(14.0, 6.0, positive=False)
    points.selected_data = {0}
    assert layers.toggle_selected()
    assert layers.objects[0].prompts[0].points[0] == Point(11, 3, positive=False)
    assert str(points.symbol[0]) == SYMBOLS[False]
    points.selected_data = set()
    assert not layers.toggle_selected()


def test_a_deleted_box_leaves_the_points_and_the_last_prompt_the_object(viewer, layers, heard):
    layers.show([prompts(1), prompts(2)])
    viewer.layers[BOXES].selected_data = {0}
    viewer.layers[BOXES].remove_selected()
    ((edited,),) = heard["edited"]
    assert edited.id == 1
    assert edited.prompts[0].box is None
    viewer.layers[POINTS].selected_data = {0, 1}
    viewer.layers[POINTS].remove_selected()
    assert heard["removed"] == [(1,)]


def test_a_box_off_the_scan_is_refused_with_a_reason(viewer, layers, heard):
    layers.draw_boxes()
    viewer.layers[BOXES].add_rectangles([box_corners(Box(90, 90, 95, 95), Plane.AXIAL, 3)])
    assert layers.objects == ()
    assert "outside the scan" in str(heard["refused"][0])


def test_deleted_layers_come_back_with_their_prompts(viewer, layers):
    layers.show([prompts(1)])
    viewer.layers.remove(BOXES)
    layers.show([prompts(2)])
    assert sorted(viewer.layers[BOXES].features["object_id"]) == [1, 2]


def test_a_renamed_object_is_written_anew(viewer, layers):
    layers.show([prompts(1)])
    layers.rename(1, "spleen")
    assert list(viewer.layers[BOXES].features["label"]) == ["spleen 1  0.75"]
    assert layers.objects[0].class_name == "spleen"


def test_colours_of_signs_differ():
    assert COLOURS[True] != COLOURS[False]
