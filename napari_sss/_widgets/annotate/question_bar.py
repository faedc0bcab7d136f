"""A question that nobody has to answer: what was done, and the other way."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_sss._widgets.parts import WARNING_STYLE
from napari_sss._widgets.status import Question


class QuestionBar(QWidget):
    """Shows the last :class:`Question` until it is answered."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._question: Question | None = None
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setStyleSheet(WARNING_STYLE)
        self.take = QPushButton()
        self.leave = QPushButton("Leave")
        self.leave.setToolTip("Leave it as it is.")
        self.take.clicked.connect(self._on_take)
        self.leave.clicked.connect(self.drop)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.take)
        layout.addWidget(self.leave)
        self.setVisible(False)

    def ask(self, question: Question) -> None:
        """Show a question in place of the last one."""
        self._question = question
        self.text.setText(question.text)
        self.take.setText(question.offer)
        self.setVisible(True)

    def drop(self) -> None:
        """Ask nothing any more."""
        self._question = None
        self.setVisible(False)

    def _on_take(self) -> None:
        question = self._question
        self.drop()
        if question is not None:
            question.take()
