"""What the viewer shows of a scan, as plain content, and how it is shown again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_sss._layers.plane_view import PlaneView, camera_of
from napari_sss.engine.prompts.types import Plane


def view_state(viewer: Any, view: PlaneView, layer: Any) -> dict[str, Any]:
    """Return slice, plane, zoom and contrast of a scan.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    view : PlaneView
        How it looks at the scan.
    layer : Image
        The scan's layer.
    """
    plane, camera = view.plane, camera_of(viewer)
    position = layer.world_to_data(viewer.dims.point)[-3:]
    return {
        "plane": None if plane is None else plane.name.lower(),
        "position": [round(float(p), 3) for p in position],
        "zoom": float(camera.zoom),
        "centre": [float(c) for c in camera.center],
        "contrast": [float(v) for v in layer.contrast_limits],
    }


def restore_view(viewer: Any, view: PlaneView, layer: Any, state: Mapping[str, Any]) -> None:
    """Show a scan as it was; what the state does not hold, or cannot be, stays as it is."""
    contrast = state.get("contrast")
    if contrast is not None and len(contrast) == 2 and contrast[0] < contrast[1]:
        low, high = layer.contrast_limits_range
        layer.contrast_limits_range = (min(low, contrast[0]), max(high, contrast[1]))
        layer.contrast_limits = (contrast[0], contrast[1])
    position = state.get("position")
    name = state.get("plane")
    if name is not None and position is not None and len(position) == layer.ndim:
        plane = Plane[str(name).upper()]
        if view.plane is not plane:
            view.show(plane)
        world = layer.data_to_world(position)
        first = viewer.dims.ndim - layer.ndim
        for axis, value in enumerate(world):
            viewer.dims.set_point(first + axis, float(value))
    camera = camera_of(viewer)
    if state.get("zoom") and state.get("centre"):
        camera.zoom = float(state["zoom"])
        camera.center = tuple(float(c) for c in state["centre"])
