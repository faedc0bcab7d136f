"""What the panel adds to napari's window outside of itself: annotations, readout, keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QWidget

from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.canvas_annotations import CanvasAnnotations, canvas_of

READOUT_MS = 40
"""Milliseconds between two readings of the value under the cursor."""


class CanvasTools(QObject):
    """Keeps letters, readout and keys of the window up to date.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, or napari's proxy of it.
    workspace : Workspace
        The scan in view.
    parent : QObject
        Its owner.
    """

    plane_changed = Signal()
    """Emitted when the viewer shows another plane."""

    def __init__(self, viewer: Any, workspace: Workspace, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._workspace = workspace
        self.annotations: CanvasAnnotations | None = None
        self._shortcuts: list[QShortcut] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(READOUT_MS)
        self._timer.timeout.connect(self._show_readout)
        self._listening = True
        for event, callback in self._events():
            event.connect(callback)

    def reach(self, window: QWidget | None, keys: dict[str, Callable[[], None]]) -> None:
        """Write on the window's canvas and bind keys in it, once there is such a window.

        Parameters
        ----------
        window : QWidget
            napari's main window; any other widget is ignored.
        keys : dict
            What to call, by key. The keys are the window's, so that they work whichever
            layer is selected.
        """
        canvas = canvas_of(window)
        if self.annotations is not None or canvas is None:
            return
        self.annotations = CanvasAnnotations(canvas)
        for key, callback in keys.items():
            shortcut = QShortcut(QKeySequence(key), window)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(callback)
            self._shortcuts.append(shortcut)
        self.refresh()

    def refresh(self) -> None:
        """Write the letters of the plane in view."""
        if self.annotations is not None:
            current = self._workspace.current
            scan = None if current is None else current.scan
            self.annotations.set_letters(self._workspace.view.letters(scan))
        self._on_cursor()

    def release(self) -> None:
        """Take everything away again and listen to the viewer no more."""
        self.unlisten()
        self._timer.stop()
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts.clear()
        if self.annotations is not None:
            self.annotations.deleteLater()
            self.annotations = None

    def unlisten(self) -> None:
        """Listen to the viewer no more."""
        if self._listening:
            self._listening = False
            for event, callback in self._events():
                event.disconnect(callback)

    def _events(self) -> tuple[tuple[Any, Callable[[], None]], ...]:
        viewer = self._viewer
        return (
            (viewer.dims.events.order, self._on_plane),
            (viewer.dims.events.ndisplay, self._on_plane),
            (viewer.dims.events.point, self._on_cursor),
            (camera_of(viewer).events.orientation, self._on_plane),
            (viewer.cursor.events.position, self._on_cursor),
        )

    def _on_plane(self) -> None:
        self.refresh()
        self.plane_changed.emit()

    def _on_cursor(self) -> None:
        if self.annotations is not None and not self._timer.isActive():
            self._timer.start()

    def _show_readout(self) -> None:
        if self.annotations is None:
            return
        current = self._workspace.current
        readout = (
            None
            if current is None
            else self._workspace.view.readout(current.layer, current.scan)
        )
        self.annotations.set_line("" if readout is None else str(readout))
