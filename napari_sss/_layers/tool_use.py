"""Which tool the mouse is, read from and written to napari's layers.

The truth is the viewer's: the active layer and its mode. So a tool that is chosen in
napari's own controls shows in our bar as well.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from psygnal import Signal

from napari_sss._layers.conversion import KEY
from napari_sss._layers.drawing import Stencil
from napari_sss._layers.workspace import OpenScan, Workspace
from napari_sss.engine.errors import SSSError


class Tool(Enum):
    """What the mouse does on the image."""

    LOOK = auto()
    EDIT = auto()
    POINT = auto()
    BOX = auto()
    SCRIBBLE = auto()
    LASSO = auto()
    BRUSH = auto()


STENCILS = {
    Tool.POINT: Stencil.POINT,
    Tool.BOX: Stencil.BOX,
    Tool.SCRIBBLE: Stencil.SCRIBBLE,
    Tool.LASSO: Stencil.LASSO,
}
"""The tools that draw prompts."""

SIGNED = frozenset({Tool.EDIT, Tool.POINT, Tool.SCRIBBLE, Tool.LASSO, Tool.BRUSH})
"""The tools for which positive or negative means something."""

EDITING = ("select", "direct", "vertex_insert", "vertex_remove")
PAINTING = {"paint": True, "erase": False}


class ToolUse:
    """Takes tools up and lays them down in a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, or napari's proxy of it.
    workspace : Workspace
        The scan in view with its layers.
    """

    changed = Signal()
    """The tool, or whether a layer of ours is active, may be another now."""

    def __init__(self, viewer: Any, workspace: Workspace) -> None:
        self._viewer = viewer
        self._workspace = workspace
        self._heard: Any = None
        viewer.layers.selection.events.active.connect(self._on_active)
        self._on_active()

    def disconnect(self) -> None:
        """Listen to the viewer no more."""
        self._viewer.layers.selection.events.active.disconnect(self._on_active)
        self._hear(None)

    @property
    def tool(self) -> Tool:
        """The tool in use."""
        current, active = self._workspace.current, self._viewer.layers.selection.active
        if current is None or active is None:
            return Tool.LOOK
        stencil = current.prompts.stencil
        if stencil is not None:
            return next(tool for tool, s in STENCILS.items() if s is stencil)
        mode = str(active.mode)
        if active in current.prompts.layers and mode in EDITING:
            return Tool.EDIT
        if current.masks.is_shown_as(active) and mode in PAINTING:
            return Tool.BRUSH
        return Tool.LOOK

    @property
    def on_ours(self) -> bool:
        """Whether the active layer is one of ours; so it is where none is active."""
        current, active = self._workspace.current, self._viewer.layers.selection.active
        if current is None or active is None:
            return current is not None
        return (
            active == current.layer
            or active in current.prompts.layers
            or KEY in active.metadata
            or current.masks.is_shown_as(active)
        )

    @property
    def on_slice(self) -> bool:
        """Whether the viewer shows a slice, on which one can draw."""
        return self._workspace.view.plane is not None

    def use(self, tool: Tool, positive: bool) -> None:
        """Take up a tool; there is a scan."""
        current = self._workspace.current
        assert current is not None
        self.set_sign(positive)
        if tool in STENCILS:
            current.prompts.draw(STENCILS[tool])
        elif tool is Tool.EDIT:
            current.prompts.pick()
        elif tool is Tool.BRUSH:
            self._brush(current, positive)
        else:
            self._rest(current)
        self.changed.emit()

    def set_sign(self, positive: bool) -> None:
        """Say what the next prompts mean; the brush paints or erases."""
        self._workspace.set_sign(positive)
        if self.tool is Tool.BRUSH:
            self._brush(self._workspace.current, positive)  # type: ignore[arg-type]

    def turn_selected(self) -> bool:
        """Turn the sign of the selected prompts; return whether there were any."""
        current = self._workspace.current
        return current is not None and current.prompts.toggle_selected()

    def abandon(self) -> None:
        """Forget what is being drawn."""
        if self._workspace.current is not None:
            self._workspace.current.prompts.drawing.abandon()

    @property
    def object_id(self) -> int | None:
        """The object that the next prompt belongs to; None begins one."""
        current = self._workspace.current
        return None if current is None else current.prompts.current_id

    @property
    def place(self) -> tuple[Any, int] | None:
        """Plane and slice in view, of the scan as it was read; None in 3-D."""
        return self._workspace.shown_slice()

    def begin_object(self) -> None:
        """Let the next prompt, or stroke of the brush, begin an object."""
        self._workspace.begin_object()
        if self.tool is Tool.BRUSH:
            self._brush(self._workspace.current, positive=True)  # type: ignore[arg-type]

    def _brush(self, current: OpenScan, positive: bool) -> None:
        prompts = current.prompts
        object_id = prompts.current_id or prompts.next_id
        try:
            layer = current.masks.brush(object_id, positive)
        except SSSError as error:
            self._workspace.refused.emit(error)
        else:
            self._viewer.layers.selection.active = layer

    def _rest(self, current: OpenScan) -> None:
        current.prompts.rest()
        active = self._viewer.layers.selection.active
        if active is not None:
            active.mode = "pan_zoom"

    def _on_active(self) -> None:
        self._hear(self._viewer.layers.selection.active)
        self.changed.emit()

    def _hear(self, layer: Any) -> None:
        """Listen to the mode of the active layer."""
        tell: Callable[..., None] = self._on_mode
        if self._heard is not None:
            self._heard.events.mode.disconnect(tell)
        self._heard = layer
        if layer is not None:
            layer.events.mode.connect(tell)

    def _on_mode(self) -> None:
        self.changed.emit()
