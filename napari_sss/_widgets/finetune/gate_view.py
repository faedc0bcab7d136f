"""The gate: the new model beside the one in use, and the person's decision."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.finetune.shown import GateCase, GateShown, RunShown
from napari_sss._widgets.parts import WARNING_STYLE, note, row, say
from napari_sss.engine.runs.decision import ADOPTED
from napari_sss.engine.runs.verdict import Judgement, Line, Verdict

ADVICE = {
    Verdict.ADOPT: "The figures say: adopt it.",
    Verdict.KEEP: "The figures say: keep the model in use.",
    Verdict.LOOK: "The figures do not decide: look at some cases.",
}
BETTER_STYLE = (
    "QLabel { background: #009E73; color: white; padding: 4px; border-radius: 3px;"
    " font-weight: 600; }"
)
ADOPT_TIP = "Keep the new model with the project and use it from now on. Models can roll back."
KEEP_TIP = "Go on with the model in use. The new one stays in the run's folder."
SHOW_TIP = (
    "Open the case with both models' masks: the new one's filled, those of the model in use "
    "as outlines."
)
KINDS = {"held-out": "held out", "pool": "not labelled", "learned": "learned from"}
MOST_LINES = 6


class GateView(QWidget):
    """Shows what the gate found; nothing is adopted here by itself."""

    adopt_asked = Signal()
    keep_asked = Signal()
    case_asked = Signal(int)
    new_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.advice = QLabel()
        self.advice.setWordWrap(True)
        self.reason = note()
        self.table = QTableWidget(0, 4)
        self.warnings = note(WARNING_STYLE)
        self.remark = note()
        self.cases = QListWidget()
        self.cases.setToolTip("Cases where the two models differ most come first.")
        self.cases.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.show_button = _button("Show the case", SHOW_TIP)
        self.adopt = _button("Adopt the new model", ADOPT_TIP)
        self.keep = _button("Keep the old one", KEEP_TIP)
        self.new = _button("New fine-tuning", "Prepare another run.")
        self.decided = note()
        self.differ = QLabel("Where they differ most")
        self.differ.setStyleSheet("QLabel { font-weight: 600; }")
        self._arrange()
        self.adopt.clicked.connect(lambda: self.adopt_asked.emit())
        self.keep.clicked.connect(lambda: self.keep_asked.emit())
        self.new.clicked.connect(lambda: self.new_asked.emit())
        self.show_button.clicked.connect(self._ask_for_case)
        self.cases.itemActivated.connect(lambda _: self._ask_for_case())

    def show_gate(self, run: RunShown) -> None:
        """Show a judged run."""
        gate = run.gate
        if gate is None:
            return
        found = gate.judgement
        self.advice.setText(ADVICE[found.verdict])
        good = found.verdict is Verdict.ADOPT
        self.advice.setStyleSheet(BETTER_STYLE if good else WARNING_STYLE)
        say(self.reason, found.reason)
        self._fill_table(found)
        say(self.warnings, "\n".join(found.warnings))
        say(self.remark, gate.note)
        self._fill_cases(gate)
        open_ = not gate.decision
        for button in (self.adopt, self.keep):
            button.setVisible(open_)
        self.adopt.setStyleSheet("QPushButton { font-weight: 600; }" if good else "")
        say(
            self.decided,
            ""
            if open_
            else "The new model is in use. The Models tab can roll back."
            if gate.decision == ADOPTED
            else "The model in use was kept.",
        )

    def _arrange(self) -> None:
        self.table.setHorizontalHeaderLabels(["Dice", "In use", "New", "Gain"])
        header, side = self.table.horizontalHeader(), self.table.verticalHeader()
        assert header is not None
        assert side is not None
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        side.hide()
        side.setDefaultSectionSize(20)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setToolTip(
            "Mean ± spread over the held-out cases; the gain is that of each case, so it tells "
            "more than the difference of the means."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        for widget in (self.advice, self.reason, self.table, self.warnings, self.remark):
            layout.addWidget(widget)
        layout.addWidget(row(self.adopt, self.keep, stretch=None))
        layout.addWidget(self.decided)
        layout.addWidget(self.differ)
        layout.addWidget(self.cases)
        layout.addWidget(row(self.show_button, self.new, stretch=None))
        layout.addStretch(1)

    def _fill_table(self, found: Judgement) -> None:
        lines = [*found.classes, found.mean] if found.mean.cases else []
        self.table.setRowCount(len(lines))
        for number, line in enumerate(lines):
            cells = (
                line.name,
                _spread(line.old, line.old_sd),
                _spread(line.new, line.new_sd),
                _gain(line),
            )
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(
                        int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                    )
                if line is found.mean:
                    font = item.font()
                    font.setBold(True)
                    item.setFont(font)
                self.table.setItem(number, column, item)
        self.table.setVisible(bool(lines))
        header = self.table.horizontalHeader()
        assert header is not None
        height = header.sizeHint().height() + 20 * min(MOST_LINES, len(lines)) + 4
        self.table.setFixedHeight(height)

    def _fill_cases(self, gate: GateShown) -> None:
        texts = [_case_text(case) for case in gate.cases]
        if texts != [_item_text(self.cases, k) for k in range(self.cases.count())]:
            self.cases.clear()
            for text in texts:
                self.cases.addItem(QListWidgetItem(text))
            self.cases.setCurrentRow(0)
        self.cases.setFixedHeight(20 * min(5, max(1, len(texts))) + 6)
        shown = bool(texts)
        for widget in (self.cases, self.differ, self.show_button):
            widget.setVisible(shown)
        compared = any(case.old_file is not None for case in gate.cases)
        self.differ.setText(
            "Where they differ most" if compared else "What the new one makes of"
        )

    def _ask_for_case(self) -> None:
        if self.cases.currentRow() >= 0:
            self.case_asked.emit(self.cases.currentRow())


def _case_text(case: GateCase) -> str:
    text = f"{case.name} ({KINDS.get(case.kind, case.kind)})"
    if case.agreement is not None:
        text += f": agree {case.agreement:.2f}"
    if case.gain is not None:
        text += f", gain {case.gain:+.2f}"
    return text


def _item_text(items: QListWidget, number: int) -> str:
    item = items.item(number)
    return "" if item is None else item.text()


def _spread(value: float | None, sd: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" + (f" ± {sd:.2f}" if sd is not None else "")


def _gain(line: Line) -> str:
    if line.gain is None:
        return "–"
    return f"{line.gain:+.3f}" + (f" ± {line.gain_sd:.3f}" if line.gain_sd is not None else "")


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
