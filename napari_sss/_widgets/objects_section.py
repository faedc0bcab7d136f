"""The lower part of the panel: the table of objects, removing, export."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_sss._widgets.objects_table import ObjectsTable
from napari_sss._widgets.parts import row
from napari_sss._widgets.status import ObjectRow, PanelStatus

REMOVE = "Remove the objects selected in the table, with their prompts and masks (Delete)."
EXPORT = (
    "Write the masks as class numbers on the scan's own grid: same size, spacing, origin and "
    "direction. The list of classes is written beside it."
)


class ObjectsSection(QWidget):
    """The table with its buttons."""

    export_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = ObjectsTable()
        self.remove = QPushButton("Remove")
        self.export = QPushButton("Export mask …")
        self.remove.clicked.connect(self.table.ask_to_remove)
        self.export.clicked.connect(lambda: self.export_asked.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.table, 1)
        layout.addWidget(row(self.remove, self.export, stretch=None))

    def show_rows(self, rows: Sequence[ObjectRow]) -> None:
        """Show the objects."""
        self.table.objects.set_rows(rows)

    def show_status(self, status: PanelStatus) -> None:
        """Grey out what cannot be done now, with the reason in the tooltip."""
        for button, tooltip in ((self.remove, REMOVE), (self.export, EXPORT)):
            button.setEnabled(not status.why_no_export)
            button.setToolTip(status.why_no_export or tooltip)
