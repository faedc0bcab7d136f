"""The page of a run: how far it is, its curves and pictures, and what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.finetune.chart_view import ChartView
from napari_sss._widgets.finetune.pictures_view import PicturesView
from napari_sss._widgets.finetune.plan import duration
from napari_sss._widgets.finetune.shown import PHASES, RunShown
from napari_sss._widgets.parts import WARNING_STYLE, note, row, say
from napari_sss.engine.runs.state import RunPhase, RunState
from napari_sss.engine.training.events import TENSORBOARD_NAME

PAUSE_TIP = (
    "Save everything and let go of memory and GPU. Resume goes on with the same numbers."
)
FINISH_TIP = "End the training now, keep the model, and compare it with the one in use."
DISCARD_TIP = "End the training and remove everything of it. The project stays as it is."
RESUME_TIP = "Go on from the last checkpoint."
JUDGE_TIP = "Train no further: compare the best model so far with the one in use."
CHARTS = 4
AGAIN = "Press again"
PATIENCE_MS = 4000
"""How long a first press waits for the second."""


class RunView(QWidget):
    """Shows a :class:`RunShown`."""

    pause_asked = Signal()
    resume_asked = Signal()
    finish_asked = Signal()
    judge_asked = Signal()
    discard_asked = Signal()
    end_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel()
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setStyleSheet("QLabel { font-weight: 600; }")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(10)
        self.line = note()
        self.load = note()
        self.problem = note(WARNING_STYLE)
        self.pause = _button("Pause", PAUSE_TIP, self.pause_asked)
        self.resume = _button("Resume", RESUME_TIP, self.resume_asked)
        self.finish = _button("Stop and keep", FINISH_TIP, self.finish_asked)
        self.judge = _button("Keep what it has", JUDGE_TIP, self.judge_asked)
        self.discard = TwiceButton("Discard", DISCARD_TIP)
        self.discard.confirmed.connect(lambda: self.discard_asked.emit())
        self.end = _button(
            "End its process",
            "It does not answer. Its last checkpoint stays, and it can be resumed.",
            self.end_asked,
        )
        self.charts = tuple(ChartView() for _ in range(CHARTS))
        self._grid = QGridLayout()
        self._enlarged: int | None = None
        self.pictures = PicturesView()
        self._folder = Path()
        self.board = QPushButton("Open its folder")
        self.board.clicked.connect(self._open_folder)
        self._arrange()

    def show_run(self, run: RunShown) -> None:
        """Show a run."""
        state = run.state
        self.title.setText(f"{PHASES[state.phase]}: {run.title}" if run.title else "…")
        self._show_bar(run)
        say(self.line, line_text(run))
        say(self.load, load_text(state) if run.is_active else "")
        problem = f"{state.problem} {state.remedy}".strip()
        if run.stuck:
            problem = "The fine-tuning has not answered for two minutes."
        elif not problem and run.warnings and run.is_active:
            problem = run.warnings[-1]
        say(self.problem, problem)
        self._show_buttons(run)
        for view, chart in zip(self.charts, run.charts, strict=False):
            view.show_chart(chart)
        self.pictures.show_times(run.folder, run.pictures)
        self._show_board(run.folder)

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        for widget in (self.title, self.bar, self.line, self.problem):
            layout.addWidget(widget)
        buttons = (self.pause, self.resume, self.finish, self.judge, self.discard)
        layout.addWidget(row(*buttons, stretch=None))
        layout.addWidget(self.end)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        for number, view in enumerate(self.charts):
            self._grid.addWidget(view, number // 2, number % 2)
            view.clicked.connect(lambda number=number: self._enlarge(number))
        layout.addLayout(self._grid)
        layout.addWidget(self.pictures)
        layout.addWidget(row(self.load, self.board))
        layout.addStretch(1)

    def _enlarge(self, number: int) -> None:
        """Give one chart the room of all, or every chart its own again."""
        self._enlarged = None if self._enlarged == number else number
        for place, view in enumerate(self.charts):
            alone = place == self._enlarged
            self._grid.removeWidget(view)
            view.setVisible(self._enlarged is None or alone)
            view.setFixedHeight(
                2 * view.sizeHint().height() if alone else view.sizeHint().height()
            )
            if alone:
                self._grid.addWidget(view, 0, 0, 2, 2)
            elif self._enlarged is None:
                self._grid.addWidget(view, place // 2, place % 2)

    def _show_bar(self, run: RunShown) -> None:
        state = run.state
        endless = run.is_active and not state.total
        self.bar.setVisible(run.is_active)
        self.bar.setRange(0, 0 if endless else 1000)
        if not endless:
            self.bar.setValue(round(1000 * state.fraction))

    def _show_buttons(self, run: RunShown) -> None:
        free = not run.asked
        active, phase = run.is_active, run.state.phase
        self.pause.setVisible(active)
        self.pause.setEnabled(free)
        self.finish.setVisible(active and phase is not RunPhase.JUDGING)
        self.finish.setEnabled(free and phase is RunPhase.TRAINING)
        self.finish.setToolTip(
            FINISH_TIP if phase is RunPhase.TRAINING else "The training has not begun yet."
        )
        self.resume.setVisible(phase.can_resume)
        self.judge.setVisible(phase.can_resume and run.has_model and not run.state.trained)
        self.discard.setEnabled(free or run.asked.startswith("finish"))
        self.discard.set_title("Stop and discard" if active else "Discard")
        self.end.setVisible(run.stuck)

    def _show_board(self, folder: Path) -> None:
        self._folder = folder
        board = folder / TENSORBOARD_NAME
        self.board.setToolTip(
            f'{folder}\nFor every curve in the browser: tensorboard --logdir "{board}"'
        )

    def _open_folder(self) -> None:
        """Show the run's folder, or that of its TensorBoard, in the system's file manager."""
        board = self._folder / TENSORBOARD_NAME
        shown = board if board.is_dir() else self._folder
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(shown)))


class TwiceButton(QPushButton):
    """A button that must be pressed twice, for what cannot be undone; no dialog is needed."""

    confirmed = Signal()

    def __init__(self, title: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self._title = title
        self.setToolTip(tip)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._forget)
        self.clicked.connect(lambda: self._on_click())

    def set_title(self, title: str) -> None:
        """Call it otherwise."""
        self._title = title
        if not self._patience.isActive():
            self.setText(title)

    def _on_click(self) -> None:
        if self._patience.isActive():
            self._patience.stop()
            self._forget()
            self.confirmed.emit()
        else:
            self._patience.start()
            self.setText(AGAIN)

    def _forget(self) -> None:
        self.setText(self._title)


def line_text(run: RunShown) -> str:
    """What is going on, in a line: stage, step, time left."""
    state = run.state
    if run.asked:
        return run.asked.capitalize()
    if state.gives_way:
        return "Waiting: the viewer needs the GPU."
    parts = []
    if state.phase is RunPhase.TRAINING:
        parts.append(f"Step {run.step}" if run.step else "First steps …")
        if state.seconds_left is not None:
            parts.append(f"{duration(state.seconds_left)} left")
    elif run.is_active and state.stage:
        stage = state.stage[:1].upper() + state.stage[1:]
        parts.append(f"{stage} {state.done}/{state.total}" if state.total else f"{stage} …")
    elif state.phase is RunPhase.QUEUED:
        parts.append("Starting its process, some seconds …")
    elif state.phase is RunPhase.PAUSED:
        parts.append(f"Step {run.step}. Its work is saved.")
    elif state.phase.can_resume and run.step:
        parts.append(f"It came to step {run.step}.")
    return ", ".join(parts)


def load_text(state: RunState) -> str:
    """What the run costs the machine."""
    load = state.load
    if not load.memory_mb:
        return ""
    text = f"{load.cores:.1f} cores, {load.memory_mb / 1024:.1f} GB memory"
    if load.gpu_mb:
        text += f", {load.gpu_mb / 1024:.1f} GB of the GPU"
    if load.system is not None:
        text += f"; the machine is at {100 * load.system:.0f} %"
    return text + "."


def _button(text: str, tip: str, asked: Any) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(lambda: asked.emit())
    return button
