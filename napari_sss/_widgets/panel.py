"""The dock widget "SSS": it puts the parts together and passes on what they say."""

from __future__ import annotations

import gc
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qtpy.QtCore import QCoreApplication, QEvent, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QFileDialog, QTabWidget, QVBoxLayout, QWidget

from napari_sss._layers.conversion import layer_data_for
from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.window_link import WindowLink
from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.acts import Acts
from napari_sss._widgets.annotate.class_editor import ClassEditor
from napari_sss._widgets.annotate.tab import AnnotateTab
from napari_sss._widgets.answering import Answering
from napari_sss._widgets.canvas_tools import CanvasTools
from napari_sss._widgets.cases.drops import ScanDrops
from napari_sss._widgets.choices import (
    OPEN_MODEL,
    TRAINED,
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
from napari_sss._widgets.tools.keys import CLASSES, Action
from napari_sss._widgets.tools.tools import Tools
from napari_sss._widgets.worker import Mailbox
from napari_sss.engine.models.registry import EMBEDDED
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.records import Review, Table
from napari_sss.engine.volumes.intensity import PERCENTILES, PRESETS, IntensityWindow
from napari_sss.engine.volumes.volume import Modality, Volume

WIDTH = 340

VIEW_PAUSE_MS = 700
"""Milliseconds without another change of the view before it is kept with the case."""

UNDO_KEY, REDO_KEY = "Ctrl+Z", "Ctrl+Shift+Z"

LOST = (
    "The layer '{name}' shows your masks: it is back. Hide it with its eye, or delete objects "
    "in the table."
)

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
        self.controller = SegmentationController(
            self.workspace,
            engine,
            self.crew.model,
            self.room,
            self.crew.count,
        )
        self.acts = Acts(self.room, self.workspace, self.controller)
        self._window = WindowLink()
        self._shown_case: int | None = None
        self._canvas = CanvasTools(napari_viewer, self.workspace, self)
        self._drops = ScanDrops(napari_viewer, self)
        self._class_editor: ClassEditor | None = None
        self._docked = False
        self._closed = False
        self._build()
        self.tools = Tools(
            napari_viewer,
            self.workspace,
            self.controller,
            self.room,
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
            self.controller.status_changed.connect(
                lambda status: finetune.controller.viewer_is_busy(status.busy)
            )
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
        self._view_timer = QTimer(self)
        self._view_timer.setSingleShot(True)
        self._view_timer.setInterval(VIEW_PAUSE_MS)
        self._view_timer.timeout.connect(self.room.keep_view)
        self._listen_to_view()
        for key, act in ((UNDO_KEY, self.acts.undo), (REDO_KEY, self.acts.redo)):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)
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
        controller, workspace, acts = self.controller, self.workspace, self.acts
        workspace.locked = lambda: controller.status.busy
        workspace.why_locked = acts.why_locked
        workspace.changed.connect(self._show_scan)
        workspace.images_changed.connect(self._list_scans)
        workspace.removed.connect(acts.prompts_gone)
        workspace.painted.connect(acts.paint)
        workspace.undo_asked.connect(acts.undo)
        workspace.redo_asked.connect(acts.redo)
        workspace.closed.connect(self.room.forget)
        workspace.lost.connect(self._on_lost)
        controller.model.changed.connect(lambda _: self._list_known())
        acts.noticed.connect(show_notice)
        acts.current_changed.connect(self._on_current)
        for asker in (acts, controller):
            asker.asked.connect(self.annotate.question.ask)
        workspace.refused.connect(lambda e: show_notice(Notice(Severity.WARNING, str(e))))
        controller.status_changed.connect(self._show_status)
        controller.objects.changed.connect(self.objects.show_rows)
        controller.noticed.connect(show_notice)
        self._connect_tools()
        self._connect_room()
        self._window.changed.connect(self._on_window)
        self._canvas.plane_changed.connect(self._show_plane)

    def _connect_tools(self) -> None:
        tools, room, acts = self.tools, self.room, self.acts
        for noticing in (tools.controller, tools.masks):
            noticing.noticed.connect(show_notice)
        tools.masks.failed.connect(self.controller.tell_failure)
        tools.answering.failed.connect(self.controller.tell_failure)
        tools.answering.told.connect(lambda t: show_notice(Notice(Severity.WARNING, t)))
        tools.answering.readiness_changed.connect(self.header.show_ready)
        room.project_changed.connect(lambda: tools.controller.set_read_only(room.why_read_only))
        tools.commands |= {
            Action.AUTO_PROMPT: self.auto_prompt,
            Action.UNDO: acts.undo,
            Action.REDO: acts.redo,
            Action.ACCEPT_OBJECT: acts.accept,
            Action.ACCEPT_SLICE: acts.accept_section,
            Action.REJECT_OBJECT: acts.reject,
            Action.NEXT_OBJECT: acts.next_object,
            Action.PREVIOUS_OBJECT: partial(acts.next_object, -1),
            Action.NEXT_SUGGESTION: acts.next_doubt,
            Action.NEXT_CASE: room.next_case,
            Action.PREVIOUS_CASE: room.previous_case,
            **{a: partial(self._choose_class, n) for n, a in enumerate(CLASSES)},
        }

    def _connect_room(self) -> None:
        room, header = self.room, self.header
        room.noticed.connect(show_notice)
        for signal in (room.project_changed, room.case_changed):
            signal.connect(lambda: header.show_room(room))
        room.saved_changed.connect(lambda _: header.show_room(room))
        room.remember_view(self.workspace.view_state)
        room.project_changed.connect(self._on_project)
        room.case_changed.connect(self._on_case)
        room.session_changed.connect(self._on_act)
        room.scan_read.connect(self._show_case)
        header.previous.clicked.connect(lambda: room.previous_case())
        header.next.clicked.connect(lambda: room.next_case())
        header.park.clicked.connect(lambda: room.park())
        header.retry_asked.connect(room.retry_saving)
        header.show_room(room)

    def _connect_views(self) -> None:
        controller, workspace, acts = self.controller, self.workspace, self.acts
        self.models.on_chosen(self._on_model)
        self.scan.scan_chosen.connect(self._on_scan_chosen)
        self.scan.frame_asked.connect(controller.open_frame)
        self.scan.spacing_given.connect(self._give_spacing)
        self.scan.plane_chosen.connect(workspace.view.show)
        self.scan.window_chosen.connect(self._choose_window)
        self.scan.link_toggled.connect(lambda on: setattr(self._window, "linked", on))
        self.run.auto_asked.connect(self.auto_prompt)
        self.run.cancel_asked.connect(controller.cancel)
        self.run.source_chosen.connect(self._on_source)
        self.run.class_named.connect(self._on_class)
        self.annotate.classes.chosen.connect(self.run.class_name.setText)
        self.annotate.classes.edit_asked.connect(self._edit_classes)
        objects, table = self.objects, self.objects.table
        table.chosen.connect(self._on_object)
        table.jump_asked.connect(controller.show_weakest)
        table.remove_asked.connect(acts.delete)
        table.accept_asked.connect(partial(self._decide, Review.ACCEPTED))
        table.reject_asked.connect(partial(self._decide, Review.REJECTED))
        table.objects.renamed.connect(lambda i, name: acts.change_class([i], name))
        objects.accept_slice_asked.connect(acts.accept_slice)
        objects.accept_asked.connect(self._accept)
        objects.accept_case_asked.connect(acts.accept_case)
        objects.undo_asked.connect(acts.undo)
        objects.redo_asked.connect(acts.redo)
        objects.doubt_asked.connect(acts.next_doubt)
        objects.operation_asked.connect(lambda key, ids: getattr(acts, key)(ids))
        objects.flag_asked.connect(lambda flag, ids: acts.toggle_flag(ids, flag))
        objects.class_asked.connect(lambda name, ids: acts.change_class(ids, name))
        objects.overwrite_chosen.connect(self.room.set_overwrite)
        objects.offer_classes(acts.classes)
        objects.export_asked.connect(self._ask_where_to_export)

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
        self._view_timer.stop()
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
        """Whether a job runs or waits, or there is news to read."""
        return self.crew.busy or self.tools.pending or self._pump.active

    def auto_prompt(self) -> None:
        """Start Auto-prompt with what the panel says."""
        source, preset = source_of(self.run.sources.key)
        name = self.run.class_name.text().strip() or None
        if source == TRAINED:
            name = None  # it knows the names of what it finds
        trained = self.controller.model.trained
        self.controller.auto_prompt(
            AutoRequest(source, preset, class_name=name, trained=trained)
        )

    def export_to(self, path: Path) -> None:
        """Write the masks as a label map on the scan's own grid."""
        self.controller.export(path)

    def _ask_where_to_export(self) -> None:
        current = self.workspace.current
        if current is None:
            return
        source = current.scan.source.source
        folder = source.path.parent if source.path else Path.home()
        suggestion = folder / f"{source.name}_mask.nii.gz"
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
        self._on_view()

    def _on_object(self, object_id: int) -> None:
        self.controller.show_object(object_id)
        self.acts.choose(object_id)
        self.tools.controller.tell()

    def _on_current(self, object_id: int | None) -> None:
        if object_id is not None:
            self.workspace.select(object_id)
            self.objects.table.select_object(object_id)

    def _decide(self, review: Review, object_id: int) -> None:
        """Accept or reject an object, or reopen it where that is what it is."""
        session = self.room.session
        if session is not None and object_id in session.state.objects:
            same = session.state.object(object_id).review is review
            self.acts.review([object_id], Review.OPEN if same else review)

    def _accept(self, ids: tuple[int, ...]) -> None:
        if ids:
            self.acts.review(ids, Review.ACCEPTED)
        else:
            self.acts.accept()

    def _on_class(self, name: str) -> None:
        self.workspace.name_new_objects(name)
        self.acts.class_name = name
        self.annotate.classes.show_active(name)

    def _choose_class(self, number: int) -> None:
        """Make a class that of new objects; the current one becomes of it, too."""
        classes = self.acts.classes()
        record = next((r for r in classes if r.key == str(number + 1)), None)
        if record is not None:
            self.run.class_name.setText(record.name)

    def _edit_classes(self) -> None:
        acts = self.acts
        if self._class_editor is None:
            editor = self._class_editor = ClassEditor(acts.count_of_class, self)
            editor.add_asked.connect(acts.add_class)
            editor.edited.connect(acts.edit_class)
            editor.remove_asked.connect(acts.remove_class)
        self._class_editor.set_classes(acts.classes())
        self._class_editor.show()
        self._class_editor.raise_()

    def _give_spacing(self, spacing: tuple[float, float, float]) -> None:
        self.workspace.give_spacing(spacing)
        volume = self.workspace.volume
        if volume is not None:
            self.room.give_spacing(volume.grid.spacing)
            self.controller.spacing_changed()

    def _on_lost(self, name: str) -> None:
        """Put the masks back that a person has deleted with their layer."""

        def restore() -> None:
            # Not where the scan went too, or the whole viewer.
            if not self._closed and self.workspace.restore_masks():
                show_notice(Notice(Severity.INFO, LOST.format(name=name)))

        QTimer.singleShot(0, restore)

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
        """Show the scan of a case that was asked for, in place of the case at work."""
        former = self.workspace.image if self.room.at_work is not None else None
        self.workspace.add_scan(layer_data_for(volume))
        if former is not None and former is not self.workspace.image:
            self.workspace.viewer.layers.remove(former)

    def _on_project(self) -> None:
        self.objects.show_overwrite(self.room.policy.accepted)
        self._show_classes()
        self._enter_scan()

    def _on_case(self) -> None:
        """Show a case as it was when it was left."""
        at_work = self.room.at_work
        self._show_classes()
        self.annotate.question.drop()
        if at_work is None:
            self._shown_case = None
        elif at_work.case.id != self._shown_case:
            self._shown_case = at_work.case.id
            self.workspace.restore_view(at_work.case.view)

    def _on_act(self, applied: Applied) -> None:
        if any(table is Table.CLASS for table, _ in applied.keys):
            self._show_classes()

    def _show_classes(self) -> None:
        classes = self.acts.classes()
        self.annotate.classes.set_classes(classes)
        self.run.offer_classes([record.name for record in classes])
        if self._class_editor is not None and self._class_editor.isVisible():
            self._class_editor.set_classes(classes)

    def _listen_to_view(self) -> None:
        dims = self.workspace.viewer.dims
        camera = camera_of(self.workspace.viewer)
        self._view_events = (
            dims.events.point,
            dims.events.order,
            dims.events.ndisplay,
            camera.events.zoom,
            camera.events.center,
        )
        for event in self._view_events:
            event.connect(self._on_view)

    def _on_view(self) -> None:
        """Keep the view soon; unless the case is only being opened."""
        if not self._closed and self.room.at_work is not None:
            self._view_timer.start()

    def _list_known(self) -> None:
        """Offer the classes of the model in use, where it was trained to know some."""
        current = self.workspace.current
        if current is not None:
            self._list_sources(current.scan.source.modality)

    def _list_sources(self, modality: Modality) -> None:
        choices = source_choices(modality, self.controller.model.trained)
        keep = self.run.sources.key
        known = any(choice.key == keep and not choice.why_not for choice in choices)
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
    gc.unfreeze()  # what belonged to this window may go now
