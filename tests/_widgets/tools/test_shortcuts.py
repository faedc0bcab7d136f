"""Where the keys work, in a plain window: quick."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QLabel, QLineEdit, QMainWindow, QSpinBox, QTextEdit

from napari_sss._widgets.tools.help_overlay import HelpOverlay
from napari_sss._widgets.tools.keys import Action
from napari_sss._widgets.tools.shortcuts import Shortcuts, is_typing

pytestmark = pytest.mark.gui


class Bench:
    def __init__(self, qtbot):
        self.window = QMainWindow()
        qtbot.addWidget(self.window)
        self.canvas = QLabel("canvas")
        self.canvas.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.field = QLineEdit(self.window)
        self.window.setCentralWidget(self.canvas)
        self.ours = True
        self.done: list[Action] = []
        commands = {
            action: lambda a=action: self.done.append(a)
            for action in (Action.POINT, Action.STOP, Action.AUTO_PROMPT, Action.UNDO)
        }
        self.help = HelpOverlay(self.canvas, commands)
        self.shortcuts = Shortcuts(
            self.window, commands, lambda: self.ours, self.help.isVisible
        )
        self.help.toggled.connect(self.shortcuts.refresh)
        self.window.show()
        qtbot.waitExposed(self.window)
        self.window.activateWindow()
        qtbot.waitUntil(self.window.isActiveWindow)
        self.focus(self.canvas)

    def focus(self, widget):
        widget.setFocus()
        QTest.qWait(10)

    def press(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.window, key, modifier)
        done, self.done[:] = list(self.done), []
        return done


@pytest.fixture
def bench(qtbot):
    bench = Bench(qtbot)
    yield bench
    bench.shortcuts.release()


def test_keys_of_our_layers_rest_while_another_is_selected(bench):
    assert bench.press(Qt.Key.Key_P) == [Action.POINT]
    bench.ours = False
    bench.shortcuts.refresh()
    assert bench.press(Qt.Key.Key_P) == []
    assert bench.press(Qt.Key.Key_F5) == [Action.AUTO_PROMPT]


def test_no_key_is_taken_from_whoever_types(bench):
    bench.focus(bench.field)
    QTest.keyClicks(bench.field, "pP?")
    QTest.keyClick(bench.field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert bench.done == []
    bench.focus(bench.canvas)
    assert bench.press(Qt.Key.Key_P) == [Action.POINT]


def test_escape_closes_the_list_on_any_layer(bench):
    bench.ours = False
    bench.shortcuts.refresh()
    assert bench.press(Qt.Key.Key_Escape) == []
    bench.help.toggle()
    assert bench.press(Qt.Key.Key_Escape) == [Action.STOP]
    QTest.mouseClick(bench.help, Qt.MouseButton.LeftButton)
    assert not bench.help.isVisible()
    assert bench.press(Qt.Key.Key_Escape) == []


def test_undo_repeats_while_it_is_held_and_tools_do_not(bench):
    repeats = {key.action: s.autoRepeat() for key, s in bench.shortcuts._bound}
    assert repeats[Action.UNDO]
    assert not repeats[Action.POINT]


def test_what_counts_as_typing(qtbot):
    read_only = QTextEdit()
    read_only.setReadOnly(True)
    editable = QComboBox()
    editable.setEditable(True)
    widgets = [QLineEdit(), QSpinBox(), QTextEdit(), editable, read_only, QComboBox(), None]
    assert [is_typing(w) for w in widgets] == [True, True, True, True, False, False, False]
