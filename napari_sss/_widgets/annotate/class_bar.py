"""The line of classes: which one new objects are of, and the way to edit them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QScrollArea, QToolButton, QWidget

from napari_sss._widgets.parts import swatch
from napari_sss.engine.project.records import ClassRecord

EDIT = "Edit"
EDIT_TIP = "Add, rename, recolour or remove classes, and give them keys."
NO_CLASSES = "No class yet: name one under 'Class', or press Edit."


class ClassBar(QWidget):
    """A button for each class; a click makes it the one of new objects."""

    chosen = Signal(str)
    """Emitted with the name of the class that was clicked."""
    edit_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QToolButton] = {}
        self._shown: tuple[ClassRecord, ...] = ()
        self._active = ""
        self._line = QWidget()
        self._row = QHBoxLayout(self._line)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(2)
        self._row.addStretch(1)
        area = QScrollArea()
        area.setWidget(self._line)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFixedHeight(26)
        self.edit = QToolButton()
        self.edit.setText(EDIT)
        self.edit.setToolTip(EDIT_TIP)
        self.edit.clicked.connect(lambda: self.edit_asked.emit())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(area, 1)
        layout.addWidget(self.edit)
        self._area = area

    def set_classes(self, records: Sequence[ClassRecord]) -> None:
        """Show these classes."""
        if tuple(records) == self._shown:
            return
        self._shown = tuple(records)
        for button in self.buttons.values():
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = {}
        for number, record in enumerate(records):
            button = QToolButton()
            button.setCheckable(True)
            button.setText(f"{record.key} {record.name}".strip())
            button.setIcon(swatch(record.colour))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            key = f" (key {record.key})" if record.key else ""
            button.setToolTip(f"New objects are of the class {record.name}{key}.")
            button.clicked.connect(partial(self._on_clicked, record.name))
            self._row.insertWidget(number, button)
            self.buttons[record.name] = button
        self.setToolTip("" if records else NO_CLASSES)
        self.show_active(self._active)

    def show_active(self, name: str) -> None:
        """Press the button of the class of new objects."""
        self._active = name
        for of_class, button in self.buttons.items():
            button.setChecked(of_class == name)
            if of_class == name:
                self._area.ensureWidgetVisible(button, 8, 0)

    def _on_clicked(self, name: str, _: bool = False) -> None:
        self.show_active(name)
        self.chosen.emit(name)
