"""Following the mouse, with a layer and events made of plain data."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Shapes

from napari_sss._layers.drawing import LEFT, RIGHT, Drawing, Stencil, replace_drag


class FakeLayer:
    """A pixel is half a voxel; the canvas shows the axial slice 7."""

    def world_to_data(self, position):
        return position


def event(kind, x, y, button=LEFT, modifiers=(), displayed=(1, 2)):
    return SimpleNamespace(
        type=kind,
        pos=np.array([x, y]),
        position=(7.0, y / 2, x / 2),
        button=button,
        modifiers=modifiers,
        dims_displayed=displayed,
        handled=False,
    )


class Mouse:
    """Plays events through a drag callback, as napari does: one object that changes."""

    def __init__(self, drawing, stencil):
        self._drag = drawing._drag(stencil)
        self.handled = []

    def play(self, *places, **keywords):
        shared = event("mouse_press", *places[0], **keywords)
        steps = self._drag(FakeLayer(), shared)
        for kind, place in [
            ("", places[0]),
            *(("mouse_move", place) for place in places[1:]),
            ("mouse_release", places[-1]),
        ]:
            if kind:
                shared.__dict__.update(event(kind, *place, **keywords).__dict__)
            try:
                next(steps)
            except StopIteration:
                return
            self.handled.append(shared.handled)


@pytest.fixture
def drawing():
    return Drawing()


@pytest.fixture
def drawn(drawing):
    heard = []
    drawing.drawn.connect(heard.append)
    return heard


@pytest.fixture
def previews(drawing):
    heard = []
    drawing.previewed.connect(heard.append)
    return heard


def test_a_click_is_a_point_where_it_ends(drawing, drawn, previews):
    Mouse(drawing, Stencil.POINT).play((10, 20), (12, 20))
    assert drawn[0].way.tolist() == [[7, 10, 6]]
    assert drawn[0].positive
    assert previews == []


def test_a_drag_with_the_point_tool_moves_the_view_instead(drawing, drawn):
    mouse = Mouse(drawing, Stencil.POINT)
    mouse.play((10, 20), (12, 20), (40, 20))
    assert drawn == []
    assert mouse.handled[1:] == [True, False]  # from five pixels on the move is napari's


def test_the_right_button_draws_the_other_sign(drawing, drawn):
    Mouse(drawing, Stencil.POINT).play((10, 20), button=RIGHT)
    drawing.positive = False
    Mouse(drawing, Stencil.POINT).play((10, 20))
    Mouse(drawing, Stencil.SCRIBBLE).play((10, 20), (30, 20), button=RIGHT)
    assert [d.positive for d in drawn] == [False, False, True]


def test_a_line_is_previewed_while_it_grows_and_handed_over_once(drawing, drawn, previews):
    Mouse(drawing, Stencil.SCRIBBLE).play((10, 20), (20, 20), (30, 40))
    assert [None if p is None else p.stencil for p in previews] == [
        Stencil.SCRIBBLE,
        Stencil.SCRIBBLE,
        None,
    ]
    assert previews[1].pixels == [(10, 20), (20, 20), (30, 40)]
    (line,) = drawn
    assert line.way.tolist() == [[7, 10, 5], [7, 10, 10], [7, 20, 15]]
    assert line.pixel == 0.5


def test_a_dot_is_a_scribble_but_no_box_and_no_lasso(drawing, drawn):
    for stencil in (Stencil.SCRIBBLE, Stencil.BOX, Stencil.LASSO):
        Mouse(drawing, stencil).play((10, 20))
    assert [d.stencil for d in drawn] == [Stencil.SCRIBBLE]


def test_control_adds_a_box_to_the_object(drawing, drawn):
    Mouse(drawing, Stencil.BOX).play((10, 20), (30, 40), modifiers=("Control",))
    Mouse(drawing, Stencil.BOX).play((10, 20), (30, 40))
    assert [d.to_object for d in drawn] == [True, False]


def test_nothing_is_drawn_in_3d_or_with_other_buttons(drawing, drawn):
    Mouse(drawing, Stencil.SCRIBBLE).play((10, 20), (30, 40), displayed=(0, 1, 2))
    Mouse(drawing, Stencil.SCRIBBLE).play((10, 20), (30, 40), button=3)
    Mouse(drawing, Stencil.BOX).play((10, 20), (30, 40), button=RIGHT)
    assert drawn == []


def test_what_is_abandoned_is_not_handed_over(drawing, drawn, previews):
    steps = drawing._drag(Stencil.LASSO)
    shared = event("mouse_press", 10, 20)
    running = steps(FakeLayer(), shared)
    next(running)
    shared.__dict__.update(event("mouse_move", 40, 20).__dict__)
    next(running)
    drawing.abandon()
    shared.__dict__.update(event("mouse_move", 40, 60).__dict__)
    next(running)
    shared.__dict__.update(event("mouse_release", 40, 60).__dict__)
    assert list(running) == []
    assert drawn == []
    assert previews[-1] is None


def test_our_callback_stands_in_for_naparis_in_its_modes_only():
    viewer = ViewerModel()
    layer = viewer.add_layer(Shapes(ndim=3))

    def ours(layer, event):
        yield

    replace_drag(layer, {"add_path": ours})
    layer.mode = "add_path"
    assert layer.mouse_drag_callbacks == [ours]
    layer.mode = "add_rectangle"
    assert ours not in layer.mouse_drag_callbacks
    assert len(layer.mouse_drag_callbacks) == 1
    layer.mode = "add_path"
    layer.mode = "pan_zoom"
    assert ours not in layer.mouse_drag_callbacks
