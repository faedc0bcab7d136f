"""Buttons that carry a picture and the key that does the same."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPalette
from qtpy.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from napari_sss._layers.signs import COLOURS
from napari_sss._layers.tool_use import Tool
from napari_sss._widgets.tools.glyphs import SIDE, draw_sign, draw_tool

ACTIVE = "#0072B2"
"""Of the tool in use, as of the large button."""

DARK = {positive: QColor(colour).darker(135).name() for positive, colour in COLOURS.items()}
"""The signs' colours, dark enough for white on them."""

WIDTH, HEIGHT, GLYPH = 32, 32, 18


class PictureButton(QAbstractButton):
    """A flat button; the one in use is filled and underlined.

    Parameters
    ----------
    key : str
        The key that does the same, written in the corner; "" for none.
    fill : str
        Ground colour while checked.
    """

    def __init__(self, key: str, fill: str = ACTIVE, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = key
        self._fill = QColor(fill)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size that picture and key need."""
        return QSize(WIDTH, HEIGHT)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the least size, at which nothing overlaps."""
        return QSize(WIDTH - 4, HEIGHT)

    def draw(self, painter: QPainter, colour: QColor) -> None:
        """Draw the picture into the square from (0, 0) to (20, 20)."""
        raise NotImplementedError

    def paintEvent(self, _: Any) -> None:  # noqa: N802
        """Draw ground, picture and key."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = self._ink()
        self._draw_ground(painter, colour)
        scale = GLYPH / SIDE
        painter.save()
        painter.translate((self.width() - GLYPH) / 2, 3)
        painter.scale(scale, scale)
        self.draw(painter, colour)
        painter.restore()
        self._draw_key(painter, colour)
        painter.end()

    def enterEvent(self, event: Any) -> None:  # noqa: N802
        """Show that the mouse is on it."""
        super().enterEvent(event)
        self.update()

    def leaveEvent(self, event: Any) -> None:  # noqa: N802
        """Show that the mouse has left."""
        super().leaveEvent(event)
        self.update()

    def _ink(self) -> QColor:
        if self.isChecked() and self.isEnabled():
            return QColor("white")
        colour = QColor(self.palette().color(QPalette.ColorRole.WindowText))
        if not self.isEnabled():
            colour.setAlphaF(0.3)
        return colour

    def _draw_ground(self, painter: QPainter, ink: QColor) -> None:
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(Qt.PenStyle.NoPen)
        ground = QColor(ink)
        ground.setAlphaF(0.16 if self.underMouse() and self.isEnabled() else 0.07)
        checked = self.isChecked() and self.isEnabled()
        painter.setBrush(self._fill if checked else ground)
        painter.drawRoundedRect(area, 4, 4)
        if checked:
            painter.setBrush(QColor("white"))
            painter.drawRect(QRectF(6, self.height() - 3.5, self.width() - 12, 2))
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(ink)
            painter.drawRoundedRect(area.adjusted(1, 1, -1, -1), 3, 3)

    def _draw_key(self, painter: QPainter, ink: QColor) -> None:
        font = QFont(self.font())
        font.setPixelSize(9)
        painter.setFont(font)
        painter.setPen(ink)
        low = self.rect().adjusted(0, 0, -4, -4)
        painter.drawText(
            low, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, self._key
        )


class ToolButton(PictureButton):
    """Takes up a tool."""

    def __init__(self, tool: Tool, key: str, parent: QWidget | None = None) -> None:
        super().__init__(key, parent=parent)
        self.tool = tool

    def draw(self, painter: QPainter, colour: QColor) -> None:
        """Draw the tool."""
        draw_tool(painter, self.tool, colour)


class SignButton(PictureButton):
    """Chooses a sign; it has the colour of what is drawn with it."""

    def __init__(self, positive: bool, key: str, parent: QWidget | None = None) -> None:
        super().__init__(key, DARK[positive], parent)
        self.positive = positive

    def draw(self, painter: QPainter, colour: QColor) -> None:
        """Draw plus or minus."""
        draw_sign(painter, self.positive, colour)
