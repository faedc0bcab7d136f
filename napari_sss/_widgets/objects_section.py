"""The lower part of the panel: adding by hand, the table of objects, export."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_sss._layers.points_layer import SIGN_KEY
from napari_sss._widgets.objects_table import ObjectsTable
from napari_sss._widgets.parts import row
from napari_sss._widgets.status import ObjectRow, PanelState, PanelStatus

ADD_BOX = (
    "Draw a box on the image: a new object, segmented through the stack. It is made on the "
    "layer 'prompts: boxes', where boxes can be moved and resized, too."
)
ADD_POINT = (
    "Click points on the image: they belong to the object selected in the table, or begin a "
    f"new one. {SIGN_KEY.upper()} turns the next point, or the selected ones, from positive "
    "(disc) to negative (cross) and back."
)
REMOVE = "Remove the objects selected in the table, with their prompts and masks (Delete)."
EXPORT = (
    "Write the masks as class numbers on the scan's own grid: same size, spacing, origin and "
    "direction. The list of classes is written beside it."
)


class ObjectsSection(QWidget):
    """The table with its buttons."""

    box_asked = Signal()
    point_asked = Signal()
    export_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = ObjectsTable()
        self.add_box = QPushButton("+ Box")
        self.add_point = QPushButton("+ Point")
        self.remove = QPushButton("Remove")
        self.export = QPushButton("Export mask …")
        self.add_box.clicked.connect(lambda: self.box_asked.emit())
        self.add_point.clicked.connect(lambda: self.point_asked.emit())
        self.remove.clicked.connect(self.table.ask_to_remove)
        self.export.clicked.connect(lambda: self.export_asked.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(row(self.add_box, self.add_point, self.remove, stretch=None))
        layout.addWidget(self.table, 1)
        layout.addWidget(self.export)

    def show_rows(self, rows: Sequence[ObjectRow]) -> None:
        """Show the objects."""
        self.table.objects.set_rows(rows)

    def show_status(self, status: PanelStatus) -> None:
        """Grey out what cannot be done now, with the reason in the tooltip."""
        usable = status.state is not PanelState.NO_SCAN
        for button, tooltip in ((self.add_box, ADD_BOX), (self.add_point, ADD_POINT)):
            button.setEnabled(usable)
            button.setToolTip(tooltip if usable else status.why_not)
        for button, tooltip in ((self.remove, REMOVE), (self.export, EXPORT)):
            button.setEnabled(not status.why_no_export)
            button.setToolTip(status.why_no_export or tooltip)
