"""Image, pseudo-label and prediction of a few unlabelled slices, as the training goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QSlider, QVBoxLayout, QWidget

from napari_sss._widgets.parts import row
from napari_sss.engine.runs.files import PICTURES

EMPTY = "Pictures of a few unlabelled slices come with the first validation."


class PicturesView(QWidget):
    """One slice at a time, at the newest time or an earlier one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder = Path()
        self._times: tuple[dict[str, Any], ...] = ()
        self._slice = 0
        self._picture = _Picture()
        self._line = QLabel(EMPTY)
        self._line.setWordWrap(True)
        self._line.setTextFormat(Qt.TextFormat.PlainText)
        self._next = QPushButton("Next slice")
        self._next.setToolTip("Show another of the slices that are drawn.")
        self._next.clicked.connect(self._step)
        self._time = QSlider(Qt.Orientation.Horizontal)
        self._time.setToolTip("Go back in time.")
        self._time.valueChanged.connect(lambda _: self._draw())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self._line)
        layout.addWidget(self._picture)
        self._controls = row(self._time, self._next)
        layout.addWidget(self._controls)
        self._draw()

    def show_times(self, folder: Path, times: tuple[dict[str, Any], ...]) -> None:
        """Show a run's pictures; the newest, unless an earlier time was chosen."""
        if times == self._times and folder == self._folder:
            return
        at_end = folder != self._folder or self._time.value() >= self._time.maximum()
        self._folder, self._times = folder, times
        self._time.blockSignals(True)
        self._time.setRange(0, max(0, len(times) - 1))
        if at_end:
            self._time.setValue(self._time.maximum())
        self._time.blockSignals(False)
        self._draw()

    def _step(self) -> None:
        self._slice += 1
        self._draw()

    def _draw(self) -> None:
        shown = self._times[self._time.value()] if self._times else None
        self._picture.setVisible(shown is not None)
        self._controls.setVisible(shown is not None)
        if shown is None or not shown["slices"]:
            self._line.setText(EMPTY)
            return
        one = shown["slices"][self._slice % len(shown["slices"])]
        self._line.setText(
            f"Step {shown['step']}, {one['case']}, slice {one['slice']}: image, pseudo-label "
            f"(sure on {100 * one['confident']:.0f} %), prediction"
        )
        self._picture.show_pixmap(QPixmap(str(self._folder / PICTURES / one["file"])))


class _Picture(QWidget):
    """A picture as wide as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_pixmap(self, pixmap: QPixmap) -> None:
        """Draw another picture."""
        self._pixmap = pixmap
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return a size for three squares side by side."""
        return QSize(300, self.heightForWidth(300))

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        """Tell the layout that the proportions stay."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """Return the height that the picture has at a width."""
        if self._pixmap.isNull():
            return width // 3
        return round(width * self._pixmap.height() / self._pixmap.width())

    def paintEvent(self, event: object) -> None:  # noqa: N802
        """Draw."""
        from qtpy.QtGui import QPainter

        if self._pixmap.isNull():
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        height = min(self.height(), self.heightForWidth(self.width()))
        painter.drawPixmap(0, 0, self.width(), height, self._pixmap)
