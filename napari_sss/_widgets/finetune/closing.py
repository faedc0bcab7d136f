"""Closing napari while a run goes on: the person is asked, or has said what is to happen."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from enum import StrEnum

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QCheckBox, QMessageBox, QWidget


class OnClose(StrEnum):
    """What becomes of a run when napari closes."""

    ASK = "ask"
    GO_ON = "go on"
    PAUSE = "pause"
    STAY = "stay"
    """Only an answer: napari is not closed after all."""


Ask = Callable[[QWidget], tuple[OnClose, bool]]


class ClosingGuard(QObject):
    """Stands between a window and its closing.

    Parameters
    ----------
    is_running : callable
        Whether a run is at work.
    setting : callable
        What the person has said is to happen.
    remember : callable
        Keeps what the person says from now on.
    pause : callable
        Has the run save its work and end.
    ask : callable, optional
        Asks the person; by default with a dialog.
    """

    def __init__(
        self,
        is_running: Callable[[], bool],
        setting: Callable[[], OnClose],
        remember: Callable[[OnClose], None],
        pause: Callable[[], None],
        ask: Ask | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._is_running, self._setting = is_running, setting
        self._remember, self._pause = remember, pause
        self._ask = ask or ask_by_dialog
        # Weakly: napari's window must be free to go, whoever still holds the panel.
        self._window: Callable[[], QWidget | None] = lambda: None

    def guard(self, window: QWidget | None) -> None:
        """Watch a window, and no other any more."""
        watched = self._window()
        if window is watched:
            return
        if watched is not None:
            watched.removeEventFilter(self)
        if window is None:
            self._window = lambda: None
            return
        self._window = weakref.ref(window)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Hold a closing until it is clear what becomes of the run."""
        window = self._window()
        if event is None or event.type() != QEvent.Type.Close or watched is not window:
            return False
        if not self._is_running() or window is None:
            return False
        answer, always = self._setting(), False
        if answer is OnClose.ASK:
            answer, always = self._ask(window)
        if answer is OnClose.STAY:
            event.ignore()
            return True
        if always:
            self._remember(answer)
        if answer is OnClose.PAUSE:
            self._pause()
        return False


def ask_by_dialog(window: QWidget) -> tuple[OnClose, bool]:
    """Ask what becomes of the run; also whether that holds from now on."""
    box = QMessageBox(window)
    box.setWindowTitle("Fine-tuning is running")
    box.setText("Fine-tuning is running. Let it go on without napari?")
    box.setInformativeText(
        "Opened again, the project shows how far it is. Paused, it saves its work and goes on "
        "when you resume it."
    )
    go_on = box.addButton("Let it go on", QMessageBox.ButtonRole.AcceptRole)
    pause = box.addButton("Pause it", QMessageBox.ButtonRole.DestructiveRole)
    box.addButton("Do not close", QMessageBox.ButtonRole.RejectRole)
    always = QCheckBox("Always do this")
    box.setCheckBox(always)
    box.exec()
    clicked = box.clickedButton()
    if clicked is go_on:
        return OnClose.GO_ON, always.isChecked()
    if clicked is pause:
        return OnClose.PAUSE, always.isChecked()
    return OnClose.STAY, False
