"""Which lines of the case list are shown, and in which order."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_sss._widgets.cases.rows import Order, RowFilter
from napari_sss._widgets.choices import Choice
from napari_sss._widgets.parts import ChoiceBox, row
from napari_sss.engine.project.records import CaseStatus

ALL = "all"
TROUBLED = "troubled"


class FilterBar(QWidget):
    """A text, a status, a flag; and the order."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLineEdit()
        self.text.setPlaceholderText("find by name")
        self.text.setClearButtonEnabled(True)
        self.text.setToolTip("Show only cases with this in their name.")
        self.text.textChanged.connect(lambda _: self.changed.emit())
        self.flagged = QPushButton("flagged")
        self.flagged.setCheckable(True)
        self.flagged.setToolTip(
            "Show only cases in which something is flagged: an unclear boundary, an uncertain "
            "class."
        )
        self.flagged.toggled.connect(lambda _: self.changed.emit())
        self.status = ChoiceBox("Show only cases of this status.")
        self.status.set_choices(
            [
                Choice(ALL, "all statuses"),
                *(Choice(status.value, status.value) for status in CaseStatus),
                Choice(TROUBLED, "scan missing or changed"),
            ],
            ALL,
        )
        self.status.on_chosen(lambda _: self.changed.emit())
        self.order = ChoiceBox("In which order the cases are listed.")
        self.order.set_choices([Choice(o.name, o.value) for o in Order], Order.ADDED.name)
        self.order.on_chosen(lambda _: self.changed.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(row(self.text, self.flagged))
        layout.addWidget(row(self.status, self.order, stretch=None))

    @property
    def chosen(self) -> RowFilter:
        """What is shown."""
        key = self.status.key
        status = None if key in (ALL, TROUBLED) else CaseStatus(key)
        return RowFilter(
            self.text.text(), status, self.flagged.isChecked(), troubled=key == TROUBLED
        )

    @property
    def chosen_order(self) -> Order:
        """In which order."""
        return Order[self.order.key]

    def show_all(self) -> None:
        """Let everything through."""
        self.blockSignals(True)
        self.text.clear()
        self.flagged.setChecked(False)
        self.status.show_key(ALL)
        self.blockSignals(False)
        self.changed.emit()
