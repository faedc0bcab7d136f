"""The tools in napari's window, with real mouse and key events: few, for they are slow."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sss._layers.boxes_layer import BOXES
from napari_sss._layers.masks_layer import MASKS
from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.points_layer import POINTS
from napari_sss._layers.strokes_layer import STROKES
from napari_sss._layers.tool_use import Tool
from napari_sss._widgets import panel as panel_module
from napari_sss._widgets.canvas_annotations import canvas_of
from napari_sss.engine.prompts.types import Plane

pytestmark = pytest.mark.gui

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NONE = Qt.KeyboardModifier.NoModifier


class Hand:
    """Mouse and keys on the canvas of a viewer with the panel; voxels of 1 mm in the plane."""

    def __init__(self, viewer, panel, wait):
        self.viewer, self.panel, self._wait = viewer, panel, wait
        self.canvas = canvas_of(panel.window())

    def at(self, row, column):
        camera = camera_of(self.viewer)
        x = self.canvas.width() / 2 + (column - camera.center[-1]) * camera.zoom
        y = self.canvas.height() / 2 + (row - camera.center[-2]) * camera.zoom
        return QPoint(round(x), round(y))

    def move(self, *place):
        QTest.mouseMove(self.canvas, self.at(*place))
        QApplication.processEvents()

    def click(self, *place, button=LEFT):
        self.move(*place)
        QTest.mouseClick(self.canvas, button, NONE, self.at(*place))
        self.settle()

    def drag(self, *way, button=LEFT):
        self.move(*way[0])
        QTest.mousePress(self.canvas, button, NONE, self.at(*way[0]))
        for start, stop in pairwise(np.array(way, float)):
            for share in (0.5, 1.0):
                self.move(*(start + share * (stop - start)))
                QTest.qWait(5)
        QTest.mouseRelease(self.canvas, button, NONE, self.at(*way[-1]))
        self.settle()

    def key(self, key, modifier=NONE):
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key, modifier)
        QApplication.processEvents()

    def settle(self):
        QApplication.processEvents()
        self._wait(self.panel)

    @property
    def prompts(self):
        """Of the last object, as displayed."""
        return self.panel.workspace.current.prompts.objects[-1].prompts

    @property
    def tool(self):
        return self.panel.tools.hand.tool


@pytest.fixture
def hand(make_napari_viewer, engine, monkeypatch, wait_until_done, ramp, add_scan):
    monkeypatch.setattr(panel_module, "TorchEngine", lambda: engine)
    viewer = make_napari_viewer(show=True)
    _, panel = viewer.window.add_plugin_dock_widget("napari-sss", "SSS")
    viewer.window.resize(1366, 768)
    panel.window().activateWindow()
    add_scan(viewer, ramp())
    viewer.reset_view()
    hand = Hand(viewer, panel, wait_until_done)
    hand.settle()
    yield hand
    engine.gate.set()  # the viewer, closed next, waits for the worker


def test_prompts_of_every_kind_are_drawn_with_the_mouse(hand):
    hand.key(Qt.Key.Key_B)
    assert hand.panel.annotate.tools.tools[Tool.BOX].isChecked()
    hand.drag((9.5, 9.5), (15, 15), (19.5, 29.5))
    box = hand.prompts[0].box
    assert np.allclose((box.x0, box.y0, box.x1, box.y1), (10, 10, 30, 20), atol=1)
    # It was answered on its slice alone, without being asked to run.
    masks = hand.viewer.layers[MASKS].data
    assert np.count_nonzero(masks.any(axis=(1, 2))) == 1

    hand.key(Qt.Key.Key_P)
    hand.click(15, 15)
    hand.click(30, 40, button=RIGHT)
    assert [p.positive for p in hand.prompts[0].points] == [True, False]
    assert np.allclose(
        [(p.x, p.y) for p in hand.prompts[0].points], [(15, 15), (40, 30)], atol=1
    )

    hand.key(Qt.Key.Key_S)
    hand.drag((40, 10), (40, 20), (44, 30))
    hand.key(Qt.Key.Key_T)
    hand.drag((50, 10), (50, 20))
    assert [s.positive for s in hand.prompts[0].strokes] == [True, False]

    hand.key(Qt.Key.Key_M)  # a new object, and so the sign + again
    hand.key(Qt.Key.Key_L)
    assert hand.tool is Tool.LASSO
    hand.drag((40, 40), (40, 50), (50, 50), (50, 40))
    (lasso,) = hand.prompts[0].polygons
    assert lasso.positive
    assert np.allclose(np.min(lasso.points, axis=0), 40, atol=1)
    assert np.allclose(np.max(lasso.points, axis=0), 50, atol=1)
    assert [o.id for o in hand.panel.workspace.prompts()] == [1, 2]
    counts = [len(hand.viewer.layers[name].data) for name in (BOXES, POINTS, STROKES)]
    assert counts == [1, 2, 3]

    hand.key(Qt.Key.Key_F3)
    hand.key(Qt.Key.Key_M)
    hand.key(Qt.Key.Key_P)
    middle = [(n - 1) / 2 for n in (24 * 2, 64)]
    hand.click(*middle)
    assert hand.prompts[0].plane is Plane.CORONAL


def test_prompts_are_moved_resized_and_deleted_on_whichever_layer_they_lie(hand):
    hand.key(Qt.Key.Key_B)
    hand.drag((9.5, 9.5), (19.5, 29.5))
    hand.key(Qt.Key.Key_P)
    hand.click(40, 40)
    hand.key(Qt.Key.Key_E)
    hand.move(12, 12)
    assert hand.viewer.layers.selection.active == hand.viewer.layers[BOXES]
    hand.click(12, 12)
    hand.drag((19.5, 29.5), (22, 32), (25.5, 35.5))  # the lower right handle
    box = hand.prompts[0].box
    assert np.allclose((box.x0, box.y0, box.x1, box.y1), (10, 10, 36, 26), atol=1)
    hand.click(55, 55)  # beside everything
    hand.move(40, 40)
    assert hand.viewer.layers.selection.active == hand.viewer.layers[POINTS]
    hand.click(40, 40)
    hand.key(Qt.Key.Key_Delete)
    hand.settle()
    assert hand.prompts[0].points == ()
    assert hand.prompts[0].box == box


def test_our_keys_work_on_our_layers_and_nowhere_else(hand):
    other = hand.viewer.add_labels(np.zeros((24, 64, 64), np.uint8), scale=(2, 1, 1))
    hand.viewer.layers.selection.active = other
    hand.key(Qt.Key.Key_P)  # napari's: paint
    assert str(other.mode) == "paint"
    assert hand.tool is Tool.LOOK
    for name in ("scan", BOXES, STROKES, POINTS):
        if name == "scan":
            hand.viewer.layers.selection.active = hand.panel.workspace.image
        else:
            hand.viewer.layers.selection.active = hand.viewer.layers[name]
        hand.key(Qt.Key.Key_L)
        assert hand.tool is Tool.LASSO
        hand.key(Qt.Key.Key_Escape)
        assert hand.tool is Tool.LOOK
    field = hand.panel.run.class_name
    field.setFocus()
    QTest.keyClicks(field, "blps")
    assert field.text() == "blps"
    assert hand.tool is Tool.LOOK


def test_the_keys_are_listed_over_the_image(hand):
    shown = hand.panel._canvas.help
    for key, modifier in ((Qt.Key.Key_F1, NONE), (Qt.Key.Key_Question, NONE)):
        hand.key(key, modifier)
        assert shown.isVisible()
        assert shown.geometry() == hand.canvas.rect()
        hand.key(Qt.Key.Key_Escape)
        assert not shown.isVisible()


def test_the_tool_of_naparis_own_buttons_shows_in_the_bar(hand):
    hand.key(Qt.Key.Key_S)
    hand.viewer.layers[STROKES].mode = "add_polygon_lasso"
    assert hand.panel.annotate.tools.tools[Tool.LASSO].isChecked()
    hand.viewer.dims.ndisplay = 3
    hand.settle()
    button = hand.panel.annotate.tools.tools[Tool.POINT]
    assert not button.isEnabled()
    assert "3-D" in button.toolTip()
