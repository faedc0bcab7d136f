"""The Points layer that holds prompts' points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_sss._layers.prompt_rows import PointRow
from napari_sss._layers.prompt_shapes import point_of, point_position
from napari_sss._layers.signs import COLOURS, SYMBOLS
from napari_sss.engine.prompts.types import Plane

POINTS = "prompts: points"

SIGN_KEY = "t"
"""The selected points, or else the next one, change their sign."""


class PointsLayer:
    """Points of objects; positive ones are discs, negative ones crosses.

    Parameters
    ----------
    stroke : float
        Width of a thin line in voxels.
    placement : mapping
        ``scale``, ``translate`` and ``units`` of the scan's layer.
    """

    def __init__(self, stroke: float, placement: Mapping[str, Any]) -> None:
        import pandas as pd
        from napari.layers import Points

        self.layer = Points(
            ndim=3,
            name=POINTS,
            features=pd.DataFrame(
                {
                    "object_id": np.zeros(0, int),
                    "positive": np.zeros(0, bool),
                    "plane": np.zeros(0, int),
                }
            ),
            size=10 * stroke,
            symbol=SYMBOLS[True],
            face_color=COLOURS[True],
            border_color="white",
            opacity=0.9,
            **placement,
        )

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self.layer.data)

    @property
    def object_ids(self) -> list[int]:
        """The object of each point."""
        return [int(i) for i in self.layer.features["object_id"]]

    def add(self, rows: Sequence[PointRow]) -> None:
        """Add points."""
        before = self._described()
        self.layer.add(
            np.stack([point_position(row.point, row.plane, row.index) for row in rows])
        )
        # napari selects what is added; the next key would then be about these points.
        self.layer.selected_data = set()
        new = [(row.object_id, row.point.positive, row.plane.axis) for row in rows]
        self._describe([*before, *new])

    def adopt(self, count: int, object_id: int, plane: Plane, positive: bool) -> None:
        """Say whose the last points are, which a person has set, in which plane and sign."""
        before = self._described()[: len(self) - count]
        self._describe([*before, *[(object_id, positive, plane.axis)] * count])

    def toggle_sign(self) -> bool:
        """Turn the selected points; return whether any has changed."""
        selected = {int(row) for row in self.layer.selected_data}
        if not selected:
            return False
        self._describe(
            [
                (object_id, positive != (row in selected), axis)
                for row, (object_id, positive, axis) in enumerate(self._described())
            ]
        )
        return True

    def remove(self, ids: set[int]) -> None:
        """Take the points of objects away."""
        self.layer.selected_data = {r for r, i in enumerate(self.object_ids) if i in ids}
        self.layer.remove_selected()

    def rows(self) -> list[PointRow]:
        """Return all points."""
        rows = []
        described = zip(self.layer.data, self._described(), strict=True)
        for position, (object_id, positive, axis) in described:
            plane = Plane(axis)
            rows.append(PointRow(object_id, plane, *point_of(position, plane, positive)))
        return rows

    def _described(self) -> list[tuple[int, bool, int]]:
        """Object, sign and plane's axis of each point."""
        features = self.layer.features
        return [
            (int(object_id), bool(positive), int(axis))
            for object_id, positive, axis in zip(
                features["object_id"], features["positive"], features["plane"], strict=True
            )
        ]

    def _describe(self, described: Sequence[tuple[int, bool, int]]) -> None:
        """Write object, sign and plane, and let symbol and colour follow the sign."""
        ids, signs, axes = zip(*described, strict=True)
        self.layer.features = {
            "object_id": list(ids),
            "positive": list(signs),
            "plane": list(axes),
        }
        self.layer.symbol = [SYMBOLS[positive] for positive in signs]
        self.layer.face_color = [COLOURS[positive] for positive in signs]
