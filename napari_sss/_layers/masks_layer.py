"""The Labels layer that shows a case's masks: a view of them, redrawn where they changed.

The layer's array is the annotation's own, seen along the displayed axes; nothing is copied.
A person's brush writes into it, and what it wrote is then handed to the annotation as an act
like any other. While the brush is down the annotation is held, so that nobody else writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from psygnal import Signal

from napari_sss._layers.brush import stroke_diff, viewed_box
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.volumes.grid import AxisView

MASKS = "current"

PROMPTS = "prompts:"
"""What the names of the prompt layers begin with."""

INTERVAL_3D_S = 1.0
"""Seconds between two redraws in 3-D, where napari uploads the whole volume for each."""

HOLD_S = 0.03
"""Seconds a brush waits for an act that is going on; it paints all the same then."""

UNDO_KEY, REDO_KEY = "Control-Z", "Control-Shift-Z"
PAINTING = ("paint", "erase", "fill", "polygon")
SPARE = 16
"""Numbers beyond the highest object's that have a colour of their own: white."""

Box = tuple[slice, slice, slice]


class MasksLayer:
    """Object ids of a case on its scan's displayed grid.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layer is shown, once there is something to show.
    view : AxisView
        From the scan's axes to the displayed ones.
    placement : mapping
        ``scale``, ``translate`` and ``units`` of the scan's layer.
    metadata : mapping
        Kept with the layer, so that it can be exported on the scan's own grid wherever the
        user takes it.
    """

    painted = Signal(LabelDiff)
    """Emitted with what a person's brush has changed, in the scan's own axes; the listener
    adopts it, or puts it back."""
    undo_asked = Signal()
    redo_asked = Signal()

    def __init__(
        self,
        viewer: Any,
        view: AxisView,
        placement: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        self._viewer = viewer
        self._view = view
        self._placement = dict(placement)
        self._metadata = dict(metadata)
        self._session: CaseSession | None = None
        self._layer: Any = None
        self._box: Box | None = None
        self._colours: dict[int, str] = {}
        self._drawn_3d = 0.0
        self._held = False
        self.why_locked: Callable[[], str] = lambda: ""

    @property
    def layer(self) -> Any:
        """The Labels layer, or None where there is none yet."""
        return self._layer

    @property
    def is_lost(self) -> bool:
        """Whether a person has taken the layer out of the viewer."""
        return self._layer is not None and self._layer not in self._viewer.layers

    def attach(self, session: CaseSession | None) -> None:
        """Show the masks of a case, or none."""
        self._session = session
        if session is None:
            self.take_away()
            return
        if self._layer is not None:
            self._layer.data = self._view.apply(session.labels)
        if session.state.objects:
            self.ensure()

    def ensure(self) -> Any:
        """Return the layer; it is made, or put back, where it is not there.

        Raises
        ------
        ProjectError
            If the scan's case is not open yet.
        """
        if self._session is None:
            raise ProjectError(
                "The scan's case is not open yet.", "Wait a moment, then try again."
            )
        if self._layer is None:
            self._layer = self._made(self._session)
        if self._layer not in self._viewer.layers:
            active = self._viewer.layers.selection.active
            self._viewer.add_layer(self._layer)
            self._go_below_prompts()
            if active is not None:
                self._viewer.layers.selection.active = active
        return self._layer

    def _go_below_prompts(self) -> None:
        """Let prompts be seen on the masks, whichever were made first."""
        layers = self._viewer.layers
        prompts = [i for i, layer in enumerate(layers) if layer.name.startswith(PROMPTS)]
        if prompts:
            layers.move(len(layers) - 1, prompts[0])

    def take_away(self) -> None:
        """Take the layer out of the viewer; the masks are the case's."""
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def touch(self, box: Box) -> None:
        """Take note that voxels in a box of the scan's array changed; see :meth:`flush`."""
        session = self._session
        if session is None:
            return
        box = viewed_box(box, self._view, session.state.shape)
        former = self._box
        if former is None:
            self._box = box
            return
        z, y, x = (
            slice(min(a.start, b.start), max(a.stop, b.stop))
            for a, b in zip(former, box, strict=True)
        )
        self._box = (z, y, x)

    def flush(self) -> bool:
        """Redraw if the slice in view has changed; return whether a redraw still waits."""
        if self._box is None or self._session is None:
            return False
        self.ensure()
        if self._viewer.dims.ndisplay == 3:
            if time.monotonic() - self._drawn_3d < INTERVAL_3D_S:
                return True
            self._drawn_3d = time.monotonic()
        if self._in_view(self._box):
            self._layer.refresh(thumbnail=False, highlight=False, extent=False)
        self._box = None
        return False

    def colour(self, colours: Mapping[int, str]) -> None:
        """Give each object its colour (``"#rrggbb"``)."""
        if dict(colours) != self._colours:
            self._colours = dict(colours)
            if self._layer is not None:
                self._layer.colormap = self._colormap()

    def choose(self, object_id: int) -> None:
        """Let the brush paint this object."""
        if self._layer is not None:
            self._layer.selected_label = object_id

    def brush(self, object_id: int, positive: bool) -> Any:
        """Make the layer ready to be painted on, or erased, as an object; return it."""
        layer = self.ensure()
        if layer.selected_label != object_id:
            layer.selected_label = object_id
        layer.mode = "paint" if positive else "erase"
        return layer

    def is_shown_as(self, layer: Any) -> bool:
        """Whether this is the layer, or a proxy of it."""
        return self._layer is not None and layer == self._layer

    def place(self, spacing: tuple[float, ...], metadata: Mapping[str, Any]) -> None:
        """Give the layer another spacing in mm, and the metadata that go with it."""
        self._placement |= {"scale": spacing, "units": ("mm",) * 3}
        self._metadata = dict(metadata)
        if self._layer is not None:
            self._layer.units = ("mm",) * 3
            self._layer.scale = spacing
            self._layer.metadata = self._metadata

    def let_paint(self, allowed: bool) -> None:
        """Let the brush paint, or not."""
        if self._layer is not None and self._layer.editable != allowed:
            self._layer.editable = allowed

    # -- inside -------------------------------------------------------------------------

    def _made(self, session: CaseSession) -> Any:
        from napari.layers import Labels

        layer = Labels(
            self._view.apply(session.labels),
            name=MASKS,
            metadata=self._metadata,
            opacity=0.5,
            colormap=self._colormap(),
            **self._placement,
        )
        layer.events.paint.connect(self._on_paint)
        layer.events.mode.connect(self._order_callbacks)
        layer.bind_key(UNDO_KEY, lambda _: self.undo_asked.emit(), overwrite=True)
        layer.bind_key(REDO_KEY, lambda _: self.redo_asked.emit(), overwrite=True)
        self._order_callbacks(layer=layer)
        return layer

    def _colormap(self) -> Any:
        """A colour by number, white for numbers that no object has.

        napari's map of single labels takes 50 ms to change with 16-bit labels, this one 4.
        """
        from napari.utils.colormaps import CyclicLabelColormap

        colours = np.ones((max(self._colours, default=0) + SPARE, 4), np.float32)
        colours[0] = 0
        for object_id, colour in self._colours.items():
            colours[object_id, :3] = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        return CyclicLabelColormap(colors=colours)

    def _order_callbacks(self, _: Any = None, layer: Any = None) -> None:
        """Have the annotation held before napari's brush, and let go after it."""
        callbacks = (self._layer if layer is None else layer).mouse_drag_callbacks
        for ours in (self._hold, self._let_go):
            if ours in callbacks:
                callbacks.remove(ours)
        callbacks.insert(0, self._hold)
        callbacks.append(self._let_go)

    def _hold(self, layer: Any, _: Any) -> None:
        if self._session is not None and str(layer.mode) in PAINTING and not self._held:
            self._held = self._session.hold(HOLD_S)

    def _let_go(self, _: Any, event: Any) -> Iterator[None]:
        yield
        while event.type == "mouse_move":
            yield
        self._release()

    def _release(self) -> None:
        if self._held and self._session is not None:
            self._held = False
            self._session.release()

    def _on_paint(self, event: Any) -> None:
        """Hand on what a stroke of the brush has changed."""
        if self._session is not None:
            diff = stroke_diff(event.value, self._view, self._session.state.shape)
            try:
                self.painted.emit(diff)
            finally:
                self._release()

    def _in_view(self, box: Box) -> bool:
        dims = self._viewer.dims
        position = self._layer.world_to_data(dims.point)
        first = dims.ndim - 3
        cut = [axis - first for axis in dims.not_displayed if axis >= first]
        return all(
            box[axis].start <= round(float(position[axis])) < box[axis].stop for axis in cut
        )
