"""The pictures on the tools' buttons, drawn as lines so that they follow any theme."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from napari_sss._layers.tool_use import Tool

# All pictures are drawn in a square of 20 by 20.
SIDE = 20.0
LINE = 1.7


def draw_tool(painter: QPainter, tool: Tool, colour: QColor) -> None:
    """Draw a tool's picture into the square from (0, 0) to (20, 20)."""
    pen = QPen(colour, LINE)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _DRAW[tool](painter, colour)


def draw_sign(painter: QPainter, positive: bool, colour: QColor) -> None:
    """Draw plus or minus into the same square."""
    painter.setPen(QPen(colour, 2.6))
    painter.drawLine(QPointF(4.5, 10), QPointF(15.5, 10))
    if positive:
        painter.drawLine(QPointF(10, 4.5), QPointF(10, 15.5))


def _hand(painter: QPainter, _: QColor) -> None:
    """Four arrows: what moves the view."""
    for x, y in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        tip = QPointF(10 + 8 * x, 10 + 8 * y)
        painter.drawLine(QPointF(10, 10), tip)
        for side in (-1, 1):
            back = QPointF(
                tip.x() - 2.6 * x + 2.6 * side * y, tip.y() - 2.6 * y + 2.6 * side * x
            )
            painter.drawLine(tip, back)


def _arrow(painter: QPainter, colour: QColor) -> None:
    """A pointer: what selects."""
    corners = [(5, 2), (5, 16), (8.6, 12.8), (11, 18), (13.4, 17), (11, 11.8), (16, 11.4)]
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in corners]))


def _point(painter: QPainter, colour: QColor) -> None:
    painter.setBrush(colour)
    painter.drawEllipse(QPointF(10, 10), 3.2, 3.2)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(QPointF(10, 10), 7, 7)


def _box(painter: QPainter, colour: QColor) -> None:
    painter.drawRect(QRectF(3.5, 4.5, 13, 11))
    painter.setBrush(colour)
    for x, y in ((3.5, 4.5), (16.5, 4.5), (3.5, 15.5), (16.5, 15.5)):
        painter.drawRect(QRectF(x - 1.2, y - 1.2, 2.4, 2.4))


def _scribble(painter: QPainter, _: QColor) -> None:
    path = QPainterPath(QPointF(2.5, 14))
    path.cubicTo(QPointF(6, -2), QPointF(9, 4), QPointF(9, 10))
    path.cubicTo(QPointF(9, 17), QPointF(12.5, 18), QPointF(17.5, 5))
    painter.drawPath(path)


def _lasso(painter: QPainter, _: QColor) -> None:
    pen = painter.pen()
    pen.setDashPattern([2.2, 1.8])
    painter.setPen(pen)
    path = QPainterPath(QPointF(10, 3))
    path.cubicTo(QPointF(20, 2), QPointF(19, 13), QPointF(11, 13))
    path.cubicTo(QPointF(0, 14), QPointF(0, 4), QPointF(10, 3))
    painter.drawPath(path)
    pen.setStyle(Qt.PenStyle.SolidLine)
    painter.setPen(pen)
    tail = QPainterPath(QPointF(9, 13))
    tail.quadTo(QPointF(11, 16), QPointF(7.5, 18))
    painter.drawPath(tail)


def _brush(painter: QPainter, colour: QColor) -> None:
    painter.drawLine(QPointF(17.5, 2.5), QPointF(10, 11))
    path = QPainterPath(QPointF(10.5, 10.2))
    path.cubicTo(QPointF(13, 15), QPointF(8, 18), QPointF(2.5, 17.3))
    path.cubicTo(QPointF(5.5, 15.5), QPointF(4.5, 10.5), QPointF(10.5, 10.2))
    painter.setBrush(colour)
    painter.drawPath(path)


_DRAW = {
    Tool.LOOK: _hand,
    Tool.EDIT: _arrow,
    Tool.POINT: _point,
    Tool.BOX: _box,
    Tool.SCRIBBLE: _scribble,
    Tool.LASSO: _lasso,
    Tool.BRUSH: _brush,
}
