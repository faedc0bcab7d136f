"""What the panel adds to napari's window outside of itself: annotations, readout, keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.canvas_annotations import CanvasAnnotations, canvas_of
from napari_sss._widgets.tools.help_overlay import HelpOverlay
from napari_sss._widgets.tools.keys import Action
from napari_sss._widgets.tools.shortcuts import Commands, Shortcuts

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
        self.help: HelpOverlay | None = None
        self._shortcuts: Shortcuts | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(READOUT_MS)
        self._timer.timeout.connect(self._show_readout)
        self._listening = True
        for event, callback in self._events():
            event.connect(callback)

    def reach(
        self, window: QWidget | None, commands: Commands, on_ours: Callable[[], bool]
    ) -> None:
        """Write on the window's canvas and bind keys in it, once there is such a window.

        Parameters
        ----------
        window : QWidget
            napari's main window; any other widget is ignored.
        commands : mapping
            What the keys of the table call, by action.
        on_ours : callable
            Whether a layer of ours is selected.
        """
        canvas = canvas_of(window)
        if self.annotations is not None or canvas is None or window is None:
            return
        self.annotations = CanvasAnnotations(canvas)
        commands = {**commands, Action.HELP: self.toggle_help}
        self.help = HelpOverlay(canvas, commands)
        listed = self.help.isVisible
        self._shortcuts = Shortcuts(window, commands, on_ours, listed)
        self.help.toggled.connect(self.refresh_keys)
        self._workspace.previewed.connect(self.annotations.set_preview)
        self.refresh()

    def toggle_help(self) -> None:
        """Show the list of keys, or hide it."""
        if self.help is not None:
            self.help.toggle()

    def close_help(self) -> bool:
        """Hide the list of keys; return whether it was shown."""
        shown = self.help is not None and self.help.isVisible()
        if shown:
            self.toggle_help()
        return shown

    def refresh_keys(self) -> None:
        """Bind the keys anew that depend on the selected layer."""
        if self._shortcuts is not None:
            self._shortcuts.refresh()

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
        if self._shortcuts is not None:
            self._shortcuts.release()
            self._shortcuts = None
        if self.help is not None:
            self.help.deleteLater()
            self.help = None
        if self.annotations is not None:
            self._workspace.previewed.disconnect(self.annotations.set_preview)
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
