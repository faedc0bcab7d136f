"""The list of cases with its keys: Enter opens, Delete asks to remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QListView, QWidget

from napari_sss._widgets.cases.delegate import CaseDelegate
from napari_sss._widgets.cases.list_model import ROW_ROLE, CaseListModel
from napari_sss._widgets.cases.rows import CaseRow
from napari_sss._widgets.worker import Worker

_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class CaseListView(QListView):
    """The lines; knows nothing of projects.

    Parameters
    ----------
    worker : Worker
        Fetches the pictures.
    """

    open_asked = Signal(int)
    """A line was double-clicked, or Enter pressed on it."""
    remove_asked = Signal()
    """Delete was pressed."""
    chosen_changed = Signal()
    """Other lines are selected."""
    menu_asked = Signal(QPoint)
    """Where on the screen the right button was pressed."""

    def __init__(self, worker: Worker, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = CaseListModel(worker)
        self.setModel(self.rows)
        self.setItemDelegate(CaseDelegate(self))
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setAccessibleName("Cases")
        self.customContextMenuRequested.connect(
            lambda place: self.menu_asked.emit(self.mapToGlobal(place))
        )
        self.doubleClicked.connect(self._on_open)
        selection = self.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(lambda *_: self.chosen_changed.emit())

    def show_rows(self, rows: Sequence[CaseRow]) -> None:
        """Show other lines; what is selected and where the list stands stay."""
        before = self.chosen()
        bar = self.verticalScrollBar()
        place = bar.value() if bar is not None else 0
        if self.rows.set_rows(rows):
            self.select([row.id for row in before])
            if bar is not None:
                bar.setValue(place)
            if before and not self.chosen():
                self.chosen_changed.emit()

    def chosen(self) -> list[CaseRow]:
        """The selected lines, from above to below."""
        selection = self.selectionModel()
        found = [] if selection is None else selection.selectedIndexes()
        return [index.data(ROW_ROLE) for index in sorted(found, key=lambda i: i.row())]

    def select(self, case_ids: Sequence[int]) -> None:
        """Select the lines of these cases, as far as they are shown."""
        selection = self.selectionModel()
        if selection is None:
            return
        selection.clearSelection()
        for case_id in case_ids:
            index = self.rows.index_of(case_id)
            if index.isValid():
                selection.select(index, QItemSelectionModel.SelectionFlag.Select)
                selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)

    def reveal_current(self) -> None:
        """Bring the line back into view that was selected last."""
        if self.currentIndex().isValid():
            self.scrollTo(self.currentIndex())

    def reveal(self, case_id: int) -> None:
        """Bring a line into view."""
        index = self.rows.index_of(case_id)
        if index.isValid():
            self.scrollTo(index)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        """Enter opens the current line, Delete asks to remove what is selected."""
        if event.key() in _ENTER:
            self._on_open(self.currentIndex())
        elif event.key() == Qt.Key.Key_Delete:
            self.remove_asked.emit()
        else:
            super().keyPressEvent(event)

    def _on_open(self, index: QModelIndex) -> None:
        row = self.rows.row_at(index)
        if row is not None:
            self.open_asked.emit(row.id)
