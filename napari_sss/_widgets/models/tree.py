"""The list of models: the project's and SAM-2's, with what state each is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from napari_sss._widgets.models.rows import ModelRow, Section

_KEY = Qt.ItemDataRole.UserRole
_LINE = 22


class ModelTree(QTreeWidget):
    """Two sections of models; what is used is bold."""

    chosen = Signal(str)
    """Emitted with the key of the model that was selected, "" for none."""
    activated_key = Signal(str)
    """Emitted with the key of the model that was double-clicked, or Enter was pressed on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setColumnCount(2)
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setItemsExpandable(False)
        self.setIndentation(10)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAccessibleName("Models")
        self.setMinimumHeight(4 * _LINE)
        header = self.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._shown: tuple[ModelRow, ...] | None = None
        self.currentItemChanged.connect(lambda item, _: self.chosen.emit(_key_of(item)))
        self.itemActivated.connect(self._on_activated)

    @property
    def key(self) -> str:
        """The selected model; "" for none."""
        return _key_of(self.currentItem())

    def show_rows(self, rows: Sequence[ModelRow]) -> None:
        """Show other models, in their order in each section; the selection stays if it can."""
        if self._shown == tuple(rows):
            return
        self._shown = tuple(rows)
        keep = self.key
        self.blockSignals(True)
        try:
            self.clear()
            for section in Section:
                own = [row for row in rows if row.section is section]
                if own:
                    self._add_section(section, own)
            self.expandAll()
            self._select(keep, rows)
        finally:
            self.blockSignals(False)
        self.chosen.emit(self.key)

    def select_key(self, key: str) -> None:
        """Select a model."""
        for item in self._items():
            if _key_of(item) == key:
                self.setCurrentItem(item)

    def _add_section(self, section: Section, rows: Sequence[ModelRow]) -> None:
        top = QTreeWidgetItem([section.value, ""])
        top.setFlags(Qt.ItemFlag.ItemIsEnabled)
        top.setSizeHint(0, QSize(0, _LINE))
        self.addTopLevelItem(top)
        top.setFirstColumnSpanned(True)
        for row in rows:
            top.addChild(_item(row))

    def _select(self, keep: str, rows: Sequence[ModelRow]) -> None:
        in_use = next((row.key for row in rows if row.in_use), "")
        for key in (keep, in_use):
            for item in self._items():
                if key and _key_of(item) == key:
                    self.setCurrentItem(item)
                    return

    def _items(self) -> list[QTreeWidgetItem]:
        found = []
        for number in range(self.topLevelItemCount()):
            top = self.topLevelItem(number)
            assert top is not None
            found += [top.child(k) for k in range(top.childCount())]
        return [item for item in found if item is not None]

    def _on_activated(self, item: Any, _: int) -> None:
        if _key_of(item):
            self.activated_key.emit(_key_of(item))


def _item(row: ModelRow) -> QTreeWidgetItem:
    item = QTreeWidgetItem([row.title, row.mark])
    item.setData(0, _KEY, row.key)
    item.setSizeHint(0, QSize(0, _LINE))
    item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    for column in (0, 1):
        item.setToolTip(column, row.tooltip)
        if row.in_use:
            font = item.font(column)
            font.setBold(True)
            item.setFont(column, font)
    return item


def _key_of(item: QTreeWidgetItem | None) -> str:
    return "" if item is None else str(item.data(0, _KEY) or "")
