"""What radiologists expect written over the image: L R A P S I at the edges, the value below.

A transparent Qt widget over the canvas: mouse and keys go through it. What is being drawn
with the mouse is shown here as well, until the layer has it: that costs a tenth of having
napari draw a growing shape.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QPoint, QPointF, QRect, QRectF, Qt
from qtpy.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QPainter,
    QPainterPath,
    QPen,
    QPolygonF,
)
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_sss._layers.boxes_layer import BY_PERSON
from napari_sss._layers.directions import EdgeLetters
from napari_sss._layers.drawing import Preview, Stencil
from napari_sss._layers.signs import COLOURS

PREVIEW_WIDTH = 2.5
MARGIN = 8
LETTER_SIZE = 15
LINE_SIZE = 10


def canvas_of(window: QWidget | None) -> QWidget | None:
    """Return the widget that napari draws the image on, given its main window."""
    from qtpy.QtOpenGLWidgets import QOpenGLWidget

    centre = window.centralWidget() if isinstance(window, QMainWindow) else None
    return None if centre is None else centre.findChild(QOpenGLWidget)


class CanvasAnnotations(QWidget):
    """Letters at the edges of the canvas, and a line of text at its bottom.

    Parameters
    ----------
    canvas : QWidget
        What it lies on and grows with.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.letters = EdgeLetters()
        self.line = ""
        self._preview: Preview | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        canvas.installEventFilter(self)
        self.setGeometry(canvas.rect())
        self.show()

    def set_letters(self, letters: EdgeLetters) -> None:
        """Show other letters."""
        if letters != self.letters:
            self.letters = letters
            self.update()

    def set_line(self, line: str) -> None:
        """Show another line at the bottom."""
        if line != self.line:
            self.line = line
            self.update()

    def set_preview(self, preview: Preview | None) -> None:
        """Show what is being drawn with the mouse, or nothing any more."""
        former, self._preview = self._preview, preview
        for shown in (former, preview):
            if shown is not None:
                self.update(_area(shown))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Grow with the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self.setGeometry(self._canvas.rect())
        return super().eventFilter(watched, event)

    def paintEvent(self, _: Any) -> None:  # noqa: N802
        """Draw letters and line, readable on any image."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._preview is not None:
            _draw_preview(painter, self._preview)
        area = self.rect().adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        font = QFont(self.font())
        font.setPointSize(LETTER_SIZE)
        font.setBold(True)
        middle = Qt.AlignmentFlag.AlignVCenter
        centre = Qt.AlignmentFlag.AlignHCenter
        letters = self.letters
        self._write(painter, font, area, Qt.AlignmentFlag.AlignLeft | middle, letters.left)
        self._write(painter, font, area, Qt.AlignmentFlag.AlignRight | middle, letters.right)
        self._write(painter, font, area, Qt.AlignmentFlag.AlignTop | centre, letters.top)
        low = area.adjusted(0, 0, 0, -2 * LINE_SIZE)
        self._write(painter, font, low, Qt.AlignmentFlag.AlignBottom | centre, letters.bottom)
        font.setPointSize(LINE_SIZE)
        font.setBold(False)
        self._write_line(painter, font, area)
        painter.end()

    def _write_line(self, painter: QPainter, font: QFont, area: QRect) -> None:
        """Write the line on a dark ground of its own: a rim would clog so small a script."""
        if not self.line:
            return
        bottom_left = Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft
        box = QFontMetrics(font).boundingRect(area, int(bottom_left), self.line)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawRoundedRect(box.adjusted(-4, -2, 4, 2), 3, 3)
        painter.setPen(QColor("white"))
        painter.setFont(font)
        painter.drawText(box, int(bottom_left), self.line)

    @staticmethod
    def _write(
        painter: QPainter, font: QFont, area: QRect, alignment: Qt.AlignmentFlag, text: str
    ) -> None:
        """Write white letters with a dark rim."""
        if not text:
            return
        metrics = QFontMetrics(font)
        box = metrics.boundingRect(area, int(alignment), text)
        path = QPainterPath()
        path.addText(QPoint(box.left(), box.top() + metrics.ascent()).toPointF(), font, text)
        painter.strokePath(path, QPen(QColor(0, 0, 0, 200), 3))
        painter.fillPath(path, QColor("white"))


def _draw_preview(painter: QPainter, preview: Preview) -> None:
    """Draw a box, a line, or a closed line; a dark rim keeps it visible on any image."""
    colour = QColor(BY_PERSON if preview.stencil is Stencil.BOX else COLOURS[preview.positive])
    path = _path(preview)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(QColor(0, 0, 0, 130), PREVIEW_WIDTH + 2), QPen(colour, PREVIEW_WIDTH)):
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawPath(path)


def _path(preview: Preview) -> QPainterPath:
    points = [QPointF(x, y) for x, y in preview.pixels]
    path = QPainterPath()
    if preview.stencil is Stencil.BOX:
        path.addRect(QRectF(points[0], points[-1]).normalized())
    else:
        path.addPolygon(QPolygonF(points))
        if preview.stencil is Stencil.LASSO:
            path.closeSubpath()
    return path


def _area(preview: Preview) -> QRect:
    """The part of the canvas that a preview covers."""
    reach = 4 + round(PREVIEW_WIDTH)
    rect = _path(preview).boundingRect().toAlignedRect()
    return rect.adjusted(-reach, -reach, reach, reach)
