"""Which case is best annotated next, and why: a few lines for the Cases tab."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sss._widgets.models.pool_controller import NextShown, PoolController, PoolShown
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.ranking.ranking import SuggestedSlice

OPEN_TIP = "Open this case."
RANK_TIP = (
    "Look at all cases in the background and find the one that helps most: where the model is "
    "of two minds, where a rare class shows, or what stands for many others."
)
SLICE_TIP = "Go to this slice of the case at work: {}."


class SuggestedNext(QWidget):
    """The next case with its reason, and the slices of the case at work worth a look.

    Parameters
    ----------
    controller : PoolController
        Knows the ranking.
    placed : callable
        ``placed(plane, index)``: where the viewer shows a slice of the scan's own array.
    """

    slice_asked = Signal(object, int)
    """Emitted with the plane and index, as the viewer counts, of a slice to be shown."""

    def __init__(
        self,
        controller: PoolController,
        placed: Callable[[Plane, int], tuple[Plane, int]] = lambda plane, index: (plane, index),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._placed = placed
        self._ranked_by = ""
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.open, self.rank = QPushButton("Open next"), QPushButton("Rank")
        self.open.clicked.connect(lambda: controller.open_suggested())
        self.rank.clicked.connect(lambda: controller.rank())
        self._slices: tuple[SuggestedSlice, ...] = ()
        self.slices = QWidget()
        line = QHBoxLayout(self.slices)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.open, 1)
        buttons.addWidget(self.rank)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        layout.addWidget(self.slices)
        controller.next_changed.connect(self.show_next)
        controller.changed.connect(self.show_state)
        self.show_next(controller.suggested)
        self.show_state(controller.shown)

    def show_next(self, shown: NextShown) -> None:
        """Show another suggestion."""
        case = shown.case
        if case is None:
            self.text.setText(shown.text)
            self.text.setToolTip("")
        else:
            self.text.setText(f"Next: {case.name}. {case.reasons[0] if case.reasons else ''}")
            hints = [f"{hint.reason[:1].upper()}{hint.reason[1:]}." for hint in case.slices[:1]]
            after = [f"Then {other.name}: {other.text}" for other in shown.others]
            self.text.setToolTip("\n".join([case.text, *hints, *after]))
        self._ranked_by = shown.ranked_by
        self.rank.setText("Rank again" if shown.ranked_by else "Rank")
        self.open.setEnabled(case is not None)
        self.open.setToolTip(OPEN_TIP if case is not None else shown.text)
        if shown.slices != self._slices:
            self._slices = shown.slices
            self._show_slices()

    def show_state(self, shown: PoolShown) -> None:
        """Show whether it can be ranked now."""
        self.rank.setEnabled(not shown.why_not_rank)
        last = f"\nLast ranked with {self._ranked_by}." if self._ranked_by else ""
        self.rank.setToolTip((shown.why_not_rank or RANK_TIP) + last)

    def _show_slices(self) -> None:
        line = self.slices.layout()
        assert line is not None
        while (item := line.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        if self._slices:
            line.addWidget(QLabel("Slices here"))
        for hint in self._slices:
            plane, index = self._placed(hint.plane, hint.index)
            button = QPushButton(str(index))
            button.setToolTip(SLICE_TIP.format(hint.reason))
            button.clicked.connect(partial(self._ask_for, plane, index))
            line.addWidget(button)
        self.slices.setVisible(bool(self._slices))

    def _ask_for(self, plane: Plane, index: int, _: bool = False) -> None:
        self.slice_asked.emit(plane, index)
