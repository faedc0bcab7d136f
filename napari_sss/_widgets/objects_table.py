"""The table of objects: a Qt model over the controller's rows, and the view of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from qtpy.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from qtpy.QtGui import QColor, QFont
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_sss._widgets.parts import swatch
from napari_sss._widgets.status import ObjectRow, ObjectState


class Column(IntEnum):
    """What the columns show."""

    OBJECT = 0
    SLICES = 1
    ML = 2
    SURE = 3
    ACCEPT = 4
    REJECT = 5


TITLES = ("Object", "Slices", "ml", "Sure", "✓", "✗")
TOOLTIPS = (
    "Class and number of the object, in its class's colour. Double-click to give it another "
    "class. ✎: you edited it. ⚑: you flagged a doubt.",
    "First and last axial slice of the mask, as the slider counts them.",
    "Volume of the mask in millilitres.",
    "Confidence, 0 to 1: the model's own estimate. Click the title to sort by doubt: flagged "
    "objects first, then the least sure.",
    "Click to accept the object: it is locked, and fine-tuning learns from it. Click again to "
    "reopen it.",
    "Click to reject the object: it loses its mask, not its prompts. Click again to reopen it.",
)
SORT_ROLE = Qt.ItemDataRole.UserRole
NOT_YET = "…"
NOTHING = "–"
EDITED = " ✎"
FLAGGED = " ⚑"
YES, NO, MAYBE = "✓", "✗", "·"


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
                last = self.index(number, len(Column) - 1)
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
        return 0 if parent is not None and parent.isValid() else len(Column)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = 0
    ) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        return TOOLTIPS[section] if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what a cell shows."""
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(row, column)
        if role == Qt.ItemDataRole.DecorationRole and column == Column.OBJECT:
            return swatch(row.colour)
        if role == Qt.ItemDataRole.EditRole:
            return row.class_name
        if role == SORT_ROLE:
            return _sort_key(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{row_note(row)}\n{TOOLTIPS[column]}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.FontRole:
            return _font(row, column)
        if role == Qt.ItemDataRole.ForegroundRole and row.state is ObjectState.REJECTED:
            return QColor("#888888")
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell: the class can be renamed."""
        flags = super().flags(index)
        if index.column() == Column.OBJECT:
            return flags | Qt.ItemFlag.ItemIsEditable
        return flags

    def setData(self, index: QModelIndex, value: Any, role: int = 0) -> bool:  # noqa: N802
        """Pass a new class name on."""
        name = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or not name:
            return False
        self.renamed.emit(self._rows[index.row()].id, name)
        return True


class ObjectsTable(QTableView):
    """The table; says which object was chosen and what is to be done with it."""

    chosen = Signal(int)
    """Emitted with the id of the object that was clicked or moved to."""
    jump_asked = Signal(int)
    """Emitted with the id of the object that was double-clicked outside its name."""
    remove_asked = Signal(tuple)
    """Emitted with the ids of the selected objects when Delete was pressed."""
    accept_asked = Signal(int)
    reject_asked = Signal(int)

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
        columns.setMinimumSectionSize(22)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for narrow in (Column.ACCEPT, Column.REJECT):
            columns.setSectionResizeMode(narrow, QHeaderView.ResizeMode.Fixed)
            columns.resizeSection(narrow, 24)
        selection.currentRowChanged.connect(self._on_current)
        self.clicked.connect(self._on_clicked)
        self.doubleClicked.connect(self._on_double_clicked)
        self._selection = selection
        self._quiet = False

    def set_rows(self, rows: Sequence[ObjectRow]) -> None:
        """Show other rows; what was selected stays so where it is still there."""
        selected, current = self.selected_ids(), self.current_id()
        self._quiet = True
        try:
            self.objects.set_rows(rows)
            if self.selected_ids() != selected:
                self._select(selected, current)
        finally:
            self._quiet = False

    def selected_ids(self) -> tuple[int, ...]:
        """The objects whose lines are selected, as they are sorted."""
        lines = sorted(self._selection.selectedRows(), key=lambda i: i.row())
        return tuple(self.objects.row_at(self._line(i)).id for i in lines)

    def current_id(self) -> int | None:
        """The object whose line has the cursor, or None."""
        index = self.currentIndex()
        return self.objects.row_at(self._line(index)).id if index.isValid() else None

    def select_object(self, object_id: int) -> None:
        """Select an object's line."""
        line = self.objects.line_of(object_id)
        if line is not None and self.selected_ids() != (object_id,):
            self.selectRow(self._sorted.mapFromSource(self.objects.index(line, 0)).row())

    def sort_by_doubt(self) -> None:
        """Put the objects first that should be looked at."""
        self.sortByColumn(Column.SURE, Qt.SortOrder.DescendingOrder)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        """Remove the selected objects on Delete."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.ask_to_remove()
            return
        super().keyPressEvent(event)

    def ask_to_remove(self) -> None:
        """Say that the selected objects, if any, are to be removed."""
        ids = self.selected_ids()
        if ids:
            self.remove_asked.emit(ids)

    def _select(self, ids: Sequence[int], current: int | None) -> None:
        from qtpy.QtCore import QItemSelectionModel

        flag = QItemSelectionModel.SelectionFlag
        for object_id in ids:
            line = self.objects.line_of(object_id)
            if line is not None:
                index = self._sorted.mapFromSource(self.objects.index(line, 0))
                self._selection.select(index, flag.Select | flag.Rows)
                if object_id == current:
                    self._selection.setCurrentIndex(index, flag.NoUpdate)

    def _line(self, index: QModelIndex) -> int:
        return self._sorted.mapToSource(index).row()

    def _on_current(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid() and not self._quiet:
            self.chosen.emit(self.objects.row_at(self._line(current)).id)

    def _on_clicked(self, index: QModelIndex) -> None:
        object_id = self.objects.row_at(self._line(index)).id
        if index.column() == Column.ACCEPT:
            self.accept_asked.emit(object_id)
        elif index.column() == Column.REJECT:
            self.reject_asked.emit(object_id)

    def _on_double_clicked(self, index: QModelIndex) -> None:
        if index.column() in (Column.SLICES, Column.ML, Column.SURE):
            self.jump_asked.emit(self.objects.row_at(self._line(index)).id)


def cell_text(row: ObjectRow, column: int) -> str:
    """Return the text of an object's cell."""
    if column == Column.OBJECT:
        edited = EDITED if row.state is ObjectState.EDITED else ""
        return f"{row.class_name} {row.id}{edited}{FLAGGED if row.flags else ''}"
    if column == Column.SURE:
        return NOTHING if row.confidence is None else f"{row.confidence:.2f}"
    if column == Column.ACCEPT:
        return YES if row.is_locked else MAYBE
    if column == Column.REJECT:
        return NO if row.state is ObjectState.REJECTED else MAYBE
    if row.first is None or row.ml is None:
        return NOT_YET if row.state is ObjectState.WAITING else NOTHING
    if column == Column.ML:
        return f"{row.ml:.1f}" if row.ml < 100 else f"{row.ml:.0f}"
    return f"{row.first}–{row.last}"


def row_note(row: ObjectRow) -> str:
    """Return in words how far an object is."""
    said = {
        ObjectState.WAITING: "Its mask is being made.",
        ObjectState.SUGGESTED: "Suggested by Auto-prompt.",
        ObjectState.EDITED: "You made or edited it; a new Auto-prompt leaves it alone.",
        ObjectState.ACCEPTED: "Accepted, and locked.",
        ObjectState.REJECTED: "Rejected: it has no mask.",
        ObjectState.EMPTY: "It has no mask: press Propagate, or move its box.",
    }[row.state]
    flags = f" Flagged: {', '.join(row.flags)}." if row.flags else ""
    return said + flags


def _alignment(column: int) -> int | None:
    if column == Column.OBJECT:
        return None
    if column in (Column.ACCEPT, Column.REJECT):
        return int(Qt.AlignmentFlag.AlignCenter)
    return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def _font(row: ObjectRow, column: int) -> QFont | None:
    """Bold for a decision; struck out for what was rejected."""
    font = QFont()
    if column in (Column.ACCEPT, Column.REJECT):
        font.setBold(True)
        return font
    if row.state is ObjectState.REJECTED and column == Column.OBJECT:
        font.setStrikeOut(True)
        return font
    return None


def _sort_key(row: ObjectRow, column: int) -> float:
    value = {
        Column.OBJECT: row.id,
        Column.SLICES: row.first,
        Column.ML: row.ml,
        Column.SURE: row.doubt,
        Column.ACCEPT: float(row.is_locked),
        Column.REJECT: float(row.state is ObjectState.REJECTED),
    }[Column(column)]
    return -1.0 if value is None else float(value)
