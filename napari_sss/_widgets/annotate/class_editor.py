"""The table of classes: name, colour, key; adding, renaming, removing with a successor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QColorDialog,
    QComboBox,
    QDialog,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.parts import row, swatch
from napari_sss.engine.project.records import ClassRecord

NAME, KEY, COUNT = range(3)
TITLES = ("Class", "Key", "Objects")
HELP = (
    "Double-click a name or a key to change it, a colour square's line and 'Colour' to "
    "recolour it. A class's number in exported masks never changes."
)


class ClassEditor(QDialog):
    """Edits the project's classes; never modal, and every change counts at once.

    Parameters
    ----------
    count : callable
        How many objects of a class this case has.
    """

    add_asked = Signal(str)
    edited = Signal(object)
    """Emitted with the :class:`ClassRecord` as it is to be."""
    remove_asked = Signal(int, object)
    """Emitted with the class and the class that its objects count as, or None."""

    def __init__(self, count: Callable[[int], int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Classes")
        self.setModal(False)
        self.setWindowFlag(Qt.WindowType.Tool)
        self._count = count
        self._records: tuple[ClassRecord, ...] = ()
        self._filling = False
        self.table = QTableWidget(0, len(TITLES))
        self.table.setHorizontalHeaderLabels(TITLES)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.table.itemChanged.connect(self._on_item)
        self.table.itemSelectionChanged.connect(self._on_selection)
        rows, columns = self.table.verticalHeader(), self.table.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.setVisible(False)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self.name = QLineEdit()
        self.name.setPlaceholderText("new class")
        self.add = QPushButton("Add")
        self.colour = QPushButton("Colour …")
        self.remove = QPushButton("Remove")
        self.into = QComboBox()
        self.into.setToolTip("What the objects of the removed class count as.")
        self.add.clicked.connect(self._on_add)
        self.name.returnPressed.connect(self._on_add)
        self.colour.clicked.connect(self._on_colour)
        self.remove.clicked.connect(self._on_remove)
        help_line = QLabel(HELP)
        help_line.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(help_line)
        layout.addWidget(self.table, 1)
        layout.addWidget(row(self.name, self.add))
        layout.addWidget(row(self.colour, self.remove, self.into, stretch=2))
        self.resize(330, 340)
        self._on_selection()

    def set_classes(self, records: Sequence[ClassRecord]) -> None:
        """Show these classes."""
        chosen = self._chosen()
        self._records = tuple(records)
        self._filling = True
        try:
            self.table.setRowCount(len(records))
            for line, record in enumerate(records):
                name = QTableWidgetItem(record.name)
                name.setIcon(swatch(record.colour, 14))
                name.setToolTip(f"Its value in exported masks is {record.id}.")
                count = QTableWidgetItem(str(self._count(record.id)))
                count.setFlags(count.flags() & ~Qt.ItemFlag.ItemIsEditable)
                count.setToolTip("Objects of this class in the case at work.")
                cells = (name, QTableWidgetItem(record.key), count)
                for column, cell in enumerate(cells):
                    self.table.setItem(line, column, cell)
                if chosen is not None and record.id == chosen.id:
                    self.table.selectRow(line)
        finally:
            self._filling = False
        self._on_selection()

    def _chosen(self) -> ClassRecord | None:
        line = self.table.currentRow()
        return self._records[line] if 0 <= line < len(self._records) else None

    def _on_selection(self) -> None:
        record = self._chosen()
        for button in (self.colour, self.remove):
            button.setEnabled(record is not None)
            button.setToolTip("" if record is not None else "Select a class first.")
        self.into.clear()
        others = [r for r in self._records if record is None or r.id != record.id]
        self.into.addItem("objects: none left", None)
        for other in others:
            self.into.addItem(f"objects become {other.name}", other.id)
        self.into.setEnabled(record is not None)
        if record is not None and others and self._count(record.id):
            self.into.setCurrentIndex(1)

    def _on_item(self, item: Any) -> None:
        if self._filling:
            return
        record, text = self._records[item.row()], item.text().strip()
        if item.column() == NAME and text and text != record.name:
            self.edited.emit(replace(record, name=text))
        elif item.column() == KEY and text[:1] != record.key:
            self.edited.emit(replace(record, key=text[:1]))
        self.set_classes(self._records)  # what was refused shows as it was

    def _on_add(self) -> None:
        name = self.name.text().strip()
        if name:
            self.name.clear()
            self.add_asked.emit(name)

    def _on_colour(self) -> None:
        record = self._chosen()
        if record is None:
            return
        dialog = QColorDialog(QColor(record.colour), self)
        dialog.colorSelected.connect(
            lambda colour: self.edited.emit(replace(record, colour=colour.name()))
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _on_remove(self) -> None:
        record = self._chosen()
        if record is not None:
            self.remove_asked.emit(record.id, self.into.currentData())
