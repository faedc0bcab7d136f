"""The keys of the table, bound in napari's window.

They are the window's shortcuts, which Qt asks before napari's layers get the key. Those that
are for our layers alone are switched off while another layer is selected, so that napari's
own work there; all of them are while text is being typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from napari_sss._widgets.tools.keys import KEYS, Action, Key

Commands = Mapping[Action, Callable[[], object]]

ONCE = frozenset(Action) - {Action.UNDO, Action.REDO}
"""The actions that a key held down does not repeat."""


class Shortcuts(QObject):
    """Keeps the keys bound where they should work.

    Parameters
    ----------
    window : QWidget
        napari's main window.
    commands : mapping
        What to call; an action without a command is not bound.
    on_ours : callable
        Whether a layer of ours is selected.
    listed : callable
        Whether the list of keys is shown, which Esc closes whatever layer is selected.
    """

    def __init__(
        self,
        window: QWidget,
        commands: Commands,
        on_ours: Callable[[], bool],
        listed: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(window)
        self._on_ours = on_ours
        self._listed = listed
        self._bound: list[tuple[Key, QShortcut]] = []
        for key in KEYS:
            if key.action in commands:
                for text in key.keys:
                    self._bind(window, key, text, commands[key.action])
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        self._application = application
        application.focusChanged.connect(self._on_focus)
        self.refresh()

    def refresh(self) -> None:
        """Switch the keys on or off, as the selected layer and the focus ask."""
        typing = is_typing(self._application.focusWidget())
        ours, listed = self._on_ours(), self._listed()
        for key, shortcut in self._bound:
            closes = listed and key.action is Action.STOP
            on = not typing and (key.always or ours or closes)
            if shortcut.isEnabled() != on:
                shortcut.setEnabled(on)

    def release(self) -> None:
        """Give the keys back."""
        self._application.focusChanged.disconnect(self._on_focus)
        for _, shortcut in self._bound:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._bound.clear()
        self.deleteLater()

    def _bind(
        self, window: QWidget, key: Key, text: str, command: Callable[[], object]
    ) -> None:
        shortcut = QShortcut(QKeySequence(text), window)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.setAutoRepeat(key.action not in ONCE)
        shortcut.activated.connect(lambda: command())
        self._bound.append((key, shortcut))

    def _on_focus(self, *_: object) -> None:
        self.refresh()


def is_typing(widget: QWidget | None) -> bool:
    """Whether keys are text to a widget."""
    if isinstance(widget, QComboBox):
        return widget.isEditable()
    if isinstance(widget, QLineEdit | QPlainTextEdit | QTextEdit):
        return not widget.isReadOnly()
    return isinstance(widget, QAbstractSpinBox)
