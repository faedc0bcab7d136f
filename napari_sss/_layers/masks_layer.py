"""The Labels layer that masks stream into, redrawn only where and when it shows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sss._layers.mask_painter import Touched
from napari_sss.engine.volumes.grid import Shape3

MASKS = "current"

PROMPTS = "prompts:"
"""What the names of the prompt layers begin with."""

INTERVAL_3D_S = 1.0
"""Seconds between two redraws in 3-D, where napari uploads the whole volume for each."""


class MasksLayer:
    """Object ids on a scan's displayed grid.

    The array belongs to the worker as much as to napari: the worker writes, this redraws.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layer is shown, once it is needed.
    shape : (int, int, int)
        Of the displayed volume.
    placement : mapping
        ``scale``, ``translate`` and ``units`` of the scan's layer.
    metadata : mapping
        Kept with the layer, so that it can be exported on the scan's own grid wherever the
        user takes it.
    """

    painted = Signal(tuple)
    """Emitted with the ids of the objects that a person's brush has enlarged or cut."""

    def __init__(
        self,
        viewer: Any,
        shape: Shape3,
        placement: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        self._viewer = viewer
        self._shape = shape
        self._placement = dict(placement)
        self._metadata = dict(metadata)
        self._layer: Any = None
        self._touched: Touched | None = None
        self._drawn_3d = 0.0

    def array(self) -> NDArray[Any]:
        """Return the layer's array (Z, Y, X; uint16); the layer is made, or put back."""
        if self._layer is None:
            from napari.layers import Labels

            self._layer = Labels(
                np.zeros(self._shape, np.uint16),
                name=MASKS,
                metadata=self._metadata,
                opacity=0.5,
                **self._placement,
            )
            self._layer.events.paint.connect(self._on_paint)
        if self._layer not in self._viewer.layers:
            active = self._viewer.layers.selection.active
            self._viewer.add_layer(self._layer)
            self._go_below_prompts()
            if active is not None:
                self._viewer.layers.selection.active = active
        return self._layer.data

    def _go_below_prompts(self) -> None:
        """Let prompts be seen on the masks, whichever were made first."""
        layers = self._viewer.layers
        prompts = [i for i, layer in enumerate(layers) if layer.name.startswith(PROMPTS)]
        if prompts:
            layers.move(len(layers) - 1, prompts[0])

    def brush(self, object_id: int, positive: bool) -> Any:
        """Make the layer ready to be painted on, or erased, as an object; return it."""
        self.array()
        if self._layer.selected_label != object_id:
            self._layer.selected_label = object_id
        self._layer.mode = "paint" if positive else "erase"
        return self._layer

    def is_shown_as(self, layer: Any) -> bool:
        """Whether this is the layer, or a proxy of it."""
        return self._layer is not None and layer == self._layer

    def touch(self, touched: Touched) -> None:
        """Take note that voxels have changed; :meth:`flush` shows it."""
        self._touched = touched if self._touched is None else self._touched.joined(touched)

    def flush(self) -> bool:
        """Redraw if the slice in view has changed; return whether a redraw still waits."""
        if self._touched is None or self._layer is None:
            return False
        if self._viewer.dims.ndisplay == 3:
            if time.monotonic() - self._drawn_3d < INTERVAL_3D_S:
                return True
            self._drawn_3d = time.monotonic()
        if self._in_view(self._touched):
            self._layer.refresh(thumbnail=False, highlight=False, extent=False)
        self._touched = None
        return False

    def _on_paint(self, event: Any) -> None:
        """Say whose voxels a stroke of the brush has changed."""
        ids: set[int] = set()
        for *_, before, after in event.value:  # the rest says where, in ways that vary
            ids.update(int(i) for values in (before, after) for i in np.unique(values))
        self.painted.emit(tuple(sorted(ids - {0})))

    def _in_view(self, touched: Touched) -> bool:
        dims = self._viewer.dims
        position = self._layer.world_to_data(dims.point)
        first = dims.ndim - 3
        cut = [axis - first for axis in dims.not_displayed if axis >= first]
        return all(touched.crosses(axis, round(float(position[axis]))) for axis in cut)

    def place(self, spacing: tuple[float, ...], metadata: Mapping[str, Any]) -> None:
        """Give the layer another spacing in mm, and the metadata that go with it."""
        self._placement |= {"scale": spacing, "units": ("mm",) * 3}
        self._metadata = dict(metadata)
        if self._layer is not None:
            self._layer.units = ("mm",) * 3
            self._layer.scale = spacing
            self._layer.metadata = self._metadata
