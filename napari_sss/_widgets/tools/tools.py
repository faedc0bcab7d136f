"""The tools as a whole: hand, logic, answers, bar and keys, put together."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QFileDialog, QMenu

from napari_sss._layers.tool_use import Tool, ToolUse
from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.answering import Answering
from napari_sss._widgets.canvas_tools import CanvasTools
from napari_sss._widgets.controller import BUSY, SegmentationController
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.status import PanelStatus
from napari_sss._widgets.tools.answers import Answers
from napari_sss._widgets.tools.bar import ACTIONS, ToolsBar
from napari_sss._widgets.tools.controller import ToolController
from napari_sss._widgets.tools.keys import PLANE_ACTIONS, Action
from napari_sss._widgets.tools.mask_prompts import MaskPrompts
from napari_sss._widgets.tools.shortcuts import Commands
from napari_sss._widgets.worker import Worker
from napari_sss.engine.volumes.intensity import IntensityWindow

MASK_FILTER = "Masks (*.nii.gz *.nii *.nrrd *.mha *.mhd)"
NO_LAYERS = "No other Labels layer is open"
FROM_FILE = "From a file …"

SETTLE_MS = 60
"""Milliseconds after which the bar follows a slice that is being looked at."""


class Tools(QObject):
    """Connects the tools with the layers, with what answers and with the bar.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, or napari's proxy of it.
    workspace : Workspace
        The scan in view with its layers.
    controller : SegmentationController
        Who propagates, and knows the objects.
    room : ProjectRoom
        The case at work.
    answering : Answering
        Who answers single prompts.
    bar : ToolsBar
        The view.
    canvas : CanvasTools
        Where previews, help and keys are.
    disk : Worker
        Reads and writes masks.

    Attributes
    ----------
    commands : dict
        What the keys call, by action; to be completed before :meth:`CanvasTools.reach`.
    """

    def __init__(
        self,
        viewer: Any,
        workspace: Workspace,
        controller: SegmentationController,
        room: ProjectRoom,
        answering: Answering,
        bar: ToolsBar,
        canvas: CanvasTools,
        disk: Worker,
    ) -> None:
        super().__init__(bar)
        self._viewer = viewer
        self._workspace = workspace
        self._segmenting = controller
        self._canvas = canvas
        self.answering = answering
        self.bar = bar
        self.hand = ToolUse(viewer, workspace)
        self.masks = MaskPrompts(workspace, disk, partial(_kept, room))
        self.answers = Answers(controller, room, answering, self.masks.read)
        self.controller = ToolController(self.hand, workspace, self.answers)
        self.commands: dict[Action, Any] = self._own_commands()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self.controller.tell)
        self._listening = True
        self._connect()
        self.controller.scan_changed()

    @property
    def pending(self) -> bool:
        """Whether an answer is still to come, or the bar has not followed yet."""
        return self.answering.pending or self._timer.isActive()

    def reach(self, window: Any) -> None:
        """Bind the keys in a window, once there is one."""
        commands: Commands = self.commands
        self._canvas.reach(window, commands, lambda: self.hand.on_ours)

    def scan_changed(self, window: IntensityWindow | None) -> None:
        """Take note that another scan is in view, or that it is seen through a window."""
        self.answering.open(self._workspace.volume, window)
        self._look()
        self.controller.scan_changed()

    def show_status(self, status: PanelStatus) -> None:
        """Take note of what the panel is doing, and with which model."""
        self.controller.set_busy(BUSY if status.busy else "")

    def release(self) -> None:
        """Take everything back and listen to the viewer no more."""
        self._timer.stop()
        self.unlisten()

    def unlisten(self) -> None:
        """Listen to the viewer no more; also when Qt has destroyed the panel already."""
        if self._listening:
            self._listening = False
            self.hand.disconnect()
            self._viewer.dims.events.point.disconnect(self._on_place)
            self._viewer.dims.events.ndisplay.disconnect(self._on_place)
            self._viewer.dims.events.order.disconnect(self._on_place)

    # -- inside -------------------------------------------------------------------------

    def _own_commands(self) -> dict[Action, Any]:
        controller, view = self.controller, self._workspace.view
        return {
            **{action: partial(controller.take, tool) for tool, action in ACTIONS.items()},
            **{action: partial(view.show, plane) for action, plane in PLANE_ACTIONS.items()},
            Action.SIGN: controller.turn_sign,
            Action.NEW_OBJECT: controller.begin_object,
            Action.RUN: controller.run,
            Action.PROPAGATE: controller.propagate,
            Action.STOP: self._stop,
        }

    def _connect(self) -> None:
        controller, bar, workspace = self.controller, self.bar, self._workspace
        self.hand.changed.connect(self._on_hand)
        controller.changed.connect(bar.show_status)
        workspace.prompted.connect(controller.prompted)
        workspace.removed.connect(controller.removed)
        workspace.removed.connect(self.answers.forget)
        self._segmenting.model.changed.connect(lambda s: controller.use_model(s.name))
        for event in (
            self._viewer.dims.events.point,
            self._viewer.dims.events.ndisplay,
            self._viewer.dims.events.order,
        ):
            event.connect(self._on_place)
        bar.tool_asked.connect(controller.take)
        bar.sign_asked.connect(controller.set_sign)
        bar.each_toggled.connect(controller.set_run_after_each)
        bar.run_asked.connect(controller.run)
        bar.propagation_asked.connect(controller.propagate)
        bar.new_object_asked.connect(controller.begin_object)
        bar.help_asked.connect(self._canvas.toggle_help)
        bar.masks.aboutToShow.connect(self._list_masks)

    def _list_masks(self) -> None:
        """Fill the menu with the layers that can be prompts."""
        menu = self.bar.masks
        menu.clear()
        sources = self.masks.sources()
        for source in sources:
            entry = _entry(menu, source.layer.name)
            entry.setEnabled(not source.why_not)
            entry.setToolTip(source.why_not or "Take its mask on this slice.")
            entry.triggered.connect(lambda _=False, s=source: self.masks.use_layer(s.layer))
        if not sources:
            _entry(menu, NO_LAYERS).setEnabled(False)
        menu.addSeparator()
        _entry(menu, FROM_FILE).triggered.connect(lambda: self._ask_for_mask())

    def _ask_for_mask(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self.bar, "Mask", "", MASK_FILTER)
        if chosen:
            self.masks.use_file(Path(chosen))

    def _on_hand(self) -> None:
        self._canvas.refresh_keys()
        self.controller.tell()

    def _on_place(self) -> None:
        """Follow the slice in view: what is encoded next at once, the bar a little later."""
        self._look()
        self._timer.start()

    def _look(self) -> None:
        place = self.hand.place
        if place is not None:
            self.answering.look_at(*place)

    def _stop(self) -> None:
        """Close the help; else stop what runs; else lay the tool down."""
        if self._canvas.close_help():
            return
        if self._segmenting.status.busy:
            self._segmenting.cancel()
        elif self.hand.tool is not Tool.LOOK:
            self.controller.lay_down()


def _kept(room: ProjectRoom, path: Path) -> Path:
    """A file's copy in the project at work; the file itself where there is none."""
    session = room.session
    return path if session is None else session.keep_file(path)


def _entry(menu: QMenu, text: str) -> QAction:
    """Add a line to a menu."""
    entry = menu.addAction(text)
    assert entry is not None
    return entry
