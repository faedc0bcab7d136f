"""Which of several scans to open: a small window beside the work, which waits for nobody."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sss.engine.volumes.contents import Content

_WIDTH, _HEIGHT = 460, 300


class ScanChooser(QDialog):
    """Lists scans; not modal.

    Parameters
    ----------
    contents : sequence of Content
        The scans.
    parent : QWidget, optional
        The window it belongs to.
    """

    chosen = Signal(list)
    """The :class:`Content` that are to be opened."""

    def __init__(self, contents: Sequence[Content], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._contents = list(contents)
        self.setWindowTitle("Which scan?")
        self.setModal(False)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        names = dict.fromkeys(content.path.name for content in contents)
        label = QLabel(f"{', '.join(names)}: {len(contents)} scans. Which do you want to open?")
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.addItems([content.title for content in contents])
        largest = max(range(len(contents)), key=lambda k: (contents[k].slices, -k))
        self.list.setCurrentRow(largest)
        self.list.itemDoubleClicked.connect(lambda _: self.accept())
        self.list.itemSelectionChanged.connect(self._show_whether_enough)
        buttons = QDialogButtonBox()
        self.open_button: QPushButton | None = buttons.addButton(
            QDialogButtonBox.StandardButton.Open
        )
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (label, self.list, buttons):
            layout.addWidget(widget)
        self.resize(_WIDTH, _HEIGHT)

    def accept(self) -> None:
        """Say what is to be opened."""
        rows = sorted(index.row() for index in self.list.selectedIndexes())
        super().accept()
        self.chosen.emit([self._contents[row] for row in rows])

    def _show_whether_enough(self) -> None:
        if self.open_button is not None:
            self.open_button.setEnabled(bool(self.list.selectedIndexes()))
