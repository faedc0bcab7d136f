"""Files and folders dropped on napari's window: scans are opened without a question.

napari asks which reader to use whenever two plugins might read a file, and reads it while
its window waits. While the panel is open, what is surely a scan is taken over here; anything
else, and every drop with Shift or Alt held down, is left to napari.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_sss._layers.scan_opening import opening_of
from napari_sss.engine.volumes.reading import can_read

_NAPARIS = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.AltModifier


class ScanDrops(QObject):
    """Listens to what is dropped on a viewer's canvas.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    parent : QObject, optional
        Its owner.
    """

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        # Weakly: napari's window must be free to go, whoever still holds the panel.
        self._window: Callable[[], QWidget | None] = _nothing
        self._target: Callable[[], QWidget | None] = _nothing

    def reach(self, window: QWidget | None) -> None:
        """Listen in napari's main window, once there is one; any other widget is ignored."""
        if self._target() is None and isinstance(window, QMainWindow):
            target = getattr(window, "_qt_viewer", None)
            if target is not None:
                self._window, self._target = weakref.ref(window), weakref.ref(target)
                target.installEventFilter(self)

    def release(self) -> None:
        """Listen no more."""
        target = self._target()
        if target is not None:
            target.removeEventFilter(self)
        self._target = self._window = _nothing

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Take a drop of scans; let everything else pass."""
        if event is None or event.type() != QEvent.Type.Drop:
            return False
        paths = dropped_paths(event)
        held = QGuiApplication.keyboardModifiers()
        if not paths or held & _NAPARIS or not all(can_read(path) for path in paths):
            return False
        event.accept()
        opening = opening_of(self._viewer, self._window())
        if opening is not None:
            opening.open(one_per_scan(paths))
        return opening is not None


def _nothing() -> None:
    """Where there is no window yet, or no longer."""


def dropped_paths(event: Any) -> list[Path]:
    """The files and folders that a drop carries; none where it carries anything else."""
    data = event.mimeData()
    urls = data.urls() if data is not None else []
    if not all(url.isLocalFile() for url in urls):
        return []
    return [Path(url.toLocalFile()) for url in urls]


def one_per_scan(paths: list[Path]) -> list[Path]:
    """The folder instead of its DICOM slices, where several of them were dropped together."""
    from napari_sss.engine.volumes.dicom_header import is_dicom

    slices = [path for path in paths if path.is_file() and is_dicom(path)]
    if len(slices) < 2:
        return paths
    chosen = dict.fromkeys(path.parent if path in slices else path for path in paths)
    return list(chosen)
