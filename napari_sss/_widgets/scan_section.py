"""The upper part of the panel: which scan, its spacing, its plane and its window."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_sss._layers.scan import Scan
from napari_sss._widgets.choices import PLANE_KEYS, Choice, window_choices
from napari_sss._widgets.parts import WARNING_STYLE, ChoiceBox, OneLine, row, say
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.intensity import IntensityWindow

UNKNOWN_SPACING = (
    "This image does not say how large its voxels are; 1 mm is assumed. Volumes and the "
    "search for objects depend on it: give the spacing, Z Y X in mm."
)


class ScanSection(QWidget):
    """Chooses and describes the scan; knows nothing of layers."""

    scan_chosen = Signal(object)
    """The key of the image that the user chose."""
    spacing_given = Signal(tuple)
    """Millimetres along Z, Y, X."""
    plane_chosen = Signal(object)
    """The :class:`Plane` to look at."""
    window_chosen = Signal(str)
    """The window's name."""
    frame_asked = Signal(int)
    """The number of the frame to open."""
    link_toggled = Signal(bool)
    """Whether window and contrast limits follow each other."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scans = ChoiceBox("The image to segment.")
        self.scans.activated.connect(lambda _: self.scan_chosen.emit(self.scans.currentData()))
        self.notes = OneLine()
        self.notes.setVisible(False)
        self._build_planes()
        self._build_window()
        self._build_spacing()
        self._build_frame()
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Scan", self.scans)
        form.addRow("Plane", row(*self.plane_buttons.values(), stretch=None))
        form.addRow("Window", row(self.windows, self.link))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addWidget(self.notes)
        layout.addWidget(self.frames)
        layout.addWidget(self.spacing)

    # -- what is shown ------------------------------------------------------------------

    def set_scans(self, choices: list[Choice], current: int) -> None:
        """List the images that are open."""
        self.scans.set_choices(choices, current)
        self.scans.setPlaceholderText("no image open")

    def set_scan(self, scan: Scan | None) -> None:
        """Describe the scan that is in view."""
        for widget in (*self.plane_buttons.values(), self.windows, self.link):
            widget.setEnabled(scan is not None)
        say(self.notes, "" if scan is None else "\n".join(scan.notes))
        unknown = scan is not None and not scan.source.spacing_known
        self.spacing.setVisible(unknown)
        frame = None if scan is None else scan.source.source.frame
        self.frames.setVisible(frame is not None)
        self.frame.setValue(frame or 0)
        if scan is not None:
            self.windows.set_choices(window_choices(scan.volume.modality))
            if unknown:
                for box, value in zip(self._mm, scan.volume.grid.spacing, strict=True):
                    box.setValue(value)

    def set_busy(self, busy: bool) -> None:
        """Keep the scan and its spacing while a job works on them."""
        self.scans.setEnabled(not busy and self.scans.currentData() is not None)
        self.spacing.setEnabled(not busy)
        self.frames.setEnabled(not busy)

    def set_window(self, window: IntensityWindow) -> None:
        """Show the window in use, by its preset's name or by its numbers."""
        if self.windows.findData(window.name) >= 0:
            self.windows.show_key(window.name)
            return
        while self.windows.findText("Custom", Qt.MatchFlag.MatchStartsWith) >= 0:
            self.windows.removeItem(
                self.windows.findText("Custom", Qt.MatchFlag.MatchStartsWith)
            )
        self.windows.show_key(f"Custom {window.centre:.4g} / {window.width:.4g}")

    def set_plane(self, plane: Plane | None) -> None:
        """Press the button of the plane in view; none in 3-D."""
        for button_plane, button in self.plane_buttons.items():
            button.setChecked(button_plane is plane)

    # -- parts --------------------------------------------------------------------------

    def _build_planes(self) -> None:
        self.plane_buttons = {}
        for plane, key in PLANE_KEYS.items():
            button = QPushButton(plane.name.capitalize())
            button.setCheckable(True)
            button.setToolTip(f"Look at the {plane.name.lower()} plane ({key}).")
            button.clicked.connect(partial(self._on_plane, plane))
            self.plane_buttons[plane] = button

    def _on_plane(self, plane: Plane, _: bool = False) -> None:
        self.set_plane(plane)  # a press on the button that is down must not lift it
        self.plane_chosen.emit(plane)

    def _build_window(self) -> None:
        self.windows = ChoiceBox(
            "Which intensities the model tells apart: centre and width. What lies beyond is "
            "black or white to it."
        )
        self.windows.on_chosen(self.window_chosen.emit)
        self.link = QPushButton("linked")
        self.link.setCheckable(True)
        self.link.setChecked(True)
        self.link.setToolTip(
            "Linked: the model sees the contrast you see, and changing one changes the other. "
            "Unlink to change the contrast on screen only."
        )
        self.link.toggled.connect(self._on_link)

    def _on_link(self, linked: bool) -> None:
        self.link.setText("linked" if linked else "unlinked")
        self.link_toggled.emit(linked)

    def _build_spacing(self) -> None:
        self.spacing = QWidget()
        warning = QLabel(UNKNOWN_SPACING)
        warning.setWordWrap(True)
        warning.setStyleSheet(WARNING_STYLE)
        self._mm = []
        for axis in "ZYX":
            box = QDoubleSpinBox()
            box.setRange(0.001, 1000.0)
            box.setDecimals(3)
            box.setValue(1.0)
            box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
            box.setToolTip(f"Millimetres between voxels along {axis}.")
            self._mm.append(box)
        self.use_spacing = QPushButton("Use")
        self.use_spacing.setToolTip("Take this spacing for the scan and its masks.")
        self.use_spacing.clicked.connect(self._on_spacing)
        layout = QVBoxLayout(self.spacing)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(warning)
        layout.addWidget(row(*self._mm, self.use_spacing, stretch=None))
        self.spacing.setVisible(False)

    def _build_frame(self) -> None:
        self.frame = QSpinBox()
        self.frame.setRange(0, 9999)
        self.frame.setPrefix("frame ")
        self.frame.setToolTip("Which frame of the 4-D file, counted from 0.")
        self.open_frame = QPushButton("Open frame")
        self.open_frame.setToolTip("Open that frame of the same file as another scan.")
        self.open_frame.clicked.connect(lambda: self.frame_asked.emit(self.frame.value()))
        self.frames = row(self.frame, self.open_frame)
        self.frames.setVisible(False)

    def _on_spacing(self, _: Any = None) -> None:
        self.spacing_given.emit(tuple(box.value() for box in self._mm))
