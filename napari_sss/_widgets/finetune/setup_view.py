"""The page on which a run is prepared: what it learns from, how long, Start."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.finetune.form import AdvancedForm
from napari_sss._widgets.finetune.plan import (
    BUDGETS,
    BY_TIME,
    MODES,
    SHOWN_ELSEWHERE,
    Plan,
    strategy_choices,
)
from napari_sss._widgets.finetune.shown import SetupShown
from napari_sss._widgets.parts import WARNING_STYLE, ChoiceBox, note, row, say
from napari_sss._widgets.run_section import AUTO_STYLE
from napari_sss.engine.runs.overview import Advice, Overview, Weight
from napari_sss.engine.runs.split import Side

START_TIP = "Train in the background with what was accepted. The viewer stays quick."
MEASURE_TIP = (
    "Make a few real steps with these data and settings, some seconds, and tell how far the "
    "training would come and what memory it needs."
)
MOST_ADVICE = 3


class SetupView(QWidget):
    """Everything that is asked before a run."""

    start_asked = Signal()
    measure_asked = Signal()
    plan_changed = Signal()

    def __init__(self, strategies: list[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.facts = note()
        self.classes = _ClassTable()
        self.advice = note(WARNING_STYLE)
        self.notes = note()
        self.budget = BudgetRow()
        self.strategy = ChoiceBox("How it learns.")
        self.strategy.set_choices(strategy_choices(strategies), "sss")
        self.mode = ChoiceBox("Which part of the network learns.")
        self.mode.set_choices(list(MODES), "auto")
        self.starts_from = QLabel()
        self.starts_from.setTextFormat(Qt.TextFormat.PlainText)
        self.starts_from.setToolTip(
            "The model in use; the Models tab chooses it. The new one is compared with it."
        )
        self.promise = note()
        self.measure = QPushButton("Measure")
        self.measure.setToolTip(MEASURE_TIP)
        self.measure.clicked.connect(lambda: self.measure_asked.emit())
        self.unfold = QToolButton()
        self.unfold.setText("Advanced")
        self.unfold.setCheckable(True)
        self.unfold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.unfold.setArrowType(Qt.ArrowType.RightArrow)
        self.unfold.setToolTip("Every other setting of the training.")
        self.advanced: AdvancedForm | None = None
        self.start = QPushButton("Start fine-tuning")
        self.start.setStyleSheet(AUTO_STYLE)
        self.start.clicked.connect(lambda: self.start_asked.emit())
        self.hint = note()
        self._arrange()
        self._connect()

    @property
    def plan(self) -> Plan:
        """What the person asks for."""
        more = {} if self.advanced is None else self.advanced.values()
        return Plan(self.budget.minutes, self.strategy.key, self.mode.key, more)

    def show_setup(self, setup: SetupShown) -> None:
        """Show what a run would learn from, and whether it can start."""
        found = setup.overview
        say(self.facts, facts_text(found))
        self.classes.show_overview(found)
        advice = () if found is None else found.advice()
        say(self.advice, _listed(advice, Weight.WARNING))
        say(self.notes, _listed(advice, Weight.NOTE))
        self.starts_from.setText(setup.starts_from)
        wrong = "" if self.advanced is None else self.advanced.problem
        why_not = setup.why_not or wrong or setup.busy
        self.start.setEnabled(found is not None and not why_not and not setup.measuring)
        self.start.setToolTip(
            why_not or ("A measurement is running." if setup.measuring else START_TIP)
        )
        self.measure.setEnabled(found is not None and not why_not and not setup.measuring)
        self.measure.setToolTip(why_not or MEASURE_TIP)
        if setup.measuring:
            say(self.promise, "Measuring: a few real steps …")
        else:
            promised = self.plan.promise(setup.probe)
            say(self.promise, promised or "Not measured on this machine yet.")
        looking = "Looking at what was accepted …" if setup.looking else ""
        say(self.hint, setup.busy or looking or setup.why_not or wrong)

    def _arrange(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Starts from", self.starts_from)
        form.addRow("Method", self.strategy)
        form.addRow("What learns", self.mode)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(5)
        for widget in (_heading("What it learns from"), self.facts, self.classes, self.advice):
            self._layout.addWidget(widget)
        self._layout.addWidget(self.notes)
        self._layout.addWidget(_heading("How long may it take?"))
        self._layout.addWidget(self.budget)
        self._layout.addWidget(row(self.promise, self.measure))
        self._layout.addLayout(form)
        self._layout.addWidget(self.start)
        self._layout.addWidget(self.hint)
        self._layout.addWidget(self.unfold)
        self._layout.addStretch(1)

    def _connect(self) -> None:
        self.unfold.toggled.connect(self._unfold)
        self.budget.changed.connect(lambda: self.plan_changed.emit())
        for box in (self.strategy, self.mode):
            box.on_chosen(lambda _: self.plan_changed.emit())

    def _unfold(self, shown: bool) -> None:
        """Show or hide the form, which is made when it is asked for first."""
        if self.advanced is None:
            self.advanced = AdvancedForm(SHOWN_ELSEWHERE, BY_TIME)
            self.advanced.changed.connect(lambda: self.plan_changed.emit())
            self._layout.insertWidget(self._layout.count() - 1, self.advanced)
        self.advanced.setVisible(shown)
        self.unfold.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)


class BudgetRow(QWidget):
    """The first question: how long it may take."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        self.buttons = QButtonGroup(self)
        for number, (title, minutes) in enumerate(BUDGETS):
            button = QPushButton(title)
            button.setCheckable(True)
            button.setToolTip(f"Train for {minutes:g} minutes, then compare.")
            self.buttons.addButton(button, number)
            layout.addWidget(button)
        self.own = QDoubleSpinBox()
        self.own.setRange(0.1, 10_000)
        self.own.setDecimals(1)
        self.own.setSuffix(" min")
        self.own.setValue(BUDGETS[0][1])
        self.own.setToolTip("A time of your own, in minutes.")
        self.own.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout.addWidget(self.own)
        first = self.buttons.button(0)
        assert first is not None
        first.setChecked(True)
        self.buttons.idClicked.connect(lambda number: self.own.setValue(BUDGETS[number][1]))
        self.own.valueChanged.connect(self._on_value)

    @property
    def minutes(self) -> float:
        """Minutes that were chosen."""
        return self.own.value()

    def _on_value(self, minutes: float) -> None:
        self.buttons.setExclusive(False)
        for number, (_, budget) in enumerate(BUDGETS):
            button = self.buttons.button(number)
            assert button is not None
            button.setChecked(budget == minutes)
        self.buttons.setExclusive(True)
        self.changed.emit()


class _ClassTable(QTableWidget):
    """Cases, slices and objects that teach each class."""

    def __init__(self) -> None:
        super().__init__(0, 4)
        self.setHorizontalHeaderLabels(["Class", "Cases", "Slices", "Objects"])
        header, side = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert side is not None
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        side.hide()
        side.setDefaultSectionSize(20)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setToolTip("What teaches each class; cases that judge or choose are not in it.")

    def show_overview(self, found: Overview | None) -> None:
        """Fill the table; it is as high as its lines, up to six."""
        facts = () if found is None else found.classes(Side.TRAIN)
        self.setRowCount(len(facts))
        for line, fact in enumerate(facts):
            for column, text in enumerate((fact.name, fact.cases, fact.slices, fact.objects)):
                item = QTableWidgetItem(str(text))
                if column:
                    item.setTextAlignment(
                        int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                    )
                self.setItem(line, column, item)
        self.setVisible(bool(facts))
        header = self.horizontalHeader()
        assert header is not None
        self.setFixedHeight(header.sizeHint().height() + 20 * min(6, len(facts)) + 4)


def facts_text(found: Overview | None) -> str:
    """What a run would learn from, in a sentence or two."""
    if found is None:
        return ""
    if not found.cases:
        return f"{_count(found.pool_cases, 'scan')}, nothing accepted yet."
    taught = found.on(Side.TRAIN)
    slices = sum(case.slices for case in taught)
    text = f"{_count(len(taught), 'accepted case')}, {_count(slices, 'slice')}; "
    text += f"{_count(found.pool_cases, 'unlabelled scan')} ({found.pool_slices} slices)."
    held, choose = len(found.on(Side.HELD_OUT)), len(found.on(Side.CHOOSE))
    if held:
        text += f" {_count(held, 'case')} held out to judge"
        text += f", {choose} to choose the best moment." if choose else "."
    return text


def _listed(advice: tuple[Advice, ...], weight: Weight) -> str:
    """Advice of one weight (and above a warning also what blocks), a line each."""
    wanted = [a.text for a in advice if a.weight is weight or (weight and a.weight > weight)]
    more = len(wanted) - MOST_ADVICE
    lines = wanted[:MOST_ADVICE] + ([f"And {more} more of this kind."] if more > 0 else [])
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setStyleSheet("QLabel { font-weight: 600; }")
    return label
