"""The lines above the tabs: model and device, the case at work, up to where it is saved."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.choices import model_choices
from napari_sss._widgets.parts import WARNING_STYLE, ChoiceBox, OneLine, row
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss.engine.jobs import Progress

NO_CASE = "no case"
PREVIOUS = "Open the case before this one in the project."
READY = "Slices that are encoded already, around the one in view first: clicks there are quick."
NEXT = "Open the next case of the project."
PARK = (
    "Put this case aside half done. It is closed with everything as it is, and goes on from "
    "there when it is opened again."
)


class Header(QWidget):
    """Model, case line and saved mark; always visible."""

    retry_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.models = ChoiceBox("The SAM-2 model. The embedded one needs no download.")
        self.models.set_choices(model_choices())
        self.device = OneLine()
        self.ready = _line()
        self.ready.setToolTip(READY)
        self.case = OneLine()
        self.previous, self.next = _arrow("<", PREVIOUS), _arrow(">", NEXT)
        self.count = _line()
        self.park = QPushButton("Park")
        self.saved = _line()
        self.saved.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.trouble = QLabel()
        self.trouble.setWordWrap(True)
        self.trouble.setTextFormat(Qt.TextFormat.PlainText)
        self.trouble.setStyleSheet(WARNING_STYLE)
        self.trouble.setVisible(False)
        self.retry = QPushButton("Retry")
        self.retry.setToolTip("Try again now to save what waits.")
        self.retry.setVisible(False)
        self.retry.clicked.connect(lambda: self.retry_asked.emit())
        self._arrange()

    def _arrange(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Model", self.models)
        case = QHBoxLayout()
        case.setSpacing(4)
        case.addWidget(self.case, 1)
        for widget in (self.previous, self.count, self.next, self.park):
            case.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addWidget(row(self.device, self.ready, self.saved))
        layout.addLayout(case)
        layout.addWidget(row(self.trouble, self.retry))

    def show_ready(self, slices: Progress) -> None:
        """Show how many slices are encoded; nothing where there are none."""
        count = f"{slices.done}/{slices.total} {slices.stage}"
        self.ready.setText(count if slices.total else "")

    def show_room(self, room: ProjectRoom) -> None:
        """Show which case is at work and how it is saved."""
        at_work, project = room.at_work, room.project
        can_leave = at_work is not None and not room.why_read_only
        for button, tip in ((self.previous, PREVIOUS), (self.next, NEXT)):
            button.setEnabled(at_work is not None and at_work.total > 1)
            button.setToolTip(tip if button.isEnabled() else "There is no other case.")
        self.park.setEnabled(can_leave)
        self.park.setToolTip(PARK if can_leave else room.why_read_only or "No case is open.")
        self.saved.setText(room.saved_line)
        if at_work is None:
            self.case.setText("opening the case …" if room.opening else NO_CASE)
            self.count.setText("")
        else:
            self.case.setText(at_work.case.name)
            self.count.setText(f"case {at_work.place} of {at_work.total}")
        folder = "" if project is None else str(project.folder)
        kept = "Kept in the default project" if room.is_default else "Project"
        self.case.setToolTip(f"{self.case.text()}\n{kept}: {folder}" if folder else "")
        problem = None if project is None else project.save_problem
        trouble = room.why_read_only if problem is None else str(problem)
        self.trouble.setText(trouble)
        self.trouble.setVisible(bool(trouble))
        self.retry.setVisible(problem is not None)


def _line() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def _arrow(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.setFixedWidth(24)
    return button
