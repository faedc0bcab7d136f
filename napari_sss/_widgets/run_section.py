"""The middle of the panel: what to look for, the one large button, progress."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCompleter,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.choices import AUTO_KEY
from napari_sss._widgets.parts import ChoiceBox, note, row
from napari_sss._widgets.status import ModelPhase, PanelState, PanelStatus
from napari_sss.engine.jobs import Progress

AUTO_STYLE = (
    "QPushButton { font-weight: 600; font-size: 14pt; min-height: 32px; border-radius: 4px; }"
    "QPushButton:enabled { background: #0072B2; color: white; }"
    "QPushButton:enabled:hover { background: #0086d1; }"
    "QPushButton:enabled:pressed { background: #005b8e; }"
)
AUTO_TOOLTIP = (
    f"Find objects, put a box on each and segment it through the stack ({AUTO_KEY}). Objects "
    "that you edited are left alone."
)


READY = "Ready. Or add an object by hand: draw a box around it, or click on it."


class RunSection(QWidget):
    """Source of prompts, class, Auto-prompt, progress and Cancel."""

    auto_asked = Signal()
    cancel_asked = Signal()
    source_chosen = Signal(str)
    class_named = Signal(str)
    """What objects are called from now on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sources = ChoiceBox("Where the first guess comes from that SAM-2 then refines.")
        self.sources.on_chosen(self.source_chosen.emit)
        self.class_name = QLineEdit()
        self.class_name.setToolTip(
            "What the objects are called: in the table, and in the exported mask's list of "
            "classes."
        )
        self.class_name.textChanged.connect(lambda _: self.class_named.emit(self.class_given))
        self.auto = QPushButton("Auto-prompt")
        self.auto.setStyleSheet(AUTO_STYLE)
        self.auto.clicked.connect(lambda: self.auto_asked.emit())
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(lambda: self.cancel_asked.emit())
        self.progress.setFixedHeight(6)
        # The bar and the two lines below it are always there: nothing jumps when a job begins.
        self.hint = note()
        self.hint.setVisible(True)
        self.hint.setMinimumHeight(2 * self.hint.fontMetrics().height() + 8)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        what = QHBoxLayout()
        what.setContentsMargins(0, 0, 0, 0)
        what.setSpacing(4)
        for label, widget, share in (
            ("Find", self.sources, 3),
            ("Class", self.class_name, 2),
        ):
            what.addWidget(QLabel(label))
            what.addWidget(widget, share)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(what)
        layout.addWidget(self.auto)
        layout.addWidget(self.progress)
        layout.addWidget(row(self.hint, self.cancel))

    @property
    def class_given(self) -> str:
        """What the user calls the objects, else what the preset does."""
        return self.class_name.text().strip() or self.class_name.placeholderText()

    def offer_classes(self, names: Sequence[str]) -> None:
        """Complete what is typed to the names of known classes."""
        completer = QCompleter(list(names), self.class_name)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.class_name.setCompleter(completer)

    def suggest_class(self, name: str) -> None:
        """Show what the preset calls its objects."""
        self.class_name.setPlaceholderText(name)
        self.class_named.emit(self.class_given)

    def show_status(self, status: PanelStatus) -> None:
        """Show what is going on."""
        self.auto.setEnabled(not status.why_not)
        self.auto.setToolTip(status.why_not or AUTO_TOOLTIP)
        loading = status.model.phase is ModelPhase.LOADING
        working = status.busy or loading
        cancelling = status.state is PanelState.CANCELLING
        self.cancel.setEnabled(working and not cancelling)
        self.cancel.setToolTip(_cancel_tooltip(working, cancelling))
        self._show_bar(status.progress, working)
        if cancelling:
            self.hint.setText("Stopping at the end of this slice.")
        elif status.busy or (loading and status.progress is not None):
            self.hint.setText(progress_text(status.progress))
        else:
            self.hint.setText(status.why_not or READY)

    def _show_bar(self, progress: Progress | None, working: bool) -> None:
        """Fill the bar; it only moves to and fro where the end is not known."""
        endless = working and (progress is None or not progress.total)
        self.progress.setRange(0, 0 if endless else 1000)
        if not endless:
            self.progress.setValue(0 if progress is None else round(1000 * progress.fraction))


def _cancel_tooltip(working: bool, cancelling: bool) -> str:
    if cancelling:
        return "It stops at the end of this slice."
    return "Stop at the end of this slice; what is done stays." if working else "Nothing runs."


def progress_text(progress: Progress | None) -> str:
    """Return stage, count and time left, for instance ``Masks 3/12, 0:08 left``."""
    if progress is None:
        return "Starting …"
    stage = progress.stage[:1].upper() + progress.stage[1:]
    if not progress.total:
        return f"{stage} …"
    count = f"{progress.done}/{progress.total}"
    if progress.total > 1_000_000:  # bytes
        count = f"{progress.done / 1e6:.0f}/{progress.total / 1e6:.0f} MB"
    left = progress.seconds_left
    if left is None:
        return f"{stage} {count}"
    minutes, seconds = divmod(round(left), 60)
    return f"{stage} {count}, {minutes}:{seconds:02d} left"
