"""The plane that the viewer shows, and what lies under the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_sss._layers.directions import (
    EdgeLetters,
    dims_order,
    edge_letters,
    plane_shown,
)
from napari_sss._layers.scan import Scan
from napari_sss.engine.prompts.types import Plane


@dataclass(frozen=True)
class Readout:
    """A voxel of the scan, as the person reads it.

    Parameters
    ----------
    value : float
        Its intensity.
    unit : str
        ``"HU"`` for CT, else "".
    world : (float, float, float)
        Position in the patient, LPS, mm.
    indices : (int, int, int)
        ``(z, y, x)`` in the file's own order.
    oriented : bool
        Whether ``world`` means anything.
    """

    value: float
    unit: str
    world: tuple[float, float, float]
    indices: tuple[int, int, int]
    oriented: bool

    def __str__(self) -> str:
        """One line: value, position, voxel."""
        value = f"{self.value:g} {self.unit}".strip()
        z, y, x = self.indices
        voxel = f"file voxel z {z}, y {y}, x {x}"
        if not self.oriented:
            return f"{value}   |   {voxel}"
        place = ", ".join(
            f"{letters[v >= 0]} {abs(v):.1f}"
            for letters, v in zip(("RL", "AP", "IS"), self.world, strict=True)
        )
        return f"{value}   |   {place} mm   |   {voxel}"


def camera_of(viewer: Any) -> Any:
    """Return the viewer's camera: since napari 0.9 it is its scene's."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


class PlaneView:
    """Looks at a scan through a viewer's dims and camera.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, or napari's proxy of it.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer

    @property
    def plane(self) -> Plane | None:
        """The plane in view; None in 3-D."""
        dims = self._viewer.dims
        return plane_shown(tuple(dims.displayed), dims.ndim)

    def show(self, plane: Plane) -> None:
        """Turn to a plane, upright as radiologists look at it."""
        dims = self._viewer.dims
        if dims.ndim >= 3:
            dims.ndisplay = 2
            dims.order = dims_order(plane, dims.ndim)
            self._viewer.reset_view()

    def index(self, layer: Any, plane: Plane) -> int:
        """Return the slice of a 3-D layer that the viewer's position lies in."""
        return round(float(layer.world_to_data(self._viewer.dims.point)[plane.axis]))

    def go_to(self, layer: Any, plane: Plane, index: int) -> None:
        """Show a slice of a 3-D layer."""
        if self.plane is not plane:
            self.show(plane)
        dims = self._viewer.dims
        position = [0.0, 0.0, 0.0]
        position[plane.axis] = float(index)
        axis = dims.ndim - 3 + plane.axis
        dims.set_point(axis, float(layer.data_to_world(position)[plane.axis]))

    def letters(self, scan: Scan | None) -> EdgeLetters:
        """Return the letters at the canvas edges; empty where they are not known, or in 3-D."""
        plane = self.plane
        if scan is None or not scan.oriented or plane is None:
            return EdgeLetters()
        dims = self._viewer.dims
        rows, columns = (axis - (dims.ndim - 3) for axis in dims.displayed)
        down, right = camera_of(self._viewer).orientation2d
        return edge_letters(scan.volume.grid, rows, columns, down == "down", right == "right")

    def readout(self, layer: Any, scan: Scan) -> Readout | None:
        """Return what lies under the cursor; None outside the scan."""
        position = layer.world_to_data(self._viewer.cursor.position)[-3:]
        if len(position) < 3:
            position = (0.0, *position)
        shape = scan.volume.grid.shape
        voxel = tuple(round(float(p)) for p in position)
        if any(not 0 <= v < n for v, n in zip(voxel, shape, strict=True)):
            return None
        world = scan.volume.grid.index_to_world(voxel)
        indices = np.rint(scan.source.grid.world_to_index(world)).astype(int)
        return Readout(
            float(scan.volume.array[voxel]),
            "HU" if scan.volume.modality == "CT" else "",
            tuple(float(w) for w in world),  # type: ignore[arg-type]
            tuple(int(i) for i in indices),  # type: ignore[arg-type]
            scan.oriented,
        )
