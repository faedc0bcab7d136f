"""A small chart, painted: a few hundred points cost well under a millisecond."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sss._widgets.finetune.curves import Chart, Curve
from napari_sss.engine.reports.colours import colour_of

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 34, 6, 18, 14
LEGEND_GAP = 6
DARKER_ON_LIGHT = 160
"""Per cent, as Qt counts."""


class ChartView(QWidget):
    """Draws a :class:`Chart` in the theme's colours; a click asks for it larger or smaller."""

    clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chart = Chart("")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of a quarter of the panel's width."""
        return QSize(150, 104)

    def show_chart(self, chart: Chart) -> None:
        """Draw another chart."""
        if chart != self._chart:
            self._chart = chart
            last = "\n".join(f"{c.name or chart.title}: {c.ys[-1]:.4g}" for c in chart.curves)
            self.setToolTip(f"{chart.title}\n{last}\nClick to enlarge or shrink.".strip())
            self.update()

    def mouseReleaseEvent(self, event: object) -> None:  # noqa: N802
        """Ask for another size."""
        self.clicked.emit()

    def paintEvent(self, event: object) -> None:  # noqa: N802
        """Draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(max(6.0, font.pointSizeF() - 1.5))
        painter.setFont(font)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        painter.setPen(text)
        title = QRectF(0, 0, self.width(), MARGIN_TOP)
        painter.drawText(title, Qt.AlignmentFlag.AlignLeft, self._chart.title)
        plot = QRectF(
            MARGIN_LEFT,
            MARGIN_TOP,
            self.width() - MARGIN_LEFT - MARGIN_RIGHT,
            self.height() - MARGIN_TOP - MARGIN_BOTTOM,
        )
        faint = QColor(text)
        faint.setAlphaF(0.25)
        painter.setPen(QPen(faint, 1))
        painter.drawRect(plot)
        curves = [curve for curve in self._chart.curves if curve.xs]
        if not curves:
            painter.setPen(text)
            painter.drawText(
                plot,
                int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap),
                self._chart.empty,
            )
            return
        scale = _Scale(self._chart, curves, plot)
        self._draw_axes(painter, scale, plot, text)
        for curve in curves:
            painter.setPen(QPen(self._colour(curve), 1.6))
            painter.drawPolyline(QPolygonF([scale.point(x, y) for x, y in scale.shown(curve)]))
            if len(curve.xs) == 1:
                painter.drawEllipse(scale.point(curve.xs[0], curve.ys[0]), 2.0, 2.0)
        self._draw_legend(painter, curves)

    def _draw_axes(self, painter: QPainter, scale: _Scale, plot: QRectF, text: QColor) -> None:
        painter.setPen(text)
        left = QRectF(0, plot.top() - 5, MARGIN_LEFT - 3, 12)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(left, right, _number(scale.high))
        left.moveTop(plot.bottom() - 7)
        painter.drawText(left, right, _number(scale.low))
        below = QRectF(plot.left(), plot.bottom(), plot.width(), MARGIN_BOTTOM)
        painter.drawText(below, right, f"step {scale.last:.0f}")

    def _draw_legend(self, painter: QPainter, curves: Sequence[Curve]) -> None:
        """Names at the right of the title, each in its colour; shortened where they must be."""
        named = [curve for curve in curves if curve.name]
        metrics = painter.fontMetrics()
        left = metrics.horizontalAdvance(self._chart.title) + 8
        room = self.width() - MARGIN_RIGHT - left
        texts = [curve.name for curve in named]
        if sum(metrics.horizontalAdvance(text) + LEGEND_GAP for text in texts) > room:
            each = room // max(1, len(named)) - LEGEND_GAP
            texts = [metrics.elidedText(t, Qt.TextElideMode.ElideRight, each) for t in texts]
        x = float(self.width() - MARGIN_RIGHT)
        for curve, text in zip(reversed(named), reversed(texts), strict=True):
            width = metrics.horizontalAdvance(text) + LEGEND_GAP
            x -= width
            painter.setPen(self._colour(curve))
            area = QRectF(x, 0, width, MARGIN_TOP)
            painter.drawText(area, Qt.AlignmentFlag.AlignRight, text)

    def _colour(self, curve: Curve) -> QColor:
        """A curve's colour, dark enough to be read on a light theme."""
        text = self.palette().color(QPalette.ColorRole.WindowText)
        if not curve.colour:
            return text
        colour = QColor.fromRgbF(*colour_of(curve.colour))
        return colour.darker(DARKER_ON_LIGHT) if text.lightness() < 128 else colour


class _Scale:
    """From steps and values to pixels."""

    def __init__(self, chart: Chart, curves: Sequence[Curve], plot: QRectF) -> None:
        values = [y for curve in curves for y in curve.ys]
        self.logarithmic = chart.logarithmic and min(values) > 0
        self.low = min(values) if chart.low is None else chart.low
        self.high = max(values) if chart.high is None else chart.high
        if self.high <= self.low:
            self.high = self.low + (abs(self.low) or 1.0) * 0.1
        self.first = min(curve.xs[0] for curve in curves)
        self.last = max(curve.xs[-1] for curve in curves)
        self._plot = plot

    def shown(self, curve: Curve) -> list[tuple[float, float]]:
        return list(zip(curve.xs, curve.ys, strict=True))

    def point(self, x: float, y: float) -> QPointF:
        across = (x - self.first) / ((self.last - self.first) or 1.0)
        low, high, y = self.low, self.high, min(max(y, self.low), self.high)
        if self.logarithmic:
            low, high, y = math.log(low), math.log(high), math.log(y)
        up = (y - low) / ((high - low) or 1.0)
        plot = self._plot
        return QPointF(plot.left() + across * plot.width(), plot.bottom() - up * plot.height())


def _number(value: float) -> str:
    if value and (abs(value) < 0.01 or abs(value) >= 1000):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.2g}"
