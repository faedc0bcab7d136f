"""Which project is open, and the menu to make and open others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton, QSizePolicy, QWidget

NEW = "New project …"
OPEN = "Open project …"
DEFAULT = "Default project"
DEFAULT_TIP = (
    "You have opened no project: what you do is kept in a project of its own in your user "
    "data folder. Make a project to keep cases that belong together."
)


class ProjectBar(QPushButton):
    """A button with the project's name; its menu makes, opens and closes projects.

    Parameters
    ----------
    recent : callable
        Gives the folders that were open lately.
    """

    create_asked = Signal(object)
    open_asked = Signal(object)
    close_asked = Signal()
    forget_asked = Signal()

    def __init__(
        self, recent: Callable[[], Sequence[Path]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._recent = recent
        self._name = ""
        self._closable = False
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choices = QMenu(self)
        self.choices.setToolTipsVisible(True)
        self.choices.aboutToShow.connect(self.fill)
        self.setMenu(self.choices)
        self.show_project(None, is_default=False, read_only=False)

    def show_project(self, folder: Path | None, *, is_default: bool, read_only: bool) -> None:
        """Show the project's name."""
        self._closable = folder is not None and not is_default
        if folder is None:
            self._name, tip = "No project", "Make a project, or open one."
        elif is_default:
            self._name, tip = DEFAULT, f"{DEFAULT_TIP}\n{folder}"
        else:
            self._name, tip = folder.name, str(folder)
        if read_only:
            self._name += " (read-only)"
        self.setToolTip(tip)
        self._elide()

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        """Show as much of the name as there is room for."""
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._elide()

    def ask_for_new(self) -> None:
        """Ask where to make a project."""
        chosen, _ = QFileDialog.getSaveFileName(
            self,
            "New project: name its folder",
            str(Path.home() / "napari-sss project"),
            "Project folder (*)",
        )
        if chosen:
            self.create_asked.emit(Path(chosen))

    def ask_which(self) -> None:
        """Ask which project to open."""
        chosen = QFileDialog.getExistingDirectory(self, "Open project: choose its folder")
        if chosen:
            self.open_asked.emit(Path(chosen))

    def fill(self) -> None:
        """Make the menu anew, with the projects of late."""
        menu = self.choices
        menu.clear()
        new, open_ = menu.addAction(NEW), menu.addAction(OPEN)
        assert new is not None
        assert open_ is not None
        new.triggered.connect(lambda _=False: self.ask_for_new())
        open_.triggered.connect(lambda _=False: self.ask_which())
        folders = self._recent()
        if folders:
            menu.addSection("Recent")
        for folder in folders:
            entry = menu.addAction(folder.name or str(folder))
            assert entry is not None
            entry.setToolTip(str(folder))
            entry.triggered.connect(lambda _=False, path=folder: self.open_asked.emit(path))
        menu.addSeparator()
        if folders:
            forget = menu.addAction("Forget recent projects")
            assert forget is not None
            forget.triggered.connect(lambda _=False: self.forget_asked.emit())
        close = menu.addAction("Close project")
        assert close is not None
        close.setEnabled(self._closable)
        close.setToolTip("Save everything and close it.")
        close.triggered.connect(lambda _=False: self.close_asked.emit())

    def _elide(self) -> None:
        room = max(40, self.width() - 40)
        metrics = QFontMetrics(self.font())
        self.setText(metrics.elidedText(self._name, Qt.TextElideMode.ElideMiddle, room))
