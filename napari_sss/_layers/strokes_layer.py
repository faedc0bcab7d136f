"""The Shapes layer that holds prompts' scribbles, lassos and masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss._layers.prompt_rows import Drawing, DrawingRow
from napari_sss._layers.prompt_shapes import line_of, line_positions
from napari_sss._layers.signs import COLOURS, GLYPHS, rgba
from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import Plane, Polygon, Stroke
from napari_sss.engine.volumes.grid import Shape3

STROKES = "prompts: strokes"

SCRIBBLE, LASSO, MASK = "scribble", "lasso", "mask"

FILL = {True: 0.18, False: 0.0}
"""How opaque the inside of a lasso is: what belongs is tinted, what does not is bare."""

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Described:
    """What the layer's table says of one shape."""

    object_id: int
    kind: str
    positive: bool
    plane: Plane
    path: str = ""


class StrokesLayer:
    """Scribbles are open lines, lassos closed ones; the sign is written at each.

    Parameters
    ----------
    shape : (int, int, int)
        Of the displayed volume.
    stroke : float
        Width of a thin line in voxels.
    placement : mapping
        ``scale``, ``translate`` and ``units`` of the scan's layer.
    """

    def __init__(self, shape: Shape3, stroke: float, placement: Mapping[str, Any]) -> None:
        import pandas as pd
        from napari.layers import Shapes
        from napari.layers.utils.color_encoding import NominalColorEncoding
        from napari.utils.colormaps.categorical_colormap import CategoricalColormap

        signs = {GLYPHS[sign]: COLOURS[sign] for sign in COLOURS}

        self._shape = shape
        self._stroke = stroke
        self._outlines: dict[tuple[Path, Plane, int], Outline] = {}
        self.layer = Shapes(
            ndim=3,
            name=STROKES,
            features=pd.DataFrame(
                {
                    "object_id": np.zeros(0, int),
                    "kind": np.zeros(0, str),
                    "positive": np.zeros(0, bool),
                    "plane": np.zeros(0, int),
                    "path": np.zeros(0, str),
                    "label": np.zeros(0, str),
                }
            ),
            text={
                # The empty line below lifts the sign off the line that it belongs to.
                "string": "{label}\n",
                "size": 16,
                "color": NominalColorEncoding(
                    feature="label",
                    colormap=CategoricalColormap(colormap=signs, fallback_color="white"),
                    fallback="white",
                ),
                "anchor": "center",
            },
            edge_color=COLOURS[True],
            edge_width=3 * stroke,
            face_color="transparent",
            opacity=0.9,
            **placement,
        )

    def __len__(self) -> int:
        """Return how many drawings there are."""
        return len(self.layer.data)

    @property
    def object_ids(self) -> list[int]:
        """The object of each drawing."""
        return [int(i) for i in self.layer.features["object_id"]]

    def outline(self, path: Path, plane: Plane, index: int, outline: Outline) -> None:
        """Say where a mask's edge runs on a slice, so that it is drawn there."""
        self._outlines[path, plane, index] = outline

    def add(self, rows: Sequence[DrawingRow]) -> None:
        """Add drawings."""
        before = self._described()
        new = [_described(row) for row in rows]
        self.layer.add(
            [line_positions(self._points(row), row.plane, row.index) for row in rows],
            shape_type=["path" if d.kind == SCRIBBLE else "polygon" for d in new],
            edge_color=[rgba(COLOURS[d.positive]) for d in new],
            edge_width=[self._width(d) for d in new],
            face_color=[_face(d) for d in new],
        )
        self._describe([*before, *new])

    def adopt(self, count: int, object_id: int, plane: Plane, positive: bool) -> None:
        """Say whose the last shapes are, which a person has drawn by napari's own means."""
        former = self._described()[: len(self) - count]
        kinds = self.layer.shape_type[len(former) :]
        new = [
            _Described(
                object_id, SCRIBBLE if kind in ("path", "line") else LASSO, positive, plane
            )
            for kind in kinds
        ]
        self._describe([*former, *new])
        self._colour()

    def toggle_sign(self) -> bool:
        """Turn the selected drawings; return whether any has changed."""
        chosen = {int(row) for row in self.layer.selected_data}
        described = self._described()
        turned = [
            _Described(d.object_id, d.kind, not d.positive, d.plane)
            if row in chosen and d.kind != MASK
            else d
            for row, d in enumerate(described)
        ]
        if turned == described:
            return False
        self._describe(turned)
        self._colour()
        return True

    def remove(self, ids: set[int]) -> None:
        """Take the drawings of objects away."""
        self.layer.selected_data = {r for r, i in enumerate(self.object_ids) if i in ids}
        self.layer.remove_selected()

    def rows(self, refused: Callable[[PromptError], None]) -> list[DrawingRow]:
        """Return all drawings; what cannot be one is passed to ``refused`` and left out."""
        rows = []
        for positions, described in zip(self.layer.data, self._described(), strict=True):
            try:
                index, points = line_of(positions, self._shape, described.plane)
            except PromptError as error:
                refused(error)
                continue
            drawing = _drawing(described, points)
            rows.append(DrawingRow(described.object_id, described.plane, index, drawing))
        return rows

    def _points(self, row: DrawingRow) -> Outline:
        """The line to be drawn: a mask of which no edge is known is framed by its slice."""
        if isinstance(row.drawing, Stroke) and len(row.drawing.points) == 1:
            return row.drawing.points * 2  # a dot, as a line
        if not isinstance(row.drawing, Path):
            return row.drawing.points
        known = self._outlines.get((row.drawing, row.plane, row.index))
        if known is not None:
            return known
        right = self._shape[row.plane.column_axis] - 1.0
        bottom = self._shape[row.plane.row_axis] - 1.0
        return ((0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom))

    def _described(self) -> list[_Described]:
        columns = ("object_id", "kind", "positive", "plane", "path")
        table = (self.layer.features[column] for column in columns)
        return [
            _Described(int(i), str(kind), bool(positive), Plane(int(axis)), str(path))
            for i, kind, positive, axis, path in zip(*table, strict=True)
        ]

    def _describe(self, described: Sequence[_Described]) -> None:
        self.layer.features = {
            "object_id": [d.object_id for d in described],
            "kind": [d.kind for d in described],
            "positive": [d.positive for d in described],
            "plane": [d.plane.axis for d in described],
            "path": [d.path for d in described],
            "label": [_label(d) for d in described],
        }

    def _colour(self) -> None:
        """Let colour, width and filling follow the signs."""
        described = self._described()
        self.layer.edge_color = np.array([rgba(COLOURS[d.positive]) for d in described])
        self.layer.face_color = np.array([_face(d) for d in described])
        self.layer.edge_width = [self._width(d) for d in described]

    def _width(self, described: _Described) -> float:
        """What does not belong is drawn thinner."""
        widest = 3 if described.kind == SCRIBBLE else 2
        return (widest if described.positive else widest - 1) * self._stroke


def _described(row: DrawingRow) -> _Described:
    drawing = row.drawing
    if isinstance(drawing, Path):
        return _Described(row.object_id, MASK, True, row.plane, str(drawing))
    kind = SCRIBBLE if isinstance(drawing, Stroke) else LASSO
    return _Described(row.object_id, kind, drawing.positive, row.plane)


def _drawing(described: _Described, points: Outline) -> Drawing:
    if described.kind == MASK:
        return Path(described.path)
    if described.kind == LASSO:
        return Polygon(points, described.positive)
    dot = len(set(points)) == 1
    return Stroke(points[:1] if dot else points, described.positive)


def _label(described: _Described) -> str:
    return MASK if described.kind == MASK else GLYPHS[described.positive]


def _face(described: _Described) -> NDArray[np.float64]:
    if described.kind == SCRIBBLE:
        return np.zeros(4)
    return np.array(rgba(COLOURS[described.positive], FILL[described.positive]))
