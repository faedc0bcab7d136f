"""The lower part of the Annotate tab: the table of objects, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMenu, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sss._widgets.objects_table import ObjectsTable
from napari_sss._widgets.parts import row
from napari_sss._widgets.status import ObjectRow, PanelStatus
from napari_sss.engine.project.guard import Overwrite
from napari_sss.engine.project.records import ClassRecord, Flag

REMOVE = "Remove the objects selected in the table, with their prompts and masks (Delete)."
EXPORT = (
    "Write the masks as class numbers on the scan's own grid: same size, spacing, origin and "
    "direction. How they were made is written beside it."
)
ACCEPT_SLICE = (
    "Everything on this slice is right, the background too: it is locked, and fine-tuning "
    "learns from it. Press again to reopen it."
)
ACCEPT_OBJECT = "The selected objects are right: they are locked, and fine-tuning learns."
ACCEPT_CASE = "Every voxel of this case is right. Press again to reopen it."
OVERWRITE = {
    Overwrite.KEEP: "Accepted voxels: keep",
    Overwrite.OVERWRITE: "Accepted voxels: overwrite",
    Overwrite.ASK: "Accepted voxels: ask",
}


@dataclass(frozen=True)
class Operation:
    """A line of the menu of what can be done with the selected objects."""

    key: str
    title: str
    tooltip: str


OPERATIONS = (
    Operation("merge", "Merge", "Make the selected objects one."),
    Operation("split", "Split", "Make each connected part an object of its own."),
    Operation("fill_holes", "Fill holes", "Fill what an object encloses on its slices."),
    Operation("smooth", "Smooth", "Smooth the surface: details under 1.5 mm go."),
    Operation("keep_largest", "Keep largest part", "Take away all smaller parts."),
    Operation("toggle_lock", "Lock / unlock", "Accept the objects, or reopen them."),
    Operation("delete", "Delete", REMOVE),
)


class ObjectsSection(QWidget):
    """The table with its buttons."""

    accept_slice_asked = Signal()
    accept_asked = Signal(tuple)
    accept_case_asked = Signal()
    undo_asked = Signal()
    redo_asked = Signal()
    doubt_asked = Signal()
    operation_asked = Signal(str, tuple)
    """Emitted with the key of an :class:`Operation` and the selected objects."""
    flag_asked = Signal(object, tuple)
    """Emitted with a :class:`Flag` and the selected objects."""
    class_asked = Signal(str, tuple)
    """Emitted with a class's name and the selected objects."""
    overwrite_chosen = Signal(object)
    """Emitted with the :class:`Overwrite` for accepted voxels."""
    export_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes: Callable[[], Sequence[ClassRecord]] = tuple
        self._why = ""
        self.table = ObjectsTable()
        self.table.setMinimumHeight(96)
        self._build_buttons()
        self._build_menu()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.table, 1)
        layout.addWidget(
            row(self.accept_slice, self.accept_object, self.accept_case, stretch=None)
        )
        layout.addWidget(
            row(self.undo, self.redo, self.doubt, self.more, self.export, stretch=None)
        )

    def _build_buttons(self) -> None:
        self.accept_slice = _button("Accept slice", self.accept_slice_asked.emit)
        self.accept_object = _button(
            "Accept object", lambda: self.accept_asked.emit(self.table.selected_ids())
        )
        self.accept_case = _button("Accept case", self.accept_case_asked.emit)
        self.undo = _button("Undo", self.undo_asked.emit)
        self.redo = _button("Redo", self.redo_asked.emit)
        self.doubt = _button("Doubt", self.doubt_asked.emit)
        self.more = QPushButton("More")
        self.export = _button("Export", self.export_asked.emit)
        narrow = (self.undo, self.redo, self.doubt, self.more, self.export)
        for button in (*narrow, self.accept_slice, self.accept_object, self.accept_case):
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            button.setStyleSheet("QPushButton { padding: 4px 2px; }")
        self.remove = QPushButton("Remove", self)
        self.remove.setVisible(False)
        self.remove.clicked.connect(self.table.ask_to_remove)

    def _build_menu(self) -> None:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.operations = {}
        for operation in OPERATIONS:
            action = menu.addAction(operation.title)
            assert action is not None
            action.setToolTip(operation.tooltip)
            action.triggered.connect(partial(self._on_operation, operation.key))
            self.operations[operation.key] = action
        menu.addSeparator()
        self.flags = {}
        for flag in Flag:
            action = menu.addAction(f"Flag: {flag.value}")
            assert action is not None
            action.setToolTip("Remember a doubt; flagged objects are looked at first.")
            action.triggered.connect(partial(self._on_flag, flag))
            self.flags[flag] = action
        self.class_menu = QMenu("Change class", self)
        menu.addMenu(self.class_menu)
        menu.addSeparator()
        self.overwrite = {}
        for choice, title in OVERWRITE.items():
            action = menu.addAction(title)
            assert action is not None
            action.setCheckable(True)
            action.triggered.connect(partial(self._on_overwrite, choice))
            self.overwrite[choice] = action
        menu.aboutToShow.connect(self._list_classes)
        self.more.setMenu(menu)

    def offer_classes(self, classes: Callable[[], Sequence[ClassRecord]]) -> None:
        """Say which classes objects can be given."""
        self._classes = classes

    def show_overwrite(self, choice: Overwrite) -> None:
        """Check what happens to accepted voxels."""
        for known, action in self.overwrite.items():
            action.setChecked(known is choice)

    def show_rows(self, rows: Sequence[ObjectRow]) -> None:
        """Show the objects."""
        self.table.set_rows(rows)

    def show_status(self, status: PanelStatus) -> None:
        """Grey out what cannot be done now, with the reason in the tooltip."""
        for button, tooltip in (
            (self.accept_slice, ACCEPT_SLICE),
            (self.accept_object, ACCEPT_OBJECT),
            (self.accept_case, ACCEPT_CASE),
            (self.doubt, "Go to the object that should be looked at next (sorted by doubt)."),
            (self.more, "Merge, split, fill, smooth, flags, class, locks."),
            (self.remove, REMOVE),
        ):
            _allow(button, tooltip, status.why_no_act)
        _allow(self.export, EXPORT, status.why_no_export)
        self._show_history(status)

    def _show_history(self, status: PanelStatus) -> None:
        for button, title, key in (
            (self.undo, status.undo, "Ctrl+Z"),
            (self.redo, status.redo, "Ctrl+Shift+Z"),
        ):
            button.setEnabled(title is not None)
            nothing = f"There is nothing to {button.text().lower()}."
            button.setToolTip(nothing if title is None else f"{title} ({key})")

    def _on_operation(self, key: str, _: bool = False) -> None:
        self.operation_asked.emit(key, self.table.selected_ids())

    def _on_flag(self, flag: Flag, _: bool = False) -> None:
        self.flag_asked.emit(flag, self.table.selected_ids())

    def _on_overwrite(self, choice: Overwrite, _: bool = False) -> None:
        self.show_overwrite(choice)
        self.overwrite_chosen.emit(choice)

    def _list_classes(self) -> None:
        self.class_menu.clear()
        for record in self._classes():
            action = self.class_menu.addAction(record.name)
            assert action is not None
            action.triggered.connect(partial(self._on_class, record.name))

    def _on_class(self, name: str, _: bool = False) -> None:
        self.class_asked.emit(name, self.table.selected_ids())


def _button(text: str, clicked: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda: clicked())
    return button


def _allow(button: QPushButton, tooltip: str, why_not: str) -> None:
    button.setEnabled(not why_not)
    button.setToolTip(why_not or tooltip)
