"""Small Qt parts that the panel is built from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap, QStandardItemModel
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QWidget

from napari_sss._widgets.choices import Choice

WARNING_STYLE = (
    "QLabel { background: #E69F00; color: black; padding: 4px; border-radius: 3px; }"
)
NOTE_STYLE = "QLabel { padding: 2px; }"


class ChoiceBox(QComboBox):
    """A list of :class:`Choice`; what cannot be chosen is grey and says why."""

    def __init__(self, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(tooltip)
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_choices(self, choices: Sequence[Choice], current: str | int | None = None) -> None:
        """Show other choices, without telling anyone; the current one stays if it can."""
        current = self.key if current is None else current
        self.blockSignals(True)
        try:
            self.clear()
            for choice in choices:
                self.addItem(choice.title, choice.key)
                last = self.count() - 1
                tip = choice.why_not or choice.tooltip
                self.setItemData(last, tip, Qt.ItemDataRole.ToolTipRole)
                if choice.why_not:
                    self._grey_out(last)
            self.setCurrentIndex(max(0, self.findData(current)))
        finally:
            self.blockSignals(False)

    @property
    def key(self) -> str:
        """The chosen key; "" if there is none."""
        return str(self.currentData() or "")

    def show_key(self, key: str, title: str = "") -> None:
        """Show a choice, without telling anyone; what is not in the list is put first."""
        self.blockSignals(True)
        try:
            if self.findData(key) < 0:
                self.insertItem(0, title or key, key)
                self.setItemData(0, key, Qt.ItemDataRole.ToolTipRole)
            self.setCurrentIndex(self.findData(key))
        finally:
            self.blockSignals(False)

    def on_chosen(self, callback: Callable[[str], Any]) -> None:
        """Call back with the key when the user chooses."""
        self.activated.connect(lambda _: callback(self.key))

    def _grey_out(self, line: int) -> None:
        model = self.model()
        assert isinstance(model, QStandardItemModel)
        item = model.item(line)
        assert item is not None
        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)


def note(style: str = NOTE_STYLE) -> QLabel:
    """Make a label for a sentence or two; hidden while it is empty."""
    label = QLabel()
    label.setWordWrap(True)
    label.setStyleSheet(style)
    label.setVisible(False)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
    return label


class OneLine(QLabel):
    """A text on one line; what does not fit is left out, and read in the tooltip."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setText(text)

    def text(self) -> str:
        """Return the whole text."""
        return self._whole

    def setText(self, text: str | None) -> None:  # noqa: N802
        """Show a text."""
        self._whole = text or ""
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Fit the text into the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        line = " ".join(self._whole.split())
        mode = Qt.TextElideMode.ElideRight
        fitted = self.fontMetrics().elidedText(line, mode, max(self.width() - 4, 20))
        super().setText(fitted)
        self.setToolTip(self._whole if fitted != self._whole else "")


def say(label: QLabel, text: str) -> None:
    """Show a text, or hide the label where there is none."""
    if label.text() != text:
        label.setText(text)
    label.setVisible(bool(text))


def row(*widgets: QWidget, stretch: int | None = 0) -> QWidget:
    """Put widgets side by side; the one at ``stretch`` takes what room is left, or all do."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for number, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if stretch in (number, None) else 0)
    return holder


def swatch(colour: str, side: int = 10) -> QIcon:
    """Return a small square of a colour (``"#rrggbb"``)."""
    pixmap = QPixmap(side, side)
    pixmap.fill(QColor(colour))
    return QIcon(pixmap)
