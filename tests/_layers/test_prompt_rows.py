from dataclasses import replace

from napari_sss._layers.prompt_rows import (
    BoxRow,
    PointRow,
    Rows,
    label_of,
    prompts_of,
    rows_of,
)
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, Point, SlicePrompt

BEST = SlicePrompt(7, Box(1, 2, 3, 4), (Point(2, 3),), confidence=0.9)
NEXT = SlicePrompt(9, Box(1, 2, 5, 4), confidence=0.7)
KIDNEY = ObjectPrompts(3, "kidney", (BEST, NEXT), confidence=0.8)


def read(rows, known=KIDNEY):
    return prompts_of(rows, {known.id: known}, "new")


def test_unchanged_rows_give_the_very_same_prompts():
    rows = rows_of([KIDNEY])
    assert read(rows)[3] is KIDNEY
    assert (
        read(Rows(rows.boxes[::-1], rows.points))[3] is KIDNEY
    )  # whatever order the layer has them in


def test_a_moved_box_loses_its_confidence_and_the_others_keep_theirs():
    rows = rows_of([KIDNEY])
    rows.boxes[1] = replace(rows.boxes[1], box=Box(0, 0, 9, 9))
    changed = read(rows)[3]
    assert changed.prompts == (BEST, SlicePrompt(9, Box(0, 0, 9, 9)))
    assert changed.confidence is None
    assert changed.class_name == "kidney"


def test_a_box_on_a_new_slice_comes_first():
    rows = rows_of([KIDNEY])
    rows.boxes.append(BoxRow(3, Plane.AXIAL, 4, Box(0, 0, 2, 2)))
    assert [p.index for p in read(rows)[3].prompts] == [4, 7, 9]


def test_a_point_joins_the_box_of_its_slice():
    rows = rows_of([KIDNEY])
    rows.points.append(PointRow(3, Plane.AXIAL, 9, Point(4, 4, positive=False)))
    assert read(rows)[3].prompts[1].points == (Point(4, 4, positive=False),)


def test_a_box_of_an_unknown_object_is_a_new_object():
    found = read(Rows([BoxRow(5, Plane.CORONAL, 4, Box(0, 0, 2, 2))]))
    box = SlicePrompt(4, Box(0, 0, 2, 2), plane=Plane.CORONAL)
    assert found == {5: ObjectPrompts(5, "new", (box,))}


def test_labels_name_class_id_and_confidence():
    assert label_of(KIDNEY) == "kidney 3  0.80"
    assert label_of(replace(KIDNEY, confidence=None)) == "kidney 3"
