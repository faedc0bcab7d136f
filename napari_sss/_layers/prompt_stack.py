"""The three prompt layers as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from napari_sss._layers.boxes_layer import BoxesLayer
from napari_sss._layers.points_layer import PointsLayer
from napari_sss._layers.prompt_rows import Rows
from napari_sss._layers.strokes_layer import StrokesLayer
from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import ObjectPrompts
from napari_sss.engine.volumes.grid import Shape3

THIN = 350
"""The longer side of a slice divided by this: two pixels when it fills a window."""


class PromptStack:
    """Boxes below, strokes above them, points on top, where they can be picked.

    Parameters
    ----------
    shape : (int, int, int)
        Of the displayed volume.
    placement : mapping
        ``scale``, ``translate`` and ``units`` of the scan's layer.
    """

    def __init__(self, shape: Shape3, placement: Mapping[str, Any]) -> None:
        stroke = max(shape[1:]) / THIN
        self.boxes = BoxesLayer(shape, stroke, placement)
        self.strokes = StrokesLayer(shape, stroke, placement)
        self.points = PointsLayer(stroke, placement)

    @property
    def layers(self) -> tuple[Any, Any, Any]:
        """The layers as napari has them, from below."""
        return self.boxes.layer, self.strokes.layer, self.points.layer

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many boxes, points and strokes there are."""
        return len(self.boxes), len(self.points), len(self.strokes)

    def add(self, rows: Rows, objects: Mapping[int, ObjectPrompts]) -> None:
        """Show rows of these objects."""
        if rows.boxes:
            self.boxes.add(rows.boxes, objects)
        if rows.points:
            self.points.add(rows.points)
        if rows.drawings:
            self.strokes.add(rows.drawings)

    def remove(self, ids: set[int]) -> None:
        """Take the prompts of objects away."""
        for shown in (self.boxes, self.strokes, self.points):
            if ids.intersection(shown.object_ids):
                shown.remove(ids)

    def rows(self, refused: Callable[[PromptError], None]) -> Rows:
        """Return what the layers hold; what cannot be used is passed to ``refused``."""
        return Rows(self.boxes.rows(refused), self.points.rows(), self.strokes.rows(refused))
