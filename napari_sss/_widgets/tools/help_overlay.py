"""The list of keys over the image, drawn from the table of keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen
from qtpy.QtWidgets import QWidget

from napari_sss._widgets.tools.keys import BESIDE, CLASSES, KEYS, Action, Group, key_of

GROUND, PAPER = QColor(0, 0, 0, 150), QColor(28, 30, 34, 246)
INK, FAINT, CAP = QColor("#f2f2f2"), QColor("#a9b1bb"), QColor("#3a4049")
HEAD = QColor("#56B4E9")
PADDING, ROW, CAP_HEIGHT, GAP = 20, 23, 17, 26
KEYS_WIDTH = 64
SCOPE = "On the scan, the prompts and the masks. On other layers napari's own keys work."
CLOSES = "Esc or a click closes"
WORDS = {"Ctrl": "Ctrl", "Shift": "Shift", "PgDown": "PgDn"}

Line = tuple[tuple[str, ...], str]
Section = tuple[str, list[Line]]


def sections(actions: Collection[Action]) -> list[Section]:
    """Return the help's headings with their lines: keys, and what they do.

    Parameters
    ----------
    actions : collection of Action
        Those that are bound; others are not listed.
    """
    found: list[Section] = []
    for group in Group:
        lines: list[Line] = [
            (key.keys, key.says)
            for key in KEYS
            if key.group is group and key.action in actions and key.action not in CLASSES
        ]
        classes = [action for action in CLASSES if action in actions]
        if group is Group.TOOLS and classes:
            keys = f"{key_of(classes[0])} – {key_of(classes[-1])}"
            lines.append(((keys,), "Class of new objects"))
        if group is Group.MOUSE:
            lines = [((keys,), says) for keys, says in BESIDE]
        if lines:
            found.append((group.value, lines))
    return found


class HelpOverlay(QWidget):
    """Covers the canvas until it is closed by a click or its key.

    Parameters
    ----------
    canvas : QWidget
        What it lies on and grows with.
    actions : collection of Action
        Those that are bound.
    """

    toggled = Signal()
    """Emitted when it was shown or hidden."""

    def __init__(self, canvas: QWidget, actions: Collection[Action]) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._sections = sections(actions)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        canvas.installEventFilter(self)
        self.hide()

    def toggle(self) -> None:
        """Show the list, or hide it."""
        if self.isVisible():
            self.close_list()
            return
        self.setGeometry(self._canvas.rect())
        self.show()
        self.raise_()
        self.toggled.emit()

    def close_list(self) -> None:
        """Hide the list."""
        self.hide()
        self.toggled.emit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Grow with the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self.setGeometry(self._canvas.rect())
        return super().eventFilter(watched, event)

    def mousePressEvent(self, _: Any) -> None:  # noqa: N802
        """Close."""
        self.close_list()

    def wheelEvent(self, event: Any) -> None:  # noqa: N802
        """Keep the wheel from the image below."""
        event.accept()

    def paintEvent(self, _: Any) -> None:  # noqa: N802
        """Draw the sheet in the middle of the canvas, smaller where it would not fit."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), GROUND)
        columns, fit = self._best_columns()
        size = self._size(columns)
        painter.translate(
            (self.width() - fit * size.width()) / 2, (self.height() - fit * size.height()) / 2
        )
        painter.scale(fit, fit)
        painter.setPen(QPen(CAP, 1))
        painter.setBrush(PAPER)
        painter.drawRoundedRect(QRectF(0, 0, size.width(), size.height()), 10, 10)
        self._draw_title(painter, size)
        left = float(PADDING)
        for column in columns:
            top = 3.6 * PADDING
            indent = self._indent(column)
            for section in column:
                top = self._draw_section(painter, section, left, top, indent)
            left += self._column_width(column) + GAP
        painter.end()

    # -- parts --------------------------------------------------------------------------

    def _best_columns(self) -> tuple[list[list[Section]], float]:
        """The columns that can be drawn largest, and how large: 1 is the full size."""
        width, height = self.width() - 16, self.height() - 16
        fits = []
        for count in (3, 2, 1):
            columns = balanced(self._sections, count)
            size = self._size(columns)
            fits.append((columns, min(1.0, width / size.width(), height / size.height())))
        return max(fits, key=lambda fit: fit[1])

    def _size(self, columns: Sequence[Sequence[Section]]) -> QSize:
        widths = [self._column_width(column) for column in columns]
        width = max(sum(widths) + GAP * (len(columns) - 1), 420) + 2 * PADDING
        height = max(_rows(column) for column in columns) * ROW + 4.4 * PADDING
        return QSize(round(width), round(height))

    def _column_width(self, column: Sequence[Section]) -> float:
        metrics = QFontMetricsF(_font(self.font(), 12))
        says = max(metrics.horizontalAdvance(s) for _, lines in column for _, s in lines)
        return self._indent(column) + says

    def _indent(self, column: Sequence[Section]) -> float:
        """How far what keys do stands to the right of the keys."""
        keys = max(self._keys_width(keys) for _, lines in column for keys, _ in lines)
        return max(keys, KEYS_WIDTH) + 10

    def _keys_width(self, keys: Sequence[str]) -> float:
        metrics = QFontMetricsF(_font(self.font(), 11, bold=True))
        caps = [part for key in keys for part in parts(key)]
        return sum(metrics.horizontalAdvance(cap) + 17 for cap in caps) - 4

    def _draw_title(self, painter: QPainter, size: QSize) -> None:
        painter.setPen(INK)
        painter.setFont(_font(self.font(), 16, bold=True))
        painter.drawText(QPointF(PADDING, 32), "Keys")
        painter.setPen(FAINT)
        painter.setFont(_font(self.font(), 11))
        area = QRectF(PADDING, 16, size.width() - 2 * PADDING, 22)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignRight | _MIDDLE), CLOSES)
        area.translate(0, 24)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignLeft | _MIDDLE), SCOPE)

    def _draw_section(
        self, painter: QPainter, section: Section, left: float, top: float, indent: float
    ) -> float:
        """Draw a heading with its lines; return where the next one begins."""
        title, lines = section
        painter.setPen(HEAD)
        painter.setFont(_font(self.font(), 12, bold=True))
        painter.drawText(QPointF(left, top + 14), title)
        top += ROW
        for keys, says in lines:
            self._draw_keys(painter, keys, left, top)
            painter.setPen(INK)
            painter.setFont(_font(self.font(), 12))
            painter.drawText(QPointF(left + indent, top + 13), says)
            top += ROW
        return top + ROW / 2

    def _draw_keys(
        self, painter: QPainter, keys: Sequence[str], left: float, top: float
    ) -> None:
        """Draw each key as a cap."""
        font = _font(self.font(), 11, bold=True)
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        for key in keys:
            for cap in parts(key):
                width = metrics.horizontalAdvance(cap) + 13
                area = QRectF(left, top, width, CAP_HEIGHT)
                painter.setPen(QPen(CAP.lighter(150), 1))
                painter.setBrush(CAP)
                painter.drawRoundedRect(area, 3, 3)
                painter.setPen(INK)
                painter.drawText(area, int(Qt.AlignmentFlag.AlignHCenter | _MIDDLE), cap)
                left += width + 4


_MIDDLE = Qt.AlignmentFlag.AlignVCenter


def balanced(found: Sequence[Section], columns: int = 3) -> list[list[Section]]:
    """Share sections among columns in their order, so that the longest is short."""
    result: list[list[Section]] = [[]]
    share = sum(len(lines) + 1.5 for _, lines in found) / columns
    for section in found:
        full = _rows(result[-1]) + len(section[1]) / 2 > share
        if result[-1] and full and len(result) < columns:
            result.append([])
        result[-1].append(section)
    return result


def parts(key: str) -> list[str]:
    """Return the caps of a key combination: ``Ctrl+Shift+Z`` has three."""
    if "+" not in key.strip("+") or " " in key:
        return [WORDS.get(key, key)]
    return [WORDS.get(part, part) for part in key.split("+")]


def _rows(column: Sequence[Section]) -> float:
    return sum(len(lines) + 1.5 for _, lines in column)


def _font(like: QFont, pixels: int, bold: bool = False) -> QFont:
    font = QFont(like)
    font.setPixelSize(pixels)
    font.setBold(bold)
    return font
