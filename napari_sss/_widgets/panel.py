"""The dock widget "SSS": it puts the parts together and passes on what they say."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QFileDialog, QTabWidget, QVBoxLayout, QWidget

from napari_sss._layers.conversion import layer_data_for
from napari_sss._layers.window_link import WindowLink
from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.annotate.tab import AnnotateTab
from napari_sss._widgets.answering import Answering
from napari_sss._widgets.canvas_tools import CanvasTools
from napari_sss._widgets.cases.drops import ScanDrops
from napari_sss._widgets.choices import (
    OPEN_MODEL,
    Choice,
    default_source,
    preset_class,
    preset_window,
    source_choices,
    source_of,
)
from napari_sss._widgets.controller import SegmentationController
from napari_sss._widgets.crew import Crew
from napari_sss._widgets.engine_access import AutoRequest, Engine, TorchEngine
from napari_sss._widgets.header import Header
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.pump import MailPump
from napari_sss._widgets.status import ModelPhase, Notice, PanelStatus, Severity
from napari_sss._widgets.tools.keys import Action
from napari_sss._widgets.tools.tools import Tools
from napari_sss._widgets.worker import Mailbox
from napari_sss.engine.models.registry import EMBEDDED
from napari_sss.engine.volumes.intensity import PERCENTILES, PRESETS, IntensityWindow
from napari_sss.engine.volumes.volume import Modality, Volume

WIDTH = 340

MODEL_FILTER = "Checkpoints (*.safetensors *.pt *.pth)"
EXPORT_FILTER = "NIfTI (*.nii.gz *.nii);;NRRD (*.nrrd);;MetaImage (*.mha)"


class SSSPanel(QWidget):
    """Auto-prompt and segment a CT or MR volume.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer that the panel belongs to.
    engine : Engine, optional
        Who computes; by default the engine of this package.
    model : str
        The model to begin with: a name of the registry, or a path.
    home : Path, optional
        Where work is kept for which no project was opened; by default in the folder for
        user data.
    """

    def __init__(
        self,
        napari_viewer: Any,
        engine: Engine | None = None,
        model: str = EMBEDDED,
        home: Path | None = None,
    ) -> None:
        super().__init__()
        mailbox = Mailbox()
        self.crew = Crew(mailbox, lambda: self._pump.wake())
        self.workspace = Workspace(napari_viewer)
        self._pump = MailPump(mailbox, self.crew, self.workspace.flush, self)
        self.room = ProjectRoom(self.crew.case, self._pump.post, home)
        engine = engine or TorchEngine()
        self.controller = SegmentationController(self.workspace, engine, self.crew.model)
        self._window = WindowLink()
        self._canvas = CanvasTools(napari_viewer, self.workspace, self)
        self._drops = ScanDrops(napari_viewer, self)
        self._docked = False
        self._closed = False
        self._build()
        self.tools = Tools(
            napari_viewer,
            self.workspace,
            self.controller,
            Answering(engine, self.crew.model, self.controller.model),
            self.annotate.tools,
            self._canvas,
            self.crew.disk,
        )
        self._connect()
        self._show_scan()
        self.choose_model(model)

    # -- building -----------------------------------------------------------------------

    def _build(self) -> None:
        self.setMinimumWidth(WIDTH - 40)
        self.header = Header()
        self.models, self.device = self.header.models, self.header.device
        self.annotate = AnnotateTab()
        self.scan, self.run = self.annotate.scan, self.annotate.run
        self.objects = self.annotate.objects
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.annotate, "Annotate")
        self._add_tabs()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self.header)
        layout.addWidget(self.tabs, 1)

    def _add_tabs(self) -> None:
        """Add the tabs of cases, fine-tuning and models, as far as this build has them."""
        if find_spec("napari_sss._widgets.cases") is not None:
            from napari_sss._widgets.cases import CasesTab

            self.tabs.addTab(CasesTab(self.room, self.crew.disk), "Cases")
        if find_spec("napari_sss._widgets.finetune") is not None:
            from napari_sss._widgets.finetune import FinetuneTab

            finetune = FinetuneTab(self.room, self.crew.disk, self.workspace.viewer)
            self.tabs.addTab(finetune, "Fine-tune")
        if find_spec("napari_sss._widgets.models") is not None:
            from napari_sss._widgets.models import ModelsTab
            from napari_sss._widgets.models.joining import join_panel

            tab = ModelsTab(self.room, self.crew.disk, self.controller.model)
            join_panel(
                tab, self.tabs, self.controller, self.workspace, self.header.models.show_key
            )
            self.tabs.addTab(tab, "Models")

    def sizeHint(self) -> Any:  # noqa: N802
        """Return the width that the panel is made for."""
        hint = super().sizeHint()
        hint.setWidth(WIDTH)
        return hint

    def _connect(self) -> None:
        self._connect_logic()
        self._connect_views()
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)
        # With its window a docked widget is destroyed without being closed; what is not Qt
        # must then be let go by itself.
        crew, room, workspace, canvas = self.crew, self.room, self.workspace, self._canvas
        self.destroyed.connect(lambda: _let_go(crew, room, workspace, canvas))
        unlisten = self.tools.unlisten
        self.destroyed.connect(lambda: unlisten())

    def _connect_logic(self) -> None:
        controller, workspace = self.controller, self.workspace
        workspace.locked = lambda: controller.status.busy
        workspace.changed.connect(self._show_scan)
        workspace.images_changed.connect(self._list_scans)
        workspace.removed.connect(controller.remove)
        workspace.painted.connect(controller.objects.paint)
        workspace.refused.connect(lambda e: show_notice(Notice(Severity.WARNING, str(e))))
        controller.status_changed.connect(self._show_status)
        controller.objects.changed.connect(self.objects.show_rows)
        controller.noticed.connect(show_notice)
        self._connect_tools()
        self._connect_room()
        self._window.changed.connect(self._on_window)
        self._canvas.plane_changed.connect(self._show_plane)

    def _connect_tools(self) -> None:
        tools, room = self.tools, self.room
        for noticing in (tools.controller, tools.masks):
            noticing.noticed.connect(show_notice)
        tools.masks.failed.connect(self.controller.tell_failure)
        tools.answering.failed.connect(self.controller.tell_failure)
        tools.answering.told.connect(lambda t: show_notice(Notice(Severity.WARNING, t)))
        room.project_changed.connect(lambda: tools.controller.set_read_only(room.why_read_only))
        tools.commands |= {
            Action.AUTO_PROMPT: self.auto_prompt,
            Action.UNDO: room.undo,
            Action.REDO: room.redo,
            Action.NEXT_CASE: room.next_case,
            Action.PREVIOUS_CASE: room.previous_case,
        }

    def _connect_room(self) -> None:
        room, header = self.room, self.header
        room.noticed.connect(show_notice)
        for signal in (room.project_changed, room.case_changed):
            signal.connect(lambda: header.show_room(room))
        room.saved_changed.connect(lambda _: header.show_room(room))
        room.project_changed.connect(self._enter_scan)
        room.scan_read.connect(self._show_case)
        header.previous.clicked.connect(lambda: room.previous_case())
        header.next.clicked.connect(lambda: room.next_case())
        header.park.clicked.connect(lambda: room.park())
        header.retry_asked.connect(room.retry_saving)
        header.show_room(room)

    def _connect_views(self) -> None:
        controller, workspace = self.controller, self.workspace
        self.models.on_chosen(self._on_model)
        self.scan.scan_chosen.connect(self._on_scan_chosen)
        self.scan.frame_asked.connect(controller.open_frame)
        self.scan.spacing_given.connect(workspace.give_spacing)
        self.scan.plane_chosen.connect(workspace.view.show)
        self.scan.window_chosen.connect(self._choose_window)
        self.scan.link_toggled.connect(lambda on: setattr(self._window, "linked", on))
        self.run.auto_asked.connect(self.auto_prompt)
        self.run.cancel_asked.connect(controller.cancel)
        self.run.source_chosen.connect(self._on_source)
        self.run.class_named.connect(workspace.name_new_objects)
        self.objects.table.chosen.connect(self._on_object)
        self.objects.table.remove_asked.connect(controller.remove)
        self.objects.table.objects.renamed.connect(controller.rename)
        self.objects.export_asked.connect(self._ask_where_to_export)

    # -- Qt's events --------------------------------------------------------------------

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Reach for the window that the panel was docked in."""
        super().showEvent(event)
        self.tools.reach(self.window())
        self._drops.reach(self.window())

    def event(self, event: Any) -> bool:
        """Stop working when napari takes the panel out of its window: it does not come back."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.shut_down()
            self._docked = self.parent() is not None
        return super().event(event)

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop working when the panel is closed as a window of its own."""
        self.shut_down()
        super().closeEvent(event)

    def shut_down(self) -> None:
        """Cancel what runs, wait for the worker to end, and listen to nothing any more."""
        if self._closed:
            return
        self._closed = True
        self._pump.stop()
        self.tools.release()
        self._canvas.release()
        self._drops.release()
        for number in range(self.tabs.count()):
            shut_down = getattr(self.tabs.widget(number), "shut_down", None)
            if shut_down is not None:
                shut_down()
        self._window.attach(None)
        _let_go(self.crew, self.room, self.workspace, self._canvas)

    # -- what the user asks -------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether a job runs or waits, or an edit waits to become one."""
        return self.crew.busy or self.tools.pending or self._pump.active

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

    def _on_model(self, key: str) -> None:
        if key == OPEN_MODEL:
            key, _ = QFileDialog.getOpenFileName(self, "Open a checkpoint", "", MODEL_FILTER)
        self.choose_model(key or self.controller.model.status.name)

    def choose_model(self, name: str) -> None:
        """Use a model of the registry, or the checkpoint of that path."""
        self.models.show_key(name, Path(name).name)
        self.controller.model.choose(name)

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
        self.tools.scan_changed(window)

    def _on_object(self, object_id: int) -> None:
        self.controller.show_object(object_id)
        self.workspace.select(object_id)
        self.tools.controller.tell()

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
        self.tools.scan_changed(self.controller.window)
        self._enter_scan()
        self._canvas.refresh()
        self._show_plane()

    def _enter_scan(self) -> None:
        """Open the case of the scan in view."""
        current, key = self.workspace.current, self.workspace.key
        if current is None:
            self.room.choose(None, None)
        else:
            self.room.choose(key, current.scan.source, current.layer.name)

    def _show_case(self, volume: Volume) -> None:
        """Show the scan of a case that was asked for."""
        self.workspace.add_scan(layer_data_for(volume))

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
        self.tools.show_status(status)
        self.models.setEnabled(not status.busy)
        self.scan.set_busy(status.busy)
        self.objects.show_status(status)

    def _show_plane(self) -> None:
        self.scan.set_plane(self.workspace.view.plane if self.workspace.current else None)


def show_notice(notice: Notice) -> None:
    """Show a notice as napari's notification."""
    from napari.utils.notifications import show_error, show_info, show_warning

    show = {
        Severity.INFO: show_info,
        Severity.WARNING: show_warning,
        Severity.ERROR: show_error,
    }[notice.severity]
    show(notice.text)


def _let_go(crew: Crew, room: ProjectRoom, workspace: Workspace, canvas: CanvasTools) -> None:
    """Save, end the threads, stop listening to the viewer; harmless when done twice."""
    crew.close()
    room.shut_down()
    workspace.disconnect()
    canvas.unlisten()
