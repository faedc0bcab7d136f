"""The Shapes layer that holds prompts' boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from napari_sss._layers.prompt_rows import BoxRow, label_of
from napari_sss._layers.prompt_shapes import box_corners, box_of
from napari_sss._layers.signs import rgba
from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import ObjectPrompts
from napari_sss.engine.volumes.grid import Shape3

BOXES = "prompts: boxes"

# Okabe and Ito's colours, told apart with every kind of colour vision; a person's boxes are
# twice as thick as well.
BY_PROGRAM, BY_PERSON = "#56B4E9", "#E69F00"


class BoxesLayer:
    """Boxes of objects, each with its class, number and confidence written at it.

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

        self._shape = shape
        self._stroke = stroke
        self.layer = Shapes(
            ndim=3,
            name=BOXES,
            features=pd.DataFrame({"object_id": np.zeros(0, int), "label": np.zeros(0, str)}),
            text={"string": "{label}", "size": 9, "color": "white", "anchor": "upper_left"},
            edge_color=BY_PERSON,
            edge_width=2 * stroke,
            face_color="transparent",
            opacity=0.9,
            **placement,
        )

    def __len__(self) -> int:
        """Return how many boxes there are."""
        return len(self.layer.data)

    @property
    def object_ids(self) -> list[int]:
        """The object of each box."""
        return [int(i) for i in self.layer.features["object_id"]]

    def add(self, rows: Sequence[BoxRow], objects: Mapping[int, ObjectPrompts]) -> None:
        """Add boxes; what has a confidence was made by the program, and looks like it."""
        ids, labels = self.object_ids, list(self.layer.features["label"])
        by_program = [objects[row.object_id].confidence is not None for row in rows]
        self.layer.add_rectangles(
            [box_corners(row.box, row.plane, row.index) for row in rows],
            edge_color=[BY_PROGRAM if program else BY_PERSON for program in by_program],
            edge_width=[self._stroke * (1 if program else 2) for program in by_program],
            face_color="transparent",
        )
        self._describe(
            [*ids, *(row.object_id for row in rows)],
            [*labels, *(label_of(objects[row.object_id]) for row in rows)],
        )

    def adopt(self, ids: Sequence[int], class_name: str) -> None:
        """Say to which objects the last boxes belong, which a person has drawn."""
        former = len(self) - len(ids)
        labels = list(self.layer.features["label"])[:former]
        new = [f"{class_name} {i}" for i in ids]
        self._describe([*self.object_ids[:former], *ids], [*labels, *new])

    def mark_as_edited(self, objects: Mapping[int, ObjectPrompts]) -> None:
        """Show that a person has drawn or moved the boxes of these objects."""
        if not any(object_id in objects for object_id in self.object_ids):
            return
        colours, widths = self.layer.edge_color, list(self.layer.edge_width)
        for row, object_id in enumerate(self.object_ids):
            if object_id in objects:
                colours[row] = rgba(BY_PERSON)
                widths[row] = 2 * self._stroke
        self.layer.edge_color = colours
        self.layer.edge_width = widths
        self.write_labels(objects)

    def write_labels(self, objects: Mapping[int, ObjectPrompts]) -> None:
        """Write class, number and confidence of these objects anew."""
        labels = [
            label_of(objects[object_id]) if object_id in objects else label
            for object_id, label in zip(
                self.object_ids, self.layer.features["label"], strict=True
            )
        ]
        self._describe(self.object_ids, labels)

    def remove(self, ids: set[int]) -> None:
        """Take the boxes of objects away."""
        self.layer.selected_data = {r for r, i in enumerate(self.object_ids) if i in ids}
        self.layer.remove_selected()

    def select(self, object_id: int) -> bool:
        """Make an object's boxes ready to be dragged; return whether it has any."""
        rows = {row for row, i in enumerate(self.object_ids) if i == object_id}
        if rows:
            self.layer.mode = "select"
            self.layer.selected_data = rows
        return bool(rows)

    def rows(self, refused: Callable[[PromptError], None]) -> list[BoxRow]:
        """Return all boxes; what cannot be one is passed to ``refused`` and left out."""
        rows = []
        for object_id, corners in zip(self.object_ids, self.layer.data, strict=True):
            try:
                rows.append(BoxRow(object_id, *box_of(corners, self._shape)))
            except PromptError as error:
                refused(error)
        return rows

    def _describe(self, ids: Sequence[int], labels: Sequence[str]) -> None:
        self.layer.features = {"object_id": list(ids), "label": list(labels)}
