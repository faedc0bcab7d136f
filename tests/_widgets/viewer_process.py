"""A viewer in which somebody annotates without pause, until the process is killed.

Run as ``python viewer_process.py HOME SCAN SEED``. It tells on standard output, as JSON lines:
``ready`` once the case is open; ``op`` and ``digest`` of the whole annotation after each act;
``saved``, the last act that the saved mark covers.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

EDGE = 64
"""Rows and columns of the scan, 1 mm each."""


def digest_of(state, folder):
    """SHA-256 of voxels and records, whatever way they came about."""
    from napari_sss.engine.project.record_codec import RecordCodec, encode_key
    from napari_sss.engine.project.records import Table

    codec = RecordCodec(folder)
    digest = hashlib.sha256(state.labels.tobytes())
    for table in Table:
        records = sorted((encode_key(table, k), r) for k, r in dict(state.table(table)).items())
        for key, record in records:
            stored = codec.decode(table, codec.encode(table, record))
            digest.update(f"{table.value} {key} {codec.encode(table, stored)}\n".encode())
    return digest.hexdigest()


def tell(**content):
    """Write a line at once, from whatever thread."""
    os.write(1, (json.dumps(content) + "\n").encode())


class Hand:
    """Works the panel with the mouse and the keys."""

    def __init__(self, viewer, panel, seed):
        from napari_sss._layers.plane_view import camera_of
        from napari_sss._widgets.canvas_annotations import canvas_of

        self.viewer, self.panel = viewer, panel
        self.chance = random.Random(seed)
        self.canvas, self.camera = canvas_of(panel.window()), camera_of(viewer)

    def place(self):
        """Where on the canvas some voxel of the slice in view is."""
        from qtpy.QtCore import QPoint

        row, column = (self.chance.randrange(8, EDGE - 8) for _ in range(2))
        x = self.canvas.width() / 2 + (column - self.camera.center[-1]) * self.camera.zoom
        y = self.canvas.height() / 2 + (row - self.camera.center[-2]) * self.camera.zoom
        return QPoint(round(x), round(y))

    def press(self, key, modifier=None):
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key, modifier or Qt.KeyboardModifier.NoModifier)

    def drag(self):
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        start, stop = self.place(), self.place()
        QTest.mouseMove(self.canvas, start)
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=start)
        for step in range(1, 4):
            QTest.mouseMove(self.canvas, start + (stop - start) * step / 3)
            QTest.qWait(5)
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=stop)

    def act(self):
        """Do one thing that an annotator does."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        left, control = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier
        shift = Qt.KeyboardModifier.ShiftModifier
        deed = self.chance.choice(
            ("box", "point", "brush", "auto", "accept", "undo", "undo", "redo", "slice", "next")
        )
        if deed == "box":
            self.press(Qt.Key.Key_M)
            self.press(Qt.Key.Key_B)
            self.drag()
        elif deed == "point":
            self.press(Qt.Key.Key_P)
            QTest.mouseClick(self.canvas, left, pos=self.place())
        elif deed == "brush":
            self.press(Qt.Key.Key_D)
            self.drag()
        elif deed == "auto":
            QTest.mouseClick(self.panel.run.auto, left)
        elif deed == "accept":
            QTest.mouseClick(self.panel.objects.accept_object, left)
        elif deed == "undo":
            self.press(Qt.Key.Key_Z, control)
        elif deed == "redo":
            self.press(Qt.Key.Key_Z, control | shift)
        elif deed == "slice":
            self.viewer.dims.set_current_step(0, self.chance.randrange(2, 20))
        else:
            self.press(Qt.Key.Key_N)
        QTest.qWait(self.chance.randrange(5, 60))


def main(home, scan, seed):
    """Open the scan and annotate for ever."""
    os.environ["NAPARI_SSS_HOME"] = home
    import napari
    from conftest import FakeEngine
    from napari.layers import Layer
    from qtpy.QtWidgets import QApplication

    from napari_sss._layers.conversion import layer_data_for
    from napari_sss._widgets import panel as panel_module
    from napari_sss.engine.volumes.reading import read_volume

    panel_module.TorchEngine = lambda: FakeEngine(objects=3, pause=0.004)
    viewer = napari.Viewer()
    viewer.window.resize(1200, 740)
    viewer.add_layer(Layer.create(*layer_data_for(read_volume(Path(scan)))))
    _, panel = viewer.window.add_plugin_dock_widget("napari-sss")
    while panel.room.session is None or panel.pending:
        QApplication.processEvents()
        time.sleep(0.005)
    session, folder = panel.room.session, panel.room.project.folder

    def changed(applied):
        if session.hold(0.2):
            try:
                if applied.op == session.performed:
                    tell(op=applied.op, digest=digest_of(session.state, folder))
            finally:
                session.release()

    session.changed.connect(changed)
    session.saved.connect(lambda op: tell(saved=op))
    tell(ready=True, op=session.performed, digest=digest_of(session.state, folder))
    viewer.reset_view()
    hand = Hand(viewer, panel, seed)
    while True:
        hand.act()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
