"""Which class each value of a mask is that is to be imported."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.cases.transfer import ImportQuestion
from napari_sss._widgets.choices import Choice
from napari_sss._widgets.parts import ChoiceBox, row
from napari_sss.engine.project.importing import Each, LabelValue

LEAVE_OUT = "leave out"
_NEW = "new:"
_MOST_VISIBLE = 6
_LINE_HEIGHT = 30


class ImportForm(QWidget):
    """Asks for the class of each value; hidden while there is nothing to import."""

    answered = Signal(object, object, str)
    """The question, class id or new name by value, ``"value"`` or ``"part"``."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._question: ImportQuestion | None = None
        self.boxes: dict[int, ChoiceBox] = {}
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self.parts = QCheckBox("each connected part is an object")
        self.parts.setToolTip("Otherwise each value becomes one object.")
        self.accept = QPushButton("Import")
        self.accept.setToolTip("Make the objects. One step, which can be undone.")
        self.accept.clicked.connect(lambda: self._answer())
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(lambda: self.withdraw())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.title, self._scroll, self.parts):
            layout.addWidget(widget)
        layout.addWidget(row(self.accept, self.cancel, stretch=None))
        self.setVisible(False)

    def ask(self, question: ImportQuestion) -> None:
        """Show the values of a file."""
        self._question = question
        self.title.setText(
            f"{question.path.name} lies on {question.case_name}. Which class is each value?"
        )
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 0, 4, 0)
        grid.setSpacing(2)
        grid.setColumnStretch(1, 1)
        self.boxes = {}
        for line, value in enumerate(question.values):
            box = ChoiceBox(f"Value {value.value}: {value.voxels} voxels.")
            box.set_choices(_choices(question, value), _proposed(question, value))
            box.on_chosen(lambda _: self._show_whether_enough())
            grid.addWidget(QLabel(_told(value)), line, 0)
            grid.addWidget(box, line, 1)
            self.boxes[value.value] = box
        self._scroll.setWidget(holder)
        self._scroll.setFixedHeight(_LINE_HEIGHT * min(len(self.boxes), _MOST_VISIBLE) + 6)
        self._show_whether_enough()
        self.setVisible(True)

    def withdraw(self) -> None:
        """Ask nothing any more."""
        self._question, self.boxes = None, {}
        self.setVisible(False)

    @property
    def classes(self) -> dict[int, int | str]:
        """Class id, or the name of a new class, by value; without what is left out."""
        chosen: dict[int, int | str] = {}
        for value, box in self.boxes.items():
            key = box.key
            if key.startswith(_NEW):
                chosen[value] = key.removeprefix(_NEW)
            elif key != LEAVE_OUT:
                chosen[value] = int(key)
        return chosen

    def _show_whether_enough(self) -> None:
        self.accept.setEnabled(bool(self.classes))
        tip = "Make the objects. One step, which can be undone."
        self.accept.setToolTip(
            tip if self.classes else "Choose a class for at least one value."
        )

    def _answer(self) -> None:
        question, classes = self._question, self.classes
        each: Each = "part" if self.parts.isChecked() else "value"
        self.withdraw()
        if question is not None:
            self.answered.emit(question, classes, each)


def _told(value: LabelValue) -> str:
    return f"{value.value}  {value.name}".rstrip()


def _new_name(value: LabelValue) -> str:
    return value.name or f"label {value.value}"


def _choices(question: ImportQuestion, value: LabelValue) -> list[Choice]:
    known = [Choice(str(i), name) for i, name in question.classes.items()]
    name, choices = _new_name(value), [*known]
    if name.lower() not in {other.lower() for other in question.classes.values()}:
        choices.append(Choice(_NEW + name, f"new class: {name}"))
    return [*choices, Choice(LEAVE_OUT, LEAVE_OUT)]


def _proposed(question: ImportQuestion, value: LabelValue) -> str:
    known = question.suggested(value)
    return _NEW + _new_name(value) if known is None else str(known)
