"""The case list as Qt's model: lines by number, pictures when they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt
from qtpy.QtGui import QImage

from napari_sss._widgets.cases.rows import CaseRow
from napari_sss._widgets.cases.thumbnails import Thumbnails
from napari_sss._widgets.worker import Worker

ROW_ROLE = int(Qt.ItemDataRole.UserRole)
"""Gives the line itself, a :class:`CaseRow`."""

_NOWHERE = QModelIndex()


class CaseListModel(QAbstractListModel):
    """Lines of cases.

    Parameters
    ----------
    worker : Worker
        Fetches the pictures.
    """

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._rows: list[CaseRow] = []
        self._places: dict[int, int] = {}
        self.thumbnails = Thumbnails(worker, decode)
        self.thumbnails.arrived.connect(self._on_thumbnail)

    def set_rows(self, rows: Sequence[CaseRow]) -> bool:
        """Show other lines, or the same ones with other contents.

        Returns
        -------
        bool
            Whether the list was built anew, so that a selection has to be made again.
        """
        rows = list(rows)
        ids, known = [row.id for row in rows], [row.id for row in self._rows]
        if ids[: len(known)] == known:
            self._update(rows)
            return False
        self.beginResetModel()
        self._take(rows)
        self.endResetModel()
        return True

    @property
    def ids(self) -> tuple[int, ...]:
        """The cases that are shown, from above to below."""
        return tuple(self._places)

    def row_at(self, index: QModelIndex) -> CaseRow | None:
        """The line at an index, or None."""
        return self._rows[index.row()] if 0 <= index.row() < len(self._rows) else None

    def index_of(self, case_id: int) -> QModelIndex:
        """The index of a case; an invalid one where it is not shown."""
        place = self._places.get(case_id)
        return QModelIndex() if place is None else self.index(place)

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:  # noqa: N802
        """How many lines there are."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """What Qt asks of a line."""
        row = self.row_at(index)
        if row is None:
            return None
        if role == ROW_ROLE:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row.name}, {row.facts}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.tooltip
        if role == Qt.ItemDataRole.DecorationRole:
            return self.thumbnails.get(row.id)
        return None

    def _update(self, rows: list[CaseRow]) -> None:
        """Take lines that begin with those there are, in the same order."""
        old = self._rows
        if len(rows) > len(old):
            self.beginInsertRows(QModelIndex(), len(old), len(rows) - 1)
            self._take(old + rows[len(old) :])
            self.endInsertRows()
        self._take(rows)
        for place, (before, after) in enumerate(zip(old, rows, strict=False)):
            if before != after:
                self.dataChanged.emit(self.index(place), self.index(place))

    def _take(self, rows: list[CaseRow]) -> None:
        self._rows = rows
        self._places = {row.id: place for place, row in enumerate(rows)}

    def _on_thumbnail(self, case_id: int) -> None:
        index = self.index_of(case_id)
        if index.isValid():
            self.dataChanged.emit(index, index, [Qt.ItemDataRole.DecorationRole])


def decode(png: bytes) -> QImage | None:
    """A picture out of its file's content; may be called in any thread."""
    image = QImage.fromData(png) if png else QImage()
    return None if image.isNull() else image
