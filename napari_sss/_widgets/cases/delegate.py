"""How a line of the case list is drawn: picture, name, facts, flag, confidence.

Status is told by a word and by a mark whose shape differs, never by colour alone.
"""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QImage, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from napari_sss._widgets.cases.list_model import ROW_ROLE
from napari_sss._widgets.cases.rows import CaseRow
from napari_sss.engine.project.records import CaseStatus

PICTURE = 44
HEIGHT = 52
_GAP = 6
_MARK = 12
_ACCENT = QColor("#56B4E9")  # Okabe and Ito's palette, told apart by colour-blind people too
_GOOD = QColor("#009E73")
_WARN = QColor("#E69F00")
_FADED = 165


class CaseDelegate(QStyledItemDelegate):
    """Draws the lines; all have the same height, so that long lists stay quick."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:  # noqa: N802
        """The height of every line."""
        return QSize(160, HEIGHT)

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw one line."""
        row: CaseRow | None = index.data(ROW_ROLE)
        if painter is None or row is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        area = QRect(option.rect)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        _draw_ground(painter, option, area, chosen, row.is_current)
        inner = area.adjusted(_GAP, 4, -_GAP, -4)
        picture = QRect(inner.left(), inner.top(), PICTURE, PICTURE)
        _draw_picture(painter, picture, index.data(Qt.ItemDataRole.DecorationRole), option)
        text = inner.adjusted(PICTURE + _GAP, 3, 0, -3)
        ink = text_colour(option, chosen)
        self._draw_texts(painter, text, row, option.font, ink)
        painter.restore()

    def _draw_texts(
        self, painter: QPainter, area: QRect, row: CaseRow, font: QFont, ink: QColor
    ) -> None:
        upper, lower = QRect(area), QRect(area)
        upper.setBottom(area.top() + area.height() // 2)
        lower.setTop(upper.bottom() + 1)
        bold = QFont(font)
        bold.setBold(row.is_current)
        painter.setFont(bold)
        painter.setPen(ink)
        right = upper.right()
        if row.confidence is not None:
            right = _draw_right(painter, upper, right, f"{row.confidence:.2f}")
        if row.flags:
            right = _draw_flag(
                painter, QRect(right - _MARK, upper.top(), _MARK, upper.height())
            )
        _draw_elided(painter, upper, right, row.name, Qt.TextElideMode.ElideMiddle)
        mark = QRectF(lower.left(), lower.center().y() - _MARK / 2 + 1, _MARK, _MARK)
        if row.trouble is None:
            draw_status(painter, mark, row.status, ink)
        else:
            _draw_warning(painter, mark)
        faded = QColor(ink)
        faded.setAlpha(_FADED)
        painter.setPen(faded)
        painter.setFont(font)
        lower.setLeft(lower.left() + _MARK + _GAP)
        _draw_elided(painter, lower, lower.right(), row.facts, Qt.TextElideMode.ElideRight)


def text_colour(option: QStyleOptionViewItem, chosen: bool) -> QColor:
    """The theme's colour of text, on a selected line or beside it."""
    role = QPalette.ColorRole.HighlightedText if chosen else QPalette.ColorRole.Text
    return option.palette.color(role)


def draw_status(painter: QPainter, area: QRectF, status: CaseStatus, ink: QColor) -> None:
    """A mark: an empty ring, a quarter, a half, two bars, a full disc with a tick."""
    painter.save()
    inner = area.adjusted(1, 1, -1, -1)
    painter.setPen(QPen(ink, 1.4))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if status is CaseStatus.PARKED:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        width = inner.width() / 3
        painter.drawRect(QRectF(inner.left() + 1, inner.top(), width, inner.height()))
        painter.drawRect(QRectF(inner.right() - 1 - width, inner.top(), width, inner.height()))
    elif status is CaseStatus.ACCEPTED:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_GOOD)
        painter.drawEllipse(inner)
        painter.setPen(QPen(QColor("white"), 1.6))
        x, y, s = inner.left(), inner.top(), inner.width()
        tick = [(0.25, 0.52), (0.43, 0.70), (0.76, 0.32)]
        painter.drawPolyline(QPolygonF([QPointF(x + s * u, y + s * v) for u, v in tick]))
    else:
        painter.drawEllipse(inner)
        quarters = {CaseStatus.SUGGESTED: 1, CaseStatus.IN_WORK: 2}.get(status, 0)
        if quarters:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(_ACCENT)
            painter.drawPie(inner.adjusted(1, 1, -1, -1), 90 * 16, -quarters * 90 * 16)
    painter.restore()


def _draw_ground(
    painter: QPainter, option: QStyleOptionViewItem, area: QRect, chosen: bool, current: bool
) -> None:
    if chosen:
        painter.fillRect(area, option.palette.color(QPalette.ColorRole.Highlight))
    elif option.state & QStyle.StateFlag.State_MouseOver:
        tint = QColor(option.palette.color(QPalette.ColorRole.Highlight))
        tint.setAlpha(70)
        painter.fillRect(area, tint)
    if current:
        painter.fillRect(QRect(area.left(), area.top(), 3, area.height()), _ACCENT)


def _draw_picture(
    painter: QPainter, area: QRect, picture: QImage | None, option: QStyleOptionViewItem
) -> None:
    painter.fillRect(area, QColor("black"))
    if picture is None:
        return
    size = QSize(picture.width(), picture.height())
    size.scale(area.size(), Qt.AspectRatioMode.KeepAspectRatio)
    target = QRect(area.topLeft(), size)
    target.moveCenter(area.center())
    painter.drawImage(target, picture)


def _draw_right(painter: QPainter, area: QRect, right: int, text: str) -> int:
    """Draw a short text that ends at ``right``; return where the next one may end."""
    width = painter.fontMetrics().horizontalAdvance(text)
    box = QRect(right - width, area.top(), width + 1, area.height())
    painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, text)
    return right - width - _GAP


def _draw_flag(painter: QPainter, area: QRect) -> int:
    """A small flag on its pole."""
    painter.save()
    x, middle = area.left() + 2, area.center().y()
    painter.setPen(QPen(painter.pen().color(), 1.4))
    painter.drawLine(x, middle - 6, x, middle + 6)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_WARN)
    corners = [(x + 1, middle - 6), (x + 9, middle - 3), (x + 1, middle)]
    painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
    painter.restore()
    return area.left() - _GAP


def _draw_warning(painter: QPainter, area: QRectF) -> None:
    """A triangle with an exclamation mark."""
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_WARN)
    top = QPointF(area.center().x(), area.top())
    painter.drawPolygon(QPolygonF([top, area.bottomRight(), area.bottomLeft()]))
    painter.setPen(QPen(QColor("black"), 1.4))
    x = area.center().x()
    painter.drawLine(QPointF(x, area.top() + 4), QPointF(x, area.bottom() - 4))
    painter.drawPoint(QPointF(x, area.bottom() - 2))
    painter.restore()


def _draw_elided(
    painter: QPainter, area: QRect, right: int, text: str, mode: Qt.TextElideMode
) -> None:
    box = QRect(area.left(), area.top(), max(0, right - area.left()), area.height())
    shown = painter.fontMetrics().elidedText(text, mode, box.width())
    painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)
