"""A question within the tab: it waits, while everything else can go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget


@dataclass(frozen=True)
class Answer:
    """One of the buttons.

    Parameters
    ----------
    text : str
        What stands on it.
    do : callable
        What it does.
    tooltip : str
        What it does, in a sentence.
    """

    text: str
    do: Callable[[], None]
    tooltip: str = ""


class QuestionBar(QWidget):
    """A sentence and the answers to it; hidden while there is nothing to ask."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text)
        layout.addLayout(self._row)
        self.buttons: list[QPushButton] = []
        self.setVisible(False)

    @property
    def asking(self) -> bool:
        """Whether a question is shown."""
        return bool(self.buttons)

    def ask(self, text: str, *answers: Answer) -> None:
        """Show a question in place of the one before; an answer takes it away."""
        self._empty()
        self.text.setText(text)
        for answer in answers:
            button = QPushButton(answer.text)
            button.setToolTip(answer.tooltip)
            button.clicked.connect(lambda _=False, chosen=answer: self._answered(chosen))
            self._row.addWidget(button)
            self.buttons.append(button)
        self.setVisible(True)

    def withdraw(self) -> None:
        """Ask nothing any more."""
        self._empty()
        self.setVisible(False)

    def _answered(self, answer: Answer) -> None:
        self.withdraw()
        answer.do()

    def _empty(self) -> None:
        for button in self.buttons:
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = []
