"""From what the mouse has drawn to a row of a prompt layer."""

from __future__ import annotations

from napari_sss._layers.drawing import Drawn, Stencil
from napari_sss._layers.prompt_rows import BoxRow, DrawingRow, PointRow, Row
from napari_sss._layers.prompt_shapes import box_of, line_of, point_of, thinned
from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import Plane, Polygon, Stroke
from napari_sss.engine.volumes.grid import Shape3

LEEWAY_PIXELS = 0.7
"""Pixels of the screen by which a thinned line may differ from what was drawn."""


def row_drawn(drawn: Drawn, object_id: int, plane: Plane, shape: Shape3) -> Row:
    """Return the row of what was drawn.

    Parameters
    ----------
    drawn : Drawn
        What, and where in the displayed volume.
    object_id : int
        Whose it is.
    plane : Plane
        The plane in view.
    shape : (int, int, int)
        Of the displayed volume.

    Raises
    ------
    PromptError
        If it lies outside the scan.
    """
    way = drawn.way.copy()
    way[:, plane.axis] = way[0, plane.axis]
    if drawn.stencil is Stencil.BOX:
        return BoxRow(object_id, *box_of(way[[0, -1]], shape, plane))
    if drawn.stencil is Stencil.POINT:
        index, point = point_of(way[0], plane, drawn.positive)
        _check(plane, index, point.x, point.y, shape)
        return PointRow(object_id, plane, index, point)
    index, points = line_of(thinned(way, LEEWAY_PIXELS * drawn.pixel), shape, plane)
    if drawn.stencil is Stencil.SCRIBBLE:
        points = points[:1] if len(set(points)) == 1 else points
        return DrawingRow(object_id, plane, index, Stroke(points, drawn.positive))
    if len(points) < 3:
        raise PromptError("The lasso encloses nothing.", "Draw around an area.")
    return DrawingRow(object_id, plane, index, Polygon(points, drawn.positive))


def _check(plane: Plane, index: int, x: float, y: float, shape: Shape3) -> None:
    """Refuse a click beside the scan."""
    inside = (
        0 <= index < shape[plane.axis]
        and -0.5 <= x <= shape[plane.column_axis] - 0.5
        and -0.5 <= y <= shape[plane.row_axis] - 0.5
    )
    if not inside:
        raise PromptError("The click is outside the scan.", "Click on the scan.")
