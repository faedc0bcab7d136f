"""Pre-labelling: the model in use over all cases that nobody has touched."""

from __future__ import annotations

from qtpy.QtWidgets import QGroupBox, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sss._widgets.choices import Choice
from napari_sss._widgets.models.pool_controller import PoolController, PoolShown
from napari_sss._widgets.parts import ChoiceBox, note, row, say

TIP = (
    "Let the model in use suggest objects in all cases that nobody has touched, in the "
    "background. What you made is never changed."
)
GO_ON_TIP = "Go on where it stopped; cases that are done are skipped."
PAUSE_TIP = "Stop after this slice and give the memory back; it goes on from there later."
CANCEL_TIP = "Stop for good. Suggestions that were made stay."


class PoolSection(QGroupBox):
    """Start, progress, pause and cancel.

    Parameters
    ----------
    controller : PoolController
        Does it.
    """

    def __init__(self, controller: PoolController, parent: QWidget | None = None) -> None:
        super().__init__("Pre-label untouched cases", parent)
        self._controller = controller
        self.preset = ChoiceBox("The tissue to look for: the model in use knows no classes.")
        self.preset.set_choices(_presets())
        self.preset.on_chosen(controller.set_preset)
        self.start = QPushButton("Pre-label")
        self.pause = QPushButton("Pause")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip(CANCEL_TIP)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(8)
        self.line = note()
        self.failures = note()
        self.start.clicked.connect(self._on_start)
        self.pause.clicked.connect(lambda: controller.pause())
        self.cancel.clicked.connect(lambda: controller.cancel())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 6)
        layout.setSpacing(4)
        layout.addWidget(self.preset)
        layout.addWidget(row(self.start, self.pause, self.cancel, stretch=None))
        layout.addWidget(self.progress)
        layout.addWidget(self.line)
        layout.addWidget(self.failures)
        controller.changed.connect(self.show_state)
        self.show_state(controller.shown)

    def show_state(self, shown: PoolShown) -> None:
        """Show how far it is and what can be done."""
        self.preset.setVisible(not shown.knows_classes)
        self.preset.setEnabled(not shown.running)
        go_on = shown.can_go_on
        self.start.setText("Resume" if go_on else "Pre-label")
        why_not = shown.why_not_rank if go_on else shown.why_not_prelabel
        self.start.setEnabled(not why_not)
        self.start.setToolTip(why_not or (GO_ON_TIP if go_on else TIP))
        self.pause.setEnabled(shown.running)
        self.pause.setToolTip(PAUSE_TIP if shown.running else "Nothing runs.")
        self.cancel.setEnabled(shown.running or go_on)
        self.progress.setVisible(shown.running)
        known = shown.fraction is not None
        self.progress.setRange(0, 1000 if known else 0)
        if shown.fraction is not None:
            self.progress.setValue(round(1000 * shown.fraction))
        say(self.line, shown.text)
        names = ", ".join(name for name, _ in shown.failures[:3])
        more = len(shown.failures) - 3
        say(self.failures, f"Left out: {names}{f' and {more} more' if more > 0 else ''}"
            if names else "")  # fmt: skip
        self.failures.setToolTip("\n".join(f"{n}: {why}" for n, why in shown.failures))

    def _on_start(self) -> None:
        if self._controller.shown.can_go_on:
            self._controller.go_on()
        else:
            self._controller.prelabel()


def _presets() -> list[Choice]:
    from napari_sss._widgets.choices import source_choices, source_of

    found = [Choice("", "Choose a tissue …")]
    for choice in source_choices("unknown"):
        preset = source_of(str(choice.key))[1]
        if preset is not None:
            found.append(Choice(preset, choice.title, choice.tooltip))
    return found
