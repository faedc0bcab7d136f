"""The tools bar: tools with their keys, the sign, running and propagating."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sss._layers.tool_use import Tool
from napari_sss._widgets.tools.buttons import SignButton, ToolButton
from napari_sss._widgets.tools.controller import ToolsStatus
from napari_sss._widgets.tools.keys import Action, key_of, with_key

TOOLTIPS = {
    Tool.LOOK: "Move the view: drag to shift it, turn the wheel to zoom.",
    Tool.EDIT: "Select prompts to move them, resize a box by its handles, or press Delete.",
    Tool.POINT: "Click points on the object, or beside it with the sign −.",
    Tool.BOX: "Drag a box around an object: it begins a new one. With Ctrl held the box is one "
    "more of the object at work, for instance on another slice.",
    Tool.SCRIBBLE: "Draw a line along the object, or along what is not part of it.",
    Tool.LASSO: "Draw around the object, or around what is not part of it.",
    Tool.BRUSH: "Paint on the mask itself; with the sign − it erases.",
}
ACTIONS = {
    Tool.LOOK: Action.LOOK,
    Tool.EDIT: Action.EDIT,
    Tool.POINT: Action.POINT,
    Tool.BOX: Action.BOX,
    Tool.SCRIBBLE: Action.SCRIBBLE,
    Tool.LASSO: Action.LASSO,
    Tool.BRUSH: Action.BRUSH,
}
SIGN_TOOLTIPS = {
    True: "What you draw belongs to the object. The right mouse button draws the other sign",
    False: "What you draw does not belong to the object. The right mouse button draws the "
    "other sign",
}
EACH = "Each prompt is answered at once, on its slice. Off: draw several, then press Run."
RUN = "Make the mask anew on the slices that were prompted since the last run"
PROPAGATE = (
    "Carry the object at work from its prompted slices through the stack, both ways, until it "
    "ends"
)
NEW = "The next prompt begins a new object, instead of correcting this one"
MASK = (
    "Use a mask that is there already as the prompt on this slice: of another Labels layer, or "
    "of a file."
)
HELP = "All keys"


class ToolsBar(QWidget):
    """Shows :class:`ToolsStatus`; says what is asked."""

    tool_asked = Signal(object)
    sign_asked = Signal(bool)
    each_toggled = Signal(bool)
    run_asked = Signal()
    propagation_asked = Signal()
    new_object_asked = Signal()
    help_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tools = {tool: ToolButton(tool, key_of(ACTIONS[tool])) for tool in ACTIONS}
        self.signs = {sign: SignButton(sign, key_of(Action.SIGN)) for sign in (True, False)}
        self.each = QCheckBox("Run each")
        self.run = _slim("Run")
        self.propagate = _slim("Propagate")
        self.masks = QMenu(self)
        self.masks.setToolTipsVisible(True)
        self.use_mask = _slim("Mask")
        self.use_mask.setMenu(self.masks)
        self.target = QLabel()
        self.target.setTextFormat(Qt.TextFormat.PlainText)
        self.target.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.new_object = _slim("New")
        self.help = QToolButton()
        self.help.setText("?")
        self._set_tooltips()
        self._connect()
        self._arrange()
        self.show_status(ToolsStatus())

    def show_status(self, status: ToolsStatus) -> None:
        """Show which tool is in use and what can be done; what cannot says why."""
        for tool, button in self.tools.items():
            why_not = status.why_not.get(tool, "")
            button.setEnabled(not why_not)
            button.setChecked(tool is status.tool)
            how = status.how.get(tool, "")
            text = f"{TOOLTIPS[tool]} {how}".strip()
            button.setToolTip(why_not or with_key(text, ACTIONS[tool]))
        for sign, chooser in self.signs.items():
            chooser.setEnabled(not status.why_no_sign)
            chooser.setChecked(sign is status.positive)
            tip = with_key(SIGN_TOOLTIPS[sign], Action.SIGN)
            chooser.setToolTip(status.why_no_sign or tip)
        self.each.blockSignals(True)
        self.each.setChecked(status.run_after_each)
        self.each.blockSignals(False)
        self._enable(self.run, status.why_no_run, RUN, Action.RUN)
        self.run.setText(f"Run ({status.waiting})" if status.waiting else "Run")
        self._enable(self.propagate, status.why_no_propagation, PROPAGATE, Action.PROPAGATE)
        self.use_mask.setEnabled(not status.why_no_mask)
        self.use_mask.setToolTip(status.why_no_mask or MASK)
        self._show_target(status.target)

    def _show_target(self, target: str) -> None:
        if target:
            self.target.setText(f"Next prompt: {target}")
        else:
            self.target.setText("Next prompt: new object")
        self.new_object.setEnabled(bool(target))

    @staticmethod
    def _enable(button: QPushButton, why_not: str, tooltip: str, action: Action) -> None:
        button.setEnabled(not why_not)
        button.setToolTip(why_not or with_key(tooltip, action))

    def _set_tooltips(self) -> None:
        self.each.setToolTip(EACH)
        self.new_object.setToolTip(with_key(NEW, Action.NEW_OBJECT))
        self.help.setToolTip(with_key(HELP, Action.HELP))

    def _connect(self) -> None:
        for tool, button in self.tools.items():
            button.clicked.connect(lambda _=False, chosen=tool: self.tool_asked.emit(chosen))
        for sign, chooser in self.signs.items():
            chooser.clicked.connect(lambda _=False, chosen=sign: self.sign_asked.emit(chosen))
        self.each.toggled.connect(self.each_toggled.emit)
        self.run.clicked.connect(lambda: self.run_asked.emit())
        self.propagate.clicked.connect(lambda: self.propagation_asked.emit())
        self.new_object.clicked.connect(lambda: self.new_object_asked.emit())
        self.help.clicked.connect(lambda: self.help_asked.emit())

    def _arrange(self) -> None:
        tools = _line(*self.tools.values())
        tools.addSpacing(6)
        for chooser in self.signs.values():
            tools.addWidget(chooser)
        runs = _line(self.each, self.run, self.propagate)
        runs.setStretch(2, 1)
        target = _line(self.target, self.new_object, self.use_mask, self.help)
        target.setStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for line in (tools, runs, target):
            layout.addLayout(line)


def _slim(text: str) -> QPushButton:
    """A button no wider than its text needs."""
    button = QPushButton(text)
    button.setMinimumWidth(button.fontMetrics().horizontalAdvance(text) + 24)
    return button


def _line(*widgets: QWidget) -> QHBoxLayout:
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(3)
    for widget in widgets:
        layout.addWidget(widget)
    return layout
