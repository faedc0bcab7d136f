"""What stands in the place of the case list while there is nothing to list."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

NO_PROJECT = (
    "No project is open.\n\nA project is a folder that keeps your cases, their masks and "
    "every step of your work. Make one, or open one that is there."
)
NO_CASES = "This project has no cases yet.\n\nAdd scans, or drop files and folders here."
NO_CASES_READ_ONLY = "This project has no cases yet."
NO_MATCH = "No case matches."
READING = "Reading the cases …"

ADD_FILES_TIP = "Add scans: NIfTI, NRRD, MetaImage or DICOM files."
ADD_FOLDER_TIP = "Add every scan in a folder and below it, DICOM series too."


class EmptyPage(QWidget):
    """Says what to do first, with the buttons for it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.new_project = QPushButton("New project …")
        self.open_project = QPushButton("Open project …")
        self.add_files = QPushButton("Add files …")
        self.add_files.setToolTip(ADD_FILES_TIP)
        self.add_folder = QPushButton("Add folder …")
        self.add_folder.setToolTip(ADD_FOLDER_TIP)
        self.show_all = QPushButton("Show all cases")
        layout = QVBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(self.hint)
        for button in (
            self.new_project,
            self.open_project,
            self.add_files,
            self.add_folder,
            self.show_all,
        ):
            layout.addWidget(button)
        layout.addStretch(2)

    def show_state(self, *, project: bool, reading: bool, cases: bool, can_add: bool) -> None:
        """Say what is missing.

        Parameters
        ----------
        project : bool
            Whether one is open.
        reading : bool
            Whether its cases are being read.
        cases : bool
            Whether it has any, which a filter hides then.
        can_add : bool
            Whether some can be added.
        """
        empty = project and not cases
        hint = NO_MATCH
        if not project:
            hint = NO_PROJECT
        elif empty:
            hint = READING if reading else NO_CASES if can_add else NO_CASES_READ_ONLY
        self.hint.setText(hint)
        for button in (self.new_project, self.open_project):
            button.setVisible(not project)
        for button in (self.add_files, self.add_folder):
            button.setVisible(empty and can_add and not reading)
        self.show_all.setVisible(cases)
