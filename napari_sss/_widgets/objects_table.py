"""The table of objects: a Qt model over the controller's rows, and the view of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_sss._widgets.status import ObjectRow, ObjectState

COLUMNS = ("Object", "Slices", "ml", "Sure")
TOOLTIPS = (
    "Class and number of the object. Double-click to rename its class.",
    "First and last axial slice of the mask, as the slider counts them.",
    "Volume of the mask in millilitres.",
    "Confidence, 0 to 1: the model's own estimate. A pen marks what you edited.",
)
SORT_ROLE = Qt.ItemDataRole.UserRole
NOT_YET = "…"
NOTHING = "–"
EDITED = " ✎"


class ObjectsModel(QAbstractTableModel):
    """Shows :class:`ObjectRow` tuples."""

    renamed = Signal(int, str)
    """Emitted with an object's id and the class that a person gave it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[ObjectRow, ...] = ()

    def set_rows(self, rows: Sequence[ObjectRow]) -> None:
        """Show other rows; where the ids stay, so does the selection."""
        rows = tuple(rows)
        if [r.id for r in rows] != [r.id for r in self._rows]:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
            return
        former, self._rows = self._rows, rows
        for number, (old, new) in enumerate(zip(former, rows, strict=True)):
            if old != new:
                last = self.index(number, len(COLUMNS) - 1)
                self.dataChanged.emit(self.index(number, 0), last)

    def row_at(self, number: int) -> ObjectRow:
        """Return the row shown in a line of the model."""
        return self._rows[number]

    def line_of(self, object_id: int) -> int | None:
        """Return the line that shows an object, or None."""
        return next((n for n, r in enumerate(self._rows) if r.id == object_id), None)

    # -- Qt's interface -----------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of objects."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = 0
    ) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return TOOLTIPS[section] if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what a cell shows."""
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(row, column)
        if role == Qt.ItemDataRole.EditRole:
            return row.class_name
        if role == SORT_ROLE:
            return _sort_key(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{row_note(row)}\n{TOOLTIPS[column]}"
        if role == Qt.ItemDataRole.TextAlignmentRole and column > 0:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell: the class can be renamed."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() == 0 else flags

    def setData(self, index: QModelIndex, value: Any, role: int = 0) -> bool:  # noqa: N802
        """Pass a new class name on."""
        name = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or not name:
            return False
        self.renamed.emit(self._rows[index.row()].id, name)
        return True


class ObjectsTable(QTableView):
    """The table; says which object was chosen and which ones are to be removed."""

    chosen = Signal(int)
    """Emitted with the id of the object that was clicked or moved to."""
    remove_asked = Signal(tuple)
    """Emitted with the ids of the selected objects when Delete was pressed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.objects = ObjectsModel(self)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self.objects)
        self._sorted.setSortRole(SORT_ROLE)
        self.setModel(self._sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setWordWrap(False)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        selection = self.selectionModel()
        assert rows is not None
        assert columns is not None
        assert selection is not None
        rows.setVisible(False)
        rows.setDefaultSectionSize(22)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        selection.currentRowChanged.connect(self._on_current)
        self._selection = selection

    def select_object(self, object_id: int) -> None:
        """Select an object's line."""
        line = self.objects.line_of(object_id)
        if line is not None:
            self.selectRow(self._sorted.mapFromSource(self.objects.index(line, 0)).row())

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        """Remove the selected objects on Delete."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.ask_to_remove()
            return
        super().keyPressEvent(event)

    def ask_to_remove(self) -> None:
        """Say that the selected objects, if any, are to be removed."""
        lines = self._selection.selectedRows()
        ids = tuple(self.objects.row_at(self._line(i)).id for i in lines)
        if ids:
            self.remove_asked.emit(ids)

    def _line(self, index: QModelIndex) -> int:
        return self._sorted.mapToSource(index).row()

    def _on_current(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid():
            self.chosen.emit(self.objects.row_at(self._line(current)).id)


def cell_text(row: ObjectRow, column: int) -> str:
    """Return the text of an object's cell."""
    if column == 0:
        return f"{row.class_name} {row.id}{EDITED if row.state is ObjectState.EDITED else ''}"
    if column == 3:
        return NOTHING if row.confidence is None else f"{row.confidence:.2f}"
    if row.ml is None:
        return NOT_YET if row.state is ObjectState.WAITING else NOTHING
    if column == 2:
        return f"{row.ml:.1f}" if row.ml < 100 else f"{row.ml:.0f}"
    return NOTHING if row.first is None else f"{row.first}–{row.last}"


def row_note(row: ObjectRow) -> str:
    """Return in words how far an object is."""
    return {
        ObjectState.WAITING: "Its mask is being made.",
        ObjectState.DONE: "Made by Auto-prompt.",
        ObjectState.EDITED: "You edited it; a new Auto-prompt leaves it alone.",
        ObjectState.STOPPED: "It has no complete mask: move its box to make one.",
    }[row.state]


def _sort_key(row: ObjectRow, column: int) -> float:
    value = (row.id, row.first, row.ml, row.confidence)[column]
    return -1.0 if value is None else float(value)
