"""The dock widget "SSS": it puts the parts together and passes on what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QCoreApplication, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.prompt_layers import SIGN_KEY
from napari_sss._layers.window_link import WindowLink
from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.canvas_annotations import CanvasAnnotations, canvas_of
from napari_sss._widgets.choices import (
    AUTO_KEY,
    PLANE_KEYS,
    Choice,
    default_source,
    model_choices,
    preset_class,
    preset_window,
    source_choices,
    source_of,
)
from napari_sss._widgets.controller import SegmentationController
from napari_sss._widgets.engine_access import AutoRequest, Engine, TorchEngine
from napari_sss._widgets.objects_table import ObjectsTable
from napari_sss._widgets.parts import ChoiceBox, row
from napari_sss._widgets.pump import MailPump
from napari_sss._widgets.run_section import RunSection
from napari_sss._widgets.scan_section import ScanSection
from napari_sss._widgets.status import (
    ModelPhase,
    Notice,
    ObjectRow,
    PanelStatus,
    Severity,
)
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.prompts.types import ObjectPrompts
from napari_sss.engine.volumes.intensity import PERCENTILES, PRESETS, IntensityWindow
from napari_sss.engine.volumes.volume import Modality

WIDTH = 340

EDIT_PAUSE_MS = 300
"""Milliseconds without another edit before an object is made anew."""

READOUT_MS = 40
"""Milliseconds between two readings of the value under the cursor."""

EXPORT_FILTER = "NIfTI (*.nii.gz *.nii);;NRRD (*.nrrd);;MetaImage (*.mha)"
EXPORT_TOOLTIP = (
    "Write the masks as class numbers on the scan's own grid: same size, spacing, origin and "
    "direction. The list of classes is written beside it."
)


ADD_BOX = (
    "Draw a box on the image: a new object, segmented through the stack. It is made on the "
    "layer 'prompts: boxes', where boxes can be moved and resized, too."
)
ADD_POINT = (
    "Click points on the image: they belong to the object selected in the table, or begin a "
    f"new one. {SIGN_KEY.upper()} turns the next point, or the selected ones, from positive "
    "(disc) to negative (cross) and back."
)


class SSSPanel(QWidget):
    """Auto-prompt and segment a CT or MR volume.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer that the panel belongs to.
    engine : Engine, optional
        Who computes; by default the engine of this package.
    """

    def __init__(self, napari_viewer: Any, engine: Engine | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        mailbox = Mailbox()
        self._worker = Worker(mailbox)
        self.workspace = Workspace(napari_viewer)
        self.controller = SegmentationController(
            self.workspace, engine or TorchEngine(), self._worker
        )
        self._pump = MailPump(mailbox, self._worker, self.workspace.flush, self)
        self._window = WindowLink()
        self._edited: dict[int, Any] = {}
        self._annotations: CanvasAnnotations | None = None
        self._closed = False
        self._shortcuts: list[QShortcut] = []
        self._build()
        self._connect()
        self._show_scan()
        self.controller.model.choose(self.models.key)

    # -- building -----------------------------------------------------------------------

    def _build(self) -> None:
        self.setMinimumWidth(WIDTH - 40)
        self.models = ChoiceBox("The SAM-2 model. The embedded one needs no download.")
        self.models.set_choices(model_choices())
        self.device = QLabel()
        self.device.setTextFormat(Qt.TextFormat.PlainText)
        self.scan = ScanSection()
        self.run = RunSection()
        self.run.sources.set_choices(source_choices("CT"), default_source("CT"))
        self.table = ObjectsTable()
        self.add_box = QPushButton("+ Box")
        self.add_box.setToolTip(ADD_BOX)
        self.add_point = QPushButton("+ Point")
        self.add_point.setToolTip(ADD_POINT)
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Remove the selected objects (Delete).")
        self.export = QPushButton("Export mask …")
        head = QFormLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(4)
        head.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        head.addRow("Model", self.models)
        head.addRow("", self.device)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addWidget(self.scan)
        layout.addWidget(self.run)
        layout.addWidget(row(self.add_box, self.add_point, self.remove, stretch=None))
        layout.addWidget(self.table, 1)
        layout.addWidget(self.export)

    def sizeHint(self) -> Any:  # noqa: N802
        """Return the width that the panel is made for."""
        hint = super().sizeHint()
        hint.setWidth(WIDTH)
        return hint

    def _connect(self) -> None:
        controller, workspace = self.controller, self.workspace
        workspace.locked = lambda: controller.status.busy
        workspace.changed.connect(self._show_scan)
        workspace.images_changed.connect(self._list_scans)
        workspace.edited.connect(self._on_edited)
        workspace.removed.connect(controller.remove)
        workspace.refused.connect(lambda e: self._show_notice(Notice(Severity.WARNING, str(e))))
        controller.status_changed.connect(self._show_status)
        controller.objects.changed.connect(self._show_objects)
        controller.noticed.connect(self._show_notice)
        controller.submitted.connect(self._pump.wake)
        self._window.changed.connect(self._on_window)
        self.models.on_chosen(controller.model.choose)
        self.scan.scan_chosen.connect(self._on_scan_chosen)
        self.scan.spacing_given.connect(workspace.give_spacing)
        self.scan.plane_chosen.connect(workspace.view.show)
        self.scan.window_chosen.connect(self._choose_window)
        self.scan.link_toggled.connect(lambda on: setattr(self._window, "linked", on))
        self.run.auto_asked.connect(self.auto_prompt)
        self.run.cancel_asked.connect(controller.cancel)
        self.run.source_chosen.connect(self._on_source)
        self.run.class_named.connect(workspace.name_new_objects)
        self.table.chosen.connect(self._on_object)
        self.table.remove_asked.connect(controller.remove)
        self.table.objects.renamed.connect(controller.rename)
        self.add_box.clicked.connect(lambda: workspace.draw_boxes())
        self.add_point.clicked.connect(lambda: workspace.draw_points())
        self.remove.clicked.connect(lambda: self.table.ask_to_remove())
        self.export.clicked.connect(lambda: self._ask_where_to_export())
        self._connect_viewer()
        self._edit_timer = QTimer(self)
        self._edit_timer.setSingleShot(True)
        self._edit_timer.setInterval(EDIT_PAUSE_MS)
        self._edit_timer.timeout.connect(self._decode_edited)
        self._readout_timer = QTimer(self)
        self._readout_timer.setSingleShot(True)
        self._readout_timer.setInterval(READOUT_MS)
        self._readout_timer.timeout.connect(self._show_readout)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)
        # A docked widget is often destroyed without being closed; by then only what is not
        # Qt can still be reached.
        worker = self._worker
        self.destroyed.connect(lambda: worker.close())

    def _connect_viewer(self) -> None:
        for event, callback in self._viewer_events():
            event.connect(callback)

    def _disconnect_viewer(self) -> None:
        for event, callback in self._viewer_events():
            event.disconnect(callback)

    def _viewer_events(self) -> tuple[tuple[Any, Any], ...]:
        viewer = self._viewer
        return (
            (viewer.dims.events.order, self._show_plane),
            (viewer.dims.events.ndisplay, self._show_plane),
            (viewer.dims.events.point, self._on_cursor),
            (camera_of(viewer).events.orientation, self._show_plane),
            (viewer.cursor.events.position, self._on_cursor),
        )

    def _bind_keys(self) -> None:
        """Bind keys of the window, so that they work whichever layer is selected."""
        for plane, key in PLANE_KEYS.items():
            self._shortcut(key, lambda plane=plane: self.workspace.view.show(plane))
        self._shortcut(AUTO_KEY, self.auto_prompt)

    def _shortcut(self, key: str, callback: Any) -> None:
        shortcut = QShortcut(QKeySequence(key), self.window())
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(callback)
        self._shortcuts.append(shortcut)

    # -- Qt's events --------------------------------------------------------------------

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Reach for the window that the panel was docked in."""
        super().showEvent(event)
        if self._annotations is None and (canvas := canvas_of(self.window())) is not None:
            self._annotations = CanvasAnnotations(canvas)
            self._bind_keys()
            self._show_plane()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop working when the panel is closed for good."""
        self.shut_down()
        super().closeEvent(event)

    def shut_down(self) -> None:
        """Cancel what runs, wait for the worker to end, and listen to nothing any more."""
        if self._closed:
            return
        self._closed = True
        self._pump.stop()
        self._worker.close()
        self._disconnect_viewer()
        self.workspace.disconnect()
        self._window.attach(None)
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
        if self._annotations is not None:
            self._annotations.deleteLater()

    # -- what the user asks -------------------------------------------------------------

    def auto_prompt(self) -> None:
        """Start Auto-prompt with what the panel says."""
        source, preset = source_of(self.run.sources.key)
        name = self.run.class_name.text().strip() or None
        self.controller.auto_prompt(AutoRequest(source, preset, class_name=name))

    def export_to(self, path: Path) -> None:
        """Write the masks as a label map on the scan's own grid."""
        self.controller.export(path, self.run.class_given)

    def _ask_where_to_export(self) -> None:
        source, _ = self.workspace.for_export()
        folder = source.source.path.parent if source.source.path else Path.home()
        suggestion = folder / f"{source.source.name}_mask.nii.gz"
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Export mask", str(suggestion), EXPORT_FILTER
        )
        if chosen:
            self.export_to(Path(chosen))

    def _on_scan_chosen(self, key: Any) -> None:
        self.workspace.choose(next((i for i in self.workspace.images() if id(i) == key), None))

    def _on_source(self, key: str) -> None:
        preset = source_of(key)[1]
        self.run.suggest_class(preset_class(preset))
        window = preset_window(preset)
        if window is not None:
            self._choose_window(window)

    def _choose_window(self, name: str) -> None:
        if name in PRESETS:
            self._window.choose(PRESETS[name].window)
        elif name == PERCENTILES:
            self.controller.percentile_window(self._window.choose)

    def _on_window(self, window: IntensityWindow) -> None:
        self.controller.window = window
        self.scan.set_window(window)

    def _on_object(self, object_id: int) -> None:
        self.controller.show_object(object_id)
        self.workspace.select(object_id)

    def _on_edited(self, objects: tuple[ObjectPrompts, ...]) -> None:
        self._edited.update({o.id: o for o in objects})
        self._edit_timer.start()

    def _decode_edited(self) -> None:
        edited, self._edited = self._edited, {}
        for prompts in edited.values():
            self.controller.edit(prompts)

    # -- what is shown ------------------------------------------------------------------

    def _list_scans(self) -> None:
        choices = [Choice(id(image), image.name) for image in self.workspace.images()]
        self.scan.set_scans(choices, id(self.workspace.image))

    def _show_scan(self) -> None:
        current = self.workspace.current
        self._list_scans()
        self.scan.set_scan(None if current is None else current.scan)
        if current is not None:
            self._list_sources(current.scan.source.modality)
        self._window.attach(self.workspace.image)
        if self._window.window is not None:
            self._on_window(self._window.window)
        self.controller.scan_changed()
        self._show_plane()

    def _list_sources(self, modality: Modality) -> None:
        choices = source_choices(modality)
        keep = self.run.sources.key
        known = any(choice.key == keep for choice in choices)
        self.run.sources.set_choices(choices, keep if known else default_source(modality))
        preset = source_of(self.run.sources.key)[1]
        self.run.suggest_class(preset_class(preset))

    def _show_status(self, status: PanelStatus) -> None:
        model = status.model
        self.device.setText(
            {
                ModelPhase.NOT_LOADED: "",
                ModelPhase.LOADING: "loading …",
                ModelPhase.LOADED: model.note,
                ModelPhase.FAILED: "not loaded: see the message, or choose another",
            }[model.phase]
        )
        self.run.show_status(status)
        self.models.setEnabled(not status.busy)
        self.scan.set_busy(status.busy)
        for button in (self.add_box, self.add_point):
            button.setEnabled(self.workspace.current is not None)
        self.remove.setEnabled(not status.why_no_export)
        self.export.setEnabled(not status.why_no_export)
        self.export.setToolTip(status.why_no_export or EXPORT_TOOLTIP)

    def _show_objects(self, rows: tuple[ObjectRow, ...]) -> None:
        self.table.objects.set_rows(rows)

    def _show_notice(self, notice: Notice) -> None:
        from napari.utils.notifications import show_error, show_info, show_warning

        show = {
            Severity.INFO: show_info,
            Severity.WARNING: show_warning,
            Severity.ERROR: show_error,
        }[notice.severity]
        show(notice.text)

    def _show_plane(self) -> None:
        self.scan.set_plane(self.workspace.view.plane if self.workspace.current else None)
        if self._annotations is not None:
            current = self.workspace.current
            scan = None if current is None else current.scan
            self._annotations.set_letters(self.workspace.view.letters(scan))

    def _on_cursor(self) -> None:
        if not self._readout_timer.isActive():
            self._readout_timer.start()

    def _show_readout(self) -> None:
        current = self.workspace.current
        if self._annotations is None or current is None:
            return
        readout = self.workspace.view.readout(current.layer, current.scan)
        self._annotations.set_line("" if readout is None else str(readout))
