"""The panel in napari's window, with real mouse and key events: few, for they are slow."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sss._layers.boxes_layer import BOXES
from napari_sss._layers.directions import EdgeLetters
from napari_sss._layers.masks_layer import MASKS
from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.points_layer import POINTS
from napari_sss._layers.tool_use import Tool
from napari_sss._widgets import panel as panel_module
from napari_sss._widgets.canvas_annotations import canvas_of
from napari_sss.engine.prompts.types import Plane

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(make_napari_viewer, engine, monkeypatch):
    monkeypatch.setattr(panel_module, "TorchEngine", lambda: engine)
    return make_napari_viewer(show=True)


@pytest.fixture
def panel(viewer, engine, wait_until_done):
    _, panel = viewer.window.add_plugin_dock_widget("napari-sss", "SSS")
    viewer.window.resize(1366, 768)
    panel.window().activateWindow()
    wait_until_done(panel)
    yield panel
    engine.gate.set()  # the viewer, closed next, waits for the worker


@pytest.fixture
def opened(viewer, panel, ramp, add_scan):
    """The panel with a scan in view."""
    add_scan(viewer, ramp())
    viewer.reset_view()
    QApplication.processEvents()
    return panel


def click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def canvas_point(panel, viewer, row, column):
    """Where on the canvas a voxel of the axial slice in view is, for 1 mm voxels."""
    canvas, camera = canvas_of(panel.window()), camera_of(viewer)
    x = canvas.width() / 2 + (column - camera.center[-1]) * camera.zoom
    y = canvas.height() / 2 + (row - camera.center[-2]) * camera.zoom
    return QPoint(round(x), round(y))


def drag(canvas, start, stop):
    """Drag the mouse with the left button, as a hand does: in steps."""
    QTest.mouseMove(canvas, start)
    QApplication.processEvents()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    for step in range(1, 6):
        QTest.mouseMove(canvas, start + (stop - start) * step / 5)
        QTest.qWait(20)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=stop)
    QApplication.processEvents()


def press(panel, key, modifier=Qt.KeyboardModifier.NoModifier):
    canvas = canvas_of(panel.window())
    canvas.setFocus()
    QTest.keyClick(canvas, key, modifier)
    QApplication.processEvents()


def test_the_first_minute(viewer, panel, qtbot, wait_until_done):
    viewer.open_sample("napari-sss", "phantom")
    QApplication.processEvents()
    assert panel._canvas.annotations.letters == EdgeLetters("R", "L", "A", "P")
    click(panel.run.auto)
    wait_until_done(panel)
    assert np.unique(viewer.layers[MASKS].data).tolist() == [0, 1, 2]
    table = panel.objects.table
    cell = table.visualRect(table.model().index(1, 0)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    assert viewer.dims.current_step[0] == 63 - 9  # its slices are shown upside down
    assert viewer.layers[BOXES].selected_data == {1}


def test_keys_work_whichever_layer_is_selected(viewer, opened, wait_until_done):
    press(opened, Qt.Key.Key_F5)
    wait_until_done(opened)
    for layer in ("scan", BOXES, POINTS, MASKS):
        viewer.layers.selection.active = viewer.layers[layer]
        for key, plane, letters in (
            (Qt.Key.Key_F3, Plane.CORONAL, EdgeLetters("R", "L", "S", "I")),
            (Qt.Key.Key_F4, Plane.SAGITTAL, EdgeLetters("A", "P", "S", "I")),
            (Qt.Key.Key_F2, Plane.AXIAL, EdgeLetters("R", "L", "A", "P")),
        ):
            press(opened, key)
            assert opened.workspace.view.plane is plane
            assert opened.scan.plane_buttons[plane].isChecked()
            assert opened._canvas.annotations.letters == letters
    opened.objects.table.selectRow(0)
    viewer.layers.selection.active = viewer.layers[POINTS]
    press(opened, Qt.Key.Key_E)
    viewer.layers[POINTS].selected_data = {0}
    press(opened, Qt.Key.Key_T)
    assert opened.workspace.prompts()[0].prompts[0].points[0].positive is False
    symbols = [str(s) for s in viewer.layers[POINTS].symbol]
    assert symbols[0] != symbols[1]


def test_boxes_are_dragged_and_drawn_with_the_mouse(viewer, opened, qtbot, wait_until_done):
    click(opened.run.auto)
    wait_until_done(opened)
    opened.objects.table.selectRow(0)
    QApplication.processEvents()
    canvas = canvas_of(opened.window())
    # Object 1's box is on slice 5, rows 10 to 19, columns 10 to 19; it goes 20 rows down.
    grip = canvas_point(opened, viewer, 12, 12)
    drag(canvas, grip, canvas_point(opened, viewer, 32, 12))
    qtbot.waitUntil(lambda: opened.workspace.prompts()[0].prompts[0].box.y0 > 25)
    wait_until_done(opened)
    box = opened.workspace.prompts()[0].prompts[0].box
    assert (box.x0, box.x1, box.height) == (10, 20, 10)
    assert abs(box.y0 - 30) <= 1
    # The moved box is answered on its own slice: 5 of 24, shown upside down.
    where = np.argwhere(viewer.layers[MASKS].data[23 - 5] == 1)
    assert where.min(axis=0).tolist() == [box.y0, 10]
    assert "✎" in opened.objects.table.model().index(0, 0).data()

    opened.run.class_name.setText("liver")
    click(opened.annotate.tools.tools[Tool.BOX])
    QApplication.processEvents()
    start = canvas_point(opened, viewer, 39.5, 29.5)
    drag(canvas, start, canvas_point(opened, viewer, 49.5, 44.5))
    qtbot.waitUntil(lambda: len(opened.workspace.prompts()) == 3)
    wait_until_done(opened)
    made = opened.workspace.prompts()[-1]
    assert (made.id, made.class_name) == (3, "liver")
    box = made.prompts[0].box
    assert np.allclose((box.x0, box.y0, box.x1, box.y1), (30, 40, 45, 50), atol=1)
    # The box is answered on its slice; through the stack it goes when asked.
    assert np.count_nonzero(viewer.layers[MASKS].data == 3) == box.width * box.height
    press(opened, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    wait_until_done(opened)
    assert np.count_nonzero(viewer.layers[MASKS].data == 3) == 4 * box.width * box.height


def test_the_value_under_the_mouse(viewer, opened, qtbot):
    canvas = canvas_of(opened.window())
    QTest.mouseMove(canvas, canvas_point(opened, viewer, 20, 30))
    # Row 20 holds -80 HU, 20 mm to the back of the first one.
    qtbot.waitUntil(lambda: opened._canvas.annotations.line.startswith("-80 HU"), timeout=3000)
    assert "P 20.0" in opened._canvas.annotations.line
    z = 23 - viewer.dims.current_step[0]
    assert f"file voxel z {z}, y 20, x 30" in opened._canvas.annotations.line


def test_closing_napari_ends_the_thread(viewer, opened, engine, qtbot):
    engine.pause = 0.02
    click(opened.run.auto)
    qtbot.waitUntil(lambda: bool(engine.requests))
    viewer.close()
    qtbot.waitUntil(
        lambda: "napari-sss" not in {t.name for t in threading.enumerate()}, timeout=5000
    )
