"""Progress of the tab's long work, and the button that stops it."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sss._widgets.cases.tasks import TaskStatus

_STEPS = 1000


class TaskBar(QWidget):
    """Hidden while nothing is done."""

    cancel_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line = QLabel()
        self.line.setTextFormat(Qt.TextFormat.PlainText)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(10)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop at the next file. What was done so far is kept.")
        self.cancel.clicked.connect(lambda: self.cancel_asked.emit())
        below = QHBoxLayout()
        below.setSpacing(4)
        below.addWidget(self.bar, 1)
        below.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.line)
        layout.addLayout(below)
        self.setVisible(False)

    def show_status(self, status: TaskStatus) -> None:
        """Show how far the work is."""
        self.setVisible(status.running)
        self.line.setText(status.line if status.running else "")
        self.cancel.setEnabled(not status.cancelling)
        progress = status.progress
        known = progress is not None and progress.total > 0
        self.bar.setRange(0, _STEPS if known else 0)  # without an end it runs to and fro
        if progress is not None and known:
            self.bar.setValue(round(progress.fraction * _STEPS))
